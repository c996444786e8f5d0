"""Do the same games give the same bytes, in any order and by any process?"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.contract.analyses import AnalysisClaim, BudgetMode
from app.contract.games import GameRecord
from app.contract.positions import Evaluation
from app.contract.rules import ANALYSABLE_VARIANTS
from dev.binaries import find_binaries
from plugins.api import MAX_LINES, Wish
from tests.e2e.histories import bundled_games
from tests.unit.workers.analysis.test_evaluator import claim
from workers.analysis.budget import Budget
from workers.analysis.engine import EngineOptions
from workers.analysis.engine_slot import EngineSlot
from workers.analysis.evaluator import GameSearch, replay
from workers.ingestion.parsing import parse

GAMES = 20
PLIES = 24
"""Of each game, at most."""
BUDGET = Budget(6_000, BudgetMode.ADAPTIVE)


def some_games() -> list[AnalysisClaim]:
    """Return the beginnings of some bundled games."""
    found = []
    for line in bundled_games():
        game = parse(json.loads(line), "")
        assert isinstance(game, GameRecord)
        if game.variant in ANALYSABLE_VARIANTS and game.moves.uci:
            fields = {"id": game.id, "variant": game.variant, "initial_fen": game.initial_fen}
            found.append(claim(**fields, uci=game.moves.uci[:PLIES]))
    assert len(found) >= GAMES
    return found[:GAMES]


@pytest.fixture(scope="module")
def games() -> list[AnalysisClaim]:
    return some_games()


class Store:
    """All evaluations that were found, as the API would keep them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, ...], str] = {}
        self.evaluations: list[Evaluation] = []

    def add(self, found: Sequence[Evaluation]) -> None:
        for item in found:
            key = (item.position_key, item.halfmove_clock, item.budget_nodes, item.lines)
            text = item.model_dump_json()
            assert self.rows.setdefault(key, text) == text
        self.evaluations += found


async def analyse(games: Sequence[AnalysisClaim], program: Path, store: Store) -> dict[str, str]:
    """Search games one after another; return what plugins would see of each."""
    slot = EngineSlot(EngineOptions(program, hash_mb=1, patience_seconds=60))
    seen = {}
    for game in games:
        identity = await slot.ready()
        search = GameSearch(slot, identity, BUDGET, replay(game), game.uci, known=store.evaluations)
        await search.search()
        middle = len(game.uci) // 2
        await search.search({middle})
        await search.fulfil({middle: Wish(lines=3, full_budget=True), 0: Wish(lines=MAX_LINES)})
        store.add(search.new)
        seen[game.id] = repr(search.evaluations())
    await slot.close()
    return seen


async def test_neither_order_nor_company_nor_process_changes_a_byte(games: list[AnalysisClaim]) -> None:
    stockfish = find_binaries().stockfish.path
    forward, both = Store(), Store()
    expected = await analyse(games, stockfish, forward)
    # The other way round, by two processes that share what they find.
    halves = await asyncio.gather(*(analyse(games[start::2][::-1], stockfish, both) for start in (0, 1)))
    assert {**halves[0], **halves[1]} == expected
    assert both.rows == forward.rows
    assert {len(item.further) + 1 for item in forward.evaluations} >= {1, 3, MAX_LINES}
    assert len({item.budget_nodes for item in forward.evaluations}) > 1
    assert len(forward.rows) < sum(len(game.uci) + 1 for game in games) * 3
