"""Can Lichess's own evaluations take the engine's place in a game, and what do they say there?"""

from collections.abc import Sequence
from dataclasses import replace

import chess

from app.contract.games import LichessEvaluation
from app.contract.positions import MAX_LINE_PLIES, EvaluationSource, exact_score
from plugins.api import AnalysedGame, PositionEvaluation
from plugins.lichess import INITIAL


def over_lichess_evaluations(game: AnalysedGame, boards: Sequence[chess.Board]) -> AnalysedGame | None:
    """Return a game as plugins see it over Lichess's evaluations; None where they don't serve."""
    found = lichess_evaluations(boards, game.lichess_evaluations)
    if found is None:
        return None
    return replace(game, evaluations=found, evaluations_from=EvaluationSource.LICHESS)


def lichess_evaluations(
    boards: Sequence[chess.Board], exported: Sequence[LichessEvaluation] | None
) -> tuple[PositionEvaluation, ...] | None:
    """Return one evaluation a position from ply 0; None unless Lichess analysed the game to its end.

    Lichess cuts an analysis at 200 plies and leaves out a final mate. It gives no score for the position
    before the first move, which counts as +15 centipawns there: right for a usual start, Chess960's included,
    but not for a position that was set up, so that such a game has None as well. It gives a better line only
    where it judged the move that was played: elsewhere `pv` is empty, and so it is where neither the line nor
    the better move can be read.
    """
    if boards[0].chess960_pos() is None:
        return None
    given = list(exported or ())[: len(boards) - 1]
    given += [LichessEvaluation()] * (len(boards) - len(given))
    found = []
    for ply, board in enumerate(boards):
        score = INITIAL if ply == 0 else given[ply - 1].score or exact_score(board)
        if score is None:
            return None
        found.append(PositionEvaluation(score=score, depth=0, nodes=0, pv=_line(board, given[ply])))
    return tuple(found)


def _line(start: chess.Board, given: LichessEvaluation) -> tuple[str, ...]:
    board = start.copy(stack=False)
    moves = []
    try:
        for word in (given.variation or "").split()[:MAX_LINE_PLIES]:
            move = board.parse_san(word)
            moves.append(board.uci(move))
            board.push(move)
    except ValueError:
        moves = []
    return tuple(moves or _better_move(start, given.best))


def _better_move(board: chess.Board, uci: str | None) -> list[str]:
    try:
        move = chess.Move.null() if uci is None else board.parse_uci(uci)
    except ValueError:
        return []
    return [board.uci(move)] if move else []
