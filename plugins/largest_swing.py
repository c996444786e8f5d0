"""Which single move changed the winning chances most?"""

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.games import Color
from app.contract.positions import Score
from app.contract.wire import Ply
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput
from plugins.lichess import CEILING_CP, capped_cp, winning_chances

Chances = Annotated[float, Field(ge=-1, le=1)]


class Swing(PluginOutput):
    """One move and the winning chances around it: -1 is lost, 1 is won."""

    ply: Ply
    """Number of the move, both sides counted, from 1."""
    side: Color
    """Who made the move."""
    san: str
    """The move in standard algebraic notation."""
    uci: str
    """The move in UCI notation."""
    before: Chances
    """Winning chances before the move, from the mover's view."""
    after: Chances
    """Winning chances after the move, from the mover's view."""
    white_before: Chances
    """The same as `before`, from White's view."""
    white_after: Chances
    """The same as `after`, from White's view."""
    change: Annotated[float, Field(ge=-2, le=2)]
    """`after` minus `before`: negative where the mover threw something away."""


class LargestSwingResult(PluginOutput):
    """The swing, if there was a move."""

    swing: Swing | None
    """None in a game without moves; the earliest where several moves swing alike."""


class LargestSwing(Plugin[LargestSwingResult]):
    """Finds the move that changed most."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "largest_swing"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Largest swing"
    description: ClassVar[str] = (
        "The move after which the winning chances differ most from before, for better or worse. "
        "Chances are Lichess's; a mate counts as ten pawns."
    )
    result_type: ClassVar[type[PluginOutput]] = LargestSwingResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> LargestSwingResult:
        """Return the move with the largest absolute change of winning chances."""
        chances = [
            _white_chances(evaluation.score, mated=game.mover(ply + 1))
            for ply, evaluation in enumerate(game.evaluations)
        ]
        changes = [abs(after - before) for before, after in pairwise(chances)]
        if not changes:
            return LargestSwingResult(swing=None)
        index = changes.index(max(changes))
        return LargestSwingResult(swing=_swing(game, index + 1, chances[index], chances[index + 1]))


def _white_chances(score: Score, mated: Color) -> float:
    """Return White's winning chances; `mated` is the side to move, which a mate 0 has beaten."""
    if score.mate == 0:
        return winning_chances(-CEILING_CP if mated is Color.WHITE else CEILING_CP)
    return winning_chances(capped_cp(score))


def _swing(game: AnalysedGame, ply: int, white_before: float, white_after: float) -> Swing:
    side = game.mover(ply)
    sign = 1 if side is Color.WHITE else -1
    # Six decimals: a thousandth of a centipawn, and no last bit that differs between math libraries.
    # Adding 0.0 makes of -0.0 what JSON readers expect.
    before, after = round(white_before, 6) + 0.0, round(white_after, 6) + 0.0
    return Swing(
        ply=ply,
        side=side,
        san=game.san(ply),
        uci=game.uci[ply - 1],
        before=sign * before + 0.0,
        after=sign * after + 0.0,
        white_before=before,
        white_after=after,
        change=round(sign * (after - before), 6) + 0.0,
    )
