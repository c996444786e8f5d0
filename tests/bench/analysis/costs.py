"""What do analyses cost: by build of the engine, with and without the store, and for a new plugin?"""

import asyncio
import gzip
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import chess

from app.contract.analyses import AnalysisClaim, BudgetMode
from app.contract.games import ANALYSABLE_VARIANTS
from app.contract.positions import EngineIdentity, Evaluation, Score, position_key
from tests.bench.bare_engine import BareEngine
from tests.bench.bench_engine import Tally, as_claim, measure
from workers.analysis.budget import Budget
from workers.analysis.evaluator import GameSearch, analysed_game, replay
from workers.analysis.known import Place
from workers.analysis.plugin_registry import load_plugins
from workers.analysis.plugin_runner import run_plugin

_NOBODY = EngineIdentity(name="none: every search is answered at once", hash_mb=1)


@dataclass(frozen=True, slots=True)
class BuildSpeed:
    """One build of the engine, through our worker and bare."""

    name: str
    worker: Tally
    bare: Tally


@dataclass(frozen=True, slots=True)
class Reuse:
    """What the store saves on a history of games."""

    games: int
    positions: int
    """That would be searched without a store, each once a game."""
    searched: int
    """That are searched with it."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """What it takes to run all plugins over games whose evaluations are stored."""

    games: int
    searched: int
    seconds: float
    """Processor time of the worker: replay, look-up of evaluations, plugins; without HTTP."""


def speeds(
    builds: Iterable[Path], claims: Sequence[AnalysisClaim], nodes: int, hash_mb: int
) -> Iterator[BuildSpeed]:
    """Yield the speed of each build on the same positions."""
    for build in builds:
        yield BuildSpeed(build.name, *measure(build, claims, nodes, hash_mb))


def history(path: Path, count: int) -> list[AnalysisClaim]:
    """Return the first games of an NDJSON file that can be analysed, oldest first."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        games = [json.loads(line) for line in lines]
    fit = [game for game in games if game["variant"] in ANALYSABLE_VARIANTS and game.get("moves")]
    return [as_claim(game) for game in sorted(fit, key=lambda game: game["createdAt"])[:count]]


class _Oracle:
    """Answers every search at once, and keeps what it answered, as the store does."""

    def __init__(self) -> None:
        self.stored: dict[Place, list[Evaluation]] = {}

    async def evaluate(
        self, board: chess.Board, nodes: int, expected: EngineIdentity, lines: int = 1
    ) -> Evaluation:
        assert expected == _NOBODY
        moves = [[move.uci()] for move in board.legal_moves][:lines]
        return Evaluation(
            position_key=position_key(board),
            halfmove_clock=board.halfmove_clock,
            budget_nodes=nodes,
            lines=lines,
            score=Score(cp=position_key(board) % 401 - 200),
            depth=1,
            nodes=nodes,
            pv=moves[0],
            further=[],
        )


def stored_and_again(claims: Sequence[AnalysisClaim]) -> tuple[Reuse, Backfill]:
    """Analyse a history twice, each search answered at once: with a growing store, then from the full one."""
    oracle = _Oracle()
    budget = Budget(1_000, BudgetMode.FIXED)
    positions = searched = 0
    for claim in claims:
        boards = replay(claim)
        search = GameSearch(oracle, _NOBODY, budget, boards, claim.uci, known=_known(oracle, boards))
        asyncio.run(search.search())
        positions += len({Place.of(board) for board in boards if any(board.generate_legal_moves())})
        searched += len(search.new)
        for evaluation in search.new:
            place = Place(evaluation.position_key, evaluation.halfmove_clock)
            oracle.stored.setdefault(place, []).append(evaluation)
    return Reuse(len(claims), positions, searched), _backfill(oracle, claims, budget)


def _backfill(oracle: _Oracle, claims: Sequence[AnalysisClaim], budget: Budget) -> Backfill:
    plugins = [*load_plugins()]
    searched, begun = 0, time.process_time()
    with asyncio.Runner() as runner:
        for claim in claims:
            boards = replay(claim)
            search = GameSearch(oracle, _NOBODY, budget, boards, claim.uci, known=_known(oracle, boards))
            runner.run(search.search())
            searched += len(search.new)
            game = replace(analysed_game(claim), evaluations=search.evaluations())
            for plugin in plugins:
                assert run_plugin(plugin, game).error is None
    return Backfill(len(claims), searched, time.process_time() - begun)


def _known(oracle: _Oracle, boards: Sequence[chess.Board]) -> list[Evaluation]:
    return [found for board in boards for found in oracle.stored.get(Place.of(board), [])]


def memory_mib(engine: Path, hash_mb: int, slots: int) -> float:
    """Return the memory of one of so many engines at work, pages that they share divided among them."""
    with ExitStack() as stack:
        engines = [stack.enter_context(closing(BareEngine(engine, hash_mb))) for _ in range(slots)]
        for bare in engines:
            bare.search(chess.STARTING_FEN, 100_000)
        return sum(_proportional_kib(bare.pid) for bare in engines) / slots / 1_024


def _proportional_kib(pid: int) -> int:
    rows: Mapping[str, str] = dict(
        line.split(":", maxsplit=1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    )
    return int(rows["Pss"].split()[0])
