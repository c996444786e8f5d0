"""Does everything that Lichess has of a player come in, once, by the requests that Lichess asks of us?"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from app.contract.names import QueueName
from tests.e2e.harness import CONTACT, SLICE_GAMES, Player, System
from tests.e2e.histories import BUNDLED_PLAYER, bundled_games, history
from tests.e2e.realdata import parsed
from tests.e2e.waiting import LIMIT_SECONDS
from tests.fakes.lichess import Endpoint

_OVERLAP_MS: Final = 24 * 3_600 * 1_000
_SWITCHES: Final = {
    "moves": "true",
    "clocks": "true",
    "evals": "true",
    "accuracy": "true",
    "opening": "true",
    "division": "true",
    "pgnInJson": "false",
}
_FILTERS: Final = {"perfType", "rated", "color", "analysed", "vs", "until"}


@pytest.mark.smoke
def test_every_bundled_game_is_stored_as_lichess_has_it(system: System) -> None:
    player = Player(BUNDLED_PLAYER, parsed(bundled_games()))
    system.track(player)
    system.wait_whole(player)
    completeness = system.view(player)["completeness"]
    assert completeness["seen"] == completeness["stored"] == len(bundled_games())
    assert completeness["refused"] == 0
    assert system.rows("SELECT source_id, flags FROM games WHERE flags <> '{}'") == []
    assert system.value("SELECT count(*) FROM games WHERE extra::text LIKE '%%fullId%%'") == 0


def test_the_first_request_asks_for_everything_oldest_first_and_filters_nothing(system: System) -> None:
    player = system.new_player(history_of=20)
    system.track(player)
    system.wait_whole(player)
    (request,) = system.lichess.requests
    assert request.endpoint is Endpoint.GAMES_OF_USER
    assert request.params == {
        **_SWITCHES,
        "sort": "dateAsc",
        "finished": "true",
        "ongoing": "true",
        "max": str(SLICE_GAMES),
    }
    assert request.accept == "application/x-ndjson"
    assert request.user_agent.startswith("Scoresheet/")
    assert request.user_agent.endswith(f" ({CONTACT})")
    assert request.authenticated_as == player.name


def test_a_second_look_asks_from_the_overlap_before_the_first_and_stores_nothing_new(system: System) -> None:
    player = system.new_player()
    player.games.extend(history(player.name, 60, first=datetime.now(UTC) - timedelta(hours=63)))
    system.show(player.games)
    system.track(player)
    system.wait_whole(player)
    before = _content(system, player)
    # Not the last game's: whatever was older than that had shown itself by then.
    since_ms = _epoch_ms(system.view(player)["synced_at"]) - _OVERLAP_MS
    system.sync(player)
    first, second = system.lichess.wait_for_requests(
        lambda requests: _ended(requests) == 2, timeout_seconds=LIMIT_SECONDS
    )
    assert second.params == {**first.params, "since": str(since_ms)}
    assert second.games_sent == sum(game["createdAt"] >= since_ms for game in player.games) > 0
    system.wait_until(lambda: system.runs(player)[0]["state"] == "complete", "the second run is complete")
    system.wait_until(lambda: system.delivered(QueueName.DB), "every message is done with")
    assert system.runs(player)[0]["new_games"] == 0
    assert _content(system, player) == before


def test_new_games_come_in_with_the_next_look(system: System) -> None:
    player = system.new_player(history_of=20)
    system.track(player)
    system.wait_whole(player)
    newer = history(player.name, 3, first=datetime(2025, 1, 1, tzinfo=UTC))
    system.show(newer)
    player.games.extend(newer)
    system.sync(player)
    system.wait_whole(player)
    system.check_requests()


def test_a_backfill_in_slices_lets_another_players_games_of_today_through(system: System) -> None:
    backfill = system.new_player(history_of=3 * SLICE_GAMES)
    today = system.new_player(games=[])
    games = history(today.name, 5, first=datetime.now(UTC) - timedelta(hours=6))
    system.show(games)
    today.games.extend(games)
    system.lichess.hold_after(10)
    system.track(backfill)
    system.wait_until(lambda: system.sent(backfill) == 10, "the backfill has begun")
    system.track(today)
    # The first slice goes on once the other player waits behind it.
    system.wait_until(lambda: _waits_for_fetch(system, today), "the other player is sent on the way")
    system.lichess.hold_after(None)
    system.wait_whole(today)
    system.wait_whole(backfill)
    asked_for = [request.username for request in system.lichess.requests]
    first_of_today = asked_for.index(today.name)
    assert backfill.name in asked_for[:first_of_today]
    assert asked_for[first_of_today:].count(backfill.name) >= 2
    # Between two slices nothing is read twice but the game that the next one starts from.
    starts = [r.params.get("since") for r in system.lichess.requests if r.username == backfill.name]
    assert starts[:3] == [None, *(str(backfill.games[n]["createdAt"]) for n in _slice_ends(2))]
    system.check_requests()


def test_a_game_that_finishes_later_is_fetched_again_by_its_id(system: System) -> None:
    finished = history("somebody", 1, suitable=lambda game: len(game.get("moves", "")) > 100)[0]
    player = system.new_player(games=[])
    games = history(player.name, 3)
    finished |= {"id": games[1]["id"], "createdAt": games[1]["createdAt"], "players": games[1]["players"]}
    running = finished | {"status": "started", "moves": " ".join(finished["moves"].split()[:12])}
    running.pop("winner", None)
    running["clocks"] = running["clocks"][:12]
    games[1] = running
    player.games.extend(games)
    system.show(games)
    system.track(player)
    system.wait_until(lambda: system.view(player)["completeness"]["complete"], "complete")
    assert system.value("SELECT finished FROM games WHERE source_id = %s", running["id"]) is False
    assert (
        system.value("SELECT count(*) FROM game_analyses JOIN games ON game_id = id WHERE NOT finished") == 0
    )
    player.games[1] = finished
    system.show([finished])
    _revisit_now(system, running["id"])
    system.wait_until(lambda: _is_finished(system, running["id"]), "the game is finished")
    system.wait_whole(player)
    by_id = system.lichess.requests[-1]
    assert by_id.endpoint is Endpoint.GAMES_BY_IDS
    assert by_id.ids == [running["id"]]
    assert by_id.params == _SWITCHES
    assert by_id.accept == "application/x-ndjson"
    system.check_requests()


def test_an_analysis_that_lichess_adds_later_is_fetched_by_id(system: System) -> None:
    analysed = next(game for game in parsed(bundled_games()) if "analysis" in game)
    player = system.new_player(games=[])
    recent_ms = int((datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1_000)
    analysed |= {"createdAt": recent_ms, "lastMoveAt": recent_ms + 600_000, "id": "anaLysed"}
    analysed["players"]["white"]["user"] = {"id": player.name, "name": player.name}
    plain = {key: value for key, value in analysed.items() if key != "analysis"}
    system.show([plain])
    player.games.append(analysed)
    system.track(player)
    system.wait_whole(player)
    assert system.value("SELECT analysed_by_source FROM games WHERE source_id = 'anaLysed'") is False
    assert system.value("SELECT revisit_at FROM games WHERE source_id = 'anaLysed'") is not None
    system.show([analysed])
    _revisit_now(system, "anaLysed")
    system.wait_until(
        lambda: system.value("SELECT analysed_by_source FROM games WHERE source_id = 'anaLysed'"),
        "the analysis is stored",
    )
    system.wait_whole(player)
    evaluations = system.value(
        "SELECT source_evaluations FROM game_moves JOIN games ON game_id = id WHERE source_id = 'anaLysed'"
    )
    assert len(evaluations) == len(analysed["analysis"])
    system.check_requests()


def test_what_is_not_known_yet_is_stored_and_flagged(system: System) -> None:
    player = system.new_player(history_of=4)
    player.games[0]["variant"] = "fourPlayer"
    player.games[1]["status"] = "abducted"
    player.games[2]["speed"] = "glacial"
    player.games[3]["newField"] = {"deep": [1, 2]}
    system.show(player.games)
    system.track(player)
    system.wait_whole(player)
    rows = system.rows(
        "SELECT source_id, flags, extra FROM games WHERE white_id = %s OR black_id = %s",
        player.name,
        player.name,
    )
    flags = {game_id: set(found) for game_id, found, _ in rows}
    unknown = ({"unknown_variant"}, {"unknown_status"}, {"unknown_speed"})
    for game, expected in zip(player.games, unknown, strict=False):
        assert expected <= flags[game["id"]]
    extra = {game_id: found for game_id, _, found in rows}
    assert extra[player.games[3]["id"]]["newField"] == {"deep": [1, 2]}


def test_an_untracked_player_is_not_asked_for_any_more(system: System) -> None:
    player = system.new_player(history_of=5)
    system.track(player)
    system.wait_whole(player)
    system.owner.delete(f"/v1/players/{player.name}").raise_for_status()
    system.execute("UPDATE players SET next_sync_at = now()")
    other = system.new_player(history_of=5)
    system.track(other)
    system.wait_whole(other)
    assert [request.username for request in system.lichess.requests] == [player.name, other.name]


def _ended(requests: list[Any]) -> int:
    return sum(request.ended_s is not None for request in requests)


def _waits_for_fetch(system: System, player: Player) -> bool:
    """Tell whether a message waits, or is fetched ahead, that sends the player to Lichess."""
    with system.redis() as client:
        queued, taken = client.lrange("api_queue", 0, -1), client.hvals("unacked")
    assert isinstance(queued, list)  # the stubs cover the asynchronous client too
    assert isinstance(taken, list)
    return any(player.name.encode() in text for text in queued + taken)


def _epoch_ms(moment: str) -> int:
    return (datetime.fromisoformat(moment) - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _slice_ends(slices: int) -> list[int]:
    """Return the indices of the games that end the first slices; each begins with the end of the last."""
    return [number * (SLICE_GAMES - 1) for number in range(1, slices + 1)]


def _content(system: System, player: Player) -> list[tuple[Any, ...]]:
    return system.rows(
        "SELECT source_id, digest, stored_at, updated_at FROM games WHERE white_id = %s OR black_id = %s"
        " ORDER BY source_id",
        player.name,
        player.name,
    )


def _revisit_now(system: System, game_id: str) -> None:
    """Move the clock's hand to the moment at which the game is to be fetched again."""
    assert system.execute("UPDATE games SET revisit_at = now() WHERE source_id = %s", game_id) == 1


def _is_finished(system: System, game_id: str) -> bool:
    return bool(system.value("SELECT finished FROM games WHERE source_id = %s", game_id))
