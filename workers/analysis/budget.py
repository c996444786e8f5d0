"""Which positions of a game deserve more nodes than they have had?

Most positions decide nothing: a cheap scan of all shows which moves could earn a label or be the largest
swing, and only the positions around those are searched again with more nodes, in steps up to the owner's
reference. Pure and deterministic: the same scores lead to the same searches, on any run.

A position gets more where a verdict over one of the two moves at it is likely to come out otherwise with the
reference, given how far its score may be off: by its nodes, and by how badly those beside it agree with it.
Scores are those of the positions' own searches here: what a neighbour lends in the end
(`app.contract.borrowing`) would hide that the two contradict each other.
The constants were chosen and tested as docs/analysis.md tells.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from app.contract.analyses import BudgetMode
from app.contract.games import Color
from app.contract.positions import Score
from plugins.lichess import INITIAL, capped_cp, move_accuracy, winning_chances

_SCAN = 32
"""The scan gets the reference divided by this, …"""
_SCAN_NODES_MIN = 1_500
"""… but at least so many nodes: below, even the best move is often a guess."""
_SCAN_SHARE_MAX = 4
"""A scan of more than the reference divided by this would cost more than it saves: all get the reference."""
_STEP = 8
"""The searches between scan and reference get the reference divided by this."""
_WISH = 16
"""A search for several lines gets the reference divided by this, and no less than the scan, since the worker
is not shown what rests on less. Chosen as docs/analysis.md tells."""
_DOUBT_EVEN = 0.0026
"""How far winning chances near 0 may be from the reference's, for each time that its nodes are halved."""
_DOUBT_UNEVEN = 0.008
"""How much more with their distance from 0. Both vanish where a game is decided."""
_DOUBT_CONTRADICTED = 0.035
"""How much more by what two neighbouring scores contradict each other: the best move loses nothing, and no
move gains."""
_DOUBT_LOST = 0.008
"""How much more by what a move beside the position lost without such a contradiction."""
_DOUBLED_AFTER = 80
"""All doubt is twice as large after so many plies: endgames need depth."""
_CHANGED_LABELLED = 0.7
_REACH_LABELLED = 1.4
"""Chance that a label changes at the very edge of a threshold, and over how many doubts that falls."""
_CHANGED_UNLABELLED = 0.25
"""That a move without a label gets one; over one doubt. Losses are more often too large than too small."""
_CHANGED_BEST = 0.03
"""That a move gets one which the engine prefers itself; over one doubt, too."""
_CHANGED_MATE = 0.3
"""That a label for allowing or losing a mate changes with what the other position is worth."""
_BLUNDER = 0.4
"""What a blunder that is or is not one counts beyond its label, at the edge."""
_SWING = 0.6
"""What the largest swing counts where two moves are level."""
_POINT = 0.8
"""What a point of a side's accuracy that hangs on a score counts, where a changed label counts 1."""
_AT_STAKE = 0.285
"""From so much on a position is searched deeper; tuned to less than a quarter of the fixed mode's nodes …"""
_AT_STAKE_REFERENCE = 0.51
"""… and from so much on with the whole reference, which takes more of them."""
_THRESHOLDS = (0.1, 0.2, 0.3)
"""Losses of winning chances at which Lichess's label changes (`plugins.lichess.judge`)."""


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
    """The budget that the score rests on; 0 where it is exact and no search could add to it."""
    best: str | None
    """The best move in UCI notation; None where the game is over."""
    played: str | None
    """The move that was made; None in the last position."""


def steps(budget: Budget) -> tuple[int, ...]:
    """Return the budgets that a position can get: the scan's first, which all get, the reference last."""
    reference = budget.reference_nodes
    if budget.mode is BudgetMode.FIXED:
        return (reference,)
    scan = max(_SCAN_NODES_MIN, reference // _SCAN)
    if scan > reference // _SCAN_SHARE_MAX:
        return (reference,)
    return tuple(sorted({scan, max(scan, reference // _STEP), reference}))


def scan_nodes(budget: Budget) -> int:
    """Return the nodes that every position of a game gets first."""
    return steps(budget)[0]


def wish_nodes(budget: Budget, *, full: bool) -> int:
    """Return the nodes of a search for several lines; `full` is a wish for the whole reference.

    The same at every position, whatever its score rests on: so a game that comes to a position by other moves
    finds there what it would search.
    """
    if full or budget.mode is BudgetMode.FIXED:
        return budget.reference_nodes
    return max(scan_nodes(budget), budget.reference_nodes // _WISH)


def deepen(
    starts: Color, found: Sequence[Found], budget: Budget, full: AbstractSet[int] = frozenset()
) -> dict[int, int]:
    """Return the searches to make next: nodes by ply, always more than the position has had.

    `found` has the positions of one game from ply 0, each with at least the nodes of the scan; `starts` makes
    the first move. The plies in `full` are wished for with the whole reference. To be called again with what
    the searches found, until nothing is returned: then no verdict is open any more.
    """
    reference = budget.reference_nodes
    wanted = {ply: reference for ply in sorted(full) if 0 < found[ply].nodes < reference}
    if budget.mode is BudgetMode.ADAPTIVE:
        nexts = [next((step for step in steps(budget) if step > item.nodes), reference) for item in found]
        edges = [_AT_STAKE if step < reference else _AT_STAKE_REFERENCE for step in nexts]
        stakes = [stake / edge for stake, edge in zip(_stakes(starts, found, reference), edges, strict=True)]
        bounds = [0.0, *stakes, 0.0]
        for ply, (earlier, here, later) in enumerate(zip(bounds, bounds[1:], bounds[2:], strict=False)):
            # Of neighbours only one at a time: what it shows may settle the other.
            if here >= 1 and here > earlier and here >= later:
                wanted.setdefault(ply, nexts[ply])
    return wanted


def _stakes(starts: Color, found: Sequence[Found], reference: int) -> list[float]:
    """Return what hangs on each position: chances that verdicts change, and points of accuracy."""
    doubts = _doubts(starts, found, reference)
    doubts[:1] = [0.0]  # whatever the first position is worth, Lichess's rules take INITIAL
    losses = [_loss(starts, ply, _before(found, ply), found[ply].score) for ply in range(1, len(found))]
    largest = sorted((abs(loss) for loss in losses), reverse=True)[:2]
    slopes = _accuracy_slopes(losses)
    stakes = [0.0] * len(found)
    for ply, (loss, slope) in enumerate(zip(losses, slopes, strict=True), start=1):
        doubt = math.hypot(doubts[ply - 1], doubts[ply])
        if doubt == 0:
            continue
        rival = largest[-1] if abs(loss) == largest[0] else largest[0]
        stake = (
            _label_stake(starts, ply, found, doubt)
            + _SWING * math.exp(-abs(abs(loss) - rival) / doubt)
            + _POINT * slope * doubt
        )
        for at in (ply - 1, ply):
            stakes[at] += stake * (doubts[at] / doubt) ** 2
    # No last bit that differs between math libraries shall decide.
    return [round(stake, 9) for stake in stakes]


def _accuracy_slopes(losses: Sequence[float]) -> list[float]:
    """Return the points of accuracy that each move's side loses with the move's winning chances, per unit.

    Half of a side's accuracy is the harmonic mean of its moves' (`plugins.lichess.game_accuracies`), in which
    a few bad moves outweigh all others: how bad they were must be known well. The other half is left out.
    """
    accuracies = [max(1.0, move_accuracy(50 * loss, 0)) for loss in losses]
    slopes = [0.0] * len(losses)
    for side in (0, 1):
        moves = range(side, len(losses), 2)
        inverse = sum(1 / accuracies[at] for at in moves)
        for at in moves:
            # The derivative of move_accuracy, by Win%, which is 50 times the chances.
            fall = 50 * 0.04354415386753951 * (accuracies[at] + 2.166924740191411)
            slopes[at] = 0.5 * len(moves) / inverse**2 * fall / accuracies[at] ** 2
    return slopes


def _doubts(starts: Color, found: Sequence[Found], reference: int) -> list[float]:
    """Return how far each position's winning chances may be from those of a search with the reference."""
    contradicted, lost = [0.0] * (len(found) + 1), [0.0] * (len(found) + 1)  # by the move that leads to a ply
    for ply in range(1, len(found)):
        before, after = found[ply - 1], found[ply]
        loss = 0.0 if after.score.mate == 0 else _loss(starts, ply, before.score, after.score)
        if before.best == before.played:
            contradicted[ply] = abs(loss)
        elif loss < 0:
            contradicted[ply] = -loss
        else:
            lost[ply] = loss
    doubts = []
    for ply, item in enumerate(found):
        if item.score.cp is None or not 0 < item.nodes < reference:  # a mate that was found is there
            doubts.append(0.0)
            continue
        chances = abs(winning_chances(item.score.cp))
        doubt = (
            (1 - chances * chances) * (_DOUBT_EVEN + _DOUBT_UNEVEN * chances)
            + _DOUBT_CONTRADICTED * (contradicted[ply] + contradicted[ply + 1])
            + _DOUBT_LOST * (lost[ply] + lost[ply + 1])
        )
        doubts.append(doubt * math.log2(reference / item.nodes) * (1 + ply / _DOUBLED_AFTER))
    return doubts


def _mover_sign(starts: Color, ply: int) -> int:
    return 1 if (starts is Color.WHITE) is (ply % 2 == 1) else -1


def _before(found: Sequence[Found], ply: int) -> Score:
    return found[ply - 1].score if ply > 1 else INITIAL


def _loss(starts: Color, ply: int, before: Score, after: Score) -> float:
    """Return how far the mover's winning chances fell, with Lichess's cap; a gain is negative."""
    sign = _mover_sign(starts, ply)
    # Whoever is mated in a mate 0, it is not the mover.
    remaining = 1.0 if after.mate == 0 else sign * winning_chances(capped_cp(after))
    return sign * winning_chances(capped_cp(before)) - remaining


def _label_stake(starts: Color, ply: int, found: Sequence[Found], doubt: float) -> float:
    """Return the chance that a move's label is another with the reference, with what a blunder adds."""
    before, after = _before(found, ply), found[ply].score
    if after.mate == 0:
        return 0.0
    best = found[ply - 1].best == found[ply - 1].played
    if before.cp is None or after.cp is None:
        return _CHANGED_BEST if best else _CHANGED_MATE
    loss = _mover_sign(starts, ply) * (winning_chances(before.cp) - winning_chances(after.cp))
    distance = min(abs(loss - threshold) for threshold in _THRESHOLDS) / doubt
    if best:
        return _CHANGED_BEST * math.exp(-distance)
    blunder = _BLUNDER * math.exp(-abs(loss - _THRESHOLDS[-1]) / doubt)
    if loss < _THRESHOLDS[0]:
        return _CHANGED_UNLABELLED * math.exp(-distance) + blunder
    # Flat at first, unlike the others: a label within a doubt of the threshold is as open as one at it.
    return _CHANGED_LABELLED * math.exp(-((distance / _REACH_LABELLED) ** 2)) + blunder
