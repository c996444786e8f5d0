"""Can accounts be tracked, listed, synced and left?"""

import httpx
import pytest

from app.contract.names import QueueName
from tests.integration.api.driver import Ledger, make_game
from tests.integration.conftest import Api, wait_until


def test_tracking_answers_201_once_and_200_after(api: Api) -> None:
    first = api.writer.put("/v1/players/Alice")
    again = api.writer.put("/v1/players/ALICE")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["username"] == again.json()["username"] == "Alice"
    assert api.value("SELECT count(*) FROM players") == 1


def test_a_new_account_is_due_at_once_and_incomplete(api: Api) -> None:
    view = Ledger(api).track().view()
    assert (view.state, view.backfilling, view.syncing, view.cursor) == ("active", True, False, None)
    assert not view.completeness.complete
    assert api.worker.due_players(10).players == ["alice"]


@pytest.mark.smoke
def test_tracking_hints_to_the_producer_by_queue_and_name(api: Api) -> None:
    api.writer.put("/v1/players/Alice")
    with api.backend.redis() as redis:
        wait_until(lambda: redis.llen(QueueName.API) != 0, "a message on api_queue")
        message = redis.lindex(QueueName.API, 0)
    assert isinstance(message, bytes)
    assert b'"task": "fetch_player_games"' in message


def test_an_unknown_account_is_not_found(api: Api) -> None:
    for request in (
        api.reader.build_request("GET", "/v1/players/nobody"),
        api.reader.build_request("GET", "/v1/players/nobody/runs"),
        api.reader.build_request("GET", "/v1/players/nobody/refusals"),
        api.reader.build_request("GET", "/v1/players/nobody/summary"),
    ):
        assert api.reader.send(request).json()["code"] == "not_found"
    assert api.writer.post("/v1/players/nobody/sync").status_code == 404
    assert api.writer.delete("/v1/players/nobody").status_code == 404


def test_untracking_stops_the_fetching_and_keeps_the_games(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1)])
    assert api.writer.delete("/v1/players/alice").status_code == 204
    assert api.writer.delete("/v1/players/alice").status_code == 204
    ledger.make_due()
    assert api.worker.due_players(10).players == []
    assert api.reader.get("/v1/players").json()["items"] == []
    assert api.reader.get("/v1/games/game0001").is_success
    assert not ledger.view().tracked
    assert api.writer.post("/v1/players/alice/sync").status_code == 404


@pytest.mark.parametrize("state", ["active", "gone", "unauthorised"])
def test_tracking_again_makes_the_account_due_whatever_it_was(api: Api, state: str) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1)])
    api.writer.delete("/v1/players/alice")
    api.execute("UPDATE players SET state = %s", state)
    ledger.track()
    assert api.worker.due_players(10).players == ["alice"]
    assert ledger.view().state == "active"


def test_a_sync_makes_the_account_due_and_hints(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1)])
    assert api.worker.due_players(10).players == []
    with api.backend.redis() as redis:
        redis.delete(QueueName.API)
        assert api.writer.post("/v1/players/Alice/sync").status_code == 202
        assert api.worker.due_players(10).players == ["alice"]
        wait_until(lambda: redis.llen(QueueName.API) != 0, "a message on api_queue")


def _pages(client: httpx.Client, path: str, limit: int) -> list[list[str]]:
    pages, after = [], None
    while True:
        params = {"limit": str(limit), **({} if after is None else {"after": after})}
        page = client.get(path, params=params).json()
        pages.append([item["username"] for item in page["items"]])
        after = page["next"]
        if after is None:
            return pages


def test_the_list_shows_every_account_once_page_by_page(api: Api) -> None:
    names = ["Zoe", "adam", "Bea_1", "bea-2", "Carl", "b"]
    for name in names:
        api.writer.put(f"/v1/players/{name}")
    for limit in (1, 2, 3, 6, 7):
        pages = _pages(api.reader, "/v1/players", limit)
        assert all(len(page) <= limit for page in pages)
        listed = [name for page in pages for name in page]
        assert len(listed) == len(names)
        assert set(listed) == set(names)


def test_completeness_counts_each_account_apart(api: Api) -> None:
    alice, bob = Ledger(api, "alice").track(), Ledger(api, "bob").track()
    alice.stream([make_game(1), make_game(2)])
    plan = bob.plan()
    bob.see(plan.run_id, [make_game(1), make_game(3)])
    bob.refuse(plan.run_id, make_game(3), 2)
    views = {item["username"]: item for item in api.reader.get("/v1/players").json()["items"]}
    assert views["alice"]["completeness"] == {
        "seen": 2,
        "stored": 2,
        "refused": 0,
        "pending": 0,
        "complete": True,
    }
    assert views["bob"]["completeness"] == {
        "seen": 2,
        "stored": 0,
        "refused": 1,
        "pending": 1,
        "complete": False,
    }
    assert (views["alice"]["syncing"], views["bob"]["syncing"]) == (False, True)
