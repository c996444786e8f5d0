"""What did the engine find when it searched these positions, and who searches what is still missing?

Searches take hours, what is computed from them seconds: each is kept in a file (SQLite) and never repeated.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.contract.positions import Score
from tests.bench.analysis.games import Game
from tests.bench.bare_engine import BareEngine, Search

_SCHEMA = """CREATE TABLE IF NOT EXISTS searches (
  engine TEXT, hash_mb INT, manner TEXT, game TEXT, fen TEXT, budget INT,
  cp INT, mate INT, best TEXT, depth INT, nodes INT,
  PRIMARY KEY (engine, hash_mb, manner, game, fen, budget)
) WITHOUT ROWID"""


class Manner(StrEnum):
    """In which order a game's positions are searched, and what the hash holds."""

    CLEAN = "clean"
    """A clean hash for each position, as the worker does: the order does not matter."""
    FORWARD = "forward"
    """From the first to the last, the hash kept from position to position."""
    REVERSED = "reversed"
    """From the last to the first, the hash kept: fishnet's order."""


@dataclass(frozen=True, slots=True)
class Job:
    """One game to be searched at some budgets."""

    game: Game
    manner: Manner
    budgets: tuple[int, ...]
    """Nodes a position."""

    @property
    def nodes(self) -> int:
        """How many it takes at most."""
        return len(self.game.searched) * sum(self.budgets)


class Cache:
    """The file of searches; several processes may use it at once."""

    def __init__(self, path: Path, engine: str, hash_mb: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_SCHEMA)
        self._key = (engine, hash_mb)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def found(self, manner: Manner, game: Game, budget: int) -> dict[str, Search]:
        """Return what is known of a game's positions, by FEN."""
        scope = (*self._key, manner, _scope(manner, game), budget)
        rows = [
            row
            for fen in {*game.searched}
            for row in self._database.execute(
                "SELECT fen, cp, mate, best, depth, nodes FROM searches"
                " WHERE engine=? AND hash_mb=? AND manner=? AND game=? AND budget=? AND fen=?",
                (*scope, fen),
            )
        ]
        return {
            fen: Search(Score(cp=cp, mate=mate), best, depth, nodes)
            for fen, cp, mate, best, depth, nodes in rows
        }

    def keep(self, manner: Manner, game: Game, budget: int, found: dict[str, Search]) -> None:
        """Store searches of one game."""
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            "INSERT OR IGNORE INTO searches VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            [
                (*self._key, manner, _scope(manner, game), fen, budget,
                 item.score.cp, item.score.mate, item.best, item.depth, item.nodes)
                for fen, item in found.items()
            ],
        )  # fmt: skip
        self._database.execute("COMMIT")


def _scope(manner: Manner, game: Game) -> str:
    """Return the game that a search belongs to; a clean one belongs to its position alone."""
    return "" if manner is Manner.CLEAN else game.id


def perform(job: Job, path: Path, engine_path: Path, hash_mb: int) -> int:
    """Search what a job still lacks and keep it; returns the nodes it took."""
    nodes = 0
    with (
        closing(BareEngine(engine_path, hash_mb)) as engine,
        closing(Cache(path, engine.name, hash_mb)) as cache,
    ):
        for budget in job.budgets:
            found = _search(job, budget, cache.found(job.manner, job.game, budget), engine)
            nodes += sum(item.nodes for item in found.values())
            cache.keep(job.manner, job.game, budget, found)
    return nodes


def _search(job: Job, budget: int, known: dict[str, Search], engine: BareEngine) -> dict[str, Search]:
    fens = [*dict.fromkeys(job.game.searched)]
    if len(known) == len(fens):
        return {}
    if job.manner is Manner.CLEAN:
        found = {}
        for fen in fens:
            if fen not in known:
                engine.clear()
                found[fen] = engine.search(fen, budget)
        return found
    # What the hash holds is part of the result: the whole game, or nothing.
    engine.clear()
    order = fens[::-1] if job.manner is Manner.REVERSED else fens
    return {fen: engine.search(fen, budget) for fen in order}


def collect(
    jobs: Sequence[Job], path: Path, engine_path: Path, hash_mb: int, slots: int
) -> Iterator[tuple[Job, int]]:
    """Do what is missing of the jobs, roughly in their order; yields each that is done, with its nodes."""
    with ProcessPoolExecutor(slots) as pool:
        running = {pool.submit(perform, job, path, engine_path, hash_mb): job for job in jobs}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
