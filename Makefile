# Two commands to know: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
ENV ?= default
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# What a virtual environment was made from; another content makes it anew.
KEY := $(shell cat constraints.txt pyproject.toml | cksum | cut -d' ' -f1)
TRAIN := $(VENV)/.train-$(KEY)
TEST := $(VENV)/.test-$(KEY)
SITE := $(VENV)/.site-$(KEY)

.PHONY: help here demo test coverage fast generated library-tables site fuzz crash lint format banking77 bench clean

help:  ## what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip

# torch first: what follows is then satisfied by it and brings no other build of it.
$(TRAIN): | $(VENV)/bin/pip
	@echo "Installing into $(VENV) (about 2 GB, a few minutes)"
	$(PIP) install -c constraints.txt '$(TORCH)'
	$(PIP) install -c constraints.txt -e '.[train]'
	@touch $@

$(TEST): $(TRAIN)
	$(PIP) install -c constraints.txt --group test
	@touch $@

# A virtual environment may be shared by several clones: it always runs this one. Python is asked in isolation (-I),
# because it would otherwise find the clone in the folder where it stands, whatever the environment has installed.
here: | $(TRAIN)
	@$(BIN)/python -I -c 'import pathlib, sys, studio.cli; sys.exit(pathlib.Path(studio.cli.__file__).parents[2] != pathlib.Path.cwd())' \
	    2>/dev/null || $(PIP) install --no-deps -e .

demo: here  ## validate, plan, apply, status, plan again, on the quickstart
	BIN=$(abspath $(BIN)) ENV=$(ENV) sh examples/quickstart/demo.sh

# Byte code is kept: each process that a test starts would compile studio anew, and pytest every test.
test fast coverage: export PYTHONDONTWRITEBYTECODE :=

test: $(TEST) here  ## every test
	$(BIN)/python -m pytest -n 2 --dist worksteal

coverage: $(TEST) here  ## every test, and which lines ran: the fast ones take twice as long
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

fast: $(TEST) here  ## the tests that take less than two seconds each
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

generated: $(TEST)  ## write the schemas, rule pages and reference anew
	$(BIN)/python docs/generate.py

$(SITE): | $(VENV)/bin/pip
	$(PIP) install -c constraints.txt --group docs
	@touch $@

site: $(SITE)  ## the documentation as HTML, in site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

library-tables: $(TEST)  ## extract anew what the libraries accept (downloads Axolotl's wheel)
	$(BIN)/python schemas/library_tables.py

fuzz: $(TEST) here  ## hostile manifests and trees: make fuzz CASES=100000
	$(BIN)/python -m tests.fuzz --cases $(or $(CASES),100000)

crash: $(TEST) here  ## kill apply at every step and at random moments: make crash KILLS=1000
	$(BIN)/python -m tests.crash --kills $(or $(KILLS),1000) --json crash.json

lint: $(TEST)  ## formatting, style, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TEST)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

banking77: here  ## the whole loop on real customers' questions: make banking77 DATA=train.csv
	$(BIN)/python benchmarks/banking77.py $(DATA)

bench: here  ## validate, plan and apply at scale, beside PyYAML and Terraform
	$(BIN)/python benchmarks/validate.py --terraform
	$(BIN)/python benchmarks/plan.py

clean:  ## remove what a demo made; the virtual environment stays
	rm -rf examples/*/.studio
