"""What does `python -m dev COMMAND` do?"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from dev.binaries import fetch_missing
from dev.check_lock import LOCKS, check_lock, compile_lock
from dev.check_migrations import check_migrations
from dev.engines import build_missing
from dev.errors import DevError
from dev.interrupts import Stopped, stoppable
from dev.paths import STATE
from dev.services import data_services, open_state
from dev.stack import Stack
from dev.supervision import program_states

__all__ = ["main"]

_CONSOLE: Final = Console(highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; what went wrong is said in one line."""
    parser = argparse.ArgumentParser(prog="python -m dev")
    parser.add_argument(
        "--state", type=Path, default=STATE, help="folder of the stack (default: %(default)s)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        described = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        described.set_defaults(command=command)
    parsed = parser.parse_args(arguments)
    try:
        with stoppable():
            parsed.command(parsed.state)
    except Stopped:
        return 0 if parsed.command is up else 130
    except DevError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return 0


def up(folder: Path) -> None:
    """Run PostgreSQL, PgBouncer and Redis until Ctrl-C."""
    begun = time.monotonic()
    with _CONSOLE.status("setting up") as display, open_state(folder, _CONSOLE.print) as state:
        services = data_services(state)
        with Stack(state, services.programs, _CONSOLE.print, display.update) as stack:
            _CONSOLE.print(
                f"{', '.join(stack.names)} run after {time.monotonic() - begun:.1f} s; Ctrl-C stops"
            )
            for name, value in services.environment.items():
                _CONSOLE.print(f"  {name}={value}")
            display.update("running")
            stack.watch()


def status(folder: Path) -> None:
    """Show the programs of the running stack."""
    states = program_states(folder)
    if states is None:
        raise DevError(f"no stack runs on {folder}")
    table = Table("program", "state", "since")
    for name, state, description in states:
        table.add_row(name, state, description)
    _CONSOLE.print(table)


def programs(_folder: Path) -> None:
    """Fetch the programs of the stack that this machine lacks."""
    fetch_missing(lambda step: print(f"setup: {step}"))


def engines(_folder: Path) -> None:
    """Compile several builds of Stockfish 17."""
    build_missing(lambda step: print(f"engines: {step}", flush=True))


def lock(_folder: Path) -> None:
    """Compile the locks from pyproject.toml, keeping the pins that are still allowed."""
    for each in LOCKS:
        compile_lock(each, each.path)


def _check_lock(_folder: Path) -> None:
    """Check that the locks are in step with pyproject.toml."""
    for each in LOCKS:
        check_lock(each)


def _check_migrations(_folder: Path) -> None:
    """Check that the migrations make what the models describe."""
    check_migrations()


_COMMANDS: Final[dict[str, Callable[[Path], None]]] = {
    "up": up,
    "status": status,
    "programs": programs,
    "engines": engines,
    "lock": lock,
    "check-lock": _check_lock,
    "check-migrations": _check_migrations,
}
