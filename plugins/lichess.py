"""How does Lichess turn evaluations into winning chances, judgements, centipawn loss and accuracy?

The numbers follow lila (lichess-org/lila @ 048bad8, 2026: modules/analyse AccuracyPercent and AccuracyCP,
modules/tree Advice and Analysis, modules/fishnet AnalysisBuilder) and scalachess (@ 37b6e72, core eval),
where each formula is named. Users know these numbers: they must not differ by our whim, quirks included.

A *game line* here is the sequence of scores after ply 1, 2, …, from White's view. As at Lichess it holds
neither the initial position, which counts as +15 centipawns whatever it is, nor a final position in which
a player is already mated. A score may be None where Lichess gave none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from app.contract.games import Color
from app.contract.positions import Score

CEILING_CP = 1_000
"""Beyond this an advantage counts no more; every mate counts as this much (scalachess `Cp.CEILING`)."""
INITIAL = Score(cp=15)
"""Worth of the position before the first move (scalachess `WhiteScore.initial`)."""


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


def judge(move: MoveScores) -> Judgement | None:
    """Return Lichess's label for a move, None for most (lila `CpAdvice`, then `MateAdvice`).

    Centipawns are not capped here, as they are everywhere else.
    """
    if not move.better_known or move.before is None or move.after is None:
        return None
    sign = 1 if move.mover is Color.WHITE else -1
    if move.before.cp is not None and move.after.cp is not None:
        loss = sign * (winning_chances(move.before.cp) - winning_chances(move.after.cp))
        return _by_thresholds(loss, 0.3, 0.2, 0.1)
    mate_before = sign * (move.before.mate or 0)
    mate_after = sign * (move.after.mate or 0)
    if mate_before > 0 and mate_after <= 0:  # a mate thrown away, or turned into the opponent's
        return _by_thresholds(-sign * (move.after.cp or 0), -700, -999)
    if move.before.mate is None and mate_after < 0:  # a mate allowed
        return _by_thresholds(sign * (move.before.cp or 0), -700, -999)
    return None


def _by_thresholds(
    value: float, blunder: float, mistake: float, inaccuracy: float = -math.inf
) -> Judgement | None:
    if value >= blunder:
        return Judgement.BLUNDER
    if value >= mistake:
        return Judgement.MISTAKE
    return Judgement.INACCURACY if value >= inaccuracy else None


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


def game_accuracies(line: Sequence[Score | None], starts: Color) -> dict[Color, int] | None:
    """Return both sides' accuracy in whole percent, None unless both moved (lila `gameAccuracy`).

    Moves in volatile phases weigh more: each carries the spread of Win% in a window of the game around
    it. A side's accuracy is the mean of its weighted mean and its harmonic mean.
    """
    # lila drops missing scores before it pairs the rest, so a gap in the middle turns the colours over.
    percents = [win_percent(score) for score in (INITIAL, *line) if score is not None]
    weights = _volatilities(percents)
    weighted: dict[Color, list[tuple[float, float]]] = {Color.WHITE: [], Color.BLACK: []}
    second = Color.BLACK if starts is Color.WHITE else Color.WHITE
    for index, ((before, after), weight) in enumerate(zip(pairwise(percents), weights, strict=False)):
        side = starts if index % 2 == 0 else second
        if side is Color.BLACK:
            before, after = after, before  # noqa: PLW2901 - White's fall is Black's gain
        weighted[side].append((move_accuracy(before, after), weight))
    if not all(weighted.values()):
        return None
    return {side: _half_up(_side_accuracy(entries)) for side, entries in weighted.items()}


def _volatilities(percents: Sequence[float]) -> list[float]:
    """Return the weight of each move: the clamped population deviation of Win% in its window."""
    size = max(2, min(8, (len(percents) - 1) // 10))
    opening = [percents[:size]] * (min(size, len(percents)) - 2)
    sliding = [percents[i : i + size] for i in range(max(1, len(percents) - size + 1))]
    return [max(0.5, min(12.0, _deviation(window))) for window in (*opening, *sliding)]


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _side_accuracy(entries: Sequence[tuple[float, float]]) -> float:
    weighted = sum(accuracy * weight for accuracy, weight in entries) / sum(weight for _, weight in entries)
    harmonic = len(entries) / sum(1 / max(1.0, accuracy) for accuracy, _ in entries)
    return (weighted + harmonic) / 2


def _half_up(value: float) -> int:
    # Java's Math.round; Python's round() takes halves to the even neighbour.
    return math.floor(value + 0.5)
