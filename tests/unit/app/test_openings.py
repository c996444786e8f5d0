"""What is the opening of a game called, and when has it no name?"""

import chess
import pytest

from app.contract.games import Opening, OpeningSource
from app.contract.openings import SEARCHED_PLIES, name_opening
from app.contract.positions import position_key


def keys(moves: str, board: chess.Board | None = None) -> list[int]:
    """Return the keys of the positions that the moves lead through."""
    board = board or chess.Board()
    found = [position_key(board)]
    for san in moves.split():
        board.push_san(san)
        found.append(position_key(board))
    return found


def named(moves: str, variant: str = "standard") -> tuple[str, str, int] | None:
    opening = name_opening(variant, moves.split(), keys(moves))
    return None if opening is None else (opening.eco, opening.name, opening.ply)


RUY_LOPEZ = "e4 e5 Nf3 Nc6 Bb5"
THERE_AND_BACK = " Nf3 Nf6 Ng1 Ng8"


def test_the_last_position_that_has_a_name_gives_it() -> None:
    assert name_opening("standard", RUY_LOPEZ.split(), keys(RUY_LOPEZ)) == Opening(
        eco="C60", name="Ruy Lopez", ply=5, source=OpeningSource.SCORESHEET
    )
    assert named(f"{RUY_LOPEZ} h5 h4") == ("C60", "Ruy Lopez", 5)


def test_other_moves_to_the_same_position_make_no_difference() -> None:
    assert (
        named("d4 d5 c4 e6")
        == named("c4 e6 d4 d5")
        == named("d4 e6 c4 d5")
        == ("D30", "Queen's Gambit Declined", 4)
    )


@pytest.mark.parametrize("first", ["a3", "Na3", "h4", "g4"])
def test_every_first_move_has_a_name(first: str) -> None:
    assert named(first) is not None


def test_all_twenty_first_moves_have_a_name() -> None:
    board = chess.Board()
    assert all(named(board.san(move)) for move in board.legal_moves)


def test_a_game_that_comes_back_to_a_named_position_is_named_by_it_again() -> None:
    assert named("e4 Nf6 Nf3 Ng8 Ng1 e5") == ("C20", "King's Pawn Game", 6)


def test_what_happens_after_the_first_forty_plies_is_no_opening() -> None:
    assert named(f"{THERE_AND_BACK * 9} e4 e5 Nf3 Nc6") == (
        "C44",
        "King's Knight Opening: Normal Variation",
        40,
    )
    assert named(f"{THERE_AND_BACK * 9} {RUY_LOPEZ}") == (
        "C44",
        "King's Knight Opening: Normal Variation",
        40,
    )
    assert SEARCHED_PLIES == 40


def test_a_game_without_a_move_has_no_opening() -> None:
    assert named("") is None
    assert name_opening("standard", [], []) is None


def test_a_game_that_was_not_replayed_has_no_name() -> None:
    assert name_opening("standard", ["e4"], None) is None


def test_keys_that_end_before_the_game_suffice() -> None:
    opening = name_opening("standard", f"{RUY_LOPEZ} a6 Ba4".split(), keys(RUY_LOPEZ))
    assert opening is not None
    assert (opening.name, opening.ply) == ("Ruy Lopez", 5)


@pytest.mark.parametrize("variant", ["standard", "crazyhouse", "threeCheck", "kingOfTheHill"])
def test_these_variants_have_openings(variant: str) -> None:
    assert named(RUY_LOPEZ, variant) == ("C60", "Ruy Lopez", 5)


@pytest.mark.parametrize(
    "variant", ["chess960", "fromPosition", "antichess", "atomic", "horde", "racingKings", "new"]
)
def test_other_variants_have_none(variant: str) -> None:
    assert named(RUY_LOPEZ, variant) is None


def test_a_game_from_another_position_has_none_though_it_reaches_a_named_one() -> None:
    start = chess.Board()
    start.push_san("e4")
    assert name_opening("standard", ["e5"], keys("e5", start)) is None


def test_a_drop_ends_the_opening() -> None:
    found = keys("e4 d5 exd5 Qxd5 Nc3 Qa5")
    played = name_opening("crazyhouse", ["e4", "d5", "exd5", "Qxd5", "Nc3", "Qa5"], found)
    # As if a drop had led to a position that has a name.
    dropped = name_opening("crazyhouse", ["e4", "d5", "exd5", "Qxd5", "N@c3", "Qa5"], found)
    assert (played and played.ply, dropped and dropped.ply) == (6, 4)
