# `make drill` and `make test` each do all of their set-up. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup doctor drill drill-all controls test check unit integration proof crash-matrix bench up status heal down clean

BIN := .venv/bin
PYTEST := $(BIN)/pytest
DRILL ?= experiments
MARK ?= chaos and headline
ARGS ?=
ROTATE ?= 2
CEILINGS ?= 1
BENCHMARKS ?= measure idle_edge inject_effect rto_precision load_client startup

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@echo
	@echo "  ARGS adds to pytest's arguments: make drill ARGS='--chaos-trials 3'"

setup: ## a Docker engine if there is none, the Python environment, the base image; skips what is there
	@tools/setup.sh

doctor: ## say what this machine lacks, and how to get it
	@$(BIN)/blackstart doctor

drill: setup ## the headline drills, to verdicts and report (DRILL=<node id> for one)
	$(PYTEST) -m "$(MARK)" $(DRILL) $(ARGS)

drill-all: setup ## every drill
	$(PYTEST) -m chaos experiments $(ARGS)

controls: setup ## every drill with its negative controls and its placebo
	$(PYTEST) -m chaos --chaos-controls --chaos-placebo experiments $(ARGS)

test: ## everything that CI runs, and what each stage took of its time budget
	+@tools/test.sh "$(MAKE)"

check: ## format, lint, types, import rules
	tools/check

unit: ## tests that need no engine
	$(PYTEST) tests -m 'not integration and not chaos' -n auto $(ARGS)

integration: ## tests that need the engine
	$(PYTEST) tests -m 'integration' $(ARGS)

proof: ## the headline drills with their placebos and today's controls (ROTATE of them), no set-up
	$(PYTEST) -m "$(MARK)" --chaos-rotate $(ROTATE) --chaos-placebo --chaos-ceilings $(CEILINGS) \
		experiments $(ARGS)

crash-matrix: setup ## kill -9 at every step of every kind of fault, with and without a watchdog
	BLACKSTART_CRASH_MATRIX=1 $(PYTEST) tests/injection/test_crash_matrix.py -v $(ARGS)

bench: setup ## measured claims, each against a named peer (about 15 minutes; BENCHMARKS=<name> for one)
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m "benchmarks.$$name" || exit 1; done

up: setup ## start the sample stack and leave it
	$(BIN)/blackstart up

status: ## look at the running stack
	@$(BIN)/blackstart status

heal: ## undo faults that a crashed run left in force
	$(BIN)/blackstart heal

down: ## remove the running stack
	$(BIN)/blackstart down

clean: ## remove our images, the Python environment and caches; keeps the reports and the engine
	@[ ! -x $(BIN)/python ] || $(BIN)/python tools/clean_images.py
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
