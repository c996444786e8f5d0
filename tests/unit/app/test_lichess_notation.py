"""Are Lichess's better moves written as ours are?"""

import pytest

from app.games.lichess import evaluations

_ORDINARY, _UNORTHODOX = "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", "r2k4/8/8/8/8/8/8/4K2R w Kq - 0 1"


@pytest.mark.parametrize(
    ("variant", "fen", "best", "variation", "shown"),
    [
        ("standard", None, "e1h1", "O-O Nf6", "e1g1"),
        ("standard", None, "e1a1", "O-O-O+ Kf8", "e1c1"),
        ("standard", None, "e8h8", "O-O", "e8g8"),
        ("fromPosition", _ORDINARY, "e8a8", "O-O-O", "e8c8"),
        ("fromPosition", _UNORTHODOX, "e1h1", "O-O Nf6", "e1h1"),
        ("crazyhouse", None, "e1h1", "O-O N@f3", "e1g1"),
        ("standard", None, "e1g1", "O-O Nf6", "e1g1"),
        ("standard", None, "e1h1", "Rh1 Nf6", "e1h1"),
        ("standard", None, "e8a8", "Qxa8", "e8a8"),
        ("standard", None, "e1h1", None, "e1h1"),
        ("standard", None, None, None, None),
        ("chess960", None, "e1h1", "O-O Nf6", "e1h1"),
        ("chess960", None, "f1g1", "O-O Nf6", "f1g1"),
    ],
)
def test_castling_has_the_notation_of_the_games_moves(
    variant: str, fen: str | None, best: str | None, variation: str | None, shown: str | None
) -> None:
    stored = {"score": {"cp": 30, "mate": None}, "best": best, "variation": variation, "judgement": "Mistake"}
    found = evaluations(variant, fen, [stored])
    assert found is not None
    assert [item.model_dump() for item in found] == [{**stored, "best": shown}]


def test_a_game_without_an_analysis_has_none() -> None:
    assert evaluations("standard", None, None) is None
