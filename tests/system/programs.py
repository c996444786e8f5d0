"""Which programs build and run the test's machines, and where do they come from?

mmdebstrap and QEMU: the machine's own, or those of its Debian packages, unpacked into `.tools`. Nothing is
installed and no service is started.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev import debian, newer_debian
from dev.errors import DevError
from dev.paths import TOOLS

__all__ = ["Program", "mmdebstrap", "qemu", "sshd"]

_ROOT: Final = TOOLS / "debian/root"
_NEWER_ROOT: Final = TOOLS / "debian-13/root"
_QEMU: Final = "qemu-system-x86_64"
_QEMU_PACKAGES: Final = ("qemu-system-x86", "qemu-system-data", "seabios")
_OLDEST_QEMU: Final = (8, 1)
"""With 7.2 every third machine died of "Oops: int3" when its kernel changed its own code for the first CPU
quota; with 10.0 none has yet. The likely reason: since its commit deba78709 of 2023, QEMU locks the pages
that it translates, so that no code stays which another processor has just changed."""


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
    """Return QEMU for x86-64, none older than `_OLDEST_QEMU`; raises DevError where it can't be had."""
    installed = shutil.which(_QEMU)
    if installed and _version(installed) >= _OLDEST_QEMU:
        return Program(Path(installed), dict(os.environ))
    path = newer_debian.unpacked(_QEMU)
    if path is None:
        if not newer_debian.unpack(_QEMU_PACKAGES):
            wanted = ".".join(map(str, _OLDEST_QEMU))
            raise DevError(f"no {_QEMU} {wanted} or newer on PATH, and no newer Debian to be had here")
        path = newer_debian.unpacked(_QEMU)
    assert path is not None
    shared = _NEWER_ROOT / "usr/share"
    return Program(path, dict(os.environ), ("-L", str(shared / "seabios"), "-L", str(shared / "qemu")))


def _version(program: str) -> tuple[int, ...]:
    found = re.search(r"version (\d+)\.(\d+)", run([program, "--version"], program))
    return tuple(map(int, found.groups())) if found else ()


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
