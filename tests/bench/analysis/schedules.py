"""What does a way of spending nodes make of a game, and how many does it take?"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from app.contract.analyses import BudgetMode
from app.contract.borrowing import Searched, lenders
from app.contract.positions import Score
from tests.bench.analysis.games import Game
from tests.bench.analysis.wishes import as_plugins_see_it, wishes_of
from tests.bench.bare_engine import Search
from workers.analysis.budget import Budget, Found, deepen, scan_nodes, wish_nodes

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
    wished: int
    """Likewise of the searches for several lines that the built-in plugins wish for; `spent` is without."""


def analyse(game: Game, budget: Budget, lookup: Lookup) -> Analysis:
    """Return what the worker would make of a game, were these the engine's answers."""
    asked = {(fen, scan_nodes(budget)) for fen in game.searched}
    budgets = [scan_nodes(budget)] * len(game.searched)
    searches = [lookup(ply, nodes) for ply, nodes in enumerate(budgets)]

    def go_deeper(full: AbstractSet[int] = frozenset()) -> None:
        while wanted := deepen(game.starts, _found(game, searches, budgets), budget, full):
            for ply, nodes in wanted.items():
                asked.add((game.fens[ply], nodes))
                budgets[ply], searches[ply] = nodes, lookup(ply, nodes)

    go_deeper()
    wishes = wishes_of(as_plugins_see_it(game, _seen(game, searches, budgets, budget), budgets))
    go_deeper({ply for ply, wish in wishes.items() if wish.full_budget})
    lines = {
        (game.fens[ply], wish.lines, wish_nodes(budget, full=wish.full_budget))
        for ply, wish in wishes.items()
        if wish.lines > 1 and ply < len(budgets)
    }
    return Analysis(
        _seen(game, searches, budgets, budget),
        tuple(budgets),
        sum(nodes for _, nodes in asked),
        sum(nodes for _, _, nodes in lines),
    )


def _seen(
    game: Game, searches: Sequence[Search], budgets: Sequence[int], budget: Budget
) -> tuple[Search, ...]:
    return tuple(searches if budget.mode is BudgetMode.FIXED else _borrowed(game, searches, budgets))


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
