"""How much do two analyses of the same games agree in what a player gets to see?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.contract.games import Color
from app.contract.positions import Score
from plugins.lichess import (
    CEILING_CP,
    INITIAL,
    Judgement,
    MoveScores,
    capped_cp,
    game_accuracies,
    judge,
    winning_chances,
)
from tests.bench.analysis.games import Game
from tests.bench.bare_engine import Search


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the plugins would say of one game."""

    labels: tuple[Judgement | None, ...]
    """Of each move, as `plugins.accuracy` judges it."""
    largest_swing: int
    """The ply of it, as `plugins.largest_swing` finds it."""
    accuracies: tuple[int, ...]
    """Of both sides, in percent; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far an analysis of some games agrees with another that is taken for the truth."""

    labels: float
    """Share of moves with the same label."""
    blunders: float
    """Share of the true blunders that are called so."""
    swings: float
    """Share of games with the same move as the largest swing."""
    accuracy_error: float
    """Mean distance of a side's accuracy, in percentage points."""


def verdict(game: Game, analysis: Sequence[Search]) -> Verdict:
    """Return what follows from the evaluations of a game's positions (those of `game.searched`)."""
    scores = [item.score for item in analysis]
    line: list[Score | None] = [*scores[1:]]  # a final mate is no part of it; see plugins.lichess
    if game.over and not game.mated:
        line.append(Score(cp=0))
    second = Color.BLACK if game.starts is Color.WHITE else Color.WHITE
    labels = tuple(
        judge(MoveScores(second if at % 2 else game.starts, before, after, analysis[at].best != game.uci[at]))
        for at, (before, after) in enumerate(zip([INITIAL, *line], line, strict=False))
    )
    accuracies = game_accuracies(line, game.starts) or {}
    return Verdict(
        labels, _largest_swing(game, scores), tuple(accuracies[color] for color in sorted(accuracies))
    )


def compare(truths: Sequence[Verdict], others: Sequence[Verdict]) -> Fidelity:
    """Return how far the others agree with the truths, game by game."""
    moves = [
        pair
        for truth, other in zip(truths, others, strict=True)
        for pair in zip(truth.labels, other.labels, strict=True)
    ]
    blunders = [other for truth, other in moves if truth is Judgement.BLUNDER]
    errors = [
        abs(one - two)
        for truth, other in zip(truths, others, strict=True)
        for one, two in zip(truth.accuracies, other.accuracies, strict=True)
    ]
    return Fidelity(
        labels=_share(truth is other for truth, other in moves),
        blunders=_share(other is Judgement.BLUNDER for other in blunders),
        swings=_share(
            truth.largest_swing == other.largest_swing for truth, other in zip(truths, others, strict=True)
        ),
        accuracy_error=sum(errors) / len(errors) if errors else 0.0,
    )


def _largest_swing(game: Game, scores: Sequence[Score]) -> int:
    chances = [winning_chances(capped_cp(score)) for score in scores]
    if game.over:
        white_wins = (len(game.uci) % 2 == 1) is (game.starts is Color.WHITE)
        chances.append(winning_chances(CEILING_CP if white_wins else -CEILING_CP) if game.mated else 0.0)
    changes = [abs(after - before) for before, after in pairwise(chances)]
    return changes.index(max(changes)) + 1


def _share(outcomes: Iterable[bool]) -> float:
    counted = [*outcomes]
    return sum(counted) / len(counted) if counted else 1.0
