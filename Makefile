# The one entrance, for people and for CI. Needs nothing but Python 3.11 or later: `make` alone prints this help.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
# More arguments for the command behind a target: make test ARGS="-k money", make bench ARGS=rules
ARGS ?=
# What `make send` posts
FILE ?= samples/x12-835/x12-parser__profee.edi

# How many deliveries `make soak` sends
SOAK_N ?= 5000

# The first of these that starts (a pyenv shim can exist and fail), is new enough and can make a venv.
# Looked up when a recipe first needs it, not on every `make`.
PYTHON_OK := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(eval PYTHON := $$(shell for python in python3.12 python3.13 python3.11 python3; do \
	$$$$python -c '$$(PYTHON_OK)' 2>/dev/null && echo $$$$python && break; done))$(PYTHON)

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##### Run it

.PHONY: run serve send bench loadtest
run: $(VENV)/local.stamp ## the whole pipeline here, with a story told through it
	$(BIN)/upstream demo $(ARGS)

serve: $(VENV)/local.stamp ## the whole pipeline on one port, until Ctrl-C
	$(BIN)/upstream serve $(ARGS)

send: $(VENV)/local.stamp ## sign a file and post it to a running `make serve`: FILE=samples/x12-835/….edi
	$(BIN)/upstream send $(FILE) $(ARGS)

bench: $(VENV)/dev.stamp ## measure throughput and latency: ARGS=ingress; without, says what there is
	$(BIN)/python -m benchmarks $(ARGS)

loadtest: $(VENV)/dev.stamp ## which rate of deliveries holds with p99 below 250 ms, and where latency turns: ARGS=--quick
	$(BIN)/python -m benchmarks.loadtest $(ARGS)

##### Check it

.PHONY: chromium
chromium: $(VENV)/dev.stamp ## have a Chromium for the portals: the machine's, else install one
	$(BIN)/python -m local.chromium

.PHONY: check format format-check lint types test soak drill e2e terraform-check
check: format-check lint types test ## what CI runs: formatting, lint, types, tests

format: $(VENV)/dev.stamp ## rewrite the code as ruff would have it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp ## ruff, every rule but those that pyproject.toml gives a reason against
	$(BIN)/ruff check .
	$(BIN)/hadolint Dockerfile

types: $(VENV)/dev.stamp ## mypy --strict, on code and tests
	$(BIN)/mypy

# A file's tests stay in one process: they share servers. In the order of the folders, so that the longest begin early.
PARALLEL ?= -n 2 --dist loadscope --no-loadscope-reorder
test: $(VENV)/dev.stamp ## all tests but the end-to-end ones, two at a time, or what is asked for: ARGS="-k money"
	$(BIN)/pytest -m "not e2e" $(or $(ARGS),$(PARALLEL))

soak: $(VENV)/dev.stamp ## 5,000 deliveries through kills and outages, against an undisturbed run: SOAK_N=
	$(BIN)/python -m local.soak -n $(SOAK_N) $(ARGS)

drill: $(VENV)/dev.stamp ## lose the database, recover it to a point in time, replay, and count what is missing
	$(BIN)/python -m local.drill $(ARGS)

e2e: $(VENV)/dev.stamp ## the smoke test of a deployed environment: UPSTREAM_ENVIRONMENT=dev
	$(BIN)/pytest -m e2e $(ARGS)

# An offline stand-in for the provider, where the registry is out of reach: make terraform-check TFCHECK=path
TFCHECK ?=
terraform-check: $(VENV)/dev.stamp .venv-terraform/stamp ## validate, plan and test terraform/, scan the plans, lint what deploys them
	terraform/check.sh $(TFCHECK)
	UPSTREAM_PLANS=build/terraform $(BIN)/pytest -q tests/terraform $(ARGS)

##### Keep it

# --universal: one file for every platform and for each Python from 3.11 on.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command "make requirements"

.PHONY: requirements clean
requirements: $(VENV)/dev.stamp ## pin requirements*.txt anew from *.in: ARGS=--upgrade, ARGS="-P orjson"
	$(COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(COMPILE) $(ARGS) requirements-worker.in -o requirements-worker.txt
	$(COMPILE) $(ARGS) requirements-local.in -o requirements-local.txt
	$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) $(ARGS) requirements-terraform.in -o requirements-terraform.txt

clean: ## remove what make made: environments and caches
	rm -rf .venv .venv-* build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##### The virtual environment: one for both, dev holding all that local does

# Made again when its interpreter has gone or changed, or is not the PYTHON asked for.
ASKED := $(if $(filter command environment,$(firstword $(origin PYTHON))),$(PYTHON),$(BIN)/python)
ifneq ($(wildcard $(VENV)/pyvenv.cfg),)
ifneq ($(shell version=$$($(ASKED) -c 'import platform; print(platform.python_version())' 2>/dev/null); \
	grep -qx "version = $$version" $(VENV)/pyvenv.cfg && echo same),same)
.PHONY: $(BIN)/python
endif
endif

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(PYTHON_OK)' || { \
		echo "Upstream needs Python 3.11 or later with its venv module;" \
			"$(if $(PYTHON),'$(PYTHON)' is not that,none is on the PATH)."; \
		echo "On Debian and Ubuntu: apt install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.12"; \
		exit 1; } >&2
	$(PYTHON) -m venv --clear $(VENV)

# uv installs in a quarter of pip's time and, told to, trusts the certificates that pip trusts. It reads no pip.conf:
# where only that names an index within reach, pip does it.
export UV_SYSTEM_CERTS ?= 1
define install
	@echo "Installing $(1) into $(VENV)"
	@export VIRTUAL_ENV=$(abspath $(VENV)) PIP_DISABLE_PIP_VERSION_CHECK=1; \
	$(BIN)/python -m pip install -qq "$$(grep -o '^uv==[^ ]*' requirements-dev.txt)" && \
	$(BIN)/uv pip install --quiet -r $(1) && $(BIN)/uv pip install --quiet --no-deps -e . || { \
		echo "uv could not; installing with pip"; \
		$(BIN)/python -m pip install --quiet -r $(1) && $(BIN)/python -m pip install --quiet --no-deps -e .; }
endef

$(VENV)/local.stamp: requirements-local.txt pyproject.toml $(BIN)/python
	$(call install,requirements-local.txt)
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt pyproject.toml $(BIN)/python
	$(call install,requirements-dev.txt)
	@touch $@ $(VENV)/local.stamp

.venv-terraform/stamp: requirements-terraform.txt $(VENV)/dev.stamp
	@echo "Installing requirements-terraform.txt into .venv-terraform"
	@$(BIN)/python -m venv .venv-terraform
	@VIRTUAL_ENV=$(abspath .venv-terraform) $(BIN)/uv pip install --quiet -r requirements-terraform.txt || \
		.venv-terraform/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-terraform.txt
	@touch $@
