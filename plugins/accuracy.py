"""How well did each side play, in the numbers that Lichess shows?"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.games import Color
from app.contract.positions import Score
from app.contract.wire import Ply
from plugins.api import AnalysedGame, Division, Needs, Plugin, PluginOutput
from plugins.lichess import (
    INITIAL,
    Judgement,
    MoveScores,
    accuracy,
    average_centipawn_loss,
    judge,
    move_accuracies,
)
from plugins.moves import better_known, game_line
from plugins.phases import Phase, division_of, phase_of

Count = Annotated[int, Field(ge=0)]
WholePercent = Annotated[int, Field(ge=0, le=100)]


class Numbers(PluginOutput):
    """What Lichess says of one side's moves."""

    accuracy: WholePercent | None
    """Percent; None unless both sides made a move that could be rated."""
    acpl: Annotated[int, Field(ge=0, le=2_000)] | None
    """Average centipawn loss; None without a rated move."""
    inaccuracies: Count
    mistakes: Count
    blunders: Count


class PhaseNumbers(Numbers):
    """The same of one phase; the accuracy weighs the moves as in the whole game, and is None of no move."""

    moves: Count
    """Rated moves of the side in this phase."""


class SideAccuracy(Numbers):
    """One side's numbers."""

    phases: dict[Phase, PhaseNumbers]
    """Those of each phase in which the side made a rated move."""


class AccuracyResult(PluginOutput):
    """Both sides' numbers."""

    white: SideAccuracy
    black: SideAccuracy
    middlegame_ply: Ply | None
    """Where the middlegame begins: Lichess's division, or ours by the same rules. None if there is none."""
    endgame_ply: Ply | None
    """Where the endgame begins, likewise."""


class Accuracy(Plugin[AccuracyResult]):
    """Rates both sides as Lichess does."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "accuracy"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Accuracy"
    description: ClassVar[str] = (
        "Accuracy, average centipawn loss, inaccuracies, mistakes and blunders of both sides, in the whole "
        "game and in each phase, by the formulas of Lichess over Scoresheet's own evaluations."
    )
    result_type: ClassVar[type[PluginOutput]] = AccuracyResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> AccuracyResult:
        """Rate both sides by the engine's evaluations."""
        return rate(game_line(game), better_known(game), game.starts, division_of(game))


def rate(
    line: Sequence[Score | None], better_known: Sequence[bool], starts: Color, division: Division
) -> AccuracyResult:
    """Rate a game line as `plugins.lichess` defines it; `better_known[i]` belongs to ply i + 1."""
    other = Color.BLACK if starts is Color.WHITE else Color.WHITE
    scores = [
        MoveScores(starts if index % 2 == 0 else other, before, after, known)
        for index, (before, after, known) in enumerate(
            zip([INITIAL, *line], line, better_known, strict=False)
        )
    ]
    accuracies = move_accuracies(line, starts)
    in_phase = [phase_of(division, ply) for ply in range(len(line))]
    rated = {move.mover for move in accuracies} == set(Color)

    def numbers(side: Color, phase: Phase | None = None) -> dict[str, int | None]:
        chosen = [move for move, its in zip(scores, in_phase, strict=True) if phase in (None, its)]
        of_side = [
            move for move in accuracies if move.mover is side and phase in (None, in_phase[move.ply - 1])
        ]
        labels = Counter(judge(move) for move in chosen if move.mover is side)
        return {
            "accuracy": accuracy(of_side) if rated else None,
            "acpl": average_centipawn_loss(chosen, side),
            "inaccuracies": labels[Judgement.INACCURACY],
            "mistakes": labels[Judgement.MISTAKE],
            "blunders": labels[Judgement.BLUNDER],
        }

    def side(color: Color) -> SideAccuracy:
        moves = Counter(
            in_phase[index]
            for index, move in enumerate(scores)
            if move.mover is color and move.before is not None and move.after is not None
        )
        return SideAccuracy.model_validate(
            {
                **numbers(color),
                "phases": {
                    phase: {**numbers(color, phase), "moves": moves[phase]} for phase in Phase if moves[phase]
                },
            }
        )

    return AccuracyResult(
        white=side(Color.WHITE),
        black=side(Color.BLACK),
        middlegame_ply=division.middlegame_ply,
        endgame_ply=division.endgame_ply,
    )
