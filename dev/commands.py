"""What does `python -m dev COMMAND` do?"""

import argparse
import sys
from collections.abc import Callable, Sequence

from dev.binaries import fetch_missing
from dev.errors import DevError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; what went wrong is said in one line."""
    parser = argparse.ArgumentParser(prog="python -m dev", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        described = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        described.set_defaults(command=command)
    parsed = parser.parse_args(arguments)
    try:
        parsed.command()
    except DevError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return 0


def programs() -> None:
    """Fetch the programs of the stack that this machine lacks."""
    fetch_missing(lambda step: print(f"setup: {step}"))


_COMMANDS: dict[str, Callable[[], None]] = {"programs": programs}
