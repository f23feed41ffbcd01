# Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
# Two processes (of one thread each, see tests/conftest.py): the tests are many and tiny.
PYTEST := $(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile
# `make test-faults FAULTS="faults and slow"` leaves out what `make test` runs.
FAULTS := faults

# Where `make gpu` and its rehearsal leave their results.
OUT ?= runs/gpu

.PHONY: help sweep test test-faults test-all lint docs gpu gpu-rehearsal clean

help:
	@echo "make sweep     install, run a small sweep on the embedded images, score the best trials (about three minutes)"
	@echo "make test      install, lint, check types, run the test suite"
	@echo "make test-faults  kill, fill and truncate: every row of the table of faults in docs/sweeps.md"
	@echo "make test-all  make test, with the tests marked slow too"
	@echo "make lint      lint and types alone"
	@echo "make gpu       everything that is measured on a GPU, in ten minutes, into OUT=$(OUT)"
	@echo "make gpu-rehearsal  the same steps, tiny, on a CPU (some minutes)"
	@echo "make docs      write the pages that scripts make: configuration, tutorial (runs a small sweep)"
	@echo "make clean     remove .venv and caches (not runs/)"

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ $(PYTHON) --version; echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV): about 6 GB, some minutes"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --progress-bar off --editable '.[dev]'
	@touch $@

sweep: $(INSTALLED)
	$(VENV)/bin/python run_sweep.py launch quick

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test: lint
	$(PYTEST) -m "not slow"

test-faults: $(INSTALLED)
	$(PYTEST) -m "$(FAULTS)"

test-all: lint
	$(PYTEST)

docs: $(INSTALLED)
	$(VENV)/bin/python -m tools.configuration_page
	$(VENV)/bin/python -m tools.tutorial

gpu: $(INSTALLED)
	$(VENV)/bin/python -m benchmarks.gpu $(OUT)

gpu-rehearsal: $(INSTALLED)
	$(VENV)/bin/python -m benchmarks.gpu $(OUT)-rehearsal --rehearsal

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
