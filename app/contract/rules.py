"""By which rules is a game played, and from which position?"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import chess
import chess.variant

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

KNOWN_VARIANTS: Final = frozenset(_BOARDS)
"""Lichess's keys of the variants whose rules are known (lichess-org/api @ f59dc80)."""
ANALYSABLE_VARIANTS: Final = frozenset({"standard", _CHESS960, _FROM_POSITION})
"""Those that Stockfish plays."""

_FEN_MAX: Final = 200
_HOPELESS: Final = (
    chess.STATUS_NO_WHITE_KING
    | chess.STATUS_NO_BLACK_KING
    | chess.STATUS_TOO_MANY_KINGS
    | chess.STATUS_EMPTY
    | chess.STATUS_PAWNS_ON_BACKRANK
)


def initial_board(variant: str, initial_fen: str | None) -> chess.Board:
    """Return the position before the first move, on a board that knows the rules of the game.

    Raises ValueError for a variant that is not known, and where there is no position from which a game of it
    can be played. One that is returned may still be odd: whoever hands it to an engine checks it.
    """
    if variant not in _BOARDS:
        raise ValueError(f"variant {variant} is not known")
    board_type = _BOARDS[variant]
    if initial_fen is None:
        if variant in {_CHESS960, _FROM_POSITION}:
            raise ValueError(f"a {variant} game without its initial position")
        return board_type()
    if len(initial_fen) > _FEN_MAX:
        raise ValueError(f"a FEN longer than {_FEN_MAX} characters")
    board = board_type(initial_fen, chess960=variant == _CHESS960)
    if hopeless := board.status() & _HOPELESS:
        raise ValueError(f"{initial_fen!r}: {hopeless!r}")
    if variant == _FROM_POSITION:
        board.chess960 = _needs_chess960(board)
    return board


def is_chess960(variant: str, initial_fen: str | None) -> bool:
    """Tell whether castling is written king takes rook; a game without a first position is as its variant."""
    if variant != _FROM_POSITION:
        return variant == _CHESS960
    try:
        return initial_board(variant, initial_fen).chess960
    except ValueError:
        return False


def _needs_chess960(board: chess.Board) -> bool:
    """Tell whether a right to castle is about a king off the e-file, or about a rook that is in no corner.

    Lichess lets From Position castle by Chess960's rules (scalachess, Position.genCastling @ cbffc9d7). Where
    ordinary chess can express all rights of the first position the two sets of rules agree, and the game
    counts as ordinary: its castling is written e1g1, and its positions are those of other games.
    """
    unorthodox = board.copy(stack=False)
    unorthodox.chess960 = True
    return unorthodox.clean_castling_rights() != board.clean_castling_rights()
