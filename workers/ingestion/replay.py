"""Which moves, in UCI notation, and which positions does a game's SAN stand for?"""

from typing import Final, NamedTuple

import chess
import chess.polyglot

from app.contract.positions import chess960_mark, position_key
from app.contract.rules import initial_board

_HASHER: Final = chess.polyglot.ZobristHasher(chess.polyglot.POLYGLOT_RANDOM_ARRAY)
# Polyglot's random numbers of a square, by kind of piece in the order of _pieces.
_PIECE_RANDOMS: Final = tuple(
    tuple(chess.polyglot.POLYGLOT_RANDOM_ARRAY[64 * kind : 64 * (kind + 1)]) for kind in range(12)
)


class Replay(NamedTuple):
    """A game, replayed as far as its rules allow."""

    uci: list[str] | None
    """One a ply up to the first move that is not legal; castling is king to its target square, on a Chess960
    board king takes rook. None where the rules or the initial position are not known."""
    position_keys: list[int] | None
    """The initial position's first, so one more than `uci`; None as that."""
    odd_start: bool = False
    """The initial position could not arise in a game, though one can be played from it."""


class PositionKeys:
    """The keys of the positions that a board goes through, each worked out from the one before.

    Equal to `position_key` of each (a test compares the two over whole files of games) at a third of its
    cost: a move changes a few squares of 64, and only those are hashed again.
    """

    def __init__(self, board: chess.Board) -> None:
        self._board = board
        self._pieces = _pieces(board)
        self._rights = (board.castling_rights, board.kings)
        self._castling = _HASHER.hash_castling(board) ^ chess960_mark(board)
        self._passing = _HASHER.hash_ep_square(board) ^ _HASHER.hash_turn(board)
        self._key = position_key(board) % 2**64
        self.found = [_signed(self._key)]
        """The keys so far; that of the board at construction comes first."""

    def add(self) -> None:
        """Append the key of the board as it stands now, after a move."""
        board = self._board
        pieces = _pieces(board)
        change = 0
        for randoms, before, after in zip(_PIECE_RANDOMS, self._pieces, pieces, strict=True):
            for square in chess.scan_forward(before ^ after) if before != after else ():
                change ^= randoms[square]
        self._pieces = pieces
        # In Chess960 rooks that pass each other change what a right to castle is about.
        if board.chess960 or (board.castling_rights, board.kings) != self._rights:
            self._rights = (board.castling_rights, board.kings)
            castling = _HASHER.hash_castling(board) ^ chess960_mark(board)
            change ^= castling ^ self._castling
            self._castling = castling
        passing = _HASHER.hash_ep_square(board) ^ _HASHER.hash_turn(board)
        change ^= passing ^ self._passing
        self._passing = passing
        self._key ^= change
        self.found.append(_signed(self._key))


def _pieces(board: chess.Board) -> tuple[int, ...]:
    black, white = board.occupied_co
    return (
        *(board.pawns & black, board.pawns & white, board.knights & black, board.knights & white),
        *(board.bishops & black, board.bishops & white, board.rooks & black, board.rooks & white),
        *(board.queens & black, board.queens & white, board.kings & black, board.kings & white),
    )


def _signed(key: int) -> int:
    return key - 2**64 if key >= 2**63 else key


def replay(variant: str, initial_fen: str | None, san: list[str]) -> Replay:
    """Replay a game up to the first move that is not legal.

    Lichess has some with such a move: castling that it let through, atomic games that went on without a king.
    """
    try:
        board = initial_board(variant, initial_fen)
    except ValueError:
        return Replay(None, None)
    odd_start = initial_fen is not None and not board.is_valid()
    keys = PositionKeys(board)
    uci = []
    for token in san:
        try:
            move = board.parse_san(token)
        except ValueError:
            break
        if not move:  # python-chess reads "--" as a null move
            break
        uci.append(move.uci())  # in the board's own notation, Chess960 or not
        board.push(move)
        keys.add()
    return Replay(uci, keys.found, odd_start)
