# The same tasks that CI runs. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
# Three for two cores: many tests wait for processes, rates and clocks.
TESTERS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))

.PHONY: help demo test check fmt docs editors bench bench-quick sweep fuzz teeth clean
.DEFAULT_GOAL := help

help: ## What there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## An animatic of manifests/monsoon.yaml and its reel, for no credits
	@$(BIN)/manifest-runner render manifests/monsoon.yaml --draft
	@$(BIN)/manifest-runner reel manifests/monsoon.yaml --draft

test: $(DEV) ## Everything: gates and tests
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n $(TESTERS)

check: $(DEV) ## Style, types and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(DEV) ## Sort imports and mend what ruff can mend
	$(BIN)/ruff check --fix .

docs: $(DEV) ## Write what is generated: schema, manifest reference, contact strip, recording of a render
	$(BIN)/manifest-runner schema manifest > schemas/manifest.schema.json
	$(BIN)/python docs/generate.py --strip
	$(BIN)/python docs/record.py

editors: ## The language server that the editors' tests run (npm)
	npm install --no-save --no-audit --no-fund --prefix .editors yaml-language-server@1.25.0

bench: $(DEV) ## Everything beside its peers, into docs/benchmarks.md (forty minutes)
	$(BIN)/python benchmarks/bench.py $(BENCH)

bench-quick: $(DEV) ## This checkout beside an older commit: BASE=main~1 (two minutes)
	$(BIN)/python benchmarks/quick.py $(BASE)

sweep: $(DEV) ## Kills at every system call, workers in a storm, planted bugs, the state machine at length (an hour)
	$(BIN)/python -m tests.crash.sweep --kills 1000 --every --delays
	$(BIN)/python -m tests.crash.sweep --kills 300
	$(BIN)/python -m tests.crash.sweep --kills 300 --delays --correlates
	$(BIN)/python -m tests.crash.sweep --kills 150 --naive
	$(BIN)/python -m tests.crash.storm --faults 300
	$(BIN)/python -m tests.crash.storm --faults 40 --naive
	MANIFEST_RUNNER_SHOWS=signalman $(BIN)/python -m pytest tests/cli/test_manifests.py -k drafted_whole
	MANIFEST_RUNNER_CUT_OFF='45,for good' $(BIN)/python -m pytest -s tests/crash/test_hosts.py
	$(BIN)/python -m tests.crash.planted
	MANIFEST_RUNNER_EXAMPLES=200 $(BIN)/python -m pytest tests/test_state_machine.py

fuzz: $(DEV) ## Strangers' manifests, lockfiles, plans and settings by the hundred thousand (half an hour)
	$(BIN)/python -m tests.fuzz --inputs 100000

teeth: $(DEV) ## Escapes from templates, tried on old releases of Jinja and with layers taken away
	$(BIN)/python -m tests.attacks.teeth --names

clean: ## Everything that can be made again; never the ledger
	rm -rf build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "manifest-runner needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[video,sim]'
	@touch $@

$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
