# The commands of this workspace. `make` alone lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help sync run azurite test test-wheels test-faults bench check fix docs compose clean

# The first Python that is new enough; everything else comes from uv.lock. The program itself,
# not what PATH has: given a pyenv shim, uv would make .venv anew each time.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { $$p -c 'import sys; print(sys.executable)'; break; }; done)
PACKAGES := ntc-core ntc-payments ntc-notify
PACKAGE ?=
PROJECT := projects/farajayangu_be
# Quoted where used: the checkout may lie under a path with a space.
BIN := $(CURDIR)/.venv/bin

# uv never fetches a Python of its own: what runs here is the machine's.
export UV_PYTHON_DOWNLOADS := never

help:
	@echo "make run            serve on 127.0.0.1:8000 (PORT=9000 make run: elsewhere); needs nothing but Python"
	@echo "make test           every test: each package from its own folder, then the project"
	@echo "make test PACKAGE=ntc-core    one package"
	@echo "make test-wheels    each package built, installed alone and tested, lowest and newest dependencies"
	@echo "make azurite        install what plays Azure Blob Storage for the tests; needs npm"
	@echo "make test-faults    the long fault and race runs"
	@echo "make bench          measure what is promised to be fast, beside the naive way"
	@echo "make check          format, lint, types, import contracts, migrations, lock, OpenAPI"
	@echo "make fix            format and mend what the linter can"
	@echo "make docs           build the documentation site into site/"
	@echo "make compose        web, worker, beat, PostgreSQL and Redis in containers"
	@echo "make sync           only install what the tests and checks need into .venv"
	@echo "make clean          remove .venv, .tools, .local (the development database!), site and dist"

# $(call uv,ARGUMENTS): the locked uv, fetched into .tools/ where it is missing.
define uv
@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found on PATH."; exit 1; }
@uv=$$("$(PYTHON)" tools/get_uv.py) && "$$uv" $(1)
endef

# Everything the tests and checks need. --inexact keeps what `make docs` added.
sync:
	$(call uv,sync --quiet --frozen --inexact --python "$(PYTHON)" --all-packages --all-extras)

run:
	@test -d .venv || echo "Installing into .venv (once)"
	$(call uv,sync --quiet --frozen --inexact --no-dev --python "$(PYTHON)" --package farajayangu-be)
	@cd $(PROJECT) && exec "$(BIN)/python" manage.py dev

# Where ntc_core.testing looks for it; outside of the checkout, whose copies share its 190 MB.
AZURITE := azurite@3.35.0
AZURITE_HOME ?= $(HOME)/.cache/ntc/$(subst @,-,$(AZURITE))

azurite:
	@mkdir -p "$(AZURITE_HOME)"
	@test -f "$(AZURITE_HOME)/node_modules/azurite/dist/src/blob/main.js" || \
		npm install --silent --no-audit --no-fund --no-package-lock --prefix "$(AZURITE_HOME)" $(AZURITE)

test: sync
	@"$(BIN)/python" tools/run_tests.py $(or $(PACKAGE),$(PACKAGES) farajayangu_be)

test-wheels: sync
	$(call uv,run --no-sync python tools/test_wheels.py $(or $(PACKAGE),$(PACKAGES)))

test-faults: sync
	@"$(BIN)/python" tools/run_tests.py --faults $(or $(PACKAGE),$(PACKAGES) farajayangu_be)

bench: sync
	@cd packages/ntc-notify && "$(BIN)/python" "$(CURDIR)/benchmarks/bulk_notifications.py"
	@cd packages/ntc-core && "$(BIN)/python" "$(CURDIR)/benchmarks/realtime.py"

check: sync
	@echo "lock"
	$(call uv,lock --check --quiet)
	@echo "format" && "$(BIN)/ruff" format --check --quiet .
	@echo "lint" && "$(BIN)/ruff" check --quiet .
	@echo "types" && PYTHONPATH=$(PROJECT) "$(BIN)/mypy"
	@echo "imports" && out=$$(PYTHONPATH=$(PROJECT) "$(BIN)/lint-imports" --no-cache) || { echo "$$out"; exit 1; }
	@echo "migrations" && cd $(PROJECT) && "$(BIN)/python" manage.py makemigrations --check --dry-run
	@echo "openapi" && cd $(PROJECT) && "$(BIN)/python" manage.py spectacular --validate --fail-on-warn --file /dev/null

fix: sync
	@"$(BIN)/ruff" check --fix --quiet . ; "$(BIN)/ruff" format .

docs:
	$(call uv,sync --quiet --frozen --inexact --python "$(PYTHON)" --group docs)
	@NO_MKDOCS_2_WARNING=1 "$(BIN)/mkdocs" build --strict --quiet

compose:
	@docker compose --file docker/compose.yml up --build

clean:
	rm -rf .venv .tools .local site dist
