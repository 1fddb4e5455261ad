# Every target sets up what it needs: a virtual environment in .venv, made once and again only when
# pyproject.toml or constraints.txt change. Nothing but make and python3 >= 3.11 has to be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CORE := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
CODE := broker_api sim data scenarios reports papertape papertape_command.py
WRITTEN := $(CODE) $(wildcard tests examples benchmarks)

.DEFAULT_GOAL := help
.PHONY: help projectx-env sdk-before setup demo test check nightly coverage bench browser format

help:  ## show what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "papertape needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "[1/2] making the environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "this Python cannot make environments (Debian, Ubuntu: apt-get install python3-venv)"; \
	  rm -rf $(VENV); exit 1; }

$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "[2/2] installing papertape (about 600 MB on disk; a minute or two on a usual line)"
	@$(PIP) install --constraint constraints.txt --editable '.[serve,operations]'
	@touch $@

$(DEV): $(CORE)
	@echo "installing the tools for tests and checks"
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[serve,operations,dev]'
	@touch $@

setup: $(CORE)  ## make the environment and install papertape into it

demo: $(CORE)  ## run a bracket strategy on a sample tape
	@$(BIN)/papertape demo

# The vendor's ProjectX package needs a newer Python than papertape: it gets a place of its own, and
# its tests are collected where that is.
projectx-env: .venv-projectx/.installed

.venv-projectx/.installed: tests/vendor/constraints.txt
	@for name in $(NEWER_PYTHON) python3.12 python3.13 \
	  $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.1[2-9]*/bin/python; do \
	  $$name -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || continue; \
	  $$name -m venv .venv-projectx && exit 0; done; \
	echo "project-x-py needs Python 3.12 or newer: make NEWER_PYTHON=... projectx-env"; exit 1
	@.venv-projectx/bin/python -m pip --disable-pip-version-check install --quiet \
	  --requirement tests/vendor/constraints.txt
	@touch $@

# The kernel is compiled first, by one process: others that need it at the same time would each
# compile it for themselves.
COMPILING := $(addprefix tests/sim/test_,compiled.py compiled_bars.py shortcut.py instruments.py accounts.py)
# So long may a test take that compiles much of it, on a slow machine.
PATIENCE := --timeout 1200
# One more than there are processors: some tests wait for servers in real time.
WORKERS := $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PARALLEL := -n $(WORKERS) --maxprocesses 4 --dist worksteal

# Hyperliquid's SDK in its version before: the tests that use the newest run with it as well.
sdk-before: .sdk-before/.installed

.sdk-before/.installed: tests/vendor/sdk_before.txt $(DEV)
	@rm -rf .sdk-before
	@$(PIP) install --quiet --no-deps --target .sdk-before --requirement $<
	@touch $@

test: $(DEV) sdk-before  ## run every test and every scenario
	@echo "compiling the exchange (a minute, once)"
	@$(BIN)/python -m pytest -q $(PATIENCE) $(COMPILING)
	$(BIN)/papertape check scenarios
	$(BIN)/python -m pytest $(PARALLEL)

# What talks to servers in real time, and the comparisons of whole sessions, wait for `make test`.
LATER := $(addprefix --ignore=tests/,venues conformance differential paper watching \
  vendor live_sessions acceptance/test_determinism.py \
  acceptance/test_order_manager_page_live.py)

check: $(DEV)  ## format, lint, types, the scenarios and the quick tests
	$(BIN)/ruff format --check $(WRITTEN)
	$(BIN)/ruff check $(WRITTEN)
	$(BIN)/mypy
	$(BIN)/papertape check scenarios
	$(BIN)/python -m pytest -x -q $(PATIENCE) $(PARALLEL) -m "not slow and not browser" $(LATER)

nightly: $(DEV) projectx-env sdk-before  ## everything, also with the kernel as plain Python, and a million sessions
	$(BIN)/ruff check $(WRITTEN)
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PATIENCE) --hypothesis-profile nightly
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/.boundscheck $(BIN)/python -m pytest $(PATIENCE) tests/sim
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(PATIENCE) tests/sim
	$(BIN)/python -m tests.differential.run --seeds 0:1000000 --watch 4
	$(BIN)/python -m tests.differential.mutants --hunt
	$(BIN)/python -m tests.differential.conserve --steps 1000000
	$(BIN)/python -m tests.broker_api.contingent_play --seeds 2000:200000
	$(BIN)/python -m tests.reports.opening
	$(BIN)/python -m tests.broker_api.risk_play --seeds 100:10000
	$(BIN)/python -m tests.paper.kills --count 1000
	$(BIN)/python -m tests.paper.long_feed --hours 24
	$(BIN)/python -m tests.sim.storm_seeds --seeds 100:5000
	$(BIN)/python -m tests.sim.random_program --seeds 100:10000
	$(BIN)/python -m tests.broker_api.journal_damage --count 10000 --every 1
	$(BIN)/python -m tests.broker_api.journal_crash --kills 1000 --power 300
	$(BIN)/python tests/broker_api/hyperliquid/malformed.py --count 1000000
	$(BIN)/python -m tests.venues.venue_attack --venue hyperliquid --count 100000
	$(BIN)/python -m tests.venues.venue_attack --venue projectx --count 100000
	$(BIN)/python -m tests.venues.adapter_chaos --seeds 100:300
	$(BIN)/python -m tests.venues.adapter_chaos --venue projectx --seeds 0:200

# Without the comparisons of whole runs: with the kernel as plain Python they take longer than all
# others together, and run nothing that those do not.
coverage: $(DEV)  ## which lines of the exchange and its interface no test runs
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m coverage run -m pytest -q $(PATIENCE) \
	  -m "not slow and not browser and not realdata" \
	  --ignore tests/acceptance/test_determinism.py \
	  tests/sim tests/broker_api tests/acceptance tests/cli tests/differential
	$(BIN)/python -m coverage report

bench: $(DEV)  ## measure the workloads; results go to benchmarks/results
	$(BIN)/python benchmarks/bench.py

browser:  ## find a Chromium for the tests that look at a report, or install one
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null 2>&1 && { echo "browser: $$(command -v $$name)"; exit 0; }; done; \
	command -v apt-get >/dev/null 2>&1 || { \
	  echo "no Chromium here, and no apt-get to install it with"; exit 1; }; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "no Chromium here: installing it with apt-get"; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  $$sudo apt-get install -y --no-install-recommends chromium

format: $(DEV)  ## format the code and mend what can be mended by rule
	$(BIN)/ruff format $(WRITTEN)
	$(BIN)/ruff check --fix $(WRITTEN)
