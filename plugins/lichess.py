"""How does Lichess turn evaluations into winning chances, judgements, centipawn loss and accuracy?

The numbers follow lila (lichess-org/lila @ 048bad8, 2026: modules/analyse AccuracyPercent and AccuracyCP,
modules/tree Advice and Analysis, modules/fishnet AnalysisBuilder) and scalachess (@ 37b6e72, core eval),
where each formula is named. Users know these numbers: they must not differ by our whim, quirks included.

A *game line* here is the sequence of scores after ply 1, 2, …, from White's view. As at Lichess it holds
neither the initial position, which counts as +15 centipawns whatever it is, nor a final position in which
a player is already mated. A score may be None where Lichess gave none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from app.contract.games import Color
from app.contract.positions import Score

CEILING_CP = 1_000
"""Beyond this an advantage counts no more; every mate counts as this much (scalachess `Cp.CEILING`)."""
INITIAL = Score(cp=15)
"""Worth of the position before the first move (scalachess `WhiteScore.initial`)."""
THRESHOLDS = (0.1, 0.2, 0.3)
"""Loss of winning chances from which a move is an inaccuracy, a mistake, a blunder (lila `CpAdvice`)."""
MATE_THRESHOLDS_CP = (999, 700)
"""Advantage beyond which a mate won or lost is only an inaccuracy, a mistake (lila `MateAdvice`)."""


class Judgement(StrEnum):
    """What Lichess calls a move that lost winning chances."""

    INACCURACY = "inaccuracy"
    MISTAKE = "mistake"
    BLUNDER = "blunder"


@dataclass(frozen=True, slots=True)
class MoveScores:
    """One move with the scores around it, from White's view."""

    mover: Color
    before: Score | None
    after: Score | None
    better_known: bool
    """Whether the engine prefers another move: the one it prefers is never judged."""


def winning_chances(cp: float) -> float:
    """Return the chances that centipawns stand for, in [-1, 1], same view (scalachess `winningChances`)."""
    return 2 / (1 + math.exp(-0.00368208 * cp)) - 1


def capped_cp(score: Score) -> int:
    """Return a score's centipawns within ±`CEILING_CP`, from White's view; raises ValueError on mate 0.

    Who is mated in a mate 0 only the side to move tells: such a position is no part of a game line.
    """
    if score.mate is not None:
        if score.mate == 0:
            raise ValueError("a mate that is on the board already has no sign")
        return CEILING_CP if score.mate > 0 else -CEILING_CP
    assert score.cp is not None  # noqa: S101 - a score is one or the other
    return max(-CEILING_CP, min(CEILING_CP, score.cp))


def win_percent(score: Score) -> float:
    """Return White's Win% in (0, 100) (scalachess `WinPercent.fromCentiPawns`)."""
    return 50 + 50 * winning_chances(capped_cp(score))


def move_accuracy(win_percent_before: float, win_percent_after: float) -> float:
    """Return the accuracy of one move in [0, 100]; both Win% are the mover's (lila `fromWinPercents`)."""
    if win_percent_after >= win_percent_before:
        return 100.0
    fall = win_percent_before - win_percent_after
    raw = 103.1668100711649 * math.exp(-0.04354415386753951 * fall) - 3.166924740191411
    return max(0.0, min(100.0, raw + 1))


def judge(move: MoveScores, chances: Callable[[float], float] = winning_chances) -> Judgement | None:
    """Return Lichess's label for a move, None for most (lila `CpAdvice`, then `MateAdvice`).

    Centipawns are not capped here, as they are everywhere else. `chances` is for those who compare with
    other versions of lila.
    """
    if not move.better_known or move.before is None or move.after is None:
        return None
    sign = 1 if move.mover is Color.WHITE else -1
    if move.before.cp is not None and move.after.cp is not None:
        loss = sign * (chances(move.before.cp) - chances(move.after.cp))
        inaccuracy, mistake, blunder = THRESHOLDS
        return _by_thresholds(loss, blunder, mistake, inaccuracy)
    mate_before = sign * (move.before.mate or 0)
    mate_after = sign * (move.after.mate or 0)
    inaccuracy_cp, mistake_cp = MATE_THRESHOLDS_CP
    if mate_before > 0 and mate_after <= 0:  # a mate thrown away, or turned into the opponent's
        return _by_thresholds(-sign * (move.after.cp or 0), -mistake_cp, -inaccuracy_cp)
    if move.before.mate is None and mate_after < 0:  # a mate allowed
        return _by_thresholds(sign * (move.before.cp or 0), -mistake_cp, -inaccuracy_cp)
    return None


def _by_thresholds(
    value: float, blunder: float, mistake: float, inaccuracy: float = -math.inf
) -> Judgement | None:
    if value >= blunder:
        return Judgement.BLUNDER
    if value >= mistake:
        return Judgement.MISTAKE
    return Judgement.INACCURACY if value >= inaccuracy else None


def threshold_distance(move: MoveScores) -> float:
    """Return how far a move's loss is from the nearest threshold of `judge`, in winning chances, up to 2.

    The nearer, the less it takes to give it another label. Where no threshold applies, as in a mate kept or a
    score that is missing, that is 2.
    """
    if move.before is None or move.after is None:
        return 2.0
    sign = 1 if move.mover is Color.WHITE else -1
    before, after = move.before, move.after
    if before.cp is not None and after.cp is not None:
        loss = sign * (winning_chances(before.cp) - winning_chances(after.cp))
        return min(abs(loss - threshold) for threshold in THRESHOLDS)
    if sign * (before.mate or 0) > 0 and after.cp is not None:
        kept = sign * after.cp
    elif before.cp is not None and sign * (after.mate or 0) < 0:
        kept = -sign * before.cp
    else:
        return 2.0
    return min(abs(winning_chances(kept) - winning_chances(threshold)) for threshold in MATE_THRESHOLDS_CP)


def centipawn_loss(move: MoveScores) -> int | None:
    """Return what a move lost, at least 0, None where a score is missing (lila `AccuracyCP.diffsList`)."""
    if move.before is None or move.after is None:
        return None
    fall = capped_cp(move.before) - capped_cp(move.after)
    return max(0, fall if move.mover is Color.WHITE else -fall)


def average_centipawn_loss(moves: Sequence[MoveScores], side: Color) -> int | None:
    """Return one side's ACPL, None without a move to judge (lila `AccuracyCP.mean`)."""
    losses = [loss for move in moves if move.mover is side and (loss := centipawn_loss(move)) is not None]
    return _half_up(sum(losses) / len(losses)) if losses else None


@dataclass(frozen=True, slots=True)
class MoveAccuracy:
    """One move's part in its side's accuracy."""

    ply: int
    """Of the move, from 1."""
    mover: Color
    accuracy: float
    """Percent."""
    weight: float
    """The spread of Win% in a window of the game around it: moves in volatile phases weigh more."""


def move_accuracies(line: Sequence[Score | None], starts: Color) -> list[MoveAccuracy]:
    """Return the accuracy and the weight of each move with a score, in order (lila `gameAccuracy`)."""
    # lila drops missing scores before it pairs the rest, so a gap in the middle turns the colours over.
    scored = [(ply, score) for ply, score in enumerate((INITIAL, *line)) if score is not None]
    percents = [win_percent(score) for _, score in scored]
    second = Color.BLACK if starts is Color.WHITE else Color.WHITE
    found = []
    for index, ((before, after), weight) in enumerate(
        zip(pairwise(percents), _volatilities(percents), strict=False)
    ):
        side = starts if index % 2 == 0 else second
        fall = (before, after) if side is Color.WHITE else (after, before)  # White's fall is Black's gain
        found.append(MoveAccuracy(scored[index + 1][0], side, move_accuracy(*fall), weight))
    return found


def accuracy(moves: Sequence[MoveAccuracy]) -> int | None:
    """Return the accuracy of one side's moves in whole percent, None of none (lila `colorAccuracy`).

    It is the mean of the weighted mean and the harmonic mean.
    """
    if not moves:
        return None
    weighted = sum(move.accuracy * move.weight for move in moves) / sum(move.weight for move in moves)
    harmonic = len(moves) / sum(1 / max(1.0, move.accuracy) for move in moves)
    return _half_up((weighted + harmonic) / 2)


def game_accuracies(line: Sequence[Score | None], starts: Color) -> dict[Color, int] | None:
    """Return both sides' accuracy in whole percent, None unless both moved (lila `gameAccuracy`)."""
    moves = move_accuracies(line, starts)
    found = {side: accuracy([move for move in moves if move.mover is side]) for side in Color}
    white, black = found[Color.WHITE], found[Color.BLACK]
    return None if white is None or black is None else {Color.WHITE: white, Color.BLACK: black}


def _volatilities(percents: Sequence[float]) -> list[float]:
    """Return the weight of each move: the clamped population deviation of Win% in its window."""
    size = max(2, min(8, (len(percents) - 1) // 10))
    opening = [percents[:size]] * (min(size, len(percents)) - 2)
    sliding = [percents[i : i + size] for i in range(max(1, len(percents) - size + 1))]
    return [max(0.5, min(12.0, _deviation(window))) for window in (*opening, *sliding)]


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _half_up(value: float) -> int:
    # Java's Math.round; Python's round() takes halves to the even neighbour.
    return math.floor(value + 0.5)
