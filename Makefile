# Two commands do everything: `make run` and `make test`. Both install first if necessary.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := core data models eval train
INSTALLED := $(VENV)/.installed
PACKAGED := $(VENV)/.packages

.PHONY: run test check test-slow chaos peers accuracy benchmark install clean help

help:           ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

run: $(PACKAGED)  ## the main job: train, evaluate, compare and report two PDEBench tasks
	$(BIN)/ups-run specs/pdebench_2task.yaml

test: check     ## everything that has to hold before a change lands
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install  ## lint, format, types, import layers, links and specs in documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/integration/test_docs.py -k 'links or yaml'

test-slow: install  ## the tests that take minutes: wheels alone in empty environments, ...
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder --timeout=1800

chaos: install  ## kill a run at 30 random moments; it must end with the bits of one that was left alone
	$(BIN)/python tests/chaos.py

peers:          ## .venv-peers: everything and the neuraloperator package, for the accuracy benchmark
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet 'pip>=25.1'
	$(VENV)-peers/bin/python -m pip install --quiet -c constraints.txt \
	  $(PACKAGES:%=-e packages/ups-%) -e examples/ups-neuraloperator

accuracy: peers  ## the operator against its peers at equal time: many hours, goes on where it stopped
	$(VENV)-peers/bin/python benchmarks/accuracy.py

benchmark: install  ## speed of generators, Muon and training steps, error and speed of classical solvers
	$(BIN)/python benchmarks/classical.py
	$(BIN)/python benchmarks/generate.py
	$(BIN)/python benchmarks/muon.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/gpu.py

install: $(INSTALLED)  ## create .venv with everything, pinned by constraints.txt

$(PACKAGED): constraints.txt $(PACKAGES:%=packages/ups-%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "UPS needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt $(PACKAGES:%=-e packages/ups-%)
	@touch $@

$(INSTALLED): $(PACKAGED) pyproject.toml
	$(BIN)/python -m pip install --quiet 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt --group dev
	@touch $@

clean:          ## remove the environment and caches; keeps runs/ and data/
	rm -rf $(VENV) $(VENV)-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
