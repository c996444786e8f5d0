"""What is the opening called, and when does the middlegame begin?"""

from collections.abc import Iterable
from typing import Any

import chess

# Names and codes of Lichess's opening book (chess-openings, CC0) for lines that engines like to play.
OPENINGS = {
    "e4": ("B00", "King's Pawn Game"),
    "e4 e5": ("C20", "King's Pawn Game"),
    "e4 e5 Nf3": ("C40", "King's Knight Opening"),
    "e4 e5 Nf3 Nc6": ("C44", "King's Knight Opening: Normal Variation"),
    "e4 e5 Nf3 Nc6 Bb5": ("C60", "Ruy Lopez"),
    "e4 e5 Nf3 Nc6 Bb5 Nf6": ("C65", "Ruy Lopez: Berlin Defense"),
    "e4 e5 Nf3 Nc6 Bc4": ("C50", "Italian Game"),
    "e4 e5 Nf3 Nc6 d4": ("C44", "Scotch Game"),
    "e4 e5 Nf3 Nf6": ("C42", "Russian Game"),
    "e4 c5": ("B20", "Sicilian Defense"),
    "e4 e6": ("C00", "French Defense"),
    "e4 c6": ("B10", "Caro-Kann Defense"),
    "e4 d5": ("B01", "Scandinavian Defense"),
    "d4": ("A40", "Queen's Pawn Game"),
    "d4 d5": ("D00", "Queen's Pawn Game"),
    "d4 d5 c4": ("D06", "Queen's Gambit"),
    "d4 d5 c4 e6": ("D30", "Queen's Gambit Declined"),
    "d4 d5 c4 c6": ("D10", "Slav Defense"),
    "d4 d5 c4 dxc4": ("D20", "Queen's Gambit Accepted"),
    "d4 Nf6": ("A45", "Indian Defense"),
    "c4": ("A10", "English Opening"),
    "c4 e5": ("A20", "English Opening: King's English Variation"),
    "Nf3": ("A04", "Zukertort Opening"),
    "e3": ("A00", "Van't Kruijs Opening"),
}


def opening_of(sans: list[str]) -> dict[str, Any] | None:
    """Return the longest known opening that the moves begin with, as Lichess writes it."""
    for ply in range(len(sans), 0, -1):
        if found := OPENINGS.get(" ".join(sans[:ply])):
            return {"eco": found[0], "name": found[1], "ply": ply}
    return None


def division_of(board: chess.Board) -> dict[str, int]:
    """Return the plies at which middlegame and endgame begin, each absent where it never does.

    Lichess also counts how mixed the two armies stand; that third criterion is left out here.
    """
    positions = list(_positions(board))
    middle = next((ply for ply, at in enumerate(positions) if _pieces(at) <= 10 or _has_left_home(at)), None)
    end = next((ply for ply, at in enumerate(positions) if _pieces(at) <= 6), None)
    division = {}
    if middle is not None and (end is None or middle < end):
        division["middle"] = middle
    if end is not None:
        division["end"] = end
    return division


def _positions(board: chess.Board) -> Iterable[chess.Board]:
    replayed = board.root()
    yield replayed.copy(stack=False)
    for move in board.move_stack:
        replayed.push(move)
        yield replayed.copy(stack=False)


def _pieces(board: chess.Board) -> int:
    return chess.popcount(board.occupied & ~board.pawns & ~board.kings)


def _has_left_home(board: chess.Board) -> bool:
    white = chess.popcount(board.occupied_co[chess.WHITE] & chess.BB_RANK_1)
    black = chess.popcount(board.occupied_co[chess.BLACK] & chess.BB_RANK_8)
    return min(white, black) < 4
