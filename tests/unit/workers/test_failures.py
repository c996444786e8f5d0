"""How does a process rest between tasks that fail?"""

import pytest

from workers.failures import described, pause_seconds, rest


class Clock:
    """Moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.moved = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def move(self) -> None:
        self.moved += 1


@pytest.mark.parametrize(("in_a_row", "seconds"), [(1, 0), (2, 0), (3, 1), (7, 16), (8, 30), (10_000, 30)])
def test_a_loop_of_failures_slows_down_but_stays_within_every_watchdog(in_a_row: int, seconds: float) -> None:
    assert pause_seconds(in_a_row) == seconds


def test_a_process_that_rests_moves_all_the_time() -> None:
    clock = Clock()
    rest(100.0, 30.2, lambda: False, clock.move, clock=clock, sleep=clock.sleep)
    assert (round(clock.now, 6), clock.moved) == (130.2, 61)


def test_a_task_that_took_longer_than_the_rest_is_followed_at_once() -> None:
    clock = Clock()
    rest(60.0, 30, lambda: False, clock.move, clock=clock, sleep=clock.sleep)
    assert (clock.now, clock.moved) == (100.0, 0)


def test_a_worker_that_stops_rests_no_longer() -> None:
    clock = Clock()
    rest(100.0, 30, lambda: clock.now >= 101, clock.move, clock=clock, sleep=clock.sleep)
    assert clock.now == 101


def test_an_error_is_described_in_one_line() -> None:
    assert described(ValueError("a\n  b")) == "ValueError: a b"
