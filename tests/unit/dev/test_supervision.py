"""Is what supervisor reads and says translated faithfully?"""

import pytest

from dev.errors import DevError
from dev.supervision import Ended, _end, _plain, _quoted


def test_the_cause_of_an_end_is_a_signal_or_an_exit_status() -> None:
    assert _end("redis", "terminated by SIGKILL", asked=False) == Ended(
        "redis", "signal 9", successful=False, asked=False
    )
    assert _end("api", "exit status 3", asked=False) == Ended(
        "api", "exit status 3", successful=False, asked=False
    )
    assert _end("migrate", "exit status 0", asked=True) == Ended(
        "migrate", "exit status 0", successful=True, asked=True
    )


def test_percent_signs_do_not_expand() -> None:
    assert _plain("program:api", "host=%2Frun") == "host=%%2Frun"


@pytest.mark.parametrize("value", ["two\nlines", "a ;comment", "a #comment"])
def test_what_a_configuration_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(DevError, match="program:api"):
        _plain("program:api", value)


@pytest.mark.parametrize("value", ['say "so"', "ends with '"])
def test_quotation_marks_that_would_be_lost_are_refused(value: str) -> None:
    with pytest.raises(DevError, match="quotation mark"):
        _quoted(value)
