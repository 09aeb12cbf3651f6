# Everything a person or a job calls. `make gate` and `make test` set up what they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SWEEP ?= quick
RUN := runs/$(shell date -u +%Y%m%dT%H%M%SZ)-$(SWEEP)
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help setup test test-slow lint gate clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP) ## make the environment in .venv

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@

gate: $(STAMP) ## measure, write the report, print the verdict; DATA=scan.npz for a scan of your own
	$(BIN)/python -m validation run --sweep $(SWEEP) $(if $(DATA),--data "$(DATA)") --out $(RUN)
	$(BIN)/python -m reports build $(RUN)
	@echo "report: $(RUN)/report.html"
	$(BIN)/python -m reports gate $(RUN)

lint: $(STAMP) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## style, types and the quick tests
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(STAMP) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

clean: ## remove caches, not the environment and no results
	rm -rf .pytest_cache .mypy_cache .ruff_cache build *.egg-info
