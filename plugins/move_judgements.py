"""Which moves were inaccuracies, mistakes and blunders, and what was better?"""

from typing import Annotated, ClassVar

import chess
from pydantic import Field

from app.contract.games import Color
from app.contract.positions import Score
from app.contract.wire import Ply
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput
from plugins.confidence import label_confidence
from plugins.lichess import Judgement, threshold_distance
from plugins.moves import Percent, RatedMove, percent, rated_moves
from plugins.phases import Phase

MAX_JUDGED = 1_000
"""Moves that a result names: games of people have some 20, and a result may only be so long."""
LINE_PLIES = 10
"""Of the better line: further on it is the engine's guess."""


class JudgedMove(PluginOutput):
    """A move with Lichess's label, and what the engine would have played."""

    ply: Ply
    """Number of the move, both sides counted, from 1."""
    side: Color
    """Who made the move."""
    san: str
    """The move in standard algebraic notation."""
    uci: str
    """The move in UCI notation."""
    judgement: Judgement
    phase: Phase
    """In which the move was made."""
    score_before: Score
    """Of the position before the move, from White's view."""
    score_after: Score
    """Of the position after the move, from White's view."""
    win_before: Percent
    """Win% before the move, from the mover's view."""
    win_after: Percent
    """Win% after the move, from the mover's view."""
    better_uci: str
    """The move that the engine prefers, in UCI notation; in some old analyses by Lichess, the one played."""
    better_san: str
    """The same in standard algebraic notation."""
    better_line: list[str]
    """The better move and what the engine expects after it, in SAN, at most `LINE_PLIES`."""
    nodes: Annotated[int, Field(ge=0)]
    """The budget that the label rests on: the smaller one of the positions before and after the move. 0 where
    it is not known, as of Lichess's evaluations."""
    confidence: Annotated[float, Field(ge=0, le=1)] | None
    """How probably a much deeper search would give the same label; None where `nodes` is not known."""


class MoveJudgementsResult(PluginOutput):
    """All judged moves of a game."""

    moves: list[JudgedMove]
    """In order of play; moves without a label are left out."""
    omitted: Annotated[int, Field(ge=0)]
    """Judged moves beyond the first `MAX_JUDGED`."""


class MoveJudgements(Plugin[MoveJudgementsResult]):
    """Labels moves as Lichess does."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "move_judgements"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Move judgements"
    description: ClassVar[str] = (
        "Inaccuracies, mistakes and blunders of both sides by Lichess's rules, each with the better move and "
        "line, the nodes that the label rests on, and how sure it is."
    )
    result_type: ClassVar[type[PluginOutput]] = MoveJudgementsResult
    needs: ClassVar[Needs] = Needs(evaluations=True)

    def analyse(self, game: AnalysedGame) -> MoveJudgementsResult:
        """Label the moves."""
        judged = [move for move in rated_moves(game) if move.judgement is not None]
        named = {move.ply: move for move in judged[:MAX_JUDGED]}
        boards = enumerate(game.boards(), start=1)  # the board before each ply
        return MoveJudgementsResult(
            moves=[_judged(named[ply], board) for ply, board in boards if ply in named],
            omitted=len(judged) - len(named),
        )


def _judged(move: RatedMove, board: chess.Board) -> JudgedMove:
    judgement, better = move.judgement, move.best
    assert judgement is not None and better is not None  # noqa: S101, PT018 - only where a better one is known is judged
    return JudgedMove(
        ply=move.ply,
        side=move.mover,
        san=board.san(board.parse_uci(move.uci)),
        uci=move.uci,
        judgement=judgement,
        phase=move.phase,
        score_before=move.before.score,
        score_after=move.after.score,
        win_before=percent(move.win_before),
        win_after=percent(move.win_after),
        better_uci=better,
        better_san=board.san(board.parse_uci(better)),
        better_line=line_in_san(board, move.before.pv),
        nodes=move.nodes,
        confidence=label_confidence(move.nodes, threshold_distance(move.scores)) if move.nodes else None,
    )


def line_in_san(board: chess.Board, pv: tuple[str, ...]) -> list[str]:
    """Return the beginning of a line in SAN; the board stays as it is."""
    board = board.copy(stack=False)
    line = []
    for uci in pv[:LINE_PLIES]:
        move = board.parse_uci(uci)
        line.append(board.san(move))
        board.push(move)
    return line
