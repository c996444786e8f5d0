"""What does the stack have to know about a program to run it?"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

__all__ = ["Probe", "Program", "Restart"]

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
    start_limit: timedelta = timedelta(seconds=30)
    """How long it may take to be ready."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_limit: timedelta = timedelta(seconds=10)
    """How long it may take to stop before it is killed."""
