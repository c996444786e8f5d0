"""Can the cursor pass a game that is not stored, whatever happens to producers and consumers?"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.contract.ingestion import FetchKind, FetchOutcome, FetchPlan
from tests.integration.api.driver import FIRST_MS, MINUTE_MS, Game, Ledger, make_game
from tests.integration.conftest import Api
from workers.api_client import ApiProblem, StaleRun

_NAMES = count()


def _moment(value_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value_ms)


@dataclass
class _World:
    """A source with some games, a producer, and consumers whose messages may be late, doubled or lost."""

    ledger: Ledger
    source: list[Game]
    plan: FetchPlan | None = None
    sent: int = 0
    """Lines of the present run that were reported as seen."""
    answer: list[Game] = field(default_factory=list)
    messages: list[tuple[Game, int, int]] = field(default_factory=list)
    """Game, run, line: never taken away, so each may be delivered any number of times, or never."""

    def claim(self) -> None:
        """Open the next run; one that is still open is abandoned."""
        self.ledger.make_due()
        self.plan = self.ledger.claim().plan
        self.sent = 0
        if self.plan is None:
            self.answer = []
        elif self.plan.kind is FetchKind.IDS:
            self.answer = [game for game in self.source if game["id"] in self.plan.ids]
        else:
            since = self.plan.since_ms or 0
            self.answer = [game for game in self.source if game["createdAt"] >= since][: self.plan.max_games]

    def see(self, lines: int) -> None:
        """Report the next lines of the run and send them to the consumers."""
        batch = self.answer[self.sent : self.sent + lines]
        if self.plan is None or not batch:
            return
        self.ledger.see(self.plan.run_id, batch, self.sent + 1)
        self.messages += [(game, self.plan.run_id, line) for line, game in enumerate(batch, self.sent + 1)]
        self.sent += len(batch)

    def deliver(self, number: int, refused: bool) -> None:
        """Let a consumer settle one of all messages that were ever sent."""
        if not self.messages:
            return
        game, run_id, line = self.messages[number % len(self.messages)]
        if refused:
            self.ledger.refuse(run_id, game, line)
        else:
            self.ledger.store(run_id, [game], line)

    def finish(self, outcome: FetchOutcome) -> None:
        """End the run; it is complete only if all of the answer was seen."""
        if self.plan is None:
            return
        if outcome is FetchOutcome.COMPLETE:
            self.see(len(self.answer))
        self.ledger.finish(self.plan.run_id, self.sent, outcome)
        self.plan = None

    def check(self) -> None:
        """Hold the player's view against the source."""
        view, manifest = self.ledger.view(), self.ledger.manifest()
        sums = view.completeness
        assert sums.seen == len(manifest) == sums.stored + sums.refused + sums.pending
        settled = {game_id for game_id, state in manifest.items() if state != "pending"}
        missing = [_moment(game["createdAt"]) for game in self.source if game["id"] not in settled]
        assert view.cursor is None or all(view.cursor <= moment for moment in missing)
        assert not sums.complete or not missing

    def recover(self) -> None:
        """Go on as the system does, with nothing lost any more, until it is at rest."""
        for _ in range(4 * len(self.source) + 8):
            self.ledger.make_holes_due()
            self.claim()
            self.see(len(self.answer))
            for number in range(len(self.messages)):
                self.deliver(number, refused=False)
            self.finish(FetchOutcome.COMPLETE)
            if self.ledger.view().completeness.complete:
                return
        raise AssertionError("never complete")


_STEPS = st.one_of(
    st.tuples(st.just("claim")),
    st.tuples(st.just("see"), st.integers(1, 4)),
    st.tuples(st.just("deliver"), st.integers(0, 50), st.booleans()),
    st.tuples(st.just("holes")),
    st.tuples(
        st.just("finish"),
        st.sampled_from(
            [FetchOutcome.COMPLETE, FetchOutcome.CUT, FetchOutcome.STOPPED, FetchOutcome.UNAVAILABLE]
        ),
    ),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.sampled_from([0, 1, MINUTE_MS, 90_000_000]), max_size=8),
    steps=st.lists(_STEPS, max_size=30),
)
@example(
    gaps=[0, 0, 0, 0],
    steps=[
        ("claim",),
        ("see", 2),
        ("claim",),
        ("see", 3),
        ("finish", FetchOutcome.COMPLETE),
        ("deliver", 1, True),
    ],
)
def test_the_cursor_never_passes_a_game_that_is_neither_stored_nor_refused(
    api: Api, gaps: list[int], steps: list[tuple[object, ...]]
) -> None:
    api.set_policy(slice_games=3)
    number = next(_NAMES)
    moments = [FIRST_MS + sum(gaps[:index]) for index in range(len(gaps))]
    source = [
        make_game(0, id=f"a{number:04d}{index:03d}", createdAt=moment, lastMoveAt=moment)
        for index, moment in enumerate(moments)
    ]
    world = _World(Ledger(api, f"alice{number}").track(), source)
    for step in steps:
        match step:
            case ("claim",):
                world.claim()
            case ("see", int(lines)):
                world.see(lines)
            case ("deliver", int(message), bool(refused)):
                world.deliver(message, refused)
            case ("holes",):
                world.ledger.make_holes_due()
            case ("finish", FetchOutcome() as outcome):
                world.finish(outcome)
        world.check()
    world.recover()
    world.check()
    assert len(world.ledger.manifest()) == len(source)


def test_seen_lines_may_be_reported_any_number_of_times(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    games = [make_game(1), make_game(2)]
    for _ in range(3):
        ledger.see(run_id, games)
    assert ledger.manifest() == {"game0001": "pending", "game0002": "pending"}
    ledger.finish(run_id, 2)
    (run,) = api.reader.get("/v1/players/alice/runs").json()["items"]
    assert run["new_games"] == 2


def test_a_run_counts_the_games_that_it_saw_first_whoever_entered_them(api: Api) -> None:
    ledger = Ledger(api).track()
    old, stored_first, seen_first, later = (make_game(number) for number in range(4))
    ledger.stream([old])
    ledger.make_due()
    run_id = ledger.plan().run_id
    ledger.store(run_id, [stored_first], 2)
    for _ in range(2):
        ledger.see(run_id, [old, stored_first, seen_first])
    ledger.see(run_id, [later], 4)
    ledger.store(run_id, [seen_first, later], 3)
    with api.queries() as queries:
        ledger.finish(run_id, 4)
    run, _ = api.reader.get("/v1/players/alice/runs").json()["items"]
    assert run["new_games"] == 3
    # The gate is locked meanwhile, and the manifest holds all games that were ever seen.
    assert not [query for query in queries if "count(*)" in query]


def test_a_game_that_was_stored_before_it_was_seen_stays_stored(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    ledger.store(run_id, [make_game(1)])
    ledger.see(run_id, [make_game(1)])
    assert ledger.manifest() == {"game0001": "stored"}


def test_the_cursor_waits_at_the_oldest_pending_game(api: Api) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    games = [make_game(number) for number in (1, 2, 3)]
    ledger.see(run_id, games)
    assert ledger.view().cursor == _moment(games[0]["createdAt"])
    ledger.store(run_id, games[:1])
    assert ledger.view().cursor == _moment(games[1]["createdAt"])
    ledger.refuse(run_id, games[1], 2)
    ledger.store(run_id, games[2:], 3)
    assert ledger.view().cursor == _moment(games[2]["createdAt"])


@pytest.mark.parametrize("batches", [[[2, 1]], [[1, 3], [2]]])
def test_a_stream_whose_dates_go_backwards_is_refused(api: Api, batches: list[list[int]]) -> None:
    ledger = Ledger(api).track()
    run_id = ledger.plan().run_id
    *good, bad = batches
    line = 1
    for numbers in good:
        ledger.see(run_id, [make_game(number) for number in numbers], line)
        line += len(numbers)
    with pytest.raises(ApiProblem, match="order of their creation"):
        ledger.see(run_id, [make_game(number) for number in bad], line)


def test_an_abandoned_run_cannot_move_the_cursor_any_more(api: Api) -> None:
    ledger = Ledger(api).track()
    old = ledger.plan()
    ledger.plan()
    with pytest.raises(StaleRun):
        ledger.see(old.run_id, [make_game(5)])
    assert ledger.view().cursor is None


def test_late_messages_of_an_abandoned_run_are_still_stored(api: Api) -> None:
    ledger = Ledger(api).track()
    old = ledger.plan()
    ledger.see(old.run_id, [make_game(1)])
    ledger.plan()
    assert ledger.store(old.run_id, [make_game(1)]).stored == 1
    assert ledger.manifest() == {"game0001": "stored"}
