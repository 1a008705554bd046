# `make demo` and `make test` do all the set-up themselves: they need Python 3.11+, make and git.
# Another Python: make PYTHON=/opt/python3.12/bin/python3 demo

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?=
# Node trusts only the authorities that it brings; those of a company are in the system's file
export NODE_EXTRA_CA_CERTS ?= $(wildcard /etc/ssl/certs/ca-certificates.crt)

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# where make can: what is written at the same time comes one after the other
UNMIXED := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
header = @printf '\n== %s ==\n' '$(1)'

.DEFAULT_GOAL := help
.PHONY: help demo test lint e2e fuzz vsix setup clean distclean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## obtain the default model, start the daemon, complete a real file as an editor would
	@$(BIN)/umbrella demo

test: lint  ## everything that must pass: lint, then all tests
	$(call header,tests)
	@$(BIN)/python -m pytest

lint: $(STAMP)  ## formatting, ruff, import rules, types (mypy and pyright)
	$(call header,formatting)
	@$(BIN)/ruff format --check .
	$(call header,ruff)
	@$(BIN)/ruff check .
	$(call header,import rules)
	@$(BIN)/lint-imports --no-cache --config pyproject.toml
	$(call header,mypy)
	@$(BIN)/mypy
	$(call header,pyright)
	@$(BIN)/pyright

e2e: $(STAMP)  ## the tests in VS Code, Neovim and a browser, which it gets into ~/.cache/umbrella-e2e
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(UNMIXED) e2e-vscode e2e-neovim

# our own page is opened in the browser of VS Code's tests
BESIDE_vscode := tests/e2e/web

.PHONY: e2e-vscode e2e-neovim
e2e-vscode e2e-neovim: e2e-%: $(STAMP)
	$(call header,tests in the editor: $*)
	@$(BIN)/python tests/e2e/$*/bootstrap.py
	@$(BIN)/python -m pytest -m editor tests/e2e/$* $(BESIDE_$*)

fuzz: $(STAMP)  ## 5,000 requests made from the API's own description; none may be a server error
	$(call header,fuzzing the API)
	@UMBRELLA_FUZZ_CASES=340 $(BIN)/python -m pytest -rP --timeout 3600 tests/e2e/api/test_fuzz.py

vsix: $(STAMP)  ## the extension for VS Code, editors/vscode/umbrella-lsp.vsix
	$(call header,building the extension)
	@$(BIN)/python tests/e2e/vscode/bootstrap.py vsix

setup: $(STAMP)  ## make .venv with everything in it (demo and test do this by themselves)

$(STAMP): pyproject.toml constraints.txt
	$(call header,setting up $(VENV); the first time this downloads torch)
	@$(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    $$python -c '$(NEW_ENOUGH)' 2>/dev/null && found=$$python && break; \
	  done; \
	  [ -n "$${found:-}" ] || { \
	    echo "Umbrella needs Python 3.11 or newer; here: $$(python3 --version 2>&1)."; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3 ..."; exit 1; }; \
	  $$found -m venv --clear $(VENV) || { \
	    echo "$$found cannot make a virtual environment. On Debian and Ubuntu its parts are in"; \
	    echo "another package: apt install python3-venv. Then run make again."; exit 1; }; }
	@$(BIN)/python -m pip install $$([ -t 1 ] || echo --quiet) --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev,api]'
	@touch $@

clean:  ## remove caches and build outputs
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find engine daemon tests -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## remove .venv too
	rm -rf $(VENV)
