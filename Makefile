# Everything runs in .venv, made by the first target that needs it. Stamp files keep repeated runs quick.

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough and really starts.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Arguments for every run of the suite, such as PYTEST_ARGS="-k timers -n 0".
PYTEST_ARGS ?= -n auto
MINUTES ?= 60
CRASHES := tests/crashes tests/properties tests/acceptance/test_random_kills.py
FUZZ_SECONDS ?= 60
ADDRESS ?= 127.0.0.1:8000

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-engine test-sqlite test-postgresql lint format types imports migrations docs fuzz-checkpoints bench bench-report soak crashes fuzz matrix lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | expand -t 18

demo: $(VENV)/.demo  ## run the example: import real data through a worker, watch it, approve it
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py demo

serve: $(VENV)/.demo  ## the example's site at ADDRESS and a worker, until Ctrl-C
	@$(BIN)/python manage.py serve $(ADDRESS)

test: test-engine test-sqlite test-postgresql  ## the whole suite, on SQLite and on PostgreSQL

# Proves that the engine's tests need no Django: the plugin is off, so nothing sets it up.
test-engine: $(VENV)/.dev  ## the engine's tests, with no Django set up
	env -u DJANGO_SETTINGS_MODULE $(BIN)/python -m pytest tests/engine -p no:django

test-sqlite: $(VENV)/.dev  ## the suite on SQLite
	$(BIN)/python -m pytest --database=sqlite $(PYTEST_ARGS)

test-postgresql: $(VENV)/.dev  ## the suite on PostgreSQL: the server in DATABASE_URL, or one of its own
	$(BIN)/python -m pytest --database=postgresql $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## ruff: rules and format
	$(BIN)/ruff check .; status=$$?; $(BIN)/ruff format --check . && exit $$status

format: $(VENV)/.dev  ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev  ## the layers: who may import whom
	$(BIN)/lint-imports

migrations: $(VENV)/.dev  ## no model change without its migration
	$(BIN)/python -m django makemigrations --check --dry-run --settings tests.settings django_durable shop

screenshots: $(VENV)/.dev  ## let the browser tests take the documentation's screenshots anew, into docs/images
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/faces/browser -n 0

docs: $(VENV)/.dev  ## build the documentation into docs/_build, a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

fuzz-checkpoints: $(VENV)/.dev  ## 10,000 random programs, each from a checkpoint at every suspension; PROGRAMS="100 7" for 100 from seed 7
	$(BIN)/python -m tests.engine.checkpoint.fuzzing $(or $(PROGRAMS),10000)

bench: $(VENV)/.dev  ## measure everything beside its peers and alone, 25 minutes; BENCH_ARGS="--only peers --rounds 1" for less
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

soak: $(VENV)/.dev  ## the example under load for MINUTES (60), with workers killed and stopped; nothing may be lost or grow
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(SOAK_ARGS)

crashes: export DURABLE_CRASHES = all
crashes: $(VENV)/.dev  ## kill workers at every boundary and hundreds under load, try long interleavings; on both databases
	$(BIN)/python -m pytest --database=sqlite $(CRASHES) $(PYTEST_ARGS)
	$(BIN)/python -m pytest --database=postgresql $(CRASHES) $(PYTEST_ARGS)

bench-report: $(VENV)/.dev  ## write what was measured last into the documentation, with plots
	$(BIN)/python -m benchmarks.report

fuzz: $(VENV)/.dev .venvs/fuzz  ## coverage-guided fuzzing of payloads and histories, each for FUZZ_SECONDS (60)
	for what in payloads histories; do mkdir -p .venvs/corpus/$$what && \
		PYTHONPATH=.venvs/fuzz DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.properties.fuzz $$what \
		.venvs/corpus/$$what -max_total_time=$(FUZZ_SECONDS) || exit 1; done

.venvs/fuzz: | $(BIN)/python
	$(INSTALL) --target $@ atheris

matrix:  ## the suite on each Python 3.11-3.14 found, with Django 5.2 and the newest
	.ci/matrix

lock:  ## resolve pyproject.toml anew into requirements/*.txt
	.ci/lock $(PYTHON)

clean:  ## remove what the targets made, the demo's database included
	rm -rf $(VENV) .venvs build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f example_project/*.sqlite3 example_project/*.sqlite3-*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found. Set PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo $(VENV)/.dev: $(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing $< into $(VENV)"
	@$(INSTALL) --requirement $<
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
