"""How long is Lichess left alone after one failure after another?"""

from datetime import timedelta

import pytest

from app.contract.ingestion import FetchOutcome
from app.ingestion.waits import after_failure, after_hole
from app.settings import Settings
from workers.settings import Settings as WorkerSettings

FIRST = timedelta(seconds=5)
HEALTHY_AGAIN = timedelta(seconds=120)
"""Within this time of the last fault, everything has to work again."""


@pytest.mark.parametrize(
    "outcome", [FetchOutcome.CUT, FetchOutcome.UNAVAILABLE, FetchOutcome.UNORDERED, FetchOutcome.UNAUTHORISED]
)
@pytest.mark.parametrize("failures", [6, 1_000_000])
def test_the_longest_wait_and_a_round_of_the_schedule_leave_time_to_work(
    outcome: FetchOutcome, failures: int
) -> None:
    fields = Settings.model_fields
    first = timedelta(seconds=fields["failure_retry_seconds"].default)
    round_of_schedule = timedelta(seconds=WorkerSettings.model_fields["orchestrator_seconds"].default)
    assert after_failure(outcome, first, failures) + round_of_schedule <= HEALTHY_AGAIN - timedelta(
        seconds=15
    )


def test_a_wait_doubles_up_to_a_ceiling_that_depends_on_what_failed() -> None:
    def waits(outcome: FetchOutcome) -> list[float]:
        return [after_failure(outcome, FIRST, failures).total_seconds() for failures in range(6)]

    assert waits(FetchOutcome.CUT) == [5, 10, 15, 15, 15, 15]
    assert waits(FetchOutcome.UNAVAILABLE) == [5, 10, 20, 40, 45, 45]


def test_a_first_wait_above_the_ceiling_is_kept_and_does_not_grow() -> None:
    first = timedelta(seconds=400)
    assert {after_failure(FetchOutcome.CUT, first, failures) for failures in range(4)} == {first}


def test_a_hole_waits_for_what_was_tried_and_for_what_failed() -> None:
    minute = timedelta(minutes=1)
    assert after_hole(minute, 0, 0) == 2 * minute
    assert after_hole(minute, 2, 0) == 8 * minute
    assert after_hole(minute, 0, 3) == 16 * minute
    assert after_hole(minute, 0, 1_000) == timedelta(hours=6)
