# Two commands set everything up: `make check`, and `make hpo SPACE=smoke`.
PYTHON ?= python3
SPACE ?= smoke
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.PHONY: help setup kernels check quick format lint types layers test pages faults soak nightly hpo docs clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## the virtual environment, with everything pinned

kernels: $(READY) ## compile the search, once for these sources: one to three minutes
	@$(BIN)/python -m risexp.estimation.compiled

check: lint types layers test pages ## everything a change must pass

format: $(READY) ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY) ## format and lint, without rewriting
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## mypy --strict
	$(BIN)/mypy

layers: $(READY) ## the direction of imports, and no cycle
	$(BIN)/lint-imports

test: kernels ## the tests of `make check`
	$(BIN)/pytest -m "not slow and not pages" --numprocesses 2 --dist worksteal

pages: $(READY) ## the tests that look at pages in a browser, where there is one
	$(BIN)/pytest -m pages -p no:xdist

quick: lint types ## lint, types, and the tests of what has changed: the inner loop
	$(BIN)/python tests/select_changed.py | xargs $(BIN)/pytest -q -m "not slow and not pages" --numprocesses 2 --dist worksteal

faults: kernels ## the table of injected faults, on SQLite and PostgreSQL
	mkdir -p build
	RISEXP_REQUIRE_ALL=1 $(BIN)/pytest -q -m "fault and not pages" --hypothesis-profile faults --junitxml build/faults.xml --numprocesses 2 --dist worksteal \
		$$(grep -rl --include='test_*.py' 'mark\.fault' tests) || true
	$(BIN)/python benchmarks/faults.py build/faults.xml --write

soak: $(READY) ## half an hour of mixed faults on each database; its figures go into the table
	mkdir -p build
	RISEXP_REQUIRE_ALL=1 $(BIN)/pytest tests/soak -m soak --junitxml build/soak.xml || true
	$(BIN)/python benchmarks/faults.py build/soak.xml --write

nightly: check ## what does not fit into `make check`
	$(BIN)/pytest -m "not pages" --hypothesis-profile nightly --numprocesses 2 --dist worksteal --timeout 900
	$(BIN)/python benchmarks/covariance.py
	$(BIN)/python benchmarks/scenes.py
	$(BIN)/python benchmarks/facts.py
	$(BIN)/python benchmarks/rehearsal.py || [ $$? -eq 77 ] # 77: this machine cannot, and says why

hpo: $(READY) ## search a space: make hpo SPACE=smoke
	@$(BIN)/risexp hpo --space $(SPACE)

docs: $(READY) ## rewrite docs/commands.md from the commands' own help
	$(BIN)/python docs/write_commands.py

clean: ## remove what was made, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
