"""Which positions may an engine see, and in which form?"""

import chess

_HALFMOVE_CLOCK_MAX = 32_767
"""What `HalfmoveClock` holds."""


class InvalidPosition(Exception):
    """A position or move that no legal game contains: an engine may crash on it, so none gets to see it."""

    code = "invalid_position"


def searchable(board: chess.Board) -> chess.Board:
    """Return the position as an engine gets it: without history, and without what does not change its worth.

    Two boards with the same position key and halfmove clock yield the same FEN: the move number is 1, an
    en passant square is named only where a capture is legal, and castling rights only where king and rook
    stand at home (Lichess lets games start with rights and squares that mean nothing). Raises
    InvalidPosition.
    """
    if type(board) is not chess.Board:
        raise InvalidPosition(f"variant {type(board).uci_variant} cannot be searched")
    plain = board.copy(stack=False)
    plain.fullmove_number = 1
    plain.castling_rights = plain.clean_castling_rights()
    if not plain.has_legal_en_passant():
        plain.ep_square = None
    status = plain.status()
    if status != chess.STATUS_VALID:
        raise InvalidPosition(f"{board.fen()}: {_faults(status)}")
    if board.halfmove_clock > _HALFMOVE_CLOCK_MAX:
        raise InvalidPosition(f"{board.fen()}: halfmove clock out of range")
    return plain


def _faults(status: chess.Status) -> str:
    return ", ".join(
        flag.name.lower().replace("_", " ") for flag in chess.Status if flag & status and flag.name
    )
