"""The moves of a game: arrays in one row, or one row a ply?

    python -m tests.bench.bench_moves_layout [--games 2000] [--plies 70]

Both layouts are filled and read side by side on the stack's PostgreSQL, through PgBouncer, in turns of
the same games: one transaction a game, as ingestion writes, and whole games by id, as the API reads.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from dev.services import POOL_PORT, running_services

_SCHEMA = """
CREATE TABLE arrays (game_id bigint PRIMARY KEY, san text[], uci text[], keys bigint[], clocks int[]);
CREATE TABLE plies (game_id bigint, ply smallint, san text, uci text, key bigint, clock int,
                    PRIMARY KEY (game_id, ply));
"""
_TURN = 100

Game = tuple[list[str], list[str], list[int], list[int]]


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--games", type=int, default=2_000)
    parser.add_argument("--plies", type=int, default=70)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scoresheet-bench-") as folder:
        Path(folder).chmod(0o755)
        with running_services(Path(folder) / "state") as (_, services):
            address = f"host={services.state.run} port={POOL_PORT} user=scoresheet dbname=scoresheet"
            with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:
                connection.execute(_SCHEMA)
                compare(connection, arguments.games, arguments.plies)


def compare(connection: psycopg.Connection, games: int, plies: int) -> None:
    """Fill and read both layouts in turns; print milliseconds a game and sizes."""
    source = random.Random(1)
    spent = {(layout, step): 0.0 for layout in ("arrays", "plies") for step in ("write", "read")}
    writers = {"arrays": write_arrays, "plies": write_plies}
    readers = {"arrays": read_arrays, "plies": read_plies}
    for first in range(0, games, _TURN):
        turn = {number: made_up(source, plies) for number in range(first, min(first + _TURN, games))}
        for layout in ("arrays", "plies"):
            spent[layout, "write"] += timed(writers[layout], connection, turn)
            spent[layout, "read"] += timed(readers[layout], connection, turn)
    table = Table("layout", "write, ms a game", "read, ms a game", "size, KiB a game")
    for layout in ("arrays", "plies"):
        row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", [layout]).fetchone()
        size = (row[0] if row else 0) / 1024 / games
        times = [f"{spent[layout, step] / games * 1_000:.2f}" for step in ("write", "read")]
        table.add_row(layout, *times, f"{size:.1f}")
    Console().print(table)
    ratios = {step: spent["plies", step] / spent["arrays", step] for step in ("write", "read")}
    print(f"moves_layout: one row a ply takes {ratios['write']:.1f}x to write, {ratios['read']:.1f}x to read")


def made_up(source: random.Random, plies: int) -> Game:
    """Return moves of the usual lengths; what they say does not matter here."""
    return (
        [source.choice(["e4", "Nf3", "Bxc6+", "O-O", "exd5", "Qh5"]) for _ in range(plies)],
        [source.choice(["e2e4", "g1f3", "b5c6", "e1g1", "e4d5", "d1h5"]) for _ in range(plies)],
        [source.getrandbits(63) for _ in range(plies)],
        [source.randrange(60_000) for _ in range(plies)],
    )


def timed(
    work: Callable[[psycopg.Connection, int, Game], None],
    connection: psycopg.Connection,
    games: dict[int, Game],
) -> float:
    """Return the seconds that a step took for these games."""
    started = time.perf_counter()
    for number, game in games.items():
        work(connection, number, game)
    return time.perf_counter() - started


def write_arrays(connection: psycopg.Connection, number: int, game: Game) -> None:
    """Insert a game as one row."""
    connection.execute("INSERT INTO arrays VALUES (%s, %s, %s, %s, %s)", (number, *game))


def write_plies(connection: psycopg.Connection, number: int, game: Game) -> None:
    """Insert a game as a row a ply, in one statement."""
    connection.execute(
        "INSERT INTO plies SELECT %s, ordinality, san, uci, key, clock FROM"
        " unnest(%s::text[], %s::text[], %s::bigint[], %s::int[])"
        " WITH ORDINALITY AS moves(san, uci, key, clock, ordinality)",
        (number, *game),
    )


def read_arrays(connection: psycopg.Connection, number: int, game: Game) -> None:
    """Read a game back."""
    row = connection.execute(
        "SELECT san, uci, keys, clocks FROM arrays WHERE game_id = %s", [number]
    ).fetchone()
    if row != game:
        raise SystemExit(f"arrays: game {number} came back changed")


def read_plies(connection: psycopg.Connection, number: int, game: Game) -> None:
    """Read a game back."""
    rows = connection.execute(
        "SELECT san, uci, key, clock FROM plies WHERE game_id = %s ORDER BY ply", [number]
    ).fetchall()
    if tuple(list(column) for column in zip(*rows, strict=True)) != game:
        raise SystemExit(f"plies: game {number} came back changed")


if __name__ == "__main__":
    main()
