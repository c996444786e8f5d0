"""What does a way of spending nodes make of a game, and how many does it take?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.contract.borrowing import Searched, lenders
from app.contract.positions import Score
from tests.bench.analysis.games import Game
from tests.bench.bare_engine import Search
from workers.analysis.budget import Budget, Found, deepen, scan_nodes

Lookup = Callable[[int, int], Search]
"""What a search of a position (its ply) with a budget finds."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A game's evaluations and what they cost."""

    searches: tuple[Search, ...]
    """What counts for each position of `game.searched`: its own search, or its neighbour's score."""
    budgets: tuple[int, ...]
    """The budget of each."""
    spent: int
    """Budgets of all searches, those that were superseded included; a position that recurs counts once."""


def analyse(game: Game, budget: Budget, lookup: Lookup) -> Analysis:
    """Return what the worker would make of a game, were these the engine's answers."""
    asked = {(fen, scan_nodes(budget)) for fen in game.searched}
    budgets = [scan_nodes(budget)] * len(game.searched)
    searches = [lookup(ply, nodes) for ply, nodes in enumerate(budgets)]
    while wanted := deepen(game.starts, _found(game, searches, budgets), budget):
        for ply, nodes in wanted.items():
            asked.add((game.fens[ply], nodes))
            budgets[ply], searches[ply] = nodes, lookup(ply, nodes)
    return Analysis(
        tuple(_borrowed(game, searches, budgets)), tuple(budgets), sum(nodes for _, nodes in asked)
    )


def _borrowed(game: Game, searches: Sequence[Search], budgets: Sequence[int]) -> Iterator[Search]:
    """Yield what the plugins are given; the best move stays that of the position's own search, as kept."""
    searched = [
        Searched(item.nodes, item.score.mate is not None, item.best, item.played)
        for item in _found(game, searches, budgets)
    ]
    for own, lender in zip(searches, lenders(searched), strict=False):
        yield replace(own, score=searches[lender].score)


def _found(game: Game, searches: Sequence[Search], budgets: Sequence[int]) -> list[Found]:
    played = [*game.uci, None]
    found = [
        Found(item.score, nodes, item.best, move)
        for item, nodes, move in zip(searches, budgets, played, strict=False)
    ]
    if game.over:
        found.append(Found(Score(mate=0) if game.mated else Score(cp=0), 0, None, None))
    return found
