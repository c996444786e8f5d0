"""How well did each side play, in the numbers that Lichess shows?"""

from collections import Counter
from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.games import Color
from app.contract.positions import Score
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput
from plugins.lichess import (
    INITIAL,
    Judgement,
    MoveScores,
    average_centipawn_loss,
    game_accuracies,
    judge,
)

Count = Annotated[int, Field(ge=0)]


class SideAccuracy(PluginOutput):
    """One side's numbers."""

    accuracy: Annotated[int, Field(ge=0, le=100)] | None
    """Percent; None unless both sides made a move that could be rated."""
    acpl: Annotated[int, Field(ge=0, le=2_000)] | None
    """Average centipawn loss; None without a rated move."""
    inaccuracies: Count
    mistakes: Count
    blunders: Count


class AccuracyResult(PluginOutput):
    """Both sides' numbers."""

    white: SideAccuracy
    black: SideAccuracy


class Accuracy(Plugin[AccuracyResult]):
    """Rates both sides as Lichess does."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "accuracy"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Accuracy"
    description: ClassVar[str] = (
        "Accuracy, average centipawn loss, inaccuracies, mistakes and blunders of both sides, "
        "by the formulas of Lichess over Scoresheet's own evaluations."
    )
    result_type: ClassVar[type[PluginOutput]] = AccuracyResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> AccuracyResult:
        """Rate both sides by the engine's evaluations."""
        scores: list[Score | None] = [evaluation.score for evaluation in game.evaluations[1:]]
        better_known = [
            bool(evaluation.pv) and evaluation.pv[0] != uci
            for evaluation, uci in zip(game.evaluations, game.uci, strict=False)
        ]
        if scores and scores[-1] == Score(mate=0):
            scores.pop()  # Lichess does not rate the move that mates
        return rate(scores, better_known, game.starts)


def rate(line: list[Score | None], better_known: list[bool], starts: Color) -> AccuracyResult:
    """Rate a game line as `plugins.lichess` defines it; `better_known[i]` belongs to ply i + 1."""
    other = Color.BLACK if starts is Color.WHITE else Color.WHITE
    moves = [
        MoveScores(starts if index % 2 == 0 else other, before, after, known)
        for index, (before, after, known) in enumerate(
            zip([INITIAL, *line], line, better_known, strict=False)
        )
    ]
    counts = Counter((move.mover, judge(move)) for move in moves)
    accuracies = game_accuracies(line, starts)

    def side(color: Color) -> SideAccuracy:
        return SideAccuracy(
            accuracy=accuracies[color] if accuracies else None,
            acpl=average_centipawn_loss(moves, color),
            inaccuracies=counts[color, Judgement.INACCURACY],
            mistakes=counts[color, Judgement.MISTAKE],
            blunders=counts[color, Judgement.BLUNDER],
        )

    return AccuracyResult(white=side(Color.WHITE), black=side(Color.BLACK))
