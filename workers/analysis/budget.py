"""Which positions of a game deserve more nodes than they have had?

Most positions decide nothing: a cheap scan of all shows which moves could earn a label or weigh in a game's
numbers, and only the positions around those are searched again with more nodes, in steps up to the owner's
reference. Pure and deterministic: the same scores lead to the same searches, on any run.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

from app.contract.analyses import BudgetMode
from app.contract.games import Color
from app.contract.positions import Score
from plugins.lichess import MoveScores, capped_cp, judge, winning_chances

_SCAN = 1 / 16
_STEPS = (1 / 4, 1.0)
"""Shares of the reference that the scan and the deeper searches get."""
_SCAN_NODES_MIN = 1_000
"""Below this even the best move is often a guess."""
_THRESHOLDS = (0.1, 0.2, 0.3)
"""Losses of winning chances at which Lichess's label changes."""
_MARGINS = {_SCAN: 0.06, _STEPS[0]: 0.03}
"""How far a loss may still move when both positions rest on this share of the reference."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the owner grants."""

    reference_nodes: int
    """Most nodes that any position gets unless a stored evaluation has more."""
    mode: BudgetMode


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the position after a ply."""

    score: Score
    """From White's view."""
    nodes: int
    """The budget that the score rests on."""
    best: str | None
    """The best move in UCI notation; None where the game is over, and nothing is left to search."""
    played: str | None
    """The move that was made; None in the last position."""


def scan_nodes(budget: Budget) -> int:
    """Return the nodes that every position of a game gets first."""
    if budget.mode is BudgetMode.FIXED:
        return budget.reference_nodes
    return min(budget.reference_nodes, max(_SCAN_NODES_MIN, round(_SCAN * budget.reference_nodes)))


def deepen(
    starts: Color, found: Sequence[Found], budget: Budget, full: AbstractSet[int] = frozenset()
) -> dict[int, int]:
    """Return the searches to make next: nodes by ply; empty when nothing can change any more.

    `found` has the positions of one game from ply 0, each with at least the nodes of the scan; `starts` makes
    the first move. The plies in `full` are wished for at the reference. To be called again with what the
    searches found. Never asks for less than a position has, nor for more than the reference.
    """
    reference = budget.reference_nodes
    wanted = {ply: reference for ply in full if _improvable(found[ply], reference)}
    if budget.mode is BudgetMode.ADAPTIVE:
        for ply in _at_stake(starts, found, reference):
            nodes = _next_step(found[ply].nodes, reference)
            wanted.setdefault(ply, nodes)
    return wanted


def _improvable(item: Found, nodes: int) -> bool:
    return item.best is not None and item.nodes < nodes


def _next_step(nodes: int, reference: int) -> int:
    return next((step for share in _STEPS if (step := round(share * reference)) > nodes), reference)


def _at_stake(starts: Color, found: Sequence[Found], reference: int) -> Iterator[int]:
    """Yield the plies of positions on which a label, or the largest swing, could still turn."""
    movers = [starts if ply % 2 else _other(starts) for ply in range(1, len(found))]
    losses = [_loss(mover, *pair) for mover, pair in zip(movers, pairwise(found), strict=True)]
    largest = max(map(abs, losses), default=0.0)
    for ply, (mover, loss) in enumerate(zip(movers, losses, strict=True), start=1):
        pair = [at for at in (ply - 1, ply) if _improvable(found[at], reference)]
        nodes = min((found[at].nodes for at in pair), default=reference)
        margin = next((room for share, room in _MARGINS.items() if nodes <= share * reference), 0.0)
        if abs(loss) > largest - margin or _label_open(mover, found[ply - 1], found[ply], margin):
            yield from (at for at in pair if found[at].nodes == nodes)


def _loss(mover: Color, before: Found, after: Found) -> float:
    """Return how far the mover's winning chances fell, with Lichess's cap; a gain is negative."""
    sign = 1 if mover is Color.WHITE else -1
    before_move = winning_chances(capped_cp(before.score))
    # Whoever is mated in a mate 0, it was not the mover.
    after_move = 1.0 if after.score.mate == 0 else sign * winning_chances(capped_cp(after.score))
    return sign * before_move - after_move


def _label_open(mover: Color, before: Found, after: Found, margin: float) -> bool:
    """Tell whether Lichess's label of a move could be another one (`plugins.lichess.judge`)."""
    if after.score.mate == 0 or margin == 0:
        return False
    if before.score.cp is None or after.score.cp is None:
        return judge(MoveScores(mover, before.score, after.score, better_known=True)) is not None
    sign = 1 if mover is Color.WHITE else -1
    loss = sign * (winning_chances(before.score.cp) - winning_chances(after.score.cp))
    return any(abs(loss - threshold) < margin for threshold in _THRESHOLDS)


def _other(color: Color) -> Color:
    return Color.BLACK if color is Color.WHITE else Color.WHITE
