"""How does Scoresheet work? Ingest and analyse games from a fake Lichess, then show what came out."""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from dev.errors import DevError
from dev.interrupts import Stopped, stoppable
from dev.paths import CHECKOUT, STATE
from dev.pipeline import Pipeline, declare_pipeline, free_port
from dev.program import Program
from dev.record import Counts, follow, show_summary
from dev.services import Services, data_services, open_state
from dev.stack import Stack

__all__ = ["BUNDLED", "fake_lichess", "main"]

BUNDLED: Final = CHECKOUT / "tests/fakes/lichess/games/selfplay.ndjson"
_STATE: Final = STATE / "demo"
_NODES: Final = 10_000
_HASH_MB: Final = "2"
"""Room for some 200,000 nodes; each search clears it, for which 16 MB take longer than a few nodes."""
_API_PORT: Final = 8000
_GAMES_A_SECOND: Final = 60
"""Lichess's fastest stream."""
_CONSOLE: Final = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 only if every game was seen, stored and analysed."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    parser.add_argument(
        "--games", type=Path, default=BUNDLED, help="NDJSON as Lichess exports it, may be .gz"
    )
    parser.add_argument("--player", help="whose games (default: who has most of them)")
    parser.add_argument("--nodes", type=_positive, default=_NODES, help="budget of a position (%(default)s)")
    parser.add_argument("--port", type=_positive, default=_API_PORT, help="of the API (%(default)s)")
    parser.add_argument("--state", type=Path, default=_STATE, help="folder of its data (%(default)s)")
    parser.add_argument("--once", action="store_true", help="stop everything after the summary")
    parsed = parser.parse_args(arguments)
    try:
        with stoppable():
            counts = _run(parsed)
    except Stopped:
        return 130
    except DevError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"demo: {counts.line()}")
    return 0 if counts.missing_nothing else 1


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def _run(parsed: argparse.Namespace) -> Counts:
    games = parsed.games.resolve()
    player, expected = _whose(games, parsed.player)
    with (
        _stack(parsed.state, games, parsed.nodes, parsed.port) as (stack, pipeline),
        pipeline.client() as client,
    ):
        before = client.put(f"/v1/players/{player}").raise_for_status().json()
        if before["synced_at"] is not None:
            client.post(f"/v1/players/{player}/sync").raise_for_status()
        _CONSOLE.print(
            f"fetching and analysing {expected} games of {player}, {parsed.nodes} nodes a position"
        )
        counts = follow(client, player, _CONSOLE, expected, before["synced_at"])
        if counts.seen < expected:
            raise DevError(f"{counts.seen} of {expected} games were seen")
        show_summary(client, player, _CONSOLE)
        if not parsed.once:
            _serve(stack, pipeline, counts)
    return counts


def _serve(stack: Stack, pipeline: Pipeline, counts: Counts) -> None:
    _CONSOLE.print(f"demo: {counts.line()}")
    _CONSOLE.print(pipeline.address(), soft_wrap=True)
    stack.watch()


@contextmanager
def _stack(folder: Path, games: Path, nodes: int, port: int) -> Iterator[tuple[Stack, Pipeline]]:
    with _CONSOLE.status("setting up") as display, open_state(folder, _CONSOLE.print, [games]) as state:
        services = data_services(state)
        lichess_port = free_port(None)
        pipeline = declare_pipeline(
            services,
            api_port=free_port(port),
            settings={
                "SCORESHEET_LICHESS_URL": f"http://127.0.0.1:{lichess_port}",
                "SCORESHEET_NODES": str(nodes),
                "SCORESHEET_ENGINE_HASH_MB": _HASH_MB,
                "SCORESHEET_ORCHESTRATOR_SECONDS": "5",
                "SCORESHEET_ANALYSIS_SCHEDULE_SECONDS": "1",
            },
            first=(fake_lichess(services, games, lichess_port, games_a_second=_GAMES_A_SECOND),),
        )
        with Stack(state, pipeline.programs, _CONSOLE.print, display.update) as stack:
            display.stop()
            yield stack, pipeline


def fake_lichess(services: Services, games: Path, port: int, *, games_a_second: int) -> Program:
    """Declare a fake Lichess that serves a file; 0 games a second means as fast as it can."""
    port_file = services.state.app / "fake-lichess.port"
    port_file.unlink(missing_ok=True)
    command = (sys.executable, "-m", "tests.fakes.lichess", "--games", games, "--port", str(port))
    speed = ("--speed-limit", str(games_a_second), "--port-file", port_file)
    return Program(
        "fake-lichess",
        (*command, *speed),
        ready=port_file.exists,
        environment={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(CHECKOUT)},
    )


def _whose(path: Path, wanted: str | None) -> tuple[str, int]:
    """Return the player and how many of the games are theirs; raises DevError for a file without any."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            games = [json.loads(line) for line in lines if line.strip()]
        players = Counter(
            user
            for game in games
            # Of a game against oneself one account is both.
            for user in {side["user"]["id"] for side in game["players"].values() if "user" in side}
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DevError(f"{path} cannot be read as Lichess's NDJSON: {error!r}") from error
    if not players:
        raise DevError(f"{path} holds no game of a named player")
    if wanted is None:
        return players.most_common(1)[0]
    if wanted.lower() not in players:
        raise DevError(f"{wanted} played no game in {path}")
    return wanted, players[wanted.lower()]


if __name__ == "__main__":
    sys.exit(main())
