"""How does one keep a player's record on this machine, without NixOS? Run everything against lichess.org."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from dev.errors import DevError
from dev.interrupts import Stopped, stoppable
from dev.paths import STATE
from dev.pipeline import declare_pipeline, free_port
from dev.record import read_counts
from dev.services import data_services, open_state
from dev.stack import Stack

__all__ = ["main"]

_STATE: Final = STATE / "live"
_NODES: Final = 100_000
_API_PORT: Final = 8000
_REPORT_SECONDS: Final = 10
_CONSOLE: Final = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C; 0 then, 1 with one line if something cannot run."""
    parser = argparse.ArgumentParser(prog="python -m dev.run", description=__doc__)
    parser.add_argument("--player", required=True, help="Lichess username")
    parser.add_argument("--nodes", type=int, default=_NODES, help="budget of a position (%(default)s)")
    parser.add_argument("--port", type=int, default=_API_PORT, help="of the API (%(default)s)")
    parser.add_argument("--token-file", type=Path, help="holds a Lichess API token, which doubles the speed")
    parsed = parser.parse_args(arguments)
    try:
        with stoppable():
            _run(parsed)
    except Stopped:
        return 0
    except DevError as error:
        print(f"run: {error}", file=sys.stderr)
        return 1
    return 0


def _run(parsed: argparse.Namespace) -> None:
    settings = {"SCORESHEET_NODES": str(parsed.nodes)}
    needed = []
    if parsed.token_file is not None:
        needed.append(parsed.token_file.resolve())
        settings["SCORESHEET_LICHESS_TOKEN_FILE"] = str(needed[0])
    with _CONSOLE.status("setting up") as display, open_state(_STATE, _CONSOLE.print, needed) as state:
        services = data_services(state)
        pipeline = declare_pipeline(services, api_port=free_port(parsed.port), settings=settings)
        with Stack(state, pipeline.programs, _CONSOLE.print, display.update), pipeline.client() as client:
            answer = client.put(f"/v1/players/{parsed.player}")
            if answer.is_client_error:
                raise DevError(f"{parsed.player}: {answer.json()['detail']}")
            _CONSOLE.print(pipeline.address(), soft_wrap=True)
            last = ""
            while True:
                line = _state_line(client, parsed.player)
                display.update(line)
                if not _CONSOLE.is_terminal and line != last:
                    _CONSOLE.print(line, soft_wrap=True)
                last = line
                time.sleep(_REPORT_SECONDS)


def _state_line(client: httpx.Client, player: str) -> str:
    try:
        record = client.get(f"/v1/players/{player}").raise_for_status().json()
        line = f"{player}: {record['state']}, {read_counts(client, player).line()}"
    except httpx.HTTPError as error:
        return f"{player}: the API does not answer ({error})"
    return f"{line} ({record['state_detail']})" if record["state_detail"] else line


if __name__ == "__main__":
    sys.exit(main())
