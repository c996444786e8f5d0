"""Is the program that this process runs still the one that is installed?

A process loads parts of itself late: modules, plugins, data. Where an upgrade in place has changed them
beneath it, it runs a mixture of two releases, or fails at each task.
"""

import time
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

_LOOKS_AT_REST: Final = 3
"""Looks that must find the same before a change counts: an installer takes its time, and an admin who
restarts everything after it comes first."""

# RECORD has the hash of each installed file. What is installed without it has at least a version.
_TOLD_BY: Final = ("RECORD", "METADATA", "entry_points.txt")


class Program:
    """The installed distributions that a process runs, as they were when it began."""

    def __init__(self, distributions: Iterable[Distribution], *, look_seconds: float = 5.0) -> None:
        """Look for the first time; then at most once in `look_seconds`."""
        self._distributions = {found.name: found for found in distributions}
        self._at_start = self._newest = self._look()
        self._looks_at_rest = 0
        self._look_seconds = look_seconds
        self._next_look = time.monotonic() + look_seconds

    def change(self) -> str | None:
        """Return what differs from the start, once it has come to rest; call it regularly."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + self._look_seconds
        now = self._look()
        self._looks_at_rest = self._looks_at_rest + 1 if now == self._newest else 1
        self._newest = now
        if now == self._at_start or self._looks_at_rest < _LOOKS_AT_REST:
            return None
        return ", ".join(
            f"{name} was {'replaced' if any(now[name]) else 'removed'}"
            for name in now
            if now[name] != self._at_start[name]
        )

    def _look(self) -> dict[str, list[str | None]]:
        return {
            name: [found.read_text(file) for file in _TOLD_BY] for name, found in self._distributions.items()
        }


def installed(name: str = "scoresheet") -> list[Distribution]:
    """Return the distribution of that name; none where a checkout runs that is not installed."""
    try:
        return [distribution(name)]
    except PackageNotFoundError:
        return []
