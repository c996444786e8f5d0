"""Does the generator of games keep Lichess's habits?"""

from random import Random

import chess
import chess.engine
import pytest

from tests.fakes.lichess.selfplay.clocks import simulate
from tests.fakes.lichess.selfplay.judging import Judgement, accuracies, judge
from tests.fakes.lichess.selfplay.openings import division_of, opening_of
from tests.fakes.lichess.selfplay.plan import (
    BLITZ,
    DAILY,
    SPECIAL_PLANS,
    Plan,
    Status,
    TimeControl,
    make_plans,
)

Cp, Mate = chess.engine.Cp, chess.engine.Mate


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Cp(20), Cp(0), None),
        (Cp(0), Cp(-60), Judgement.INACCURACY),
        (Cp(0), Cp(-120), Judgement.MISTAKE),
        (Cp(0), Cp(-180), Judgement.BLUNDER),
        (Cp(100), Cp(400), None),
        (Cp(0), Mate(-3), Judgement.BLUNDER),
        (Cp(-800), Mate(-3), Judgement.MISTAKE),
        (Cp(-1200), Mate(-3), Judgement.INACCURACY),
        (Mate(3), Cp(0), Judgement.BLUNDER),
        (Mate(3), Cp(800), Judgement.MISTAKE),
        (Mate(3), Cp(1200), Judgement.INACCURACY),
        (Mate(3), Mate(-2), Judgement.BLUNDER),
        (Mate(3), Mate(5), None),
        (Mate(-3), Mate(-1), None),
        (Cp(100), Mate(4), None),
    ],
)
def test_a_move_is_judged_by_the_winning_chances_it_loses(
    before: chess.engine.Score, after: chess.engine.Score, expected: Judgement | None
) -> None:
    verdict = judge(before, after)
    assert (verdict[0] if verdict else None) == expected


def test_accuracy_is_perfect_where_nothing_was_lost() -> None:
    assert accuracies([Cp(15)] * 12, chess.WHITE) == {chess.WHITE: 100, chess.BLACK: 100}


def test_accuracy_falls_for_the_side_that_blundered() -> None:
    both = accuracies([Cp(15), Cp(15), Cp(-600), Cp(-600), Cp(-600), Cp(-600)], chess.WHITE)
    assert (both[chess.WHITE] or 100) < 60
    assert both[chess.BLACK] == 100


@pytest.mark.parametrize(
    ("control", "speed"),
    [
        (TimeControl(15), "ultraBullet"),
        (TimeControl(60), "bullet"),
        (TimeControl(179), "bullet"),
        (TimeControl(180), "blitz"),
        (TimeControl(300, 5), "rapid"),
        (TimeControl(900, 15), "classical"),
        (TimeControl(days_per_turn=2), "correspondence"),
        (TimeControl(), "correspondence"),
    ],
)
def test_speed_follows_the_expected_length(control: TimeControl, speed: str) -> None:
    assert control.speed == speed


@pytest.mark.parametrize("ended_by_move", [True, False])
def test_a_game_ended_off_the_board_has_one_clock_more(ended_by_move: bool) -> None:
    timing = simulate(Plan(Status.RESIGN, BLITZ), 30, Random(1), ended_by_move=ended_by_move)
    assert timing.clocks_cs is not None
    assert len(timing.clocks_cs) == 30 + (not ended_by_move)
    assert timing.clocks_cs[:2] == [18003, 18003]


def test_the_flag_of_the_player_to_move_falls() -> None:
    timing = simulate(Plan(Status.OUT_OF_TIME, BLITZ), 31, Random(1), ended_by_move=False)
    assert timing.clocks_cs is not None
    assert timing.clocks_cs[-1] == 0
    assert min(timing.clocks_cs[:-1]) > 0


def test_correspondence_has_no_clocks_but_takes_days() -> None:
    timing = simulate(Plan(Status.OUT_OF_TIME, DAILY), 10, Random(1), ended_by_move=False)
    assert timing.clocks_cs is None
    assert timing.duration_ms > 24 * 3_600_000


def test_the_longest_known_opening_is_named() -> None:
    assert opening_of(["e4", "e5", "Nf3", "Nc6", "Bb5", "a6"]) == {
        "eco": "C60",
        "name": "Ruy Lopez",
        "ply": 5,
    }
    assert opening_of(["h4"]) is None


def test_the_middlegame_begins_when_a_back_rank_is_sparse() -> None:
    board = chess.Board()
    moves = "Nf3 Nf6 Nc3 Nc6 g3 g6 Bg2 Bg7 d3 d6 Bf4 Bf5 Qd2"
    for san in moves.split():
        board.push_san(san)
    assert division_of(board) == {"middle": 13}


def test_an_endgame_from_the_start_has_no_middlegame() -> None:
    assert division_of(chess.Board("8/8/4k3/8/4P3/4K3/8/8 w - - 0 1")) == {"end": 0}


def test_special_games_come_first_and_ordinary_ones_fill_up() -> None:
    plans = make_plans(60)
    assert len(plans) == 60
    assert plans[: len(SPECIAL_PLANS)] == list(SPECIAL_PLANS)
    assert {plan.status for plan in SPECIAL_PLANS} == set(Status)
