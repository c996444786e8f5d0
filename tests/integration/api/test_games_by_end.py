"""Is a game found where it ended, by a page that costs the same in a long history as in a short one?"""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy

from app.games.repository import GameFilter, GameSort, page_query
from tests.integration.api.driver import FIRST_MS, Ledger, make_game
from tests.integration.api.test_games import _ids, _list
from tests.integration.conftest import Api

_FIRST = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=FIRST_MS)
_LONG = 30_000
"""Games of one player, one an hour, each 300th of which took a year."""


@pytest.fixture(scope="module")
def long_history(api_server: Api) -> Api:
    """Give the API with a long history; no test that asks for it changes anything."""
    api_server.backend.clear()
    Ledger(api_server).track().store(1, [make_game(0)])
    api_server.execute(
        """
        INSERT INTO games (source_id, run_id, line, digest, rated, variant, speed, perf, created_at,
                           last_move_at, status, finished, white, black,
                           white_id, black_id, plies, analysed_by_source)
        SELECT 'many' || n, 1, n, digest, rated, variant, speed, perf, created_at + make_interval(hours => n),
               created_at + make_interval(hours => n, years => (mod(n, 300) = 0)::int),
               status, finished, white, black,
               CASE mod(n, 2) WHEN 0 THEN white_id ELSE black_id END,
               CASE mod(n, 2) WHEN 0 THEN black_id ELSE white_id END, plies, analysed_by_source
        FROM games, generate_series(1, %s) AS n
        """,
        _LONG,
    )
    api_server.execute("ANALYZE games")
    return api_server


@pytest.mark.parametrize("sort", list(GameSort))
@pytest.mark.parametrize("player", [None, "alice"])
@pytest.mark.parametrize("since", [0, _LONG - 24], ids=["ever", "yesterday"])
@pytest.mark.parametrize("after", [None, (_FIRST + timedelta(hours=_LONG // 2), 1)], ids=["first", "middle"])
def test_a_page_of_a_long_history_reads_little_more_than_it_shows(
    long_history: Api, sort: GameSort, player: str | None, since: int, after: tuple[datetime, int] | None
) -> None:
    wanted = GameFilter(player=player, sort=sort, since=_FIRST + timedelta(hours=since))
    query = page_query(wanted, after, 50)
    dialect = sqlalchemy.create_engine("postgresql+psycopg://").dialect
    text = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    (plan,) = long_history.value(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}")
    read = [node["Actual Rows"] * node["Actual Loops"] for node in _nodes(plan["Plan"])]
    assert max(read) <= 2 * 50, plan


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


def test_a_game_that_ended_last_is_not_buried_at_its_start(api: Api) -> None:
    end_ms = FIRST_MS + 400 * 24 * 3_600_000
    slow = make_game(0, speed="correspondence", daysPerTurn=14, lastMoveAt=end_ms)
    Ledger(api).track().store(1, [slow, *(make_game(number) for number in range(1, 6))])
    for player in ({}, {"player": "alice"}):
        assert _ids(_list(api, 2, **player, sort="last_move_at"))[0] == "game0000"
        assert _ids(_list(api, 2, **player))[-1] == "game0000"


def test_pages_by_the_end_stay_whole_while_games_are_played_on(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.store(1, [make_game(number, status="started", winner=None) for number in range(20)])
    before = _ids(_list(api, 100, player="alice", sort="last_move_at"))
    seen: list[str] = []
    after: dict[str, str] = {}
    played_on = set()
    for number in itertools.count(19, -4):
        params = {"player": "alice", "limit": "3", "sort": "last_move_at", **after}
        page = api.reader.get("/v1/games", params=params).json()
        seen += _ids(page["items"])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
        if number >= 0:  # among those that were shown at first, then among those that were not
            played_on.add(f"game{number:04d}")
            ledger.store(2, [make_game(number, lastMoveAt=FIRST_MS + 10**9 + number)])
    assert len(seen) == len(set(seen))
    assert [game for game in seen if game not in played_on] == [
        game for game in before if game not in played_on
    ]
    top = _ids(_list(api, 100, player="alice", sort="last_move_at"))[: len(played_on)]
    assert set(top) == played_on


def test_the_end_includes_the_first_moment_and_excludes_the_last(api: Api) -> None:
    ends_ms = {number: FIRST_MS + (20 + 7 * number % 12) * 60_000 for number in range(12)}
    Ledger(api).track().store(1, [make_game(number, lastMoveAt=end) for number, end in ends_ms.items()])
    since, until = ((_FIRST + timedelta(minutes=minutes)).isoformat() for minutes in (22, 27))
    found = _ids(_list(api, 2, player="alice", sort="last_move_at", since=since, until=until))
    expected = [number for number, end in ends_ms.items() if 22 <= (end - FIRST_MS) // 60_000 < 27]
    expected.sort(key=ends_ms.__getitem__, reverse=True)
    assert found == [f"game{number:04d}" for number in expected]
    assert len(found) == 5


def test_a_cursor_belongs_to_the_sort_that_it_came_from(api: Api) -> None:
    Ledger(api).track().store(1, [make_game(number) for number in range(4)])
    sorts = ("created_at", "last_move_at")
    for one, other in (sorts, sorts[::-1]):
        cursor = api.reader.get("/v1/games", params={"sort": one, "limit": "2"}).json()["next"]
        answer = api.reader.get("/v1/games", params={"sort": other, "limit": "2", "after": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert api.reader.get("/v1/games", params={"sort": "rating"}).status_code == 422
