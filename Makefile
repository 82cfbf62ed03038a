# Everything a fresh machine needs is Python >= 3.11, make and openssl.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: demo test test-fast explore mutants faults pictures check bench lock clean help
.DEFAULT_GOAL := help

# Tests start many processes: none of them compiles what another has compiled, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The lock pins every package by hash; the project itself is installed without looking anything up.
$(VENV)/.installed: .ci/dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("greffier needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.installed ## the whole job on this machine: declare, decide, serve, verify (ARGS="--once --out out" ends by itself)
	$(BIN)/greffier demo $(ARGS)

# Half as many workers again as processors: tests also wait, for browsers, databases and other processes.
WORKERS = $(shell $(BIN)/python -c "import os; print(max(1, 3 * os.cpu_count() // 2))")

test: $(VENV)/.installed ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

test-fast: $(VENV)/.installed ## the pure core without its slowest tests, for the inner loop
	$(BIN)/python -m pytest -n auto -q -m "not slow" tests/unit $(ARGS)

explore: $(VENV)/.installed ## the property tests with new random examples
	$(BIN)/python -m pytest -n auto -q --hypothesis-profile explore -m hypothesis $(ARGS)

mutants: $(VENV)/.installed ## change what verifies, a little at a time: a test must fail each time (ARGS="tiles --jobs 2")
	$(BIN)/python tests/mutation/mutate.py $(ARGS)

faults: $(VENV)/.installed ## kill the service at every step, count what it cost (ARGS="--kills 1000 --seed 1 --engine sqlite")
	PYTHONPATH=tests $(BIN)/python tests/faults/campaign.py $(ARGS)

pictures: $(VENV)/.installed ## pictures of every page, in out/pictures (ARGS="out/pictures --customers 200 --language de")
	PYTHONPATH=tests $(BIN)/python tests/pictures.py $(ARGS)

check: $(VENV)/.installed ## format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed ## measure, as ratios to a named reference in the same run (ARGS="dispatch fsck --before")
	@PYTHONPATH=tests $(BIN)/python benchmarks/table.py $(ARGS)

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command "make lock"

# Three locks at the same versions: what the program needs, that with PDFs, and that with what tests and checks need.
lock: ## pin the newest versions that pyproject.toml allows (needs uv)
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra pdf --output-file requirements-pdf.lock pyproject.toml
	$(LOCK) --constraint requirements-pdf.lock --extra dev --output-file .ci/dev.lock pyproject.toml

clean: ## remove what the targets made
	rm -rf $(VENV) out demo-data .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
