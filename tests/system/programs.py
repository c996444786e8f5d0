"""Which programs make the test's machines, and where do they come from?

They are this machine's own, or those of its Debian packages, unpacked into `.tools`. Nothing is installed and
no service is started.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev import debian
from dev.errors import DevError
from dev.paths import TOOLS

__all__ = ["Program", "mmdebstrap", "run", "sshd"]

_ROOT: Final = TOOLS / "debian/root"


@dataclass(frozen=True)
class Program:
    """A program and what it needs to run from where it is."""

    path: Path
    environment: Mapping[str, str]


def mmdebstrap() -> Program:
    """Return what makes a Debian root; raises DevError where it can't be had."""
    return _find("mmdebstrap", "usr/bin/mmdebstrap", "mmdebstrap")


def sshd() -> Program:
    """Return OpenSSH's server; raises DevError where it can't be had."""
    return _find("sshd", "usr/sbin/sshd", "openssh-server")


def _find(name: str, unpacked: str, package: str) -> Program:
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    if found := shutil.which(name, path=search):
        return Program(Path(found), dict(os.environ))
    path = _ROOT / unpacked
    if not path.is_file():
        if not debian.available([package]):
            raise DevError(f"no {name} on PATH, and no Debian package {package} to be had here")
        debian.unpack([package])
    return Program(path, {**os.environ, "LD_LIBRARY_PATH": debian.library_path()})


def run(command: list[str | Path], what: str) -> str:
    """Return what a command prints; raises DevError, with what it printed and its complaints, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise DevError(f"{what} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
