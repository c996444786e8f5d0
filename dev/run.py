"""How does one keep a player's record on this machine, without NixOS? Run everything against lichess.org."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

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
_RUNS: Final = 100
"""Requests to Lichess that are looked at to see since when they fail."""
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
        return f"{line} ({_failing(client, record)})" if record["state_detail"] else line
    except httpx.HTTPError as error:
        return f"{player}: the API does not answer ({error})"


def _failing(client: httpx.Client, record: Mapping[str, Any]) -> str:
    path = f"/v1/players/{record['username']}/runs"
    runs = client.get(path, params={"limit": _RUNS}).raise_for_status().json()["items"]
    return failing(record, runs, datetime.now(UTC))


def failing(record: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Say how requests to Lichess fail, since when, and when the next one follows.

    `record` is a player with a `state_detail`, and `runs` are the last ones, the newest first.
    """
    ended = [run for run in runs if run["finished_at"] is not None]
    failed = list(takewhile(lambda run: run["state"] != "complete" and not run["new_games"], ended))
    parts = [record["state_detail"]]
    if failed:
        earlier = "at least " if len(failed) == len(ended) == _RUNS else ""
        parts.append(f"since {earlier}{_clock(failed[-1]['started_at'], now)}")
    if record["state"] != "unauthorised":  # then nobody asks until a person does
        later = datetime.fromisoformat(record["next_sync_at"]) > now
        parts.append(f"tried again at {_clock(record['next_sync_at'], now)}" if later else "tried again now")
    return "; ".join(parts)


def _clock(moment: str, now: datetime) -> str:
    """Return the time of day, and the day where it is another."""
    time_of_day = datetime.fromisoformat(moment).astimezone(UTC)
    return f"{time_of_day:{'%H:%M' if time_of_day.date() == now.date() else '%Y-%m-%d %H:%M'}} UTC"


if __name__ == "__main__":
    sys.exit(main())
