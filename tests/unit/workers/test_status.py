"""Does a worker's line of status say what a person wants to know?"""

import pytest

from tests.unit.workers.test_progress import Clock
from workers.progress import Board
from workers.settings import Role
from workers.status import Status, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3_599, "59 min"),
        (7_800, "2 h 10 min"),
        (86_400, "1 d 0 h"),
        (1e8, "1,157 d 9 h"),
    ],
)
def test_a_duration_has_its_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("role", list(Role))
def test_a_role_that_has_done_nothing_is_idle(role: Role) -> None:
    assert Status(role, Board(), 4).line() == "idle"


@pytest.mark.parametrize("role", list(Role))
def test_tasks_that_fail_one_after_another_are_told_before_all_else(role: Role) -> None:
    board = Board()
    status = Status(role, board, 4)
    board.take_slot(0)
    for _ in range(3):
        assert status.line() in {"idle", "RuntimeError: no such plugin"}
        board.begin()
        board.fail("RuntimeError: no such plugin")
        board.end()
    assert status.line() == "failing, 3 times in a row: RuntimeError: no such plugin"
    board.begin()
    assert status.line() == "failing, 3 times in a row: RuntimeError: no such plugin"
    board.succeed()
    board.end()
    assert status.line() == "idle"


def test_a_role_with_one_child_says_what_that_says() -> None:
    board = Board()
    status = Status(Role.PRODUCER, board, 1)
    board.begin()
    board.say("fetching DrNykterstein: 1,204 games, 21/s")
    assert status.line() == "fetching DrNykterstein: 1,204 games, 21/s"
    board.end()
    assert status.line() == "idle"


def test_the_consumer_tells_its_speed_over_the_last_half_minute() -> None:
    clock, board = Clock(), Board()
    status = Status(Role.CONSUMER, board, 2, clock=clock)
    status.line()
    for index in (0, 1):
        board.take_slot(index)
        board.count(100)
    clock.now += 10
    assert status.line() == "storing 20 games/s"
    board.set_backlog(1_130)
    assert status.line() == "storing 20 games/s, 1,130 waiting"
    clock.now += 20
    assert status.line() == "storing 6.7 games/s, 1,130 waiting"
    clock.now += 30
    assert status.line() == "idle"


def test_the_analysis_tells_how_much_is_left_and_for_how_long() -> None:
    clock, board = Clock(), Board()
    status = Status(Role.ANALYSIS_CONSUMER, board, 4, clock=clock)
    board.begin()
    assert status.line() == "analysing 1 game"
    board.take_slot(1)
    board.begin()
    board.set_backlog(1_310)
    assert status.line() == "analysing 2 games, 1,310 waiting"
    board.count(60)
    clock.now += 357
    assert status.line() == "analysing 2 games, 1,310 waiting, 2 h 9 min left"
