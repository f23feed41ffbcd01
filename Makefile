# Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
# What a sweep needs, and what tests, lint, pages and benchmarks need beside it; the exact versions lie in requirements/.
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.installed-dev
INSTALL := $(VENV)/bin/python -m tools.install
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate
# `make lock UPGRADE=--upgrade` takes the newest versions, UPGRADE="--upgrade-package torch" of one.
UPGRADE :=
# Python keeps what it compiles when it first imports it, also in a container whose image says otherwise: each of Ray's
# processes would compile PyTorch again.
export PYTHONDONTWRITEBYTECODE :=
# Two processes (of one thread each, see tests/conftest.py): the tests are many and tiny. In the order of their folders: by
# number of tests, the files with few but long ones would come last, and one process would wait for the other.
PYTEST := $(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# `make test-faults FAULTS="faults and slow"` leaves out what `make test` runs.
FAULTS := faults

# Where `make gpu` and its rehearsal leave their results.
OUT ?= runs/gpu

.PHONY: help sweep test test-faults test-all lint lock docs gpu gpu-rehearsal clean

help:
	@echo "make sweep     install what it needs, run a small sweep on the embedded images, score the best trials (about three minutes)"
	@echo "make test      install the rest, lint, check types, run the test suite"
	@echo "make test-faults  kill, fill and truncate: every row of the table of faults in docs/sweeps.md"
	@echo "make test-all  make test, with the tests marked slow too"
	@echo "make lint      lint and types alone"
	@echo "make lock      write the exact versions that are installed, requirements/*.txt, anew"
	@echo "make gpu       everything that is measured on a GPU, in ten minutes, into OUT=$(OUT)"
	@echo "make gpu-rehearsal  the same steps, tiny, on a CPU (some minutes)"
	@echo "make docs      write the pages that scripts make: configuration, tutorial (runs a small sweep)"
	@echo "make clean     remove .venv and caches (not runs/)"

$(INSTALLED): pyproject.toml requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ $(PYTHON) --version; echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV): about 6 GB, some minutes"
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) requirements/run.txt
	@touch $@

$(DEV_INSTALLED): $(INSTALLED) requirements/dev.txt
	$(INSTALL) requirements/dev.txt
	@# Python warns of what it compiles, and tests take warnings for errors: not when they first import it.
	$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

sweep: $(INSTALLED)
	$(VENV)/bin/python run_sweep.py launch quick

lint: $(DEV_INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test: lint
	$(PYTEST) -m "not slow"

test-faults: $(DEV_INSTALLED)
	$(PYTEST) -m "$(FAULTS)"

test-all: lint
	$(PYTEST)

# After a change of the dependencies in pyproject.toml.
lock: $(INSTALLED)
	$(LOCK) $(UPGRADE) --group uv --output-file requirements/uv.txt
	$(LOCK) $(UPGRADE) --group build pyproject.toml --output-file requirements/run.txt
	$(LOCK) $(UPGRADE) --extra dev pyproject.toml --constraint requirements/run.txt --output-file requirements/dev.txt \
		$$(sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' requirements/run.txt)

docs: $(DEV_INSTALLED)
	$(VENV)/bin/python -m tools.configuration_page
	$(VENV)/bin/python -m tools.tutorial

gpu: $(DEV_INSTALLED)
	$(VENV)/bin/python -m benchmarks.gpu $(OUT)

gpu-rehearsal: $(DEV_INSTALLED)
	$(VENV)/bin/python -m benchmarks.gpu $(OUT)-rehearsal --rehearsal

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
