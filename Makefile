# Everything is set up by the targets themselves: they need Python (with venv and pip), make, and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN ?= runs/demo
WHAT ?= info_nce.*

.PHONY: help demo test test-all mutants check format clean

help: ## say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.11")'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/for-demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing info-nce and what it trains with (torch is the large one)"
	@$(INSTALL) --editable '.[train,images,plots]'
	@touch $@

$(VENV)/for-tests: $(VENV)/for-demo
	@echo "installing what the tests need"
	@$(INSTALL) 'pip>=25.1'  # the first pip that knows dependency groups
	@$(INSTALL) --group dev
	@touch $@

demo: $(VENV)/for-demo ## train an encoder on real pictures without a label, evaluate it, search with it, write a report
	@if [ -e $(RUN)/encoder.safetensors ]; then $(BIN)/info-nce evaluate $(RUN); \
	elif [ -e $(RUN)/config.json ]; then $(BIN)/info-nce train simclr --resume $(RUN); \
	else $(BIN)/info-nce train simclr --run $(RUN); fi
	@$(BIN)/info-nce search $(RUN) test:7
	@$(BIN)/info-nce report $(RUN)

test: $(VENV)/for-tests ## run every test that fits the everyday budget and this machine
	@$(BIN)/python -m pytest -n auto -m 'not slow'

test-all: $(VENV)/for-tests ## the longer tests too
	@$(BIN)/python -m pytest -n auto

mutants: $(VENV)/for-tests ## which small changes of the core does no test notice? (takes hours; WHAT='info_nce.objectives.*': minutes)
	@OMP_NUM_THREADS=1 $(BIN)/mutmut run '$(WHAT)'
	@$(BIN)/mutmut results

check: $(VENV)/for-tests ## lint and types; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/for-tests ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## remove the environment and everything built; runs/ stays
	@rm -rf $(VENV) mutants build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
