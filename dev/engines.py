"""How does a machine get several builds of one Stockfish?

Debian's source package is downloaded by apt, checked, and compiled once for each kind of processor, into
`.tools/stockfish-17/`: the builds search the same nodes and find the same, at different speeds. Programs of
the benchmarks and of the tests that compare builds; the stack itself does with whichever Stockfish there is.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dev import newer_debian
from dev.errors import DevError
from dev.paths import TOOLS

__all__ = ["FOLDER", "build_missing", "builds"]

_PACKAGE: Final = "stockfish=17-1"
_TARBALL_SHA256: Final = "d4472666e7121c5f167eac4358b9e3fd41f2694c451ee552eb2e18cdf3583da2"
"""Of stockfish_17.orig.tar.gz, which carries the network."""
FOLDER: Final = TOOLS / "stockfish-17"
_ARCHITECTURES: Final = {
    "x86_64": ("x86-64", "x86-64-sse41-popcnt", "x86-64-avx2", "x86-64-bmi2", "x86-64-vnni256"),
    "aarch64": ("armv8", "armv8-dotprod"),
}
"""Values of ARCH in Stockfish's Makefile by kind of machine, from the one that runs on every processor."""


def builds() -> list[Path]:
    """Return the builds that there are, from the plainest; none where `build_missing` never ran."""
    return [path for path in map(_path, _ARCHITECTURES.get(platform.machine(), ())) if path.is_file()]


def build_missing(report: Callable[[str], None]) -> None:
    """Compile the builds that are missing.

    `report` gets a line a step. Idempotent; raises DevError.
    """
    wanted = [arch for arch in _ARCHITECTURES.get(platform.machine(), ()) if not _path(arch).is_file()]
    if not wanted:
        return
    if missing := [program for program in ("g++", "make") if shutil.which(program) is None]:
        raise DevError(f"needs {' and '.join(missing)}; on Debian: apt-get install {' '.join(missing)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
        report(f"source package {_PACKAGE} of Debian 13")
        sources = _sources(Path(scratch))
        for arch in wanted:
            report(f"compiling Stockfish for {arch} (a minute of processor time or two)")
            _compile(sources, arch)


def _path(arch: str) -> Path:
    return FOLDER / f"stockfish-{arch}"


def _sources(scratch: Path) -> Path:
    tarball = newer_debian.upstream_source(_PACKAGE, scratch)
    with tarball.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _TARBALL_SHA256:
        raise DevError(f"{tarball.name} has SHA-256 {digest}, not {_TARBALL_SHA256}")
    subprocess.run(["tar", "--extract", "--file", tarball, "--directory", scratch], check=True)
    return next(scratch.glob("*/src"))


def _compile(sources: Path, arch: str) -> None:
    for target in (["clean"], [f"-j{os.cpu_count() or 1}", "build", f"ARCH={arch}", "COMP=gcc"]):
        done = subprocess.run(["make", *target], cwd=sources, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DevError(f"compiling for {arch} failed: {(done.stderr.strip() or '?').splitlines()[-1]}")
    subprocess.run(["strip", sources / "stockfish"], check=True)
    # A build that is interrupted must not look complete.
    (sources / "stockfish").replace(_path(arch))
