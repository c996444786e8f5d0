"""When is a game fetched again?"""

from datetime import UTC, datetime, timedelta

import pytest

from app.contract.games import LichessEvaluation
from app.games.revisits import next_revisit
from tests.unit.app.test_contract import make_record

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("speed", "days_per_turn", "wait"),
    [
        ("blitz", None, timedelta(minutes=10)),
        ("correspondence", 3, timedelta(hours=6)),
        ("correspondence", None, timedelta(hours=6)),  # no limit at all
    ],
)
@pytest.mark.parametrize("status", ["created", "started"])
def test_an_unfinished_game_is_due_soon(
    status: str, speed: str, days_per_turn: int | None, wait: timedelta
) -> None:
    record = make_record(status=status, speed=speed, days_per_turn=days_per_turn)
    assert next_revisit(record, NOW) == NOW + wait


@pytest.mark.parametrize(
    ("age", "at_age"),
    [
        (timedelta(), timedelta(hours=1)),
        (timedelta(hours=1), timedelta(days=1)),
        (timedelta(hours=23), timedelta(days=1)),
        (timedelta(days=1), timedelta(days=7)),
        (timedelta(days=7), None),
        (timedelta(days=700), None),
    ],
)
def test_a_finished_game_is_due_at_some_ages(age: timedelta, at_age: timedelta | None) -> None:
    record = make_record(last_move_at=NOW - age)
    expected = None if at_age is None else record.last_move_at + at_age
    assert next_revisit(record, NOW) == expected


def test_a_game_with_lichess_analysis_is_never_due() -> None:
    record = make_record(last_move_at=NOW).model_copy(update={"evaluations": [LichessEvaluation()]})
    assert next_revisit(record, NOW) is None
