# make demo, make test and make serve set everything up by themselves on a machine
# that has Python 3.11 or newer, make and git.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TORCH  := 2.13.0

.DEFAULT_GOAL := help
.PHONY: help setup models demo serve page page-tools browser test ui-test pictures fast clients check lint types docker-lint lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make the virtual environment in .venv with the pinned dependencies

# torch stands outside the lock because each platform has a build of its own (CPU, CUDA, MPS);
# pip takes the one this machine offers, at exactly this version.
$(READY): requirements.lock pyproject.toml
	@echo "Setting up .venv (a minute or two, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps torch==$(TORCH)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

models: $(READY)  ## fetch the default model weights (once, about 270 MB)
	@$(BIN)/unabridged models pull --quiet

demo: models  ## compress, ask, restore, then look at it all on a page
	@$(BIN)/unabridged demo

serve: models  ## the proxy on http://127.0.0.1:8790/v1
	@$(BIN)/unabridged serve

page: page-tools  ## build the page anew from page/ into unabridged/proxy/page
	@$(BIN)/python page/contract.py > page/src/contract.ts
	@cd page && npm run --silent build

page-tools: $(READY) page/node_modules/.ready

# As locked, without scripts of packages.
page/node_modules/.ready: page/package-lock.json
	@cd page && npm ci --silent --ignore-scripts
	@touch $@

browser:  # the distribution's Chromium, and letters for Korean
	@command -v chromium >/dev/null || { \
		echo "Installing Chromium"; sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; }

ui-test: models page-tools browser  ## the page in a real Chromium, and its build and words
	@cd page && npm test --silent
	@$(BIN)/python -m pytest tests/ui

pictures: models page-tools browser  ## take the pictures of docs/dashboard.md anew
	@PICTURES=docs $(BIN)/python -m pytest tests/ui/test_pictures.py

test: models  ## all tests but those of the page, slow ones and those on the default weights included
	@$(BIN)/python -m pytest -m "not ui" --cov --cov-report=term:skip-covered

fast: $(READY)  ## the tests that take seconds
	@$(BIN)/python -m pytest -m "not slow and not weights and not ui"

clients: $(READY)  ## client libraries of others (Python, Node) against a real proxy
	@$(BIN)/python tests/clients/run.py

check: lint types docker-lint  ## every check that is not a test

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

docker-lint: $(READY)
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

lock: $(READY)  ## choose versions anew and write requirements.lock
	@echo "torch==$(TORCH)" > .torch
	@$(BIN)/pip-compile -q -c .torch --extra dev --extra otel --generate-hashes --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --no-annotate --no-strip-extras -o requirements.lock pyproject.toml
	@awk '/^[^ ]/ {skip = /^torch==/} !skip' requirements.lock > .torch && mv .torch requirements.lock

clean:  ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) page/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
