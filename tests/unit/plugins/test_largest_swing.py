"""Which move does LargestSwing name?"""

import pytest

from app.contract.games import Color
from plugins.largest_swing import LargestSwing
from plugins.lichess import winning_chances
from tests.unit.plugins.games import BLACK_STARTS, fools_mate, game, mate


def test_the_largest_swing_is_named_from_both_views() -> None:
    swing = LargestSwing().analyse(fools_mate()).swing
    assert swing is not None
    assert (swing.ply, swing.san, swing.uci, swing.side) == (3, "g4", "g2g4", Color.WHITE)
    assert swing.before == swing.white_before == round(winning_chances(-70), 6)
    assert swing.after == swing.white_after == round(winning_chances(-1_000), 6)
    assert swing.change == pytest.approx(swing.after - swing.before)


def test_a_swing_by_black_is_seen_from_black_too() -> None:
    swing = LargestSwing().analyse(game(("e2e4", "e7e5"), [0, 0, 300])).swing
    assert swing is not None
    assert (swing.ply, swing.side) == (2, Color.BLACK)
    assert swing.white_after > 0 > swing.after == swing.change


def test_no_chances_are_written_as_minus_zero() -> None:
    played = game(("e7e5", "d2d4"), [0, 0, 0], fen=BLACK_STARTS)
    assert "-0.0" not in LargestSwing().analyse(played).model_dump_json()


def test_of_equal_swings_the_earliest_counts() -> None:
    swing = LargestSwing().analyse(game(("e2e4", "e7e5", "g1f3"), [0, -100, 0, -100])).swing
    assert swing is not None
    assert swing.ply == 1


def test_a_mate_on_the_board_is_lost_for_the_side_to_move() -> None:
    swing = LargestSwing().analyse(game(("e2e4",), [0, mate(0)])).swing
    assert swing is not None
    assert swing.white_after == round(winning_chances(1_000), 6)


def test_a_game_without_moves_has_no_swing() -> None:
    assert LargestSwing().analyse(game((), [])).swing is None
