"""What does our worker cost beside the bare engine?

    python -m tests.bench.bench_engine GAMES.ndjson[.gz] [--games 4] [--nodes 100000] [--hash-mb 16]

Each game is analysed by the worker's own code (replay, engine slot under a lease, both plugins; only HTTP is
left out), and each of its positions by a bare engine that gets the same UCI commands over a pipe. Both
engines run all the time, only one of them searches; which goes first alternates from position to position.
"""

import argparse
import gzip
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import chess
import structlog

from app.contract.analyses import AnalysisClaim, BudgetMode
from app.contract.positions import EngineIdentity, Evaluation
from app.contract.rules import ANALYSABLE_VARIANTS, initial_board
from dev.binaries import find_binaries
from plugins.accuracy import Accuracy
from plugins.largest_swing import LargestSwing
from tests.bench.bare_engine import BareEngine
from workers.analysis.budget import Budget
from workers.analysis.engine import EngineOptions
from workers.analysis.evaluator import GameSearch, analysed_game, replay
from workers.analysis.lease import Lease
from workers.analysis.plugin_runner import run_plugin
from workers.analysis.position import searchable
from workers.analysis.workbench import Workbench


@dataclass(frozen=True)
class Cost:
    """What one game took."""

    wall_seconds: float
    cpu_seconds: float
    """Of engine and Python together: what remains comparable on a machine that has other work to do."""
    python_seconds: float
    """Python's part of it, during which the engine waits."""
    nodes: int


@dataclass
class Tally:
    """What one side has done."""

    games: list[Cost] = field(default_factory=list)

    @property
    def wall_seconds(self) -> float:
        """Of all games."""
        return sum(cost.wall_seconds for cost in self.games)

    @property
    def cpu_seconds(self) -> float:
        """Of all games."""
        return sum(cost.cpu_seconds for cost in self.games)

    @property
    def python_seconds(self) -> float:
        """Of all games."""
        return sum(cost.python_seconds for cost in self.games)

    @property
    def nodes(self) -> int:
        """Of all games."""
        return sum(cost.nodes for cost in self.games)


def efficiencies(worker: Tally, bare: Tally) -> list[float]:
    """Return for each game the processor time of the bare engine by that of the worker, in rising order."""
    pairs = zip(worker.games, bare.games, strict=True)
    return sorted(theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in pairs)


class Stopwatch:
    """Measures wall clock and processor time, those of one engine's process included."""

    def __init__(self, engine_pid: int) -> None:
        self._stat = Path(f"/proc/{engine_pid}/stat")
        self._wall, self._engine, self._python = self._read()

    def cost(self, nodes: int) -> Cost:
        """Return what was used since the start."""
        wall, engine, python = self._read()
        used = python - self._python
        return Cost(wall - self._wall, engine - self._engine + used, used, nodes)

    def _read(self) -> tuple[float, float, float]:
        user, system = self._stat.read_text().rpartition(")")[2].split()[11:13]
        engine = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), engine, time.process_time()


def read_games(path: Path, count: int) -> Iterator[AnalysisClaim]:
    """Yield games of at least 40 plies, spread evenly over the first thousand of a file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        games = [json.loads(line) for line, _ in zip(lines, range(1_000), strict=False)]
    fit = [
        game
        for game in games
        if game["variant"] in ANALYSABLE_VARIANTS and game.get("moves", "").count(" ") > 40
    ]
    for game in fit[:: max(1, len(fit) // count)][:count]:
        yield as_claim(game)


def as_claim(game: dict[str, Any]) -> AnalysisClaim:
    """Return an exported game as the API would hand it out."""
    board = initial_board(game["variant"], game.get("initialFen"))
    uci = []
    for san in game["moves"].split():
        move = board.parse_san(san)
        uci.append(board.uci(move))
        board.push(move)
    return AnalysisClaim(
        id=game["id"],
        fence=1,
        lease_seconds=300,
        attempt=1,
        variant=game["variant"],
        initial_fen=game.get("initialFen"),
        status=game["status"],
        winner=game.get("winner"),
        uci=uci,
        clocks_cs=None,
        lichess_evaluations=None,
        plugins=[],
        evaluations=[],
    )


class Alternating:
    """An evaluator that lets a bare engine search each position, too: just before the worker's, or after.

    So close in time because the speed of a shared machine changes from one second to the next.
    """

    def __init__(self, bench: Workbench, bare: BareEngine, watched: "Watched") -> None:
        self._bench, self._bare, self._watched = bench, bare, watched
        self._bare_first = False

    async def evaluate(
        self, board: chess.Board, nodes: int, expected: EngineIdentity, lines: int = 1
    ) -> Evaluation:
        """Let both search; returns what the worker's found."""
        self._bare_first = not self._bare_first
        if self._bare_first:
            self._search(board, nodes)
        found = await self._bench.slot.evaluate(board, nodes, expected, lines)
        if not self._bare_first:
            self._search(board, nodes)
        return found

    def _search(self, board: chess.Board, nodes: int) -> None:
        fen = searchable(board).fen()  # no part of a bare search: its microseconds count as the worker's
        with self._watched.bare():
            self._bare.clear()
            self._watched.bare_nodes += self._bare.search(fen, nodes).nodes


class Watched:
    """Keeps apart what worker and bare engine used of the time of one game."""

    def __init__(self, worker_pid: int, bare_pid: int) -> None:
        self._worker, self._bare = Stopwatch(worker_pid), Stopwatch(bare_pid)
        self._wall = self._python = 0.0
        self.bare_nodes = 0

    @contextmanager
    def bare(self) -> Iterator[None]:
        """Count what is done meanwhile for the bare engine."""
        wall, python = time.perf_counter(), time.process_time()
        yield
        self._wall += time.perf_counter() - wall
        self._python += time.process_time() - python

    def costs(self, nodes: int) -> tuple[Cost, Cost]:
        """Return the worker's, who searched so many nodes, and the bare engine's."""
        worker, bare = self._worker.cost(nodes), self._bare.cost(self.bare_nodes)
        return (
            replace(
                worker,
                wall_seconds=worker.wall_seconds - self._wall,
                cpu_seconds=worker.cpu_seconds - self._python,
                python_seconds=worker.python_seconds - self._python,
            ),
            replace(
                bare,
                wall_seconds=self._wall,
                cpu_seconds=bare.cpu_seconds - bare.python_seconds + self._python,
                python_seconds=self._python,
            ),
        )


def analyse(bench: Workbench, bare: BareEngine, claim: AnalysisClaim, nodes: int) -> tuple[Cost, Cost]:
    """Analyse a game as the worker does, its positions with a bare engine, too; returns what each took."""
    engine = bench.slot._engine
    assert engine is not None
    watched = Watched(engine.pid, bare.pid)
    lease = Lease(claim.lease_seconds, lambda: None)
    budget = Budget(nodes, BudgetMode.FIXED)
    both = Alternating(bench, bare, watched)
    search = GameSearch(both, bench.ready(), budget, replay(claim), claim.uci, known=[])
    bench.run(lease.keep(search.search(), stopping=lambda: False, limit_seconds=3_600))
    game = replace(analysed_game(claim), evaluations=search.evaluations())
    for plugin in (Accuracy(), LargestSwing()):
        assert run_plugin(plugin, game).error is None
    worker, alone = watched.costs(sum(item.nodes for item in search.new))
    assert worker.nodes == alone.nodes, "the two searched differently"
    return worker, alone


def measure(path: Path, claims: Sequence[AnalysisClaim], nodes: int, hash_mb: int) -> tuple[Tally, Tally]:
    """Let worker and bare engine analyse the games; returns what each has done, in this order."""
    ours, theirs = Tally(), Tally()
    with (
        closing(Workbench(EngineOptions(path, hash_mb))) as bench,
        closing(BareEngine(path, hash_mb)) as bare,
    ):
        bench.ready()
        for claim in claims:
            worker, alone = analyse(bench, bare, claim, nodes)
            ours.games.append(worker)
            theirs.games.append(alone)
    return ours, theirs


def main() -> None:
    """Run and print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--games", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--hash-mb", type=int, default=16)
    parser.add_argument("--engine", type=Path)
    options = parser.parse_args()
    path = options.engine or find_binaries().stockfish.path
    claims = [*read_games(options.file, options.games)]
    print(f"{path}, {options.nodes} nodes a position, hash {options.hash_mb} MB")
    ours, bare_tally = measure(path, claims, options.nodes, options.hash_mb)
    for claim, worker, bare in zip(claims, ours.games, bare_tally.games, strict=True):
        print(
            f"{claim.id} {len(claim.uci):4} plies  worker {worker.wall_seconds:7.2f} s  "
            f"bare {bare.wall_seconds:7.2f} s"
        )
    for clock, worker_seconds, bare_seconds in (
        ("wall clock", ours.wall_seconds, bare_tally.wall_seconds),
        ("processor", ours.cpu_seconds, bare_tally.cpu_seconds),
    ):
        print(
            f"{clock:10}  seconds a game: worker {worker_seconds / len(ours.games):.2f}, "
            f"bare {bare_seconds / len(ours.games):.2f}  nodes/s: worker {ours.nodes / worker_seconds:,.0f}, "
            f"bare {ours.nodes / bare_seconds:,.0f}  efficiency {bare_seconds / worker_seconds:.3f}"
        )
    each = efficiencies(ours, bare_tally)
    print(f"efficiency by game, processor: {each[0]:.3f} to {each[-1]:.3f}, median {median(each):.3f}")
    print(f"Python's share of the worker's processor time: {ours.python_seconds / ours.cpu_seconds:.3f}")


if __name__ == "__main__":
    main()
