"""Does `make run` say what is wrong with the requests to Lichess, since when, and what follows?"""

from datetime import UTC, datetime
from typing import Any

import pytest

from dev.run import failing

_NOW = datetime(2026, 3, 2, 16, 5, tzinfo=UTC)
_UNREACHABLE = "lichess.org can't be reached: [Errno -2] Name or service not known"


def _player(next_sync_at: str, state: str = "active") -> dict[str, Any]:
    return {"state": state, "state_detail": _UNREACHABLE, "next_sync_at": next_sync_at}


def _run(state: str, started_at: str, *, new_games: int = 0) -> dict[str, Any]:
    ended = None if state == "running" else started_at
    return {"state": state, "started_at": started_at, "finished_at": ended, "new_games": new_games}


@pytest.mark.parametrize(
    "before",
    [[], [_run("complete", "2026-03-02T16:00:00Z")], [_run("cut", "2026-03-02T16:00:00Z", new_games=3)]],
)
def test_the_first_failure_of_the_last_row_and_the_next_request_are_named(
    before: list[dict[str, Any]],
) -> None:
    runs = [
        _run("running", "2026-03-02T16:04:00Z"),
        _run("unavailable", "2026-03-02T16:03:00Z"),
        _run("abandoned", "2026-03-02T16:02:00Z"),
        _run("unavailable", "2026-03-02T16:01:00Z"),
        *before,
        _run("unavailable", "2026-03-02T15:00:00Z"),
    ][: 4 + 2 * len(before)]
    assert failing(_player("2026-03-02T16:06:00Z"), runs, _NOW) == (
        f"{_UNREACHABLE}; since 16:01 UTC; tried again at 16:06 UTC"
    )


def test_a_request_that_is_due_is_tried_now() -> None:
    assert failing(_player("2026-03-02T16:05:00Z"), [], _NOW) == f"{_UNREACHABLE}; tried again now"


def test_a_day_that_is_not_today_is_named() -> None:
    runs = [_run("not_found", "2026-03-01T23:59:00Z")]
    assert failing(_player("2026-03-03T00:00:00+00:00", "not_found"), runs, _NOW).endswith(
        "; since 2026-03-01 23:59 UTC; tried again at 2026-03-03 00:00 UTC"
    )


def test_nothing_more_is_said_than_is_known() -> None:
    runs = [_run("unavailable", "2026-03-02T15:00:00Z")] * 100
    assert "since at least 15:00 UTC" in failing(_player("2026-03-02T16:06:00Z"), runs, _NOW)
    assert "tried again" not in failing(_player("2026-03-02T16:06:00Z", "unauthorised"), runs, _NOW)
