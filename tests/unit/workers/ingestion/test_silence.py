"""Is Lichess left alone for as long as it asked, whatever becomes of the process and of the clock?"""

from pathlib import Path

import pytest

from dev.paths import CHECKOUT
from workers.ingestion.silence import Silence, since_boot


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lichess.silence"


def test_nothing_is_waited_for_at_first(path: Path) -> None:
    assert Silence(path, "boot").seconds_left() == 0


def test_a_wait_ends_in_its_time_and_outlives_who_began_it(path: Path, clock: Clock) -> None:
    Silence(path, "boot", clock=clock).keep(60)
    clock.seconds += 59
    assert Silence(path, "boot", clock=clock).seconds_left() == 1
    clock.seconds += 1
    assert Silence(path, "boot", clock=clock).seconds_left() == 0


@pytest.mark.parametrize(("first", "second", "left"), [(60, 5, 60), (5, 60, 60), (60, 0, 60), (0, -1, 0)])
def test_the_longer_of_two_waits_holds(
    path: Path, clock: Clock, first: float, second: float, left: float
) -> None:
    silence = Silence(path, "boot", clock=clock)
    silence.keep(first)
    silence.keep(second)
    assert silence.seconds_left() == left


def test_a_wait_from_before_the_boot_means_nothing_since_the_clock_began_anew(
    path: Path, clock: Clock
) -> None:
    Silence(path, "first", clock=clock).keep(60)
    clock.seconds = 5
    assert Silence(path, "second", clock=clock).seconds_left() == 0


@pytest.mark.parametrize("text", ["", "1", "boot soon", "boot 1 2", "\ufeff"])
def test_what_cannot_be_read_is_no_wait_and_the_next_one_replaces_it(
    path: Path, clock: Clock, text: str
) -> None:
    path.write_text(text)
    silence = Silence(path, "boot", clock=clock)
    assert silence.seconds_left() == 0
    silence.keep(60)
    assert silence.seconds_left() == 60


def test_its_clock_goes_forward_alone_and_is_not_the_calendars() -> None:
    first = since_boot()
    assert 0 < first <= since_boot()
    assert since_boot() < 1_000_000_000  # the calendar has more seconds than that


def test_a_wait_that_the_disk_does_not_take_leaves_the_earlier_one(path: Path, clock: Clock) -> None:
    silence = Silence(path, "boot", clock=clock)
    silence.keep(60)
    path.with_suffix(".new").mkdir()  # what can't be written
    with pytest.raises(OSError, match="directory"):
        silence.keep(120)
    assert silence.seconds_left() == 60


def test_the_unit_tells_which_boot_this_is_since_it_can_not_look() -> None:
    unit = (CHECKOUT / "systemd/scoresheet-producer.service").read_text()
    assert "\nEnvironment=SCORESHEET_BOOT_ID=%b\n" in unit
