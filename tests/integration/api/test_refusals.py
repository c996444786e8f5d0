"""Is what could not be stored kept, shown, and tried again on request?"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.contract.ingestion import FetchKind, FetchOutcome
from app.contract.names import QueueName
from tests.integration.api.driver import Ledger, make_game
from tests.integration.conftest import Api, wait_until


def _refusals(api: Api) -> list[dict[str, object]]:
    items = api.reader.get("/v1/players/alice/refusals").json()["items"]
    assert isinstance(items, list)
    return items


def test_a_refusal_is_shown_with_its_reason_and_its_line(api: Api) -> None:
    ledger = Ledger(api).track()
    game = make_game(1)
    ledger.refuse(ledger.plan().run_id, game)
    (refusal,) = _refusals(api)
    assert (refusal["id"], refusal["code"], refusal["detail"]) == ("game0001", "invalid_field", "line 1")
    assert json.loads(str(refusal["raw"])) == game
    assert ledger.view().completeness.refused == 1


def test_refusals_come_in_pages(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    for number in range(5):
        ledger.refuse(run_id, make_game(number), number + 1)
    ids, after = [], None
    while True:
        params = {"limit": "2", **({"after": after} if after else {})}
        page = api.reader.get("/v1/players/alice/refusals", params=params).json()
        ids += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert ids == [f"game000{number}" for number in range(5)]


def test_a_retry_fetches_the_named_game_again_by_its_id(api: Api) -> None:
    ledger = Ledger(api).track()
    games = [make_game(1), make_game(2)]
    plan = ledger.plan()
    ledger.see(plan.run_id, games)
    for line, game in enumerate(games, 1):
        ledger.refuse(plan.run_id, game, line)
    ledger.finish(plan.run_id, 2)
    with api.backend.redis() as redis:
        redis.flushall()
        answer = api.writer.post("/v1/players/alice/refusals/retry", json={"games": ["game0002"]})
        assert answer.json() == {"retried": 1}
        wait_until(lambda: redis.llen(QueueName.API) != 0, "a hint to the producer")
    assert ledger.manifest() == {"game0001": "refused", "game0002": "pending"}
    plan = ledger.plan()
    assert (plan.kind, plan.ids) == (FetchKind.IDS, ["game0002"])
    ledger.see(plan.run_id, [games[1]])
    ledger.store(plan.run_id, [games[1]])
    assert ledger.manifest() == {"game0001": "refused", "game0002": "stored"}


def test_a_retry_of_all_leaves_lines_without_a_game_alone(api: Api) -> None:
    ledger = Ledger(api).track()
    for _ in range(3):
        run_id = ledger.plan().run_id
        ledger.garbled(run_id)
    ledger.refuse(run_id, make_game(1), 2)
    assert api.writer.post("/v1/players/alice/refusals/retry", json={}).json() == {"retried": 1}
    assert ledger.view().completeness.refused == 1


def test_a_retry_wakes_an_account_that_is_not_asked_for_any_more(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    ledger.refuse(run_id, make_game(1))
    ledger.finish(run_id, 1, FetchOutcome.UNAUTHORISED)
    assert ledger.claim().plan is None
    assert api.writer.post("/v1/players/alice/refusals/retry", json={}).json() == {"retried": 1}
    assert ledger.plan().ids == ["game0001"]


def test_refusals_of_an_account_that_is_not_tracked_any_more_are_not_retried(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.refuse(ledger.plan().run_id, make_game(1))
    api.writer.delete("/v1/players/alice").raise_for_status()
    answer = api.writer.post("/v1/players/alice/refusals/retry", json={})
    assert answer.status_code == 404
    assert "not tracked any more" in answer.json()["detail"]
    assert ledger.manifest() == {"game0001": "refused"}


def test_the_line_of_a_retried_game_that_lichess_lost_goes_to_the_consumers_again(api: Api) -> None:
    ledger = Ledger(api).track()
    lost, returned, never_refused = make_game(1), make_game(2), make_game(3)
    first = ledger.plan().run_id
    ledger.see(first, [lost, returned, never_refused])
    for line, game in enumerate((lost, returned), 1):
        ledger.refuse(first, game, line)
    assert ledger.finish(first, 3).kept == []
    api.writer.post("/v1/players/alice/refusals/retry", json={})
    ledger.make_holes_due()
    run_id = ledger.plan().run_id
    ledger.see(run_id, [returned])
    verdict = ledger.finish(run_id, 1)
    (kept,) = verdict.kept
    assert (kept.id, kept.run_id, kept.line, json.loads(kept.raw)) == ("game0001", first, 1, lost)
    assert ledger.finish(run_id, 1) == verdict  # the answer may get lost
    ledger.store(kept.run_id, [lost], kept.line)
    assert ledger.manifest() == {"game0001": "stored", "game0002": "pending", "game0003": "pending"}
    assert ledger.finish(run_id, 1).kept == []


def test_a_run_that_was_cut_tells_nothing_of_the_games_that_lichess_lost(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.refuse(ledger.plan().run_id, make_game(1))
    api.writer.post("/v1/players/alice/refusals/retry", json={})
    assert ledger.finish(ledger.plan().run_id, 0, FetchOutcome.CUT).kept == []


@pytest.mark.parametrize("consumers", [True, False])
def test_a_retried_game_that_lichess_lost_meanwhile_keeps_its_line(api: Api, consumers: bool) -> None:
    ledger = Ledger(api).track()
    game = make_game(1)
    ledger.refuse(ledger.plan().run_id, game)
    api.writer.post("/v1/players/alice/refusals/retry", json={})
    for number in range(10, 16):
        ledger.make_holes_due()
        run_id = ledger.plan().run_id
        ledger.finish(run_id, 0)
        if consumers:
            ledger.store(run_id, [make_game(number)])
    if not consumers:  # nobody may have looked at the line yet
        assert ledger.manifest() == {"game0001": "pending"}
        return
    (refusal,) = _refusals(api)
    assert (refusal["code"], json.loads(str(refusal["raw"]))) == ("vanished", game)


def test_a_game_that_was_shown_again_has_not_vanished(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    for shown in (False, True, True, True, True):
        ledger.make_holes_due()
        run_id = ledger.plan().run_id
        if shown:
            ledger.see(run_id, [make_game(1)])
        ledger.finish(run_id, int(shown))
    ledger.make_holes_due()
    assert ledger.plan().ids == ["game0001"]
    assert ledger.manifest() == {"game0001": "pending"}


def test_a_retry_locks_games_in_the_order_of_their_ids_as_the_consumers_do(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    for number in (2, 1):
        ledger.refuse(run_id, make_game(number), number)
    api.execute("ANALYZE seen_games")  # so that two rows are read as they lie, the second game first
    lock = "SELECT FROM seen_games WHERE source_id = %s FOR UPDATE NOWAIT"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'seen_games'"
    with ThreadPoolExecutor(1) as pool, api.backend.connect() as other:
        with other.transaction():
            other.execute(lock, ["game0001"])
            retry = pool.submit(api.writer.post, "/v1/players/alice/refusals/retry", json={})
            wait_until(lambda: bool(api.value(waiting)), "the retry waits for the first game")
            # Were the second one its already, this consumer and the retry would wait for each other.
            other.execute(lock, ["game0002"])
        assert retry.result().json() == {"retried": 2}
    assert ledger.manifest() == {"game0001": "pending", "game0002": "pending"}
