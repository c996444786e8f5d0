"""Which programs build and run the test's machines, and where do they come from?

mmdebstrap and QEMU: the machine's own, or those of its Debian packages, unpacked into `.tools`. Nothing is
installed and no service is started.
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

__all__ = ["Program", "mmdebstrap", "qemu", "sshd"]

_ROOT: Final = TOOLS / "debian/root"


@dataclass(frozen=True)
class Program:
    """A program and what it needs to run from where it is."""

    path: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    """To be given before all others."""


def mmdebstrap() -> Program:
    """Return what makes a Debian root; raises DevError where it can't be had."""
    return _find("mmdebstrap", "usr/bin/mmdebstrap", "mmdebstrap")


def qemu() -> Program:
    """Return QEMU for x86-64; raises DevError where it can't be had."""
    program = _find("qemu-system-x86_64", "usr/bin/qemu-system-x86_64", "qemu-system-x86")
    if not program.path.is_relative_to(_ROOT):
        return program
    firmware = ("-L", str(_ROOT / "usr/share/seabios"), "-L", str(_ROOT / "usr/share/qemu"))
    return Program(program.path, program.environment, firmware)


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
