"""How many games a second does the whole chain store, and where does the time go?

    python -m tests.bench.bench_ingestion [--games 3000] [--source GAMES.ndjson[.gz]]

A fake Lichess without its speed limit streams a synthetic history (the source's games again and again
under new ids) through producer, Redis, eight consumers, API and PgBouncer into PostgreSQL; analysis is
off. The time counts from the moment the player is tracked to the moment the ledger is complete. The
table gives processor time a game and peak memory by program, children included.
"""

import argparse
import gzip
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from dev.demo import BUNDLED, fake_lichess
from dev.pipeline import Pipeline, declare_pipeline, free_port
from dev.services import data_services, open_state
from dev.stack import Stack

_ROLES = ("postgres", "pgbouncer", "redis", "fake-lichess", "api", "consumer", "producer", "beat")
_PLAYER = "bench-player"
_TICK = os.sysconf("SC_CLK_TCK")
_LIMIT_SECONDS = 600


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--games", type=int, default=3_000)
    parser.add_argument("--source", type=Path, default=BUNDLED)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scoresheet-bench-") as folder:
        history = Path(folder) / "history.ndjson"
        history.write_text("".join(f"{line}\n" for line in synthetic(arguments.source, arguments.games)))
        Path(folder).chmod(0o755)
        with stack(Path(folder) / "state", history) as (running, pipeline), pipeline.client() as client:
            measure(running, client, arguments.games)


def synthetic(source: Path, count: int) -> Iterator[str]:
    """Yield so many games of one player, a minute apart, made of the source's games."""
    with gzip.open(source, "rt") if source.suffix == ".gz" else source.open() as file:
        games: list[dict[str, Any]] = [json.loads(line) for line in file]
    start_ms = 1_600_000_000_000
    for number, game in zip(range(count), itertools.cycle(games), strict=False):
        length_ms = game["lastMoveAt"] - game["createdAt"]
        created_ms = start_ms + number * 60_000
        players = dict(game["players"])
        players["white"] = players["white"] | {"user": {"name": _PLAYER, "id": _PLAYER}}
        yield json.dumps(
            game
            | {
                "id": f"{number:08d}",
                "createdAt": created_ms,
                "lastMoveAt": created_ms + length_ms,
                "players": players,
            }
        )


@contextmanager
def stack(state_folder: Path, history: Path) -> Iterator[tuple[Stack, Pipeline]]:
    """Run everything that ingestion needs."""
    with open_state(state_folder, needed=[history]) as state:
        services = data_services(state)
        port = free_port(None)
        pipeline = declare_pipeline(
            services,
            api_port=free_port(None),
            settings={"SCORESHEET_LICHESS_URL": f"http://127.0.0.1:{port}"},
            first=(fake_lichess(services, history, port, games_a_second=0),),
        )
        programs = [program for program in pipeline.programs if program.oneshot or program.name in _ROLES]
        with Stack(state, programs) as running:
            yield running, pipeline


def measure(running: Stack, client: httpx.Client, games: int) -> None:
    """Track the player, wait for the ledger, print what it took."""
    before = {role: processor_seconds(running.pid(role)) for role in _ROLES}
    started = time.monotonic()
    client.put(f"/v1/players/{_PLAYER}").raise_for_status()
    while True:
        record = client.get(f"/v1/players/{_PLAYER}").raise_for_status().json()["completeness"]
        if record["complete"]:
            break
        if time.monotonic() - started > _LIMIT_SECONDS:
            raise SystemExit(f"not complete after {_LIMIT_SECONDS} s: {record}")
        time.sleep(0.2)
    seconds = time.monotonic() - started
    if record["stored"] != games:
        raise SystemExit(f"{games} games, but the ledger says {record}")
    table = Table("program", "ms a game", "share of the processors", "peak memory, MiB")
    for role in _ROLES:
        spent = processor_seconds(running.pid(role)) - before[role]
        share = spent / (seconds * (os.cpu_count() or 1))
        table.add_row(
            role, f"{spent / games * 1_000:.2f}", f"{share:.0%}", f"{peak_mib(running.pid(role)):.0f}"
        )
    Console().print(table)
    print(f"ingestion: games={games} seconds={seconds:.1f} games_per_second={games / seconds:.0f}")


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants, the ended ones included."""
    own = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = sum(int(value) for value in own[11:15])
    return ticks / _TICK + sum(processor_seconds(child) for child in children(pid))


def peak_mib(pid: int) -> float:
    """Return the peak resident memory of a process and its descendants; shared pages count twice."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return own / 1024 + sum(peak_mib(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """Return the living children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
