"""What did Lichess say of the positions of a game, in the notation of its moves?"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final

from app.contract.games import LichessEvaluation
from app.contract.rules import is_chess960

_CASTLING: Final = MappingProxyType({"e1h1": "e1g1", "e1a1": "e1c1", "e8h8": "e8g8", "e8a8": "e8c8"})


def evaluations(
    variant: str, initial_fen: str | None, stored: Sequence[dict[str, Any]] | None
) -> list[LichessEvaluation] | None:
    """Return Lichess's evaluations as they leave the API; they are stored as they came.

    Most exports write a castling that Lichess calls best as king takes rook. In our moves, as in UCI, that is
    so on a Chess960 board alone: elsewhere the king goes to its target square.
    """
    if stored is None:
        return None
    found = [LichessEvaluation.model_validate(item) for item in stored]
    return found if is_chess960(variant, initial_fen) else [_king_to_its_square(item) for item in found]


def _king_to_its_square(item: LichessEvaluation) -> LichessEvaluation:
    # A queen or a rook may go from e1 to h1 as well: the line says which piece it is.
    castled = _CASTLING.get(item.best or "")
    if castled is None or not (item.variation or "").startswith("O-O"):
        return item
    return item.model_copy(update={"best": castled})
