"""How do tests call Nix? With a store and a home of its own, and without a network."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

needs_nix = pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="needs nix")


def nix(tmp_path: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of nix."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIX_")} | {
        "HOME": str(tmp_path),
        "NIX_CONF_DIR": str(tmp_path),
        "NIX_STATE_DIR": str(tmp_path / "state"),
        "NIX_STORE_DIR": str(tmp_path / "store"),
        "NIX_CONFIG": "build-users-group =\nexperimental-features = nix-command flakes",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def evaluate(tmp_path: Path, file: Path, **arguments: object) -> Any:
    """Call the function in a file with arguments that JSON can hold; return what JSON can of its result."""
    given = json.dumps(json.dumps(arguments)).replace("${", r"\${")
    expression = f"import {file} (builtins.fromJSON {given})"
    done = nix(
        tmp_path, "nix-instantiate", "--eval", "--strict", "--readonly-mode", "--json", "-E", expression
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
