"""Which phase of the game does a ply belong to?

Opening, middlegame and endgame are told apart as Lichess does: by its own division where the export carried
one, else by the same rules (scalachess @ 12ba8fd, Divider).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import chess

from plugins.api import AnalysedGame, Division

_MIDDLEGAME_PIECES: Final = 10
"""Queens, rooks, bishops and knights of both sides at which the middlegame begins at the latest."""
_ENDGAME_PIECES: Final = 6
"""The same of the endgame."""
_SPARSE_BACK_RANK: Final = 4
"""With fewer pieces on it a side counts as developed."""
_MIXED: Final = 150
"""Beyond this mixedness the armies have met."""


class Phase(StrEnum):
    """A part of a game; any may be missing."""

    OPENING = "opening"
    MIDDLEGAME = "middlegame"
    ENDGAME = "endgame"


def division_of(game: AnalysedGame) -> Division:
    """Return Lichess's division of a game, or, where the export had none, what its rules give."""
    return game.division if game.division is not None else divide(game.boards())


def phases(game: AnalysedGame) -> tuple[Phase, ...]:
    """Return the phase of every position, from ply 0. The move of ply n is made in the phase of ply n - 1."""
    division = division_of(game)
    return tuple(phase_of(division, ply) for ply in range(game.plies + 1))


def phase_of(division: Division, ply: int) -> Phase:
    """Return the phase of the position after a ply."""
    if division.endgame_ply is not None and ply >= division.endgame_ply:
        return Phase.ENDGAME
    if division.middlegame_ply is not None and ply >= division.middlegame_ply:
        return Phase.MIDDLEGAME
    return Phase.OPENING


def divide(boards: Iterable[chess.Board]) -> Division:
    """Return where the phases begin, given the position of every ply from 0 (scalachess `Divider`)."""
    middlegame = endgame = None
    for ply, board in enumerate(boards):
        pieces = chess.popcount(board.occupied & ~board.kings & ~board.pawns)
        if middlegame is None and (
            pieces <= _MIDDLEGAME_PIECES or _back_rank_sparse(board) or _mixedness(board) > _MIXED
        ):
            middlegame = ply
        if middlegame is not None and pieces <= _ENDGAME_PIECES:
            endgame = ply
            break
    if middlegame == endgame:
        middlegame = None  # a game that goes from the opening into the endgame has no middlegame
    return Division(middlegame_ply=middlegame, endgame_ply=endgame)


def _back_rank_sparse(board: chess.Board) -> bool:
    return any(
        chess.popcount(rank & board.occupied_co[color]) < _SPARSE_BACK_RANK
        for rank, color in ((chess.BB_RANK_1, chess.WHITE), (chess.BB_RANK_8, chess.BLACK))
    )


def _mixedness(board: chess.Board) -> int:
    """Return how much the armies are mixed: a score over all squares of two by two."""
    white, black = board.occupied_co[chess.WHITE], board.occupied_co[chess.BLACK]
    return sum(
        _SCORES.get((chess.popcount(white & square), chess.popcount(black & square)), _NOTHING)[rank]
        for square, rank in _SQUARES
    )


_SQUARES: Final = tuple((0x0303 << (file + 8 * rank), rank) for rank in range(7) for file in range(7))
"""Every square of two by two, with its lower rank from 0."""
_NOTHING: Final = (0,) * 7
_SCORES: Final = {
    (1, 0): (8, 7, 6, 5, 4, 3, 2),
    (2, 0): (0, 0, 3, 4, 5, 6, 7),
    (3, 0): (0, 4, 5, 6, 7, 8, 9),
    (4, 0): (0, 4, 5, 6, 7, 8, 9),
    (0, 1): (2, 3, 4, 5, 6, 7, 8),
    (1, 1): (7, 6, 5, 6, 7, 8, 9),
    (2, 1): (5, 6, 7, 8, 9, 10, 11),
    (3, 1): (6, 7, 8, 9, 10, 11, 12),
    (0, 2): (7, 6, 5, 4, 3, 0, 0),
    (1, 2): (9, 8, 7, 6, 5, 4, 3),
    (2, 2): (7, 7, 7, 7, 7, 7, 7),
    (0, 3): (9, 8, 7, 6, 5, 4, 0),
    (1, 3): (10, 9, 8, 7, 6, 5, 4),
    (0, 4): (9, 8, 7, 6, 5, 4, 0),
}
"""Score of a square of two by two with so many white and black pieces, by its lower rank."""
