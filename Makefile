# Everything a person or a job calls. `make gate` and `make test` set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SWEEP ?= quick
NOW := $(shell date -u +%Y%m%dT%H%M%SZ)
RUN := runs/$(NOW)-$(SWEEP)
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help setup gate mutants engine-table lint test test-slow test-both clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP) ## make the environment in .venv

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,asv,parquet]'
	touch $@

gate: $(STAMP) ## measure, write the report, print the verdict; DATA=scan.npz for a scan of your own
	$(BIN)/python -m validation run --sweep $(SWEEP) $(if $(DATA),--data "$(DATA)") --out $(RUN)
	$(BIN)/python -m reports build $(RUN)
	@echo "report: $(RUN)/report.html"
	$(BIN)/python -m reports gate $(RUN)

mutants: $(STAMP) ## show that every known-bad implementation is rejected, each by its own criterion
	$(BIN)/python -m validation mutants --out runs/$(NOW)-mutants

engine-table: $(STAMP) ## measure the figures of docs/ENGINE.md; about twelve minutes on a quiet machine
	$(BIN)/python asv_bench/engine_table.py

lint: $(STAMP) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## style, types and the quick tests
	$(BIN)/python -m pytest -m "not slow"

test-both: $(STAMP) ## the kernels' tests with the flag off and with it on
	USE_BATCHED_PATCH_EXTRACTION=0 $(BIN)/python -m pytest tests/ptycho
	USE_BATCHED_PATCH_EXTRACTION=1 $(BIN)/python -m pytest tests/ptycho

test-slow: $(STAMP) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

clean: ## remove caches, not the environment and no results
	rm -rf .pytest_cache .mypy_cache .ruff_cache build *.egg-info
