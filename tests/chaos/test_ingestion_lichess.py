"""Is every game stored, once, whatever Lichess does wrong on the way?"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from tests.chaos.messages import send
from tests.e2e.harness import RATE_LIMIT_SECONDS, SLICE_GAMES, Player, System
from tests.fakes.lichess import Endpoint, Fault, FaultKind, Outcome
from tests.fakes.lichess.playback import GARBAGE_LINE

_GAMES: Final = 130

_TRANSIENT: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "status 500": Fault(kind=FaultKind.STATUS, status=500),
        "a page for people": Fault(kind=FaultKind.HTML),
        "pages with status 404": Fault(kind=FaultKind.STATUS, status=404, body="<html>", times=3),
        "a page with status 401": Fault(kind=FaultKind.STATUS, status=401, body="<html>"),
        # More of them than it takes to refuse a garbled line.
        "pages that are said to be NDJSON": Fault(kind=FaultKind.MISLABELLED, times=4),
        "compressed answers": Fault(kind=FaultKind.GZIP, times=4),
        "no answer": Fault(kind=FaultKind.STALL),
        "a stall": Fault(kind=FaultKind.STALL, after_lines=40),
        "a reset": Fault(kind=FaultKind.RESET, after_lines=40),
        "a cut between lines": Fault(kind=FaultKind.CUT, after_lines=40),
        "half a line": Fault(kind=FaultKind.HALF_LINE, after_lines=40),
        "a slow drip": Fault(kind=FaultKind.DRIP, after_lines=90, bytes_per_second=5_000),
        "garbage once": Fault(kind=FaultKind.GARBAGE, after_lines=40),
        "a line of 10 MB once": Fault(kind=FaultKind.HUGE_LINE, after_lines=40),
        "a line without an id once": Fault(kind=FaultKind.MISSING_ID, after_lines=40),
        "every line twice": Fault(kind=FaultKind.DUPLICATE, after_lines=40),
        "blank lines": Fault(kind=FaultKind.BLANK_LINES, after_lines=40),
        "CR LF": Fault(kind=FaultKind.CRLF, after_lines=40),
        "a byte order mark": Fault(kind=FaultKind.BOM, after_lines=40),
        "lines in reverse": Fault(kind=FaultKind.UNORDERED, after_lines=40),
    }
)


@pytest.mark.parametrize("name", _TRANSIENT)
def test_a_fault_that_passes_costs_no_game(system: System, name: str) -> None:
    player = system.new_player(history_of=_GAMES)
    system.lichess.add_fault(_TRANSIENT[name])
    system.track(player)
    system.wait_whole(player)
    assert any(request.fault for request in system.lichess.requests)
    system.check_requests()


def test_faults_in_a_row_cost_no_game(system: System) -> None:
    player = system.new_player(history_of=_GAMES)
    kinds = (FaultKind.CUT, FaultKind.HALF_LINE, FaultKind.RESET, FaultKind.GARBAGE, FaultKind.CUT)
    system.lichess.add_fault(*(Fault(kind=kind, after_lines=15) for kind in kinds))
    system.track(player)
    system.wait_whole(player)
    system.check_requests()


def test_garbage_for_ever_is_refused_with_its_bytes_and_all_behind_it_is_stored(system: System) -> None:
    player = system.new_player(history_of=90)
    system.lichess.add_fault(
        Fault(kind=FaultKind.GARBAGE, after_lines=20, times=None, endpoint=Endpoint.GAMES_OF_USER)
    )
    system.track(player)
    refusal = _wait_for_nameless(system, player)
    system.wait_whole(player, refused={refusal["id"]})
    assert refusal["code"] == "garbled"
    assert refusal["raw"] == GARBAGE_LINE.strip().decode(errors="replace")
    # Two runs ended at it, in case it was a fault on the way; the third went on behind it. (One that is cut
    # for a silence, on a slow machine, is none of them.)
    streams = [run for run in reversed(system.runs(player)) if run["kind"] == "stream"]
    ended = [run["state"] for run in streams if "is garbled" in (run["detail"] or "") or run["lines"] > 20]
    assert ended[:3] == ["cut", "cut", "complete"]
    system.check_requests()


def test_a_line_of_10_mb_for_ever_harms_only_itself(system: System) -> None:
    player = system.new_player(history_of=40)
    system.lichess.add_fault(
        Fault(kind=FaultKind.HUGE_LINE, after_lines=1, times=None, endpoint=Endpoint.GAMES_OF_USER)
    )
    system.track(player)
    refusal = _wait_for_nameless(system, player)
    spoiled = player.games.pop(1)
    system.wait_whole(player, refused={refusal["id"]})
    assert refusal["raw"].startswith(f'{{"id":"{spoiled["id"]}"')
    assert len(refusal["raw"]) <= 2**16
    system.check_requests()


def test_the_silence_after_a_429_outlasts_producer_and_redis(system: System) -> None:
    player = system.new_player(history_of=30)
    # As after six others, so that it outlasts the start of a producer on any machine.
    system.execute("INSERT INTO source_gates (source) VALUES ('lichess') ON CONFLICT DO NOTHING")
    system.execute("UPDATE source_gates SET rate_limits = 6")
    system.lichess.add_fault(Fault(kind=FaultKind.STATUS, status=429))
    system.track(player)
    # What is to outlast the producer is what it has recorded, not what Lichess has said.
    system.wait_until(lambda: "rate_limited" in _states(system, player), "the silence is recorded")
    system.stack.kill("producer")
    with system.redis() as client:
        client.flushall()
    before = _put_off(system)
    # The schedule sends nobody now. The first of two learns of the silence by the API, if it must.
    send(system, "fetch_player_games", "api_queue", [[player.name]] * 2)

    def heeded() -> bool:
        assert _answers(system) == [429], "it asked in the silence"
        return _put_off(system) > before

    system.wait_until(heeded, "the next producer heeds the silence")
    # It would last for minutes: move its end to where that of a first one is.
    system.execute(
        "UPDATE source_gates SET rate_limits = 0, not_before = not_before - %s * interval '1 second'",
        RATE_LIMIT_SECONDS * (2**6 - 1),
    )
    Path(system.pipeline.environment["SCORESHEET_STATE_DIR"], "lichess.silence").unlink(missing_ok=True)
    system.wait_whole(player)
    refused, following = system.lichess.requests[:2]
    assert (refused.status, following.status) == (429, 200)
    assert refused.ended_s is not None
    assert following.started_s - refused.ended_s >= RATE_LIMIT_SECONDS
    system.check_requests()


def test_a_token_that_is_not_valid_pauses_the_player_until_a_sync_is_asked_for(system: System) -> None:
    player = system.new_player(history_of=30)
    system.lichess.add_fault(Fault(kind=FaultKind.STATUS, status=401))
    system.track(player)
    system.wait_until(lambda: system.view(player)["state"] == "unauthorised", "unauthorised")
    system.sync(player)
    system.wait_whole(player)
    assert _answers(system)[:2] == [401, 200]
    system.check_requests()


def test_an_account_that_is_closed_is_not_found_then_gone_and_comes_back_by_itself(system: System) -> None:
    player = system.new_player(history_of=30)
    system.lichess.close_account(player.name)
    system.track(player)
    for asked, state in ((1, "not_found"), (2, "not_found"), (3, "gone")):
        # A run that Lichess has answered still has to end: its end sets the time of the next question.
        system.wait_until(
            lambda: _states(system, player).count("not_found") == asked,  # noqa: B023
            f"{asked} answers",
        )
        assert system.view(player)["state"] == state
        if state == "gone":
            system.lichess.reopen_account(player.name)
        # Hours, a day and a week lie between the questions: move the clock's hand instead.
        system.execute("UPDATE players SET next_sync_at = now() WHERE username = %s", player.name)
    system.wait_whole(player)
    assert _answers(system) == [404, 404, 404, 200]
    system.check_requests()


@pytest.mark.parametrize("at_once", [10, SLICE_GAMES + 50], ids=["across two slices", "more than a slice"])
def test_games_of_one_millisecond_are_all_stored(system: System, at_once: int) -> None:
    player = system.new_player(history_of=SLICE_GAMES + at_once + 20)
    first = SLICE_GAMES - 5
    moment = player.games[first]["createdAt"]
    for game in player.games[first : first + at_once]:
        game["lastMoveAt"] += moment - game["createdAt"]
        game["createdAt"] = moment
    system.show(player.games)
    system.track(player)
    system.wait_whole(player)
    system.check_requests()


def test_a_game_that_vanishes_before_it_is_stored_is_refused_and_not_forgotten(system: System) -> None:
    player = system.new_player(history_of=30)
    system.stack.stop("consumer")
    system.track(player)
    send(system, "fetch_player_games", "api_queue", [[player.name]])
    system.wait_until(lambda: system.view(player)["completeness"]["pending"] == 30, "30 pending")
    with system.redis() as client:
        client.delete("db_queue")  # the messages are lost …
    lost = player.games.pop(7)
    system.lichess.remove_game(lost["id"])  # … and one game is, too
    player.games.append(lost)
    system.stack.start(["consumer"])

    def refused() -> bool:
        # Between the attempts lie ever longer waits: move the clock's hand instead.
        system.execute(
            "UPDATE seen_games SET retry_at = now() WHERE state = 'pending' AND attempts > 0"
            " AND source_id = %s",
            lost["id"],
        )
        state = system.value("SELECT state FROM seen_games WHERE source_id = %s", lost["id"])
        return bool(state == "refused")

    system.wait_until(refused, "the vanished game is refused")
    system.wait_whole(player, refused=[lost["id"]])
    system.check_requests()


def _states(system: System, player: Player) -> list[str]:
    """Return how the player's runs ended, the newest first."""
    return [run["state"] for run in system.runs(player)]


def _put_off(system: System) -> int:
    """Count the fetches that a producer put off because it must not ask now."""
    return system.stack.log_path("producer").read_text().count('"fetch_put_off"')


def _answers(system: System) -> list[int | None]:
    """Return the statuses of Lichess's answers, but for those that its client did not wait for."""
    requests = system.lichess.requests
    return [request.status for request in requests if request.outcome is not Outcome.CLIENT_LEFT]


def _wait_for_nameless(system: System, player: Player) -> dict[str, str]:
    """Return the one refusal of a line without a name, once there is one."""

    def refusals() -> list[dict[str, str]]:
        items: list[dict[str, str]] = system.owner.get(f"/v1/players/{player.name}/refusals").json()["items"]
        return items

    (refusal,) = system.wait_until(refusals, "a refusal")
    assert refusal["id"].startswith("line:")
    return refusal
