"""Are games fetched again that were not finished, or that Lichess may have analysed since?"""

import time
from typing import Any

import pytest

from app.contract.ingestion import FetchKind
from tests.integration.api.driver import Game, Ledger, make_game
from tests.integration.conftest import Api


@pytest.fixture
def ledger(api: Api) -> Ledger:
    return Ledger(api).track()


def _recent(number: int, hours_ago: float = 0, **fields: Any) -> Game:
    created_at = int((time.time() - hours_ago * 3_600) * 1_000)
    return make_game(number, createdAt=created_at, lastMoveAt=created_at, **fields)


def _unfinished(number: int) -> Game:
    game = _recent(number, status="started", moves="e4 e5")
    del game["winner"]
    return game


def _make_revisits_due(api: Api) -> None:
    api.execute("UPDATE games SET revisit_at = now() WHERE revisit_at IS NOT NULL")


def test_an_unfinished_game_is_fetched_by_id_until_it_is_finished(api: Api, ledger: Ledger) -> None:
    ledger.stream([_unfinished(1)])
    assert ledger.claim().plan is None
    for game in (_unfinished(1), _recent(1)):
        _make_revisits_due(api)
        assert api.worker.due_players(10).players == ["alice"]
        plan = ledger.plan()
        assert (plan.kind, plan.ids) == (FetchKind.IDS, ["game0001"])
        ledger.see(plan.run_id, [game])
        ledger.store(plan.run_id, [game])
        assert not ledger.finish(plan.run_id, 1).more
    assert api.reader.get("/v1/games/game0001").json()["analysis"] == "pending"


def test_a_finished_game_is_looked_at_again_for_lichess_analysis_for_a_week(api: Api, ledger: Ledger) -> None:
    ledger.stream(
        [_recent(1, 24 * 8), _recent(2, 48), _recent(3, 2), _recent(4), _recent(5, analysis=[{"eval": 1}])]
    )
    waits = dict(
        api.rows(
            "SELECT source_id, round(extract(epoch FROM revisit_at - last_move_at) / 3600)::int FROM games"
        )
    )
    assert waits == {"game0001": None, "game0002": 168, "game0003": 24, "game0004": 1, "game0005": None}


def test_an_analysis_that_appeared_ends_the_visits(api: Api, ledger: Ledger) -> None:
    ledger.stream([_recent(1)])
    _make_revisits_due(api)
    plan = ledger.plan()
    analysed = _recent(1, analysis=[{"eval": 1}])
    ledger.see(plan.run_id, [analysed])
    ledger.store(plan.run_id, [analysed])
    ledger.finish(plan.run_id, 1)
    assert api.value("SELECT revisit_at FROM games") is None
    assert api.reader.get("/v1/games/game0001").json()["moves"][0]["lichess"]["score"]["cp"] == 1


def test_a_game_that_lichess_does_not_return_is_asked_for_ever_more_rarely(api: Api, ledger: Ledger) -> None:
    ledger.stream([_unfinished(1)])
    waits = []
    for _ in range(10):
        _make_revisits_due(api)
        plan = ledger.plan()
        waits.append(
            api.value(
                "SELECT round(extract(epoch FROM revisit_at - started_at) / 60)::int"
                " FROM games, ingestion_runs ORDER BY ingestion_runs.id DESC LIMIT 1"
            )
        )
        assert not ledger.finish(plan.run_id, 0).more
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440]
    assert ledger.manifest() == {"game0001": "stored"}


def test_a_game_that_never_ends_can_be_asked_for_for_ever(api: Api, ledger: Ledger) -> None:
    ledger.stream([_unfinished(1)])
    api.execute("UPDATE games SET revisits = 32767")
    _make_revisits_due(api)
    assert ledger.plan().ids == ["game0001"]


def test_holes_and_revisits_share_one_request(api: Api, ledger: Ledger) -> None:
    plan = ledger.plan()
    unfinished, lost = _unfinished(1), _recent(2)
    ledger.see(plan.run_id, [unfinished, lost])
    ledger.store(plan.run_id, [unfinished])
    ledger.finish(plan.run_id, 2)
    _make_revisits_due(api)
    ledger.make_holes_due()
    assert sorted(ledger.plan().ids) == ["game0001", "game0002"]


def test_no_request_asks_for_more_ids_than_lichess_takes(api: Api, ledger: Ledger) -> None:
    ledger.store(1, [_unfinished(1)])
    columns = (
        "run_id, line, digest, rated, variant, speed, perf, created_at, last_move_at, status, finished,"
        " white_id, white, black, plies, analysed_by_source, revisit_at"
    )
    more = "INSERT INTO games (source_id, {0}) SELECT 'x' || lpad(n::text, 7, '0'), {0} FROM games,"
    api.execute(more.format(columns) + " generate_series(1, 700) n")
    _make_revisits_due(api)
    asked: list[str] = []
    for size in (300, 300, 101):
        plan = ledger.plan()
        assert (plan.max_games, len(plan.ids)) == (size, size)
        asked += plan.ids
        ledger.finish(plan.run_id, 0)
    assert len(set(asked)) == 701
    assert ledger.plan().kind is FetchKind.STREAM
