"""Where did each side leave its own experience, and what did that cost?

A position is known to a side that had it before: in an earlier game of its account, with the same colour,
after as many plies, by whichever moves. Only of tracked accounts is that known. The initial position is known
where an earlier game began from it: one set up or drawn by lot may be new, and known again after a few moves.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.analyses import EARLIER_PLIES
from app.contract.games import Color
from app.contract.wire import Ply
from plugins.api import AnalysedGame, EarlierGames, Needs, Plugin, PluginOutput
from plugins.moves import Percent, RatedMove, percent, rated_moves

AFTERMATH_PLIES = 10
"""How long after the exit its cost is counted."""

Count = Annotated[int, Field(ge=0)]


class SideExit(PluginOutput):
    """One side's way out of its experience."""

    earlier_games: Count
    """Games of the account with this colour that were known when the result was computed."""
    complete: bool
    """Whether those were all that it had played before; otherwise more may have been known to the player."""
    exit_ply: Ply | None
    """The move that led to a position that was new to the side. None if there was none up to the end of the
    game or to ply `EARLIER_PLIES`."""
    left_by: Color | None
    """Who made that move."""
    san: str | None
    """That move, in standard algebraic notation."""
    known_games: Count
    """In how many earlier games the last known position had occurred; 0 where the initial position was new
    already."""
    win_before: Percent | None
    """The side's Win% before that move, in the last known position where there was one."""
    win_after: Percent | None
    """The side's Win% in the new position."""
    first_own_ply: Ply | None
    """The side's first move on its own: the exit itself, or the answer to it. None if it made none."""
    first_own_loss: Percent | None
    """Win% that this move lost."""
    aftermath_loss: Percent | None
    """Win% that the side's own moves lost in the `AFTERMATH_PLIES` from the exit on, added up and at most
    100."""


class OpeningExitResult(PluginOutput):
    """Both sides' exits."""

    white: SideExit | None
    """None where the account's earlier games are not known."""
    black: SideExit | None


class OpeningExit(Plugin[OpeningExitResult]):
    """Finds the first position that a side had never had."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "opening_exit"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Opening exit"
    description: ClassVar[str] = (
        "The first move that leads out of a player's own earlier games with the same colour, who made it, "
        "and what the player's first moves alone cost."
    )
    result_type: ClassVar[type[PluginOutput]] = OpeningExitResult
    needs: ClassVar[Needs] = Needs(evaluations=True, earlier_games=True)

    def analyse(self, game: AnalysedGame) -> OpeningExitResult:
        """Find the exits of the sides whose earlier games are known."""
        moves = rated_moves(game)
        exits = {side: _side_exit(game, moves, side, earlier) for side, earlier in game.earlier_games.items()}
        return OpeningExitResult(white=exits.get(Color.WHITE), black=exits.get(Color.BLACK))


def _side_exit(
    game: AnalysedGame, moves: Sequence[RatedMove], side: Color, earlier: EarlierGames
) -> SideExit:
    last = min(game.plies, EARLIER_PLIES, len(earlier.reached) - 1)
    exit_ply = next((ply for ply in range(1, last + 1) if earlier.reached[ply] == 0), None)
    if exit_ply is None:
        return SideExit(
            earlier_games=earlier.games,
            complete=earlier.complete,
            exit_ply=None,
            left_by=None,
            san=None,
            known_games=earlier.reached[max(0, last)] if earlier.reached else 0,
            win_before=None,
            win_after=None,
            first_own_ply=None,
            first_own_loss=None,
            aftermath_loss=None,
        )
    move = moves[exit_ply - 1]
    own = [item for item in moves[exit_ply - 1 : exit_ply - 1 + AFTERMATH_PLIES] if item.mover is side]
    mine = move.mover is side
    return SideExit(
        earlier_games=earlier.games,
        complete=earlier.complete,
        exit_ply=exit_ply,
        left_by=move.mover,
        san=game.san(exit_ply),
        known_games=earlier.reached[exit_ply - 1],
        win_before=percent(move.win_before if mine else 100 - move.win_before),
        win_after=percent(move.win_after if mine else 100 - move.win_after),
        first_own_ply=own[0].ply if own else None,
        first_own_loss=percent(own[0].loss) if own else None,
        aftermath_loss=min(100.0, percent(sum(item.loss for item in own))) if own else None,
    )
