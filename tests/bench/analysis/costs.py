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
from app.contract.positions import EngineIdentity, Evaluation, FurtherLine, Score, exact_score, position_key
from app.contract.rules import ANALYSABLE_VARIANTS
from plugins.api import Wish
from tests.bench.analysis.wishes import built_in, wishes_of
from tests.bench.bare_engine import BareEngine
from tests.bench.bench_engine import Tally, as_claim, measure
from workers.analysis.budget import Budget
from workers.analysis.evaluator import GameSearch, analysed_game, replay
from workers.analysis.known import Place
from workers.analysis.plugin_runner import run_plugin

_NOBODY = EngineIdentity(name="none: every search is answered at once", hash_mb=1)
_ANY = Budget(1_000, BudgetMode.FIXED)
"""What the searches would take does not matter, but each position shall have one."""


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
    wished: int
    """Searches for several lines that plugins wish for, each once a game."""
    wishes_searched: int
    """Those of them that are made with the store."""


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
            further=[FurtherLine(score=Score(cp=0), pv=pv) for pv in moves[1:]],
        )


def stored_and_again(claims: Sequence[AnalysisClaim], budget: Budget = _ANY) -> tuple[Reuse, Backfill]:
    """Analyse a history twice, each search answered at once: with a growing store, then from the full one.

    All plugins are asked for their wishes, and have them fulfilled, both times.
    """
    oracle = _Oracle()
    positions = searched = wished = wishes_searched = 0
    with asyncio.Runner() as runner:
        for claim in claims:
            boards = replay(claim)
            search, wishes = runner.run(_analysed(oracle, claim, boards, budget))
            several = [item for item in search.new if item.lines > 1]
            positions += len({Place.of(board) for board in boards if exact_score(board) is None})
            searched += len(
                {Place(item.position_key, item.halfmove_clock) for item in search.new if item.lines == 1}
            )
            wished += len(
                {(Place.of(boards[ply]), wish.lines) for ply, wish in wishes.items() if wish.lines > 1}
            )
            wishes_searched += len(several)
            for evaluation in search.new:
                place = Place(evaluation.position_key, evaluation.halfmove_clock)
                oracle.stored.setdefault(place, []).append(evaluation)
    reuse = Reuse(len(claims), positions, searched, wished, wishes_searched)
    return reuse, _backfill(oracle, claims, budget)


async def _analysed(
    oracle: _Oracle, claim: AnalysisClaim, boards: Sequence[chess.Board], budget: Budget
) -> tuple[GameSearch, dict[int, Wish]]:
    """Search a game as the worker does; return the search, and what was wished for."""
    search = GameSearch(oracle, _NOBODY, budget, boards, claim.uci, known=_known(oracle, boards))
    await search.search()
    wishes = wishes_of(replace(analysed_game(claim), evaluations=search.evaluations()))
    await search.search({ply for ply, wish in wishes.items() if wish.full_budget})
    await search.fulfil(wishes)
    return search, wishes


def _backfill(oracle: _Oracle, claims: Sequence[AnalysisClaim], budget: Budget) -> Backfill:
    searched, begun = 0, time.process_time()
    with asyncio.Runner() as runner:
        for claim in claims:
            search, _ = runner.run(_analysed(oracle, claim, replay(claim), budget))
            searched += len(search.new)
            game = replace(analysed_game(claim), evaluations=search.evaluations())
            for plugin in built_in():
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
