# make demo, make test, make bench: each sets itself up from nothing.
PYTHON ?= python3
DEV := .venv/bin
DEMO := .venv-demo/bin

.PHONY: demo test check bench clean

demo: .venv-demo/ready  ## rerank a real terminology example with the default model
	$(DEMO)/python examples/demo.py

test: .venv/ready check  ## every check and every test
	$(DEV)/pytest

check: .venv/ready
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy

bench: .venv/ready  ## speed against aatm's own code path and torch bf16, as ratios from one run
	$(DEV)/python benchmarks/bench.py

# The CPU runtime only: no PyTorch, no transformers.
.venv-demo/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	$(DEMO)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[cpu]'
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[export,train,dev]'
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps aatm
	touch $@

clean:
	rm -rf .venv .venv-demo build *.egg-info
