# Everything a person or a job calls. `make gate` and `make test` set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.docs
SWEEP ?= quick
NOW := $(shell date -u +%Y%m%dT%H%M%SZ)
RUNS ?= runs
RUN = $(RUNS)/$(NOW)-$(SWEEP)
KEEP ?= 30
BENCH ?= yes
RANGE ?= HEAD
STEPS ?=
NOTIFY ?=
RETRY ?= yes
KILLS ?= 12
SEED ?= $(shell date +%s)
FUZZ_EXAMPLES ?= 100
BASE ?= main~1
# The tests of a file stay together, and share its servers and runs.
TWO_WORKERS = -n 2 --dist loadfile
BENCH_MACHINE = $(shell $(BIN)/python asv_bench/machine.py)
bench bench-compare bench-html: export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
nightly-failed: export NOTIFY_COMMAND := $(value NOTIFY)
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help setup gate nightly mutants bench bench-compare bench-html engine-table nightly-failed docs lint check test test-slow test-both explore faults clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP) ## make the environment in .venv

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[ptycho,dev,asv,parquet,distributed]'
	touch $@

gate: $(STAMP) ## measure, write the report, print the verdict; DATA=scan.npz for a scan of your own (READ="--layer 1" says how to read it), TOLERATE=3 lets INCONCLUSIVE pass
	$(BIN)/python -m validation run --sweep $(SWEEP) $(if $(DATA),--data "$(DATA)" $(READ)) --out $(RUN)
	$(BIN)/python -m reports build $(RUN)
	@echo "report: $(RUN)/report.html"
	$(BIN)/python -m reports gate $(RUN)$(if $(TOLERATE), || { code=$$?; test $$code = $(TOLERATE) || exit $$code; })

nightly: SWEEP = nightly
nightly: ## the full sweep with peers and mutants, verdict, report, index, then asv; see docs/nightly.md
	@$(PYTHON) .ci/nightly.py --python $(BIN)/python --sweep "$(SWEEP)" $(if $(DATA),--data "$(DATA)") \
		--runs "$(RUNS)" --keep $(KEEP) --bench '$(value BENCH)'

nightly-failed: ## what a job calls when its night failed: tells the last line, also to GITHUB_STEP_SUMMARY and to the command NOTIFY
	@line=$$(cat "$(RUNS)/.nightly-last" 2>/dev/null) || line="nightly: the night left no last line: it was refused or killed; see its log"; \
		echo "$$line"; \
		if test -n "$$GITHUB_STEP_SUMMARY"; then echo "The night failed: $$line" >> "$$GITHUB_STEP_SUMMARY"; fi; \
		if test -n "$$NOTIFY_COMMAND"; then echo "$$line" | sh -c "$$NOTIFY_COMMAND"; fi

mutants: $(STAMP) ## show that every known-bad implementation is rejected, each by its own criterion
	$(BIN)/python -m validation mutants --out $(RUNS)/$(NOW)-mutants

bench: $(STAMP) ## measure every commit of the kernels on the main line that has no complete result; BENCH=, RANGE=, STEPS=, RETRY=no; see docs/asv.md
	$(if $(filter no,$(BENCH)),$(error BENCH=no leaves no benchmark to measure; give a regular expression, or yes for all))
	$(BIN)/asv machine --yes --machine $(BENCH_MACHINE)
	git rev-list --first-parent $(RANGE) -- ptycho | nice $(BIN)/asv run HASHFILE:- --machine $(BENCH_MACHINE) --record-samples --skip-existing$(if $(filter no,$(RETRY)),,-successful) $(if $(STEPS),--steps $(STEPS) )$(if $(filter yes,$(BENCH)),,--bench '$(value BENCH)' )--show-stderr

bench-compare: $(STAMP) ## what HEAD made slower or hungrier than BASE
	nice $(BIN)/python asv_bench/compare.py "$(BASE)"

bench-html: $(STAMP) ## asv's site in .asv/html, and the history in .asv/history.html
	@code=0; set -x; $(BIN)/python asv_bench/publish.py || code=$$?; \
		$(BIN)/python -m reports history --machine $(BENCH_MACHINE) || code=$$?; exit $$code

engine-table: $(STAMP) ## measure the figures of docs/ENGINE.md; about twelve minutes on a quiet machine
	$(BIN)/python asv_bench/engine_table.py

# Of the environment this needs the light part alone, and adds to it what is there.
$(DOCS): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[docs]'
	touch $@

docs: $(DOCS) ## the site in build/site, also with the newest report and history
	rm -rf build/site
	$(BIN)/python -m sphinx -q -W --keep-going -n -E -c docs/site -d build/doctrees . build/site
	@echo "site: build/site/index.html"

lint: $(STAMP) ## style, types, and the workflows against their schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

check: lint ## style, types and the tests that start no TensorFlow; in at most 90 s on two cores
	PYTHONPATH="$(CURDIR)/tests/no_tensorflow" $(BIN)/python -m pytest $(TWO_WORKERS) -m "not slow and not tensorflow"

test: lint ## style, types and the quick tests
	$(BIN)/python -m pytest $(TWO_WORKERS) -m "not slow"

test-both: $(STAMP) ## all quick tests with the flag off, and all again with it on
	USE_BATCHED_PATCH_EXTRACTION=0 $(BIN)/python -m pytest $(TWO_WORKERS) -m "not slow"
	USE_BATCHED_PATCH_EXTRACTION=1 $(BIN)/python -m pytest $(TWO_WORKERS) -m "not slow"

test-slow: explore $(DOCS) ## the tests that take minutes, and examples that nobody has met yet
	SEED=$(SEED) $(BIN)/python -m pytest -m slow

explore: $(STAMP) ## draw fresh examples for all tests that draw; SEED=number draws those of an earlier run
	HYPOTHESIS_PROFILE=explore FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest $(TWO_WORKERS) -m hypothesis --hypothesis-seed=$(SEED)

faults: $(STAMP) ## the fault suite, with its table; KILLS=200 for 200 random kills
	KILLS=$(KILLS) SEED=$(SEED) $(BIN)/python -m pytest tests/faults

clean: ## remove caches, not the environment and no results
	rm -rf .pytest_cache .mypy_cache .ruff_cache build *.egg-info
