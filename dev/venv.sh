#!/bin/sh
# Makes VENV with PYTHON from a lock, the project editable in it. Usage: dev/venv.sh PYTHON VENV [LOCK]
# Quiet: one line a step, and what failed.
set -eu
python=$1 venv=$2 lock=${3:-requirements.lock}

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
uv() { "$venv/bin/uv" --quiet pip install --python "$venv/bin/python" --require-hashes "$@" 2>/dev/null; }

echo "setup: Python packages of $lock into $venv"
# uv takes a fifth of pip's processor time. It knows nothing of pip's configuration, and its binary does not run
# everywhere (NixOS): where it fails, pip does the work and says what is wrong.
awk '/^[a-z]/ { wanted = /^uv==/ } wanted' "$lock" >"$venv/uv.txt"
# Bytecode at once: most programs of the stack run as a user who may not write it.
{ pip install --require-hashes -r "$venv/uv.txt" && uv --compile-bytecode -r "$lock"; } ||
  pip install --require-hashes -r "$lock"
# Nothing is fetched here: hatchling, which builds the editable install, is in the lock.
pip install --no-deps --no-build-isolation --no-index -e .
# That user may not write the bytecode of ours either: of what is not edited since, it is there.
"$venv/bin/python" -m compileall -q app workers plugins dev tests/fakes
touch "$venv/.complete"
