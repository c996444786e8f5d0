"""Are Lichess's better moves written as ours are?"""

import pytest

from app.games.lichess import evaluations


@pytest.mark.parametrize(
    ("variant", "best", "variation", "shown"),
    [
        ("standard", "e1h1", "O-O Nf6", "e1g1"),
        ("standard", "e1a1", "O-O-O+ Kf8", "e1c1"),
        ("standard", "e8h8", "O-O", "e8g8"),
        ("fromPosition", "e8a8", "O-O-O", "e8c8"),
        ("crazyhouse", "e1h1", "O-O N@f3", "e1g1"),
        ("standard", "e1g1", "O-O Nf6", "e1g1"),
        ("standard", "e1h1", "Rh1 Nf6", "e1h1"),
        ("standard", "e8a8", "Qxa8", "e8a8"),
        ("standard", "e1h1", None, "e1h1"),
        ("standard", None, None, None),
        ("chess960", "e1h1", "O-O Nf6", "e1h1"),
        ("chess960", "f1g1", "O-O Nf6", "f1g1"),
    ],
)
def test_castling_has_the_notation_of_the_games_moves(
    variant: str, best: str | None, variation: str | None, shown: str | None
) -> None:
    stored = {"score": {"cp": 30, "mate": None}, "best": best, "variation": variation, "judgement": "Mistake"}
    found = evaluations(variant, [stored])
    assert found is not None
    assert [item.model_dump() for item in found] == [{**stored, "best": shown}]


def test_a_game_without_an_analysis_has_none() -> None:
    assert evaluations("standard", None) is None
