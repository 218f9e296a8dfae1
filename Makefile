# The commands a change is checked with. `.ci/run` calls the same ones on a clean checkout.
PYTHON = python3
BIN = .venv/bin
T =# what `make test` runs: T="tests/test_mixing.py -k strip"

.PHONY: help setup test format lint types api site notebooks package container lowest ci

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

setup: ## make .venv, with all that development needs
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'

test: ## run the tests, or those in T
	$(strip $(BIN)/python -m pytest -q $(T))

format: ## rewrite the code as `lint` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: ## check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: ## check the types
	$(BIN)/mypy

api: ## rewrite docs/reference/api.md from the docstrings
	$(BIN)/python tools/write_api.py

site: ## build the documentation into site/, with warnings as errors
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

notebooks: ## run the notebooks of examples/
	$(BIN)/python tools/run_notebooks.py

package: ## build dist/ and check what is in it
	$(BIN)/python .ci/package.py dist

container: ## build the container and try it, or do its steps without Docker
	$(PYTHON) .ci/container.py

lowest: ## test the lowest versions that pyproject.toml allows
	$(PYTHON) .ci/lowest.py

ci: ## all of it, in a new .venv
	.ci/run
