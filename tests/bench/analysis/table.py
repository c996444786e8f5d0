"""Which way of spending nodes is worth what? The rows of the fidelity table."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.contract.analyses import BudgetMode
from tests.bench.analysis.fidelity import Fidelity, Interval, Verdict, compare, differences, verdict
from tests.bench.analysis.games import Game
from tests.bench.analysis.schedules import Analysis, analyse
from tests.bench.analysis.searches import Cache, Job, Manner
from tests.bench.bare_engine import Search
from workers.analysis.budget import Budget, steps

ORDERS = (Manner.FORWARD, Manner.REVERSED)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared."""

    references: tuple[int, ...]
    """Nodes a position, in rising order."""
    truth: int
    """Nodes a position of the search that all are measured by."""

    @property
    def fixed(self) -> tuple[int, ...]:
        """Every budget of the fixed mode: the references, and whatever the adaptive mode needs of them."""
        return tuple(sorted({step for each in self.references for step in steps(_adaptive(each))}))

    @property
    def searches(self) -> list[tuple[Manner, int]]:
        """Every search of a position that the table needs."""
        return [
            *((Manner.CLEAN, budget) for budget in (*self.fixed, self.truth)),
            *((order, reference) for reference in self.references for order in ORDERS),
        ]

    def jobs(self, games: Sequence[Game]) -> list[Job]:
        """Return what is to be searched, game by game."""
        return [
            Job(game, manner, tuple(budget for each, budget in self.searches if each is manner))
            for game in games
            for manner in Manner
        ]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to spend nodes, over all games."""

    name: str
    """"fixed", "adaptive", "forward" or "reversed"."""
    reference: int
    nodes: float
    """Budget spent a position, all searches of it together, but for wishes."""
    wished: float | None
    """What the wishes of the built-in plugins take beyond it; None where the worker does not search so."""
    to_truth: Fidelity
    to_fixed: Fidelity
    """Against the fixed mode with the same reference."""


@dataclass(frozen=True, slots=True)
class Table:
    """What came out."""

    plan: Plan
    games: int
    plies: int
    positions: int
    """Of all games, those that recur in a game once."""
    rows: tuple[Row, ...]
    floors: dict[int, Fidelity]
    """By reference: how far the same fixed search in two orders, hash kept, agrees with itself."""
    beside_floor: dict[int, dict[str, Interval]]
    """By reference and measure: adaptive against fixed, less one order against the other."""
    beside_fixed: dict[int, dict[str, Interval]]
    """By reference and measure: adaptive against the truth, less fixed against the truth."""

    def row(self, name: str, reference: int) -> Row:
        """Return one row."""
        return next(row for row in self.rows if (row.name, row.reference) == (name, reference))


_Searches = dict[tuple[Manner, int], list[Search]]
"""One game's, from ply 0."""


def table(plan: Plan, games: Sequence[Game], cache: Cache) -> Table:
    """Compare; games of which searches are missing are left out."""
    found = [(game, searches) for game in games if (searches := _known(plan, game, cache)) is not None]
    judged = [{key: verdict(game, line) for key, line in searches.items()} for game, searches in found]
    truth = [verdicts[Manner.CLEAN, plan.truth] for verdicts in judged]
    positions = sum(len({*game.searched}) for game, _ in found)

    def row(
        name: str, reference: int, nodes: float, verdicts: Sequence[Verdict], wished: float | None = None
    ) -> Row:
        fixed = [each[Manner.CLEAN, reference] for each in judged]
        return Row(name, reference, nodes, wished, compare(truth, verdicts), compare(fixed, verdicts))

    def as_worker(budget: Budget) -> tuple[list[Analysis], float, float]:
        analyses = [_analysed(game, searches, budget) for game, searches in found]
        sums = (sum(each.spent for each in analyses), sum(each.wished for each in analyses))
        return analyses, sums[0] / max(1, positions), sums[1] / max(1, positions)

    floors, beside_floor, beside_fixed = {}, {}, {}
    rows = []
    for budget in plan.fixed:
        _, spent, wished = as_worker(Budget(budget, BudgetMode.FIXED))
        rows.append(row("fixed", budget, spent, [each[Manner.CLEAN, budget] for each in judged], wished))
    for reference in plan.references:
        analyses, spent, wished = as_worker(_adaptive(reference))
        verdicts = [verdict(game, each.searches) for (game, _), each in zip(found, analyses, strict=True)]
        fixed, *orders = ([each[manner, reference] for each in judged] for manner in (Manner.CLEAN, *ORDERS))
        floors[reference] = compare(*orders)
        beside_floor[reference] = differences((fixed, verdicts), (orders[0], orders[1]))
        beside_fixed[reference] = differences((truth, verdicts), (truth, fixed))
        rows.append(row("adaptive", reference, spent, verdicts, wished))
        rows += [
            row(order, reference, reference, [each[order, reference] for each in judged]) for order in ORDERS
        ]
    return Table(
        plan=plan,
        games=len(found),
        plies=sum(len(game.uci) for game, _ in found),
        positions=positions,
        rows=tuple(rows),
        floors=floors,
        beside_floor=beside_floor,
        beside_fixed=beside_fixed,
    )


def _known(plan: Plan, game: Game, cache: Cache) -> _Searches | None:
    searches: _Searches = {}
    for manner, budget in plan.searches:
        found = cache.found(manner, game, budget)
        if any(fen not in found for fen in game.searched):
            return None
        searches[manner, budget] = [found[fen] for fen in game.searched]
    return searches


def _analysed(game: Game, searches: _Searches, budget: Budget) -> Analysis:
    return analyse(game, budget, lambda ply, nodes: searches[Manner.CLEAN, nodes][ply])


def _adaptive(reference: int) -> Budget:
    return Budget(reference, BudgetMode.ADAPTIVE)
