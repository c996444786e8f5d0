"""Is the right thing fetched next, and by one producer at a time?"""

from datetime import UTC, datetime

import pytest

from app.contract.ingestion import FetchKind, FetchOutcome
from tests.integration.api.driver import FIRST_MS, MINUTE_MS, Ledger, make_game
from tests.integration.conftest import Api
from workers.api_client import NotFound, StaleFence, StaleRun

DAY_MS = 24 * 60 * MINUTE_MS


def test_the_first_request_asks_from_the_beginning_in_a_bounded_slice(api: Api) -> None:
    plan = Ledger(api).track().plan()
    assert (plan.kind, plan.since_ms, plan.max_games) == (FetchKind.STREAM, None, 1_000)


@pytest.mark.smoke
def test_nothing_is_due_between_two_looks(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1)])
    assert ledger.claim().plan is None
    assert api.worker.due_players(10).players == []


@pytest.mark.parametrize(
    ("rest_ms", "overlap_ms"), [(0, DAY_MS), (DAY_MS // 3, DAY_MS * 2 // 3), (DAY_MS, 0), (700 * DAY_MS, 0)]
)
def test_a_later_look_overlaps_the_day_before_the_last_and_no_more(
    api: Api, rest_ms: int, overlap_ms: int
) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1), make_game(2)])
    last_ms = FIRST_MS + 2 * MINUTE_MS
    api.execute("UPDATE players SET synced_at = to_timestamp(%s / 1000.0)", last_ms + rest_ms)
    ledger.make_due()
    assert ledger.plan().since_ms == last_ms - overlap_ms


def test_a_clock_that_was_put_back_keeps_nobody_waiting(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1)])
    assert api.worker.due_players(10).players == []
    api.execute(
        "UPDATE players SET synced_at = synced_at + interval '1 hour',"
        " next_sync_at = next_sync_at + interval '1 hour'"
    )
    assert api.worker.due_players(10).players == ["alice"]
    assert not ledger.finish(ledger.plan().run_id, 0, FetchOutcome.UNAVAILABLE).more
    # It is noticed once: what failed waits as ever.
    assert api.worker.due_players(10).players == []


def test_of_looks_in_a_row_that_find_nothing_the_last_is_kept(api: Api) -> None:
    ledger = Ledger(api).track()
    kept = [ledger.stream([make_game(1)]).run_id]
    for _ in range(3):
        ledger.make_due()
        ledger.stream([])
    for outcome in (FetchOutcome.CUT, FetchOutcome.COMPLETE, FetchOutcome.COMPLETE):
        ledger.make_due()
        last = ledger.plan().run_id
        ledger.finish(last, 0, outcome)
    runs = api.reader.get("/v1/players/alice/runs").json()["items"]
    assert [run["state"] for run in runs] == ["complete", "cut", "complete", "complete"]
    assert (runs[0]["id"], runs[-1]["id"]) == (last, *kept)


def test_only_tracked_accounts_can_be_claimed(api: Api) -> None:
    with pytest.raises(NotFound):
        Ledger(api, "nobody").claim()


def test_a_full_slice_has_more_behind_it_and_goes_on_where_it_ended(api: Api) -> None:
    api.set_policy(slice_games=3)
    ledger = Ledger(api).track()
    plan = ledger.plan()
    games = [make_game(number) for number in (1, 2, 3)]
    ledger.see(plan.run_id, games)
    assert ledger.finish(plan.run_id, 3).more
    assert ledger.view().backfilling
    ledger.store(plan.run_id, games)
    following = ledger.plan()
    assert following.since_ms == FIRST_MS + 3 * MINUTE_MS  # no overlap inside a backfill
    assert not ledger.finish(following.run_id, 0).more
    assert not ledger.view().backfilling
    assert ledger.view().completeness.complete


def test_a_slice_that_cannot_pass_one_moment_doubles_until_it_can(api: Api) -> None:
    api.set_policy(slice_games=2)
    ledger = Ledger(api).track()
    same_moment = [make_game(number, createdAt=FIRST_MS) for number in range(6)]
    sizes = []
    for _ in range(4):
        plan = ledger.plan()
        sizes.append(plan.max_games)
        shown = same_moment[: plan.max_games]
        ledger.see(plan.run_id, shown)
        ledger.store(plan.run_id, shown)
        ledger.finish(plan.run_id, len(shown))
    assert sizes == [2, 2, 4, 8]
    assert ledger.view().completeness.complete
    assert len(ledger.manifest()) == 6
    ledger.make_due()
    assert ledger.plan().max_games == 2


def test_holes_go_before_the_stream_and_are_asked_for_by_id(api: Api) -> None:
    ledger = Ledger(api).track()
    plan = ledger.plan()
    games = [make_game(1), make_game(2), make_game(3)]
    ledger.see(plan.run_id, games)
    ledger.store(plan.run_id, [games[1]], 2)
    ledger.finish(plan.run_id, 3)
    assert ledger.claim().plan is None  # their messages may still be on the way
    ledger.make_holes_due()
    ledger.make_due()
    holes = ledger.plan()
    assert (holes.kind, holes.ids) == (FetchKind.IDS, ["game0001", "game0003"])
    ledger.see(holes.run_id, [games[0], games[2]])
    ledger.store(holes.run_id, [games[0], games[2]])
    assert ledger.finish(holes.run_id, 2).more
    assert ledger.plan().kind is FetchKind.STREAM
    assert set(ledger.manifest().values()) == {"stored"}


def test_a_hole_waits_longer_after_each_attempt(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    waits = []
    for _ in range(4):
        ledger.make_holes_due()
        run_id = ledger.plan().run_id
        for _ in range(2):  # a report may come twice
            ledger.see(run_id, [make_game(1)])
        waits.append(api.value("SELECT extract(epoch FROM retry_at - updated_at)::int FROM seen_games"))
        ledger.finish(run_id, 1)
    assert waits == [120, 240, 480, 960]


@pytest.mark.parametrize(
    "outcome", [FetchOutcome.UNAVAILABLE, FetchOutcome.CUT, FetchOutcome.RATE_LIMITED, None]
)
def test_what_lichess_does_not_answer_counts_against_no_game(api: Api, outcome: FetchOutcome | None) -> None:
    ledger = Ledger(api).track()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    waits = []
    for number in range(10, 18):
        ledger.make_holes_due()
        plan = ledger.plan()
        assert plan.ids == ["game0001"]
        waits.append(
            api.value(
                "SELECT round(extract(epoch FROM retry_at - now()) / 60)::int FROM seen_games"
                " WHERE source_id = 'game0001'"
            )
        )
        if outcome is not None:  # else its producer died
            ledger.finish(plan.run_id, 0, outcome)
        api.execute("UPDATE source_gates SET not_before = NULL")
        ledger.store(plan.run_id, [make_game(number)], 2)  # the consumers are alive
    failing = outcome in {FetchOutcome.UNAVAILABLE, FetchOutcome.CUT}
    assert waits == ([2, 4, 8, 16, 32, 64, 128, 256] if failing else [2] * 8)
    assert ledger.manifest()["game0001"] == "pending"


def test_a_hole_stays_pending_while_no_consumer_settles_anything(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    for _ in range(12):
        ledger.make_holes_due()
        assert ledger.plan().ids == ["game0001"]
    assert ledger.manifest() == {"game0001": "pending"}


def test_a_game_that_never_comes_through_living_consumers_ends_refused(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    for number in range(10, 15):
        ledger.make_holes_due()
        run = ledger.plan()
        ledger.see(run.run_id, [make_game(1)])
        ledger.store(run.run_id, [make_game(number)], 2)
        ledger.finish(run.run_id, 1)
    ledger.make_holes_due()
    ledger.claim()
    (refusal,) = api.reader.get("/v1/players/alice/refusals").json()["items"]
    assert (refusal["id"], refusal["code"]) == ("game0001", "never_processed")


def test_a_game_that_lichess_stops_returning_ends_refused_as_vanished(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.see(ledger.plan().run_id, [make_game(1)])
    for _ in range(5):
        ledger.make_holes_due()
        ledger.finish(ledger.plan().run_id, 0)
    ledger.make_holes_due()
    ledger.claim()
    (refusal,) = api.reader.get("/v1/players/alice/refusals").json()["items"]
    assert (refusal["id"], refusal["code"]) == ("game0001", "vanished")
    assert ledger.view().completeness.pending == 0


def test_a_fence_older_than_the_newest_is_refused_with_the_floor(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.claim(fence=7)
    with pytest.raises(StaleFence) as refused:
        ledger.claim(fence=6)
    assert refused.value.floor == 7
    ledger.claim(fence=7)


def test_a_new_claim_abandons_a_run_that_never_ended_whosever_it_was(api: Api) -> None:
    alice, bob = Ledger(api, "alice").track(), Ledger(api, "bob").track()
    dead = alice.plan()
    bob.plan()
    (run,) = api.reader.get("/v1/players/alice/runs").json()["items"]
    assert run["state"] == "abandoned"
    assert run["finished_at"] is not None
    for report in (
        lambda: alice.see(dead.run_id, [make_game(1)]),
        lambda: alice.garbled(dead.run_id),
        lambda: alice.finish(dead.run_id),
    ):
        with pytest.raises(StaleRun):
            report()
    assert alice.manifest() == {}


def test_a_closed_run_takes_no_more_lines_but_the_same_report_again(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    first = ledger.finish(run_id)
    assert ledger.finish(run_id) == first
    with pytest.raises(StaleRun):
        ledger.finish(run_id, outcome=FetchOutcome.CUT)
    with pytest.raises(StaleRun):
        ledger.see(run_id, [make_game(1)])


def test_a_run_that_never_was_is_not_found(api: Api) -> None:
    ledger = Ledger(api).track()
    with pytest.raises(NotFound):
        ledger.finish(99)
    with pytest.raises(NotFound):
        ledger.see(99, [make_game(1)])


def test_run_ids_grow_over_all_players(api: Api) -> None:
    ledgers = [Ledger(api, name).track() for name in ("a", "b", "c")]
    ids = [ledger.plan().run_id for ledger in ledgers]
    assert ids == sorted(set(ids))


def test_the_longest_waiting_player_is_the_first_one_due(api: Api) -> None:
    for seconds, name in enumerate(("late", "later", "latest")):
        Ledger(api, name).track()
        api.execute(
            "UPDATE players SET next_sync_at = now() - make_interval(secs => %s) WHERE user_id = %s",
            100 - seconds,
            name,
        )
    assert api.worker.due_players(2).players == ["late", "later"]


def test_a_run_is_shown_with_what_became_of_it(api: Api) -> None:
    ledger = Ledger(api).track()
    ledger.stream([make_game(1), make_game(2)])
    (run,) = api.reader.get("/v1/players/alice/runs").json()["items"]
    assert (run["kind"], run["state"], run["lines"], run["new_games"]) == ("stream", "complete", 2, 2)
    assert datetime.fromisoformat(run["finished_at"]) <= datetime.now(UTC)
