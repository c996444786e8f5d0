"""How much do two analyses of the same games agree in what a player gets to see?"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles
from typing import NamedTuple

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


class Interval(NamedTuple):
    """A difference, and between which values it is in 95 of 100 draws of games."""

    value: float
    low: float
    high: float


Pair = tuple[Sequence[Verdict], Sequence[Verdict]]
"""What is taken for the truth of some games, and what is held against it."""


def compare(truths: Sequence[Verdict], others: Sequence[Verdict]) -> Fidelity:
    """Return how far the others agree with the truths, game by game."""
    return _fidelity([_count(*each) for each in zip(truths, others, strict=True)])


def differences(one: Pair, other: Pair, draws: int = 1_000) -> dict[str, Interval]:
    """Return by measure how much higher it is for the one than for the other, over the same games.

    The interval is that of a bootstrap over games: as many as there are, drawn again with repetition.
    """
    sides = [[_count(*each) for each in zip(*pair, strict=True)] for pair in (one, other)]
    chance = random.Random(1)  # the same figures on every run
    games = range(len(sides[0]))
    drawn = [games, *(chance.choices(games, k=len(games)) for _ in range(draws))]
    compared = [[_fidelity([side[at] for at in each]) for side in sides] for each in drawn]
    found = {}
    for measure in Fidelity.__slots__:
        value, *rest = (getattr(mine, measure) - getattr(theirs, measure) for mine, theirs in compared)
        cuts = quantiles(rest, n=40)
        found[measure] = Interval(value, cuts[0], cuts[-1])
    return found


class _Count(NamedTuple):
    """What is counted in one game."""

    moves: int
    labels: int
    """Of the moves, those with the same label."""
    blunders: int
    found: int
    """Of the blunders, those called so."""
    swing: int
    """1 if the largest is the same move."""
    sides: int
    """With an accuracy."""
    error: int
    """Of their accuracies together."""


def _count(truth: Verdict, other: Verdict) -> _Count:
    labels = [*zip(truth.labels, other.labels, strict=True)]
    blunders = [theirs for true, theirs in labels if true is Judgement.BLUNDER]
    errors = [abs(true - theirs) for true, theirs in zip(truth.accuracies, other.accuracies, strict=True)]
    return _Count(
        moves=len(labels),
        labels=sum(true is theirs for true, theirs in labels),
        blunders=len(blunders),
        found=sum(label is Judgement.BLUNDER for label in blunders),
        swing=int(truth.largest_swing == other.largest_swing),
        sides=len(errors),
        error=sum(errors),
    )


def _fidelity(games: Sequence[_Count]) -> Fidelity:
    total = _Count(*map(sum, zip(*games, strict=True)))
    return Fidelity(
        labels=total.labels / total.moves if total.moves else 1.0,
        blunders=total.found / total.blunders if total.blunders else 1.0,
        swings=total.swing / len(games),
        accuracy_error=total.error / total.sides if total.sides else 0.0,
    )


def _largest_swing(game: Game, scores: Sequence[Score]) -> int:
    chances = [winning_chances(capped_cp(score)) for score in scores]
    if game.over:
        white_wins = (len(game.uci) % 2 == 1) is (game.starts is Color.WHITE)
        chances.append(winning_chances(CEILING_CP if white_wins else -CEILING_CP) if game.mated else 0.0)
    changes = [abs(after - before) for before, after in pairwise(chances)]
    return changes.index(max(changes)) + 1
