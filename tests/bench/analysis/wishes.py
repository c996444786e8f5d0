"""What do the built-in plugins wish for in a game?"""

from collections.abc import Sequence
from functools import cache

from app.contract.positions import Score
from plugins.api import AnalysedGame, PositionEvaluation, Wish
from plugins.contract import AnyPlugin
from tests.bench.analysis.games import Game
from tests.bench.bare_engine import Search
from workers.analysis.plugin_registry import load_plugins
from workers.analysis.plugin_runner import ask_wishes


@cache
def built_in() -> tuple[AnyPlugin, ...]:
    """Return all installed plugins."""
    return tuple(load_plugins())


def wishes_of(game: AnalysedGame) -> dict[int, Wish]:
    """Return what all of them wish for, joined as the worker joins it; raises PluginFailed."""
    joined: dict[int, Wish] = {}
    for plugin in built_in():
        for ply, wish in ask_wishes(plugin, game).items():
            other = joined.get(ply, wish)
            joined[ply] = Wish(
                max(wish.lines, other.lines), full_budget=wish.full_budget or other.full_budget
            )
    return joined


def as_plugins_see_it(game: Game, searches: Sequence[Search], budgets: Sequence[int]) -> AnalysedGame:
    """Return a game with what was found at `game.searched`; of a best line the first move alone."""
    evaluations = [
        PositionEvaluation(item.score, item.depth, item.nodes, (item.best,), budget_nodes=nodes)
        for item, nodes in zip(searches, budgets, strict=True)
    ]
    if game.over:
        evaluations.append(PositionEvaluation(Score(mate=0) if game.mated else Score(cp=0), 0, 0, ()))
    return AnalysedGame(
        id=game.id,
        variant="chess960" if game.chess960 else "fromPosition",
        initial_fen=game.fens[0],
        status="mate" if game.mated else "resign",
        winner=None,
        uci=game.uci,
        evaluations=tuple(evaluations),
    )
