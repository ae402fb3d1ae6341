# What a newcomer runs. Each target sets up what it needs, and nothing is installed outside .venv.
# Another interpreter: make demo PYTHON=python3.13

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# Only what the locks name, byte for byte, and nothing that would have to be built first.
LOCKED := $(PIP) install --require-hashes --only-binary :all: --requirement

# One resolution for every platform and every Python that we support.
RESOLVE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet --universal \
    --python-version 3.11 --generate-hashes --annotation-style line $(if $(UPGRADE),--upgrade)

# Tests start Iamata hundreds of times, and each start would compile all of it where this forbids to keep bytecode.
export PYTHONDONTWRITEBYTECODE :=

RUNTIME := .venv/.runtime
DEV := .venv/.dev
COMETBFT := $(BIN)/cometbft

.PHONY: help demo test lint types bench bench-fhir-package bench-network bench-learning report-sql-on-fhir lock cometbft abci-stubs clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/make \1	\2/p' Makefile

demo: $(RUNTIME)  ## run the whole network in one process
	@$(BIN)/iamata demo

test: $(DEV)  ## run every test
	@$(BIN)/python -m pytest -m network -n 2 --no-loadscope-reorder
	@$(BIN)/python -m pytest -m "not network" -n auto --no-loadscope-reorder

lint: $(DEV)  ## check style, format and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports

types: $(DEV)  ## check types
	@$(BIN)/mypy

bench: $(DEV)  ## measure, and write bench/results.json
	@$(BIN)/python -m bench

bench-fhir-package: $(DEV)  ## measure what reads FHIR as data
	@$(BIN)/python -m bench fhirpath validation views

report-sql-on-fhir: $(DEV)  ## run SQL-on-FHIR's conformance tests, and write the official report
	@$(BIN)/python scripts/report_sql_on_fhir.py

bench-network: $(DEV) $(COMETBFT)  ## measure between processes: nodes over HTTP, validators with CometBFT
	@$(BIN)/python -m bench http comet

bench-learning: $(DEV)  ## measure what is learned from published data
	@$(BIN)/python -m bench study secure_sum learning

lock: $(DEV)  ## resolve pyproject.toml into the locks again; UPGRADE=1 takes the newest of everything
	@$(RESOLVE) --extra build --output-file requirements/runtime.txt
	@$(RESOLVE) --extra build --extra dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

cometbft: $(COMETBFT)  ## build CometBFT, which orders blocks for several validators; needs Go 1.24 or newer

abci-stubs: $(DEV)  ## generate the messages of CometBFT's socket from the pinned definitions; needs Go
	@$(BIN)/python scripts/make_abci_stubs.py

clean:  ## remove everything that was made here
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist bench/results.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "Iamata needs Python 3.11 or newer, and $(PYTHON) is not that. Name one: make PYTHON=python3.13"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) lacks its venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; } >&2
	@echo "Setting up .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(LOCKED) requirements/runtime.txt
	@$(PIP) install --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@echo "Adding the tools for development"
	@$(LOCKED) requirements/dev.txt
	@touch $@

# -trimpath: no path of this machine inside. Go checks every module against tools/go.sum.
$(COMETBFT): tools/go.mod tools/go.sum | $(RUNTIME)
	@command -v go >/dev/null || \
	    { echo "CometBFT is built with Go 1.24 or newer, and there is no go here; on Debian and Ubuntu: apt-get install golang"; exit 1; } >&2
	@echo "Building CometBFT, which takes a few minutes the first time"
	@CGO_ENABLED=0 go build -C tools -trimpath -ldflags '-s -w' -o ../$@ github.com/cometbft/cometbft/cmd/cometbft
	@touch $@
