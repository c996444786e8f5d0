"""How are programs taken from Debian packages without installing them?

A package and those of its dependencies that the machine lacks are downloaded by apt, which checks their
signatures, and unpacked into `.tools/debian/root`. No maintainer script runs, so no user is created and no
service starts. apt's lists and cache live in `.tools/` too: root is not needed, and the machine's own lists
stay as they are.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from dev.errors import DevError
from dev.paths import TOOLS

__all__ = ["apt", "available", "extract", "library_path", "planned", "unpack", "unpacked"]

_BASE: Final = TOOLS / "debian"
_ROOT: Final = _BASE / "root"
_LISTS: Final = _BASE / "lists"
_CACHE: Final = _BASE / "cache"

_APT_OPTIONS: Final = (
    "-qq",
    "-o", f"Dir::State::lists={_LISTS}",
    "-o", f"Dir::Cache={_CACHE}",
    "-o", "Debug::NoLocking=true",
    # As root, apt would download as the user _apt, who can't write into a checkout.
    "-o", "APT::Sandbox::User=root",
    "-o", "Acquire::Languages=none",
    "-o", "Acquire::Retries=3",
)  # fmt: skip

# "Inst libc-ares2 (1.18.1-3 Debian:12 [amd64])", with "[old version]" before the bracket for an upgrade.
_PLANNED: Final = re.compile(r"^Inst (?P<package>\S+) (?:\[\S+\] )?\((?P<version>\S+) ", re.MULTILINE)


def available(packages: Iterable[str]) -> list[str]:
    """Tell which of the packages this machine's Debian (or derivative) offers; none on another system.

    Raises DevError if the lists of packages can't be fetched.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return []
    for folder in (_LISTS / "partial", _CACHE / "archives" / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    # A source that can't be reached (a vendor's, say) must not stop us: what counts is what is known then.
    update = apt("apt-get", "update", check=False)
    known = apt("apt-cache", "policy", *packages).stdout
    offered = re.findall(r"^(\S+):\n(?:.*\n)??\s+Candidate: (?!\(none\))\S+", known, re.MULTILINE)
    if not offered and update.returncode != 0:
        raise DevError(f"apt-get update failed: {_reason(update)}")
    return sorted(offered)


def unpack(packages: Sequence[str]) -> None:
    """Download the packages and what they depend on and is missing here, and unpack them.

    Raises DevError with apt's reason.
    """
    plan = apt("apt-get", "install", "--simulate", "--no-install-recommends", *packages).stdout
    wanted = [f"{package}={version}" for package, version in planned(plan)]
    downloads = _BASE / "packages"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    apt("apt-get", "download", *wanted, folder=downloads)
    for package in sorted(downloads.glob("*.deb")):
        extract(package, _ROOT)
    for scratch in (downloads, _LISTS, _CACHE):
        shutil.rmtree(scratch)


def unpacked(name: str, postgres_major: int) -> Path | None:
    """Find a program among what `unpack` left."""
    folders = (f"usr/lib/postgresql/{postgres_major}/bin", "usr/bin", "usr/sbin", "usr/games")
    return next((path for folder in folders if (path := _ROOT / folder / name).is_file()), None)


def library_path() -> str:
    """Give the LD_LIBRARY_PATH that unpacked programs need."""
    folders = [*_ROOT.glob("usr/lib/*-linux-gnu*"), *_ROOT.glob("lib/*-linux-gnu*"), _ROOT / "usr/lib"]
    return os.pathsep.join(str(folder) for folder in folders)


def planned(simulation: str) -> list[tuple[str, str]]:
    """Return package and version of each installation that `apt-get --simulate` announces."""
    return [(match["package"], match["version"]) for match in _PLANNED.finditer(simulation)]


def extract(package: Path, folder: Path) -> None:
    """Unpack the files of a package, without running its scripts; raises DevError."""
    _run(["dpkg-deb", "--extract", str(package), str(folder)])


def apt(
    program: str,
    *arguments: str,
    folder: Path = Path(),
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run one of apt's programs with lists and cache of our own; raises DevError with its reason."""
    return _run([program, *_APT_OPTIONS, *arguments], folder=folder, check=check)


def _run(
    command: Sequence[str],
    *,
    folder: Path = Path(),
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    # The messages that are matched must be the untranslated ones.
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise DevError(f"{command[0]} failed: {_reason(done)}")
    return done


def _reason(failed: subprocess.CompletedProcess[str]) -> str:
    return (
        failed.stderr.strip() or failed.stdout.strip() or f"exit status {failed.returncode}"
    ).splitlines()[-1]
