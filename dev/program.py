"""What does the stack have to know about a program to run it?"""

import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import groupby
from pathlib import Path

__all__ = ["Probe", "Program", "Restart", "waves"]

Probe = Callable[[], bool]
"""Asks a running program whether it serves now; false or any exception of it counts as not yet."""


class Restart(StrEnum):
    """What happens when a program ends by itself; the names are systemd's."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NO = "no"


@dataclass(frozen=True)
class Program:
    """A program of the stack, declared much as a systemd unit declares a service."""

    name: str
    """Letters, digits, `-` and `_`; shown to people and used as the log's name."""
    command: tuple[str | Path, ...]
    ready: Probe | None = None
    """None: ready as soon as it runs; for a oneshot, readiness is its successful end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    oneshot: bool = False
    """It does its work and ends; the next program starts after its exit status 0. Never restarted."""
    restart: Restart = Restart.ALWAYS
    start_limit: timedelta = timedelta(seconds=180)
    """How long it may take to be ready, on a busy machine; if it ends, that is the end of the wait."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_limit: timedelta = timedelta(seconds=10)
    """How long it may take to stop before it is killed."""
    side_by_side: str | None = None
    """Programs in a row with the same word here do not need each other: they start and stop at once."""


def waves(programs: Iterable[Program]) -> list[list[str]]:
    """Return the names in the order of their start, together those that start and stop at once."""
    grouped = groupby(programs, key=lambda program: program.side_by_side or program.name)
    return [[program.name for program in together] for _, together in grouped]
