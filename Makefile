# Everything is set up by the targets themselves: they need Python (with venv and pip), make, and a package registry.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN ?= runs/demo
PEERS ?= .cache/peers
WHAT ?= info_nce.*
SITE := src/info_nce/tutorial/site/index.html

.PHONY: help demo test test-oldest test-all mutants check format docs tutorial recipes papers survey bench bench-full bench-ranks bench-peers clean

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

$(VENV)/for-recipes: $(VENV)/for-demo
	@echo "installing what the other recipes need"
	@$(INSTALL) --editable '.[train,images,text,audio,video,plots]'
	@touch $@

$(VENV)/for-tests: $(VENV)/for-recipes
	@echo "installing what the tests need"
	@$(INSTALL) 'pip>=25.1'  # the first pip that knows dependency groups
	@$(INSTALL) --group dev
	@touch $@

$(VENV)/for-docs: $(VENV)/for-tests
	@echo "installing what the site is built with"
	@$(INSTALL) --group docs
	@touch $@

$(OLDEST)/for-tests: pyproject.toml constraints-oldest.txt
	@echo "making $(OLDEST) with the oldest versions"
	@$(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet 'pip>=25.1'
	@$(OLDEST)/bin/python -m pip install --quiet --constraint constraints-oldest.txt \
	--editable '.[train,images,text,audio,video,plots,search,export]' --group dev
	@touch $@

demo: $(VENV)/for-demo ## train an encoder on real pictures without a label, evaluate it, search with it, write a report
	@if [ -e $(RUN)/encoder.safetensors ]; then $(BIN)/info-nce evaluate $(RUN); \
	elif [ -e $(RUN)/config.json ]; then $(BIN)/info-nce train simclr --resume $(RUN); \
	else $(BIN)/info-nce train simclr --run $(RUN); fi
	@$(BIN)/info-nce search $(RUN) test:7
	@$(BIN)/info-nce report $(RUN)

tutorial: $(SITE) ## open the tutorial at http://localhost:8085
	@$(BIN)/python -m info_nce.tutorial

$(SITE): $(shell find tutorial -type f -not -name '*.pyc') | $(VENV)/for-demo
	@echo "building the tutorial's pages"
	@$(INSTALL) --no-deps --editable .
	@touch $@

recipes: $(VENV)/for-recipes ## train every recipe with three seeds, an hour and a half, and write docs/recipes-measured.md
	@$(BIN)/python -m benchmarks.recipes

papers: $(VENV)/for-demo ## run published results again, about four minutes, and write docs/papers.md
	@$(BIN)/python -m benchmarks.papers --fresh

survey: $(VENV)/for-demo ## diagnose trainings, healthy and broken, a quarter of an hour, and write into docs/practice/diagnostics.md
	@$(BIN)/python -m benchmarks.survey --fresh

test: $(VENV)/for-tests ## run every test that fits the everyday budget and this machine
	@$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow'

test-all: $(VENV)/for-tests ## the longer tests too
	@$(BIN)/python -m pytest -n auto --dist worksteal

test-oldest: $(OLDEST)/for-tests ## make test with the oldest versions that are promised, in 7 GB of their own (PYTHON=python3.10 is the oldest Python)
	@$(OLDEST)/bin/python -m pytest -n auto --dist worksteal -m 'not slow'

mutants: $(VENV)/for-tests ## which small changes of the core does no test notice? (takes hours; WHAT='info_nce.objectives.*': minutes)
	@OMP_NUM_THREADS=1 $(BIN)/mutmut run '$(WHAT)'
	@$(BIN)/mutmut results | grep -v ': not checked' || true

check: $(VENV)/for-tests ## lint and types; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/for-tests ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/for-docs ## build the documentation as a site into site-docs/, and check it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@$(BIN)/python -m website.check site-docs

bench: $(VENV)/for-demo ## measure the losses beside the limit and other libraries: a look, about four minutes
	@$(BIN)/python -m benchmarks --fresh --peers $(PEERS) --out runs/benchmarks/short.json; said=$$?; \
	$(BIN)/python -m benchmarks.render runs/benchmarks/short.json --page runs/benchmarks/short.md; exit $$said

bench-full: $(VENV)/for-demo ## everything, at most forty minutes (again to go on), and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks --full --peers $(PEERS) --out benchmarks/full.json; said=$$?; \
	$(BIN)/python -m benchmarks.render benchmarks/full.json --page docs/benchmarks.md; exit $$said

bench-ranks: $(VENV)/for-demo ## what losses compute on several ranks, about a minute, and write docs/peers-across-ranks.md
	@$(BIN)/python -m benchmarks.ranks --peers $(PEERS)

bench-peers: $(VENV)/for-demo ## install those libraries into .cache/peers: 6 GB, most of it another torch
	@$(BIN)/python -m benchmarks.homes --peers $(PEERS)

clean: ## remove the environment and everything built; runs/ stays
	@rm -rf $(VENV) $(OLDEST) mutants build dist site-docs .pytest_cache .mypy_cache .ruff_cache .hypothesis
