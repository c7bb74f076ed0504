# Each target works in a fresh clone: what it needs is made or installed first, inside this folder.

VENV := .venv
BIN := $(VENV)/bin
# Stamps of what is installed. An environment knows its own path, so a checkout that was moved starts anew.
DONE := $(VENV)/done-$(shell pwd | cksum | tr ' ' -)
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --require-hashes --no-deps --only-binary :all: --no-compile

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run test check generated-check debian-nginx fmt bench nginx docs lock dist clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

setup: $(DONE)/dev ## make .venv with the product and its development tools

# `exec`, so that a signal reaches the program and not a shell in between. Settings come through the environment.
run: $(DONE)/demo ## start everything on this machine: PORT=, DEMO=echo, or UPSTREAM_URL= UPSTREAM_KEY= UPSTREAM_MODELS=a,b
	@exec $(BIN)/relay run --demo

test: $(DONE)/dev $(DONE)/demo debian-nginx ## run every test
	$(BIN)/pytest -n auto --dist loadfile tests

check: $(DONE)/dev ## lint, types, import contracts, repository guards, generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir .cache/import-linter
	$(BIN)/pytest -q tests/repo
	@$(MAKE) -s generated-check

generated-check: $(DONE)/run
	$(BIN)/python -m relay.cli docs --check
	$(BIN)/python -m relay.cli edge profiles --check

debian-nginx:
	@tools/debian-nginx .cache/nginx-debian

fmt: $(DONE)/dev ## format, and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(DONE)/dev ## measure the relay beside plain nginx and a naive relay
	$(BIN)/python -m tests.bench

nginx: $(DONE)/run ## regenerate nginx/profiles
	$(BIN)/relay edge profiles

docs: $(DONE)/run ## regenerate the generated part of docs/
	$(BIN)/relay docs

lock: $(DONE)/venv ## resolve requirements/*.txt anew (needs uv; UPGRADE=1 takes the newest)
	@command -v uv >/dev/null || { echo "make lock needs uv on PATH: pip install uv" >&2; exit 1; }
	$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

dist: $(DONE)/run ## build the wheel and the source archive into dist/
	$(BIN)/hatchling build --clean --directory dist

clean: ## remove all that make made
	rm -rf $(VENV) .cache dist
	find relay tests tools -name __pycache__ -prune -exec rm -rf {} +

$(DONE)/venv: tools/bootstrap
	@PYTHON='$(PYTHON)' tools/bootstrap $(VENV)
	@mkdir -p $(@D) && touch $@

$(DONE)/run: $(DONE)/venv pyproject.toml requirements/build.txt requirements/run.txt
	@echo "postgate: installing the relay and what it needs"
	@$(INSTALL) --quiet -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(DONE)/demo: $(DONE)/run requirements/demo.txt
	@echo "postgate: installing nginx and a small model, 130 MB"
	@$(INSTALL) -r requirements/demo.txt
	@touch $@

$(DONE)/dev: $(DONE)/run requirements/dev.txt
	@echo "postgate: installing the development tools"
	@$(INSTALL) --quiet -r requirements/dev.txt
	@touch $@
