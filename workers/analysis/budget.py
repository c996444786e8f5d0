"""Which positions of a game deserve more nodes than they have had?

Most positions decide nothing: a cheap scan of all shows which moves could earn a label or be the largest
swing, and only the positions around those are searched again with more nodes, in steps up to the owner's
reference. Pure and deterministic: the same scores lead to the same searches, on any run.

A position gets more where a verdict over one of the two moves at it is likely to come out otherwise with the
reference, given how far scores move from so many nodes to that.
The constants were chosen and tested as docs/analysis.md tells.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from app.contract.analyses import BudgetMode
from app.contract.borrowing import Searched, lenders
from app.contract.games import Color
from app.contract.positions import Score
from plugins.lichess import INITIAL, MoveScores, capped_cp, judge, move_accuracy, winning_chances

_SCAN = 32
"""The scan gets the reference divided by this, …"""
_SCAN_NODES_MIN = 1_500
"""… but at least so many nodes: below, even the best move is often a guess."""
_SCAN_SHARE_MAX = 4
"""A scan of more than the reference divided by this would cost more than it saves: all get the reference."""
_STEP = 8
"""The searches between scan and reference get the reference divided by this."""
_DOUBT_PER_HALVING = 0.008
"""How far winning chances near 0 may be from the reference's, for each time that its nodes are halved."""
_EDGE_LABELLED = 0.7
_EDGE_UNLABELLED = 0.1
_EDGE_BEST = 0.02
"""Chances, at the very edge of a threshold, that a label changes, that a move without one gets one, and that
one does which the engine prefers itself: large losses are more often too large than too small."""
_REACH_LABELLED = 1.8
_REACH_BEST = 2.0
"""Over how many doubts the first and the last of these fall; the second falls over one."""
_EDGE_SWING = 1.2
"""Weight of the chance that of two swings of one size the other is the larger one."""
_MATE_DOUBT = 0.5
"""Chance that a label for allowing or losing a mate changes with what the other position is worth."""
_POINT = 0.8
"""What a point of a side's accuracy that hangs on a score counts, where a changed label counts 1."""
_AT_STAKE = 0.56
"""From so much on a position is searched deeper; tuned to less than a quarter of the fixed mode's nodes."""
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
        stakes = [0.0, *_stakes(starts, _lent(found), reference), 0.0]
        for ply, (earlier, here, later) in enumerate(zip(stakes, stakes[1:], stakes[2:], strict=False)):
            # Of neighbours only one at a time: what it shows may settle the other.
            if here >= _AT_STAKE and here > earlier and here >= later:
                wanted.setdefault(ply, next(step for step in steps(budget) if step > found[ply].nodes))
    return wanted


def _lent(found: Sequence[Found]) -> list[Found]:
    """Return the positions with the scores that count in the end, and the nodes that these rest on."""
    searched = [Searched(item.nodes, item.score.mate is not None, item.best, item.played) for item in found]
    return [
        replace(item, score=found[lender].score, nodes=found[lender].nodes)
        for item, lender in zip(found, lenders(searched), strict=True)
    ]


def _stakes(starts: Color, found: Sequence[Found], reference: int) -> list[float]:
    """Return what hangs on each position: chances that verdicts change, and points of accuracy."""
    doubts = [_doubt(item, reference) for item in found]
    doubts[:1] = [0.0]  # whatever the first position is worth, Lichess's rules take INITIAL
    losses = [_loss(starts, ply, found) for ply in range(1, len(found))]
    largest = sorted((abs(loss) for loss in losses), reverse=True)[:2]
    slopes = _accuracy_slopes(losses)
    stakes = [0.0] * len(found)
    for ply, (loss, slope) in enumerate(zip(losses, slopes, strict=True), start=1):
        doubt = math.hypot(doubts[ply - 1], doubts[ply])
        if doubt == 0:
            continue
        rival = largest[-1] if abs(loss) == largest[0] else largest[0]
        stake = (
            _label_chance(starts, ply, found, doubt)
            + _chance(_EDGE_SWING, abs(abs(loss) - rival), doubt)
            + _POINT * slope * doubt
        )
        for at in (ply - 1, ply):
            stakes[at] += stake if doubts[at] else 0.0
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


def _doubt(item: Found, reference: int) -> float:
    """Return how far a position's winning chances may be from those of a search with the reference."""
    if item.score.cp is None or not 0 < item.nodes < reference:  # a mate that was found is there
        return 0.0
    chances = winning_chances(item.score.cp)
    return _DOUBT_PER_HALVING * math.log2(reference / item.nodes) * math.sqrt(1 - chances * chances)


def _chance(edge: float, distance: float, doubt: float) -> float:
    """Return a chance, `edge` at no distance, that falls with the distance by Laplace's law."""
    return edge * math.exp(-distance / doubt)


def _mover_sign(starts: Color, ply: int) -> int:
    return 1 if (starts is Color.WHITE) is (ply % 2 == 1) else -1


def _before(found: Sequence[Found], ply: int) -> Score:
    return found[ply - 1].score if ply > 1 else INITIAL


def _loss(starts: Color, ply: int, found: Sequence[Found]) -> float:
    """Return how far the mover's winning chances fell, with Lichess's cap; a gain is negative."""
    sign = _mover_sign(starts, ply)
    before = sign * winning_chances(capped_cp(_before(found, ply)))
    after = found[ply].score
    # Whoever is mated in a mate 0, it is not the mover.
    return before - (1.0 if after.mate == 0 else sign * winning_chances(capped_cp(after)))


def _label_chance(starts: Color, ply: int, found: Sequence[Found], doubt: float) -> float:
    """Return the chance that Lichess's label of a move is another one with the reference."""
    before, after = _before(found, ply), found[ply].score
    sign = _mover_sign(starts, ply)
    if before.cp is not None and after.cp is not None:
        loss = sign * (winning_chances(before.cp) - winning_chances(after.cp))
        distance = min(abs(loss - threshold) for threshold in _THRESHOLDS)
        if found[ply - 1].best == found[ply - 1].played:
            return _chance(_EDGE_BEST, distance, _REACH_BEST * doubt)
        if loss < _THRESHOLDS[0]:
            return _chance(_EDGE_UNLABELLED, distance, doubt)
        # Flat at first, unlike the others: a label within a doubt of the threshold is as open as one at it.
        return _EDGE_LABELLED * math.exp(-((distance / (_REACH_LABELLED * doubt)) ** 2))
    if after.mate == 0:
        return 0.0
    mover = Color.WHITE if sign == 1 else Color.BLACK
    judged = judge(MoveScores(mover, before, after, better_known=True))
    return _MATE_DOUBT if judged is not None else 0.0
