"""Where did a side that stood winning let the win go?"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from app.contract.games import Color
from app.contract.wire import Ply
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput
from plugins.moves import WINNING_PERCENT, Percent, RatedMove, percent, rated_moves
from plugins.phases import Phase

LET_GO_PERCENT = 10.0
"""Win% that a move must lose: what Lichess calls a mistake between scores in centipawns."""
MAX_MISSED = 1_000


class Missed(StrEnum):
    """What kind of win it was."""

    WIN_THROWN = "win_thrown"
    """The side had stood winning before the opponent's last move already."""
    TACTIC_MISSED = "tactic_missed"
    """The opponent's last move had just allowed it."""


class MissedWin(PluginOutput):
    """A move that let a win go."""

    ply: Ply
    """Number of the move, both sides counted, from 1."""
    side: Color
    """Whose win it was."""
    kind: Missed
    san: str
    """The move that was played, in standard algebraic notation."""
    best_uci: str | None
    """The engine's move, in UCI notation; None where it is not known."""
    best_san: str | None
    """The same in standard algebraic notation."""
    mate_in: Annotated[int, Field(ge=1)] | None
    """Moves to the mate that was there, if there was one."""
    phase: Phase
    """In which the move was made."""
    win_before: Percent
    """Win% before the move, from the side's view: at least `WINNING_PERCENT`."""
    win_after: Percent
    """Win% after the move, from the side's view: below it, by at least `LET_GO_PERCENT`."""
    winning_since_ply: Ply
    """The position from which on the side had stood winning without a break."""


class SideMissedWins(PluginOutput):
    """How often one side let a win go."""

    wins_thrown: Annotated[int, Field(ge=0)]
    tactics_missed: Annotated[int, Field(ge=0)]
    won: bool
    """Whether the side won the game all the same."""


class MissedWinsResult(PluginOutput):
    """The wins that both sides missed."""

    white: SideMissedWins
    black: SideMissedWins
    missed: list[MissedWin]
    """In order of play; the counts include what lies beyond the first `MAX_MISSED`."""


class MissedWins(Plugin[MissedWinsResult]):
    """Finds the moves that let a win go."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "missed_wins"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Missed wins"
    description: ClassVar[str] = (
        "Moves after which a side no longer stands winning (75 Win%, three pawns): wins thrown away, and "
        "chances that the opponent's last move had given and that were not taken."
    )
    result_type: ClassVar[type[PluginOutput]] = MissedWinsResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> MissedWinsResult:
        """Find them for both sides."""
        moves = rated_moves(game)
        since = _winning_since(moves)
        missed = [(move, since[move.ply]) for move in moves if _lets_win_go(move)]
        return MissedWinsResult(
            white=_counted(missed, Color.WHITE, game),
            black=_counted(missed, Color.BLACK, game),
            missed=[_missed_win(game, move, ply) for move, ply in missed[:MAX_MISSED]],
        )


def _lets_win_go(move: RatedMove) -> bool:
    return move.win_before >= WINNING_PERCENT > move.win_after and move.loss >= LET_GO_PERCENT


def _winning_since(moves: Sequence[RatedMove]) -> dict[int, int]:
    """Return, by the ply of each move, from which position on its mover has stood winning before it."""
    since: dict[Color, int | None] = dict.fromkeys(Color)
    found = {}
    for move in moves:
        for side in Color:
            win = move.win_before if move.mover is side else 100 - move.win_before
            if win < WINNING_PERCENT:
                since[side] = None
            elif since[side] is None:
                since[side] = move.ply - 1
        start = since[move.mover]
        found[move.ply] = move.ply - 1 if start is None else start
    return found


def _kind(move: RatedMove, since: int) -> Missed:
    # Of the initial position nobody's last move is to blame.
    return Missed.TACTIC_MISSED if since == move.ply - 1 > 0 else Missed.WIN_THROWN


def _counted(missed: Sequence[tuple[RatedMove, int]], side: Color, game: AnalysedGame) -> SideMissedWins:
    kinds = [_kind(move, since) for move, since in missed if move.mover is side]
    return SideMissedWins(
        wins_thrown=kinds.count(Missed.WIN_THROWN),
        tactics_missed=kinds.count(Missed.TACTIC_MISSED),
        won=game.winner is side,
    )


def _missed_win(game: AnalysedGame, move: RatedMove, since: int) -> MissedWin:
    mate = move.before.score.mate
    board = game.board(move.ply - 1)
    return MissedWin(
        ply=move.ply,
        side=move.mover,
        kind=_kind(move, since),
        san=game.san(move.ply),
        best_uci=move.best,
        best_san=None if move.best is None else board.san(board.parse_uci(move.best)),
        mate_in=None if mate is None else abs(mate),
        phase=move.phase,
        win_before=percent(move.win_before),
        win_after=percent(move.win_after),
        winning_since_ply=since,
    )
