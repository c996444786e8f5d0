#!/bin/sh
# Makes VENV with PYTHON from requirements.lock, the project editable in it. Usage: dev/venv.sh PYTHON VENV
# Quiet: one line a step, and what failed.
set -eu
python=$1 venv=$2

if ! "$venv/bin/python" -c '' 2>/dev/null; then
  echo "setup: $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" >"$venv.log" 2>&1 || {
    cat "$venv.log" >&2
    echo "setup: no virtual environment could be made; on Debian: apt-get install python3-venv" >&2
    exit 1
  }
  rm -f "$venv.log"
fi

# Twice quiet: pip's warnings (about an index that lacks a mirror, say) are not ours to show; errors are.
pip() { "$venv/bin/python" -m pip --quiet --quiet --disable-pip-version-check --no-input "$@" --root-user-action=ignore; }
echo "setup: Python packages of requirements.lock into $venv"
pip install --require-hashes -r requirements.lock
# Nothing is fetched here: hatchling, which builds the editable install, is in the lock.
pip install --no-deps --no-build-isolation --no-index -e .
touch "$venv/.complete"
