# make run | demo | test | lint | format | messages | bench [ONLY=name] | lock
# Each target does its own set-up; nothing is needed but Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores, because tests of whole portals mostly wait.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); [ $$n -gt 3 ] && echo 4 || expr $$n + 1)

# A stamp carries the hash of what it stands for: a changed list installs again.
RUN_STAMP := $(VENV)/run-$(shell cat requirements.txt | cksum | cut -d' ' -f1)
DEV_STAMP := $(VENV)/dev-$(shell cat requirements.txt requirements-dev.txt | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip --disable-pip-version-check -q -q

# Tests and checks read no .env and keep their data apart from the portal's. They start a
# hundred programs, which would each compile the code anew where no bytecode is kept.
APART := PYTHONDONTWRITEBYTECODE= PORTAL_ENV_FILE=/dev/null PORTAL_DATA_DIR=$(CURDIR)/var/test PORTAL_DB_FAST=1
WITHOUT_DATABASE := DATABASE_URL=postgresql://nobody@127.0.0.1:1/none
PACKAGES := t4g_portal monitors incidents kpis notifications checklists telemetry tests bench

.DEFAULT_GOAL := help
.PHONY: help run demo test ready lint format messages bench lock

# An environment whose interpreter has gone is made anew.
ifneq ($(shell $(BIN)/python -c 'print("ok")' 2>/dev/null),ok)
.PHONY: $(RUN_STAMP) $(DEV_STAMP)
NEW_VENV := --clear
endif

help:
	@sed -n '1,2s/^# //p' Makefile

run: $(RUN_STAMP)
	@exec $(BIN)/python -m t4g_portal.launcher

demo: $(RUN_STAMP)
	@exec $(BIN)/python -m t4g_portal.demo

test: $(DEV_STAMP)
	@sh scripts/test_tools.sh
	@$(APART) $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# What tests would make when they first ask for it; beside `lint`, which needs one core.
ready: $(DEV_STAMP)
	@sh scripts/test_tools.sh
	@$(APART) $(BIN)/python manage.py shell --settings t4g_portal.settings_test \
	  --no-imports -c 'from tests.prepared import make_all; make_all()'
	@$(APART) $(BIN)/python -m pytest --collect-only -qq >/dev/null

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(APART) $(WITHOUT_DATABASE) $(BIN)/lint-imports
	$(APART) $(WITHOUT_DATABASE) $(BIN)/mypy $(PACKAGES)
	$(APART) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(APART) $(WITHOUT_DATABASE) BIN=$(BIN) sh scripts/check_deploy.sh

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The words of the source into locale/, and the catalogs compiled: commit both.
messages: $(DEV_STAMP)
	@sh scripts/test_tools.sh
	@$(APART) $(WITHOUT_DATABASE) $(BIN)/python manage.py makemessages
	@$(APART) $(WITHOUT_DATABASE) $(BIN)/python manage.py compilemessages -v 0 \
	  --ignore $(VENV) --ignore var

bench: $(DEV_STAMP)
	@$(BIN)/python -m bench $(ONLY)

lock: $(DEV_STAMP)
	@$(PIP) install uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url \
	  requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url \
	  requirements-dev.in -o requirements-dev.txt

$(RUN_STAMP): requirements.txt
	@sh scripts/new_venv.sh "$(PYTHON)" $(VENV) $(NEW_VENV)
	@echo "Installing the packages (the first time takes up to a minute)."
	@$(PIP) install -r requirements.txt
	@rm -f $(VENV)/run-*
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.txt
	@echo "Installing the packages of tests and checks."
	@$(PIP) install -r requirements-dev.txt
	@rm -f $(VENV)/dev-*
	@touch $@
