"""Which moves, in UCI notation, and which positions does a game's SAN stand for?"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import chess
import chess.polyglot
import chess.variant

from app.contract.positions import chess960_mark, position_key

_CHESS960: Final = "chess960"
_FROM_POSITION: Final = "fromPosition"
_BOARDS: Final[Mapping[str, type[chess.Board]]] = MappingProxyType(
    {
        "standard": chess.Board,
        _CHESS960: chess.Board,
        _FROM_POSITION: chess.Board,
        "crazyhouse": chess.variant.CrazyhouseBoard,
        "antichess": chess.variant.AntichessBoard,
        "atomic": chess.variant.AtomicBoard,
        "horde": chess.variant.HordeBoard,
        "kingOfTheHill": chess.variant.KingOfTheHillBoard,
        "racingKings": chess.variant.RacingKingsBoard,
        "threeCheck": chess.variant.ThreeCheckBoard,
    }
)
"""By Lichess's key of the variant."""
_FEN_MAX: Final = 200
_HASHER: Final = chess.polyglot.ZobristHasher(chess.polyglot.POLYGLOT_RANDOM_ARRAY)
# Polyglot's random numbers of a square, by kind of piece in the order of _pieces.
_PIECE_RANDOMS: Final = tuple(
    tuple(chess.polyglot.POLYGLOT_RANDOM_ARRAY[64 * kind : 64 * (kind + 1)]) for kind in range(12)
)
_HOPELESS: Final = (
    chess.STATUS_NO_WHITE_KING
    | chess.STATUS_NO_BLACK_KING
    | chess.STATUS_TOO_MANY_KINGS
    | chess.STATUS_EMPTY
    | chess.STATUS_PAWNS_ON_BACKRANK
)


class InvalidFenError(ValueError):
    """No game of its variant can start from this position."""


class IllegalMoveError(ValueError):
    """A move is not legal where it was played."""

    def __init__(self, ply: int, san: str) -> None:
        super().__init__(f"ply {ply}: {san[:20]!r} is not legal")
        self.ply = ply


class Replay(NamedTuple):
    """A game, replayed."""

    uci: list[str]
    """One a ply; castling is king to its target square, in Chess960 king takes rook."""
    position_keys: list[int]
    """The initial position's first."""
    odd_start: bool
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


def replay(variant: str, initial_fen: str | None, san: list[str]) -> Replay | None:
    """Replay a game; None for a variant whose rules are not known.

    Raises InvalidFenError, IllegalMoveError.
    """
    if variant not in _BOARDS:
        return None
    board = _initial_board(variant, initial_fen)
    odd_start = initial_fen is not None and not board.is_valid()
    keys = PositionKeys(board)
    uci = []
    for ply, token in enumerate(san, start=1):
        try:
            move = board.parse_san(token)
        except ValueError as error:
            raise IllegalMoveError(ply, token) from error
        if not move:  # python-chess reads "--" as a null move
            raise IllegalMoveError(ply, token)
        uci.append(move.uci())  # in the board's own notation, Chess960 or not
        board.push(move)
        keys.add()
    return Replay(uci, keys.found, odd_start)


def _initial_board(variant: str, fen: str | None) -> chess.Board:
    board_type = _BOARDS[variant]
    chess960 = variant == _CHESS960
    if fen is None:
        if variant in {_CHESS960, _FROM_POSITION}:
            raise InvalidFenError(f"a {variant} game without its initial position")
        return board_type(chess960=chess960)
    if len(fen) > _FEN_MAX:
        raise InvalidFenError(f"longer than {_FEN_MAX} characters")
    try:
        board = board_type(fen, chess960=chess960)
    except ValueError as error:
        raise InvalidFenError(str(error)[:300]) from error
    status = board.status()
    if status & _HOPELESS:
        raise InvalidFenError(f"{fen!r}: {(status & _HOPELESS)!r}")
    return board
