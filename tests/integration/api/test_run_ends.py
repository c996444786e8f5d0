"""What follows when a request to Lichess ends badly?"""

from datetime import datetime

import pytest

from app.contract.ingestion import FetchKind, FetchOutcome
from app.contract.players import PlayerState
from tests.integration.api.driver import Ledger, make_game
from tests.integration.conftest import Api


@pytest.fixture
def ledger(api: Api) -> Ledger:
    return Ledger(api).track()


def _end(ledger: Ledger, outcome: FetchOutcome, detail: str | None = None) -> bool:
    ledger.make_due()
    return ledger.finish(ledger.plan().run_id, 0, outcome, detail).more


def _wait_seconds(api: Api) -> int:
    """Return for how long the player rests after its last run."""
    value = api.value(
        "SELECT extract(epoch FROM next_sync_at - finished_at) FROM players, ingestion_runs"
        " ORDER BY ingestion_runs.id DESC LIMIT 1"
    )
    return int(value)


def test_each_429_doubles_the_silence_up_to_an_hour_for_everybody(api: Api, ledger: Ledger) -> None:
    Ledger(api, "bob").track()
    waits = []
    for _ in range(8):
        api.execute("UPDATE source_gates SET not_before = NULL")
        assert not _end(ledger, FetchOutcome.RATE_LIMITED)
        assert api.worker.due_players(10).players == []
        assert ledger.claim().plan is None
        answer = Ledger(api, "bob").claim()
        assert answer.plan is None
        assert answer.not_before is not None
        waits.append(
            api.value(
                "SELECT round(extract(epoch FROM not_before - finished_at)) FROM source_gates, ingestion_runs"
                " ORDER BY ingestion_runs.id DESC LIMIT 1"
            )
        )
    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]


def test_the_silence_survives_whatever_happens_to_redis_and_the_api(api: Api, ledger: Ledger) -> None:
    _end(ledger, FetchOutcome.RATE_LIMITED)
    with api.backend.redis() as redis:
        redis.flushall()
    api.backend.stack.restart("postgres")
    stored = api.value("SELECT not_before FROM source_gates")
    assert isinstance(stored, datetime)
    assert ledger.claim().not_before == stored


def test_a_clock_that_was_put_back_prolongs_no_silence(api: Api, ledger: Ledger) -> None:
    _end(ledger, FetchOutcome.RATE_LIMITED)
    ledger.make_due()
    api.execute("UPDATE source_gates SET not_before = not_before + interval '1 hour'")
    assert api.worker.due_players(10).players == ["alice"]
    assert ledger.claim().plan is not None


def test_a_silence_that_is_over_does_not_return_with_an_earlier_hour(api: Api, ledger: Ledger) -> None:
    _end(ledger, FetchOutcome.RATE_LIMITED)
    api.execute("UPDATE source_gates SET not_before = now()")  # its end
    _end(ledger, FetchOutcome.COMPLETE)
    # The clock is put back.
    for column, table in (
        ("not_before", "source_gates"),
        ("next_sync_at", "players"),
        ("synced_at", "players"),
    ):
        api.execute(f"UPDATE {table} SET {column} = {column} + interval '50 minutes'")  # noqa: S608  our own names
    assert api.worker.due_players(10).players == ["alice"]
    assert ledger.claim().plan is not None


def test_a_good_answer_ends_the_doubling(api: Api, ledger: Ledger) -> None:
    for _ in range(3):
        api.execute("UPDATE source_gates SET not_before = NULL")
        _end(ledger, FetchOutcome.RATE_LIMITED)
    api.execute("UPDATE source_gates SET not_before = NULL")
    _end(ledger, FetchOutcome.COMPLETE)
    _end(ledger, FetchOutcome.RATE_LIMITED)
    assert api.value("SELECT rate_limits FROM source_gates") == 1


def test_404_is_asked_again_over_days_and_then_once_a_week(api: Api, ledger: Ledger) -> None:
    for state, wait in (
        (PlayerState.NOT_FOUND, 3_600),
        (PlayerState.NOT_FOUND, 86_400),
        (PlayerState.GONE, 604_800),
        (PlayerState.GONE, 604_800),
    ):
        _end(ledger, FetchOutcome.NOT_FOUND, "status 404: Not found")
        assert ledger.view().state is state
        assert ledger.view().state_detail == "status 404: Not found"
        assert _wait_seconds(api) == wait
        assert api.worker.due_players(10).players == []
        assert ledger.claim().plan is None
    ledger.make_due()
    assert api.worker.due_players(10).players == ["alice"]
    _end(ledger, FetchOutcome.COMPLETE)
    assert ledger.view().state is PlayerState.ACTIVE
    assert ledger.view().state_detail is None


def test_the_waits_after_404s_can_be_set(api: Api, ledger: Ledger) -> None:
    api.set_policy(not_found_retry_seconds=1, not_found_last_retry_seconds=2, gone_retry_seconds=3)
    waits = []
    for _ in range(4):
        _end(ledger, FetchOutcome.NOT_FOUND)
        waits.append(_wait_seconds(api))
    assert waits == [1, 2, 3, 3]
    assert ledger.view().state is PlayerState.GONE


def test_an_account_that_is_gone_stays_so_while_the_site_answers_otherwise(api: Api, ledger: Ledger) -> None:
    for _ in range(3):
        _end(ledger, FetchOutcome.NOT_FOUND)
    _end(ledger, FetchOutcome.UNAVAILABLE, "status 404 with text/html")
    assert ledger.view().state is PlayerState.GONE
    assert ledger.view().state_detail == "status 404 with text/html"
    assert _wait_seconds(api) == 5


@pytest.mark.parametrize("outcome", [FetchOutcome.COMPLETE, FetchOutcome.UNAVAILABLE])
def test_a_fetch_of_holes_neither_wakes_nor_excuses_an_account_that_is_gone(
    ledger: Ledger, outcome: FetchOutcome
) -> None:
    ledger.see(ledger.plan().run_id, [make_game(1)])
    for _ in range(3):
        _end(ledger, FetchOutcome.NOT_FOUND, "status 404: Not found")
    due = ledger.view().next_sync_at
    ledger.make_holes_due()
    plan = ledger.plan()
    assert plan.kind is FetchKind.IDS
    assert not ledger.finish(plan.run_id, 0, outcome, "another").more
    assert ledger.view().state is PlayerState.GONE
    assert ledger.view().next_sync_at == due
    assert ledger.view().state_detail == "status 404: Not found"


def test_an_account_that_is_found_again_starts_over(ledger: Ledger) -> None:
    _end(ledger, FetchOutcome.NOT_FOUND)
    _end(ledger, FetchOutcome.NOT_FOUND)
    _end(ledger, FetchOutcome.COMPLETE)
    assert ledger.view().state is PlayerState.ACTIVE
    _end(ledger, FetchOutcome.NOT_FOUND)
    assert ledger.view().state is PlayerState.NOT_FOUND


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([FetchOutcome.UNAUTHORISED], PlayerState.UNAUTHORISED),
        ([FetchOutcome.NOT_FOUND] * 3, PlayerState.GONE),
    ],
)
def test_a_sync_wakes_an_account_that_is_not_asked_for_any_more(
    api: Api, ledger: Ledger, outcomes: list[FetchOutcome], state: PlayerState
) -> None:
    for outcome in outcomes:
        assert not _end(ledger, outcome)
    assert ledger.view().state is state
    assert ledger.claim().plan is None
    api.writer.post("/v1/players/alice/sync")
    assert ledger.view().state is PlayerState.ACTIVE
    assert api.worker.due_players(10).players == ["alice"]
    assert ledger.plan().kind is FetchKind.STREAM


@pytest.mark.parametrize("outcome", FetchOutcome)
def test_a_sync_asked_for_while_a_request_runs_is_owed_at_its_end(
    api: Api, ledger: Ledger, outcome: FetchOutcome
) -> None:
    _end(ledger, FetchOutcome.NOT_FOUND)
    _end(ledger, FetchOutcome.NOT_FOUND)
    ledger.make_due()
    plan = ledger.plan()
    assert api.writer.post("/v1/players/alice/sync").is_success
    more = ledger.finish(plan.run_id, 0, outcome).more
    if outcome is FetchOutcome.RATE_LIMITED:
        assert not more
        assert ledger.claim().plan is None
        api.execute("UPDATE source_gates SET not_before = NULL")
    else:
        assert more
    assert ledger.view().state is PlayerState.ACTIVE
    following = ledger.plan()
    assert following.kind is FetchKind.STREAM
    # It is owed once.
    assert not ledger.finish(following.run_id, 0, FetchOutcome.COMPLETE).more
    assert ledger.claim().plan is None


def test_a_sync_asked_for_while_holes_are_fetched_is_owed_too(api: Api, ledger: Ledger) -> None:
    ledger.see(ledger.plan().run_id, [make_game(1)])
    ledger.make_holes_due()
    api.execute("UPDATE players SET next_sync_at = now() + interval '1 hour'")
    plan = ledger.plan()
    assert plan.kind is FetchKind.IDS
    assert api.writer.post("/v1/players/alice/sync").is_success
    assert ledger.finish(plan.run_id, 0, FetchOutcome.UNAUTHORISED).more
    assert ledger.view().state is PlayerState.ACTIVE
    assert ledger.view().state_detail is None
    assert ledger.plan().kind is FetchKind.STREAM


@pytest.mark.parametrize(
    ("outcome", "longest"), [(FetchOutcome.CUT, [15] * 5), (FetchOutcome.UNAVAILABLE, [20, 40, 45, 45, 45])]
)
def test_a_failure_without_progress_waits_twice_as_long_each_time_up_to_its_ceiling(
    api: Api, ledger: Ledger, outcome: FetchOutcome, longest: list[int]
) -> None:
    waits = []
    for _ in range(7):
        assert not _end(ledger, outcome)
        waits.append(_wait_seconds(api))
    assert waits == [5, 10, *longest]
    assert ledger.view().state_detail == outcome.value


def test_the_first_wait_after_a_failure_can_be_set(api: Api, ledger: Ledger) -> None:
    api.set_policy(failure_retry_seconds=400)
    waits = []
    for _ in range(3):
        _end(ledger, FetchOutcome.CUT)
        waits.append(_wait_seconds(api))
    assert waits == [400, 400, 400]


def test_cuts_behind_a_known_game_amid_a_backfill_cost_seconds_and_are_forgotten(
    api: Api, ledger: Ledger
) -> None:
    # A slice begins at the cursor, with the game that stands there already: nothing is new in its first line.
    api.set_policy(slice_games=1)
    known = make_game(1)
    ledger.stream([known])
    for _ in range(6):
        ledger.make_due()
        plan = ledger.plan()
        assert plan.since_ms == known["createdAt"]
        ledger.see(plan.run_id, [known])
        assert not ledger.finish(plan.run_id, 1, FetchOutcome.CUT).more
    assert _wait_seconds(api) == 15
    ledger.make_due()
    ledger.stream([known])
    assert not _end(ledger, FetchOutcome.CUT)
    assert _wait_seconds(api) == 5


@pytest.mark.parametrize("end", [FetchOutcome.COMPLETE, FetchOutcome.CUT])
def test_a_hole_does_not_wait_for_failures_that_are_forgotten(
    api: Api, ledger: Ledger, end: FetchOutcome
) -> None:
    lost = make_game(1)
    ledger.see(ledger.plan().run_id, [lost])
    for _ in range(6):
        _end(ledger, FetchOutcome.UNAVAILABLE)
    ledger.make_holes_due()
    assert ledger.finish(ledger.plan().run_id, 0, FetchOutcome.UNAVAILABLE).more is False
    assert api.value("SELECT retry_at > now() + interval '1 hour' FROM seen_games")
    # With a game that is new, or to its end.
    ledger.make_due()
    plan = ledger.plan()
    if end is FetchOutcome.CUT:
        ledger.see(plan.run_id, [make_game(2)])
    ledger.finish(plan.run_id, 1, end)
    assert api.value("SELECT max(retry_at) <= now() + interval '1 minute' FROM seen_games")


@pytest.mark.parametrize("outcome", [FetchOutcome.CUT, FetchOutcome.UNAVAILABLE])
def test_a_cut_that_brought_new_games_goes_on_at_once_behind_them(
    ledger: Ledger, outcome: FetchOutcome
) -> None:
    plan = ledger.plan()
    game = make_game(1)
    ledger.see(plan.run_id, [game])
    assert ledger.finish(plan.run_id, 1, outcome).more
    assert ledger.plan().since_ms == game["createdAt"]


def test_a_run_that_we_stopped_goes_on_at_once(ledger: Ledger) -> None:
    assert _end(ledger, FetchOutcome.STOPPED)


def test_a_good_answer_ends_the_waits_of_failures(api: Api, ledger: Ledger) -> None:
    for _ in range(4):
        _end(ledger, FetchOutcome.CUT)
    _end(ledger, FetchOutcome.COMPLETE)
    _end(ledger, FetchOutcome.CUT)
    assert _wait_seconds(api) == 5


@pytest.mark.parametrize("kind", FetchKind)
def test_what_failed_is_forgotten_as_soon_as_games_come_again(ledger: Ledger, kind: FetchKind) -> None:
    game = make_game(1)
    plan = ledger.plan()
    ledger.see(plan.run_id, [game])
    ledger.finish(plan.run_id, 1, FetchOutcome.CUT, "the broker did not take a game")
    assert ledger.view().state_detail == "the broker did not take a game"
    if kind is FetchKind.IDS:
        ledger.make_holes_due()
    plan = ledger.plan()
    assert plan.kind is kind
    assert ledger.view().state_detail == "the broker did not take a game"
    ledger.see(plan.run_id, [game])
    assert ledger.view().state_detail is None


def test_a_game_of_an_account_that_is_gone_does_not_excuse_it(ledger: Ledger) -> None:
    ledger.see(ledger.plan().run_id, [make_game(1)])
    _end(ledger, FetchOutcome.NOT_FOUND, "status 404: Not found")
    ledger.make_holes_due()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    assert ledger.view().state_detail == "status 404: Not found"


def test_a_stream_out_of_order_is_read_again_from_its_beginning(api: Api, ledger: Ledger) -> None:
    run_id = ledger.plan().run_id
    ledger.see(run_id, [make_game(1), make_game(5)])
    assert api.value("SELECT seen_until FROM players") is not None
    assert not ledger.finish(run_id, 2, FetchOutcome.UNORDERED).more
    assert api.value("SELECT seen_until FROM players") is None
    assert _wait_seconds(api) == 5
    ledger.make_due()
    assert ledger.plan().since_ms is None
