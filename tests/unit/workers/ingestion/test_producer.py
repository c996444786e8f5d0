"""Does every line of a request reach the consumers and the manifest, and every end its report?"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import redis

import workers.ingestion.producer
from app.contract.ingestion import (
    FetchAnswer,
    FetchKind,
    FetchOutcome,
    FetchPlan,
    FetchReport,
    GarbledVerdict,
)
from tests.unit.workers.ingestion.fakes import FakeApi, FakeGate, error_of_lichess, make_plan, ndjson
from tests.unit.workers.ingestion.games import as_line, make_game
from workers.api_client import ApiUnavailable, NotFound, StaleFence, StaleRun
from workers.ingestion.cutoff import CutReason
from workers.ingestion.lichess import LichessClient
from workers.ingestion.lines import RawLine
from workers.ingestion.pressure import Pressure
from workers.ingestion.producer import SEEN_BATCH, Producer, Run
from workers.progress import Board

Response = httpx.Response | Callable[[], httpx.Response]


class World:
    """A producer among fakes."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.gate = FakeGate()
        self.dispatched: list[tuple[int, str]] = []
        self.broken_from = 10**9
        self.waiting: Callable[[], int] = lambda: 0
        self.requests = 0

    def dispatch(self, plan: FetchPlan, line: int, payload: str) -> None:
        assert plan.player == "alice"
        assert self.gate.inside
        if line >= self.broken_from:
            raise redis.ConnectionError("no broker")
        self.dispatched.append((line, payload))

    def queue_length(self) -> int:
        return self.waiting()

    def fetch(self, *chunks: bytes | Exception, response: Response | None = None) -> bool:
        def handler(_: httpx.Request) -> httpx.Response:
            assert self.gate.inside
            self.requests += 1
            return (response() if callable(response) else response) or ndjson(*chunks)

        producer = Producer(
            self.api.as_client(),
            self.gate.as_gate(),
            LichessClient("https://lichess.test", None, 60, httpx.MockTransport(handler)),
            self.dispatch,
            Pressure(self.queue_length, high_water=500, low_water=250, pause_seconds=0.3),
            gate_wait_seconds=1,
            deadline_seconds=10,
            rate_limit_seconds=60,
        )
        return producer.fetch("alice")

    @property
    def report(self) -> FetchReport:
        (report,) = self.api.reports
        return report


@pytest.fixture
def world() -> World:
    return World()


def lines(*numbers: int) -> bytes:
    return b"".join(as_line(make_game(number)) for number in numbers)


def test_each_line_is_sent_on_and_entered_and_the_run_is_reported(world: World) -> None:
    assert world.fetch(lines(1, 2), b"\n", lines(3)) is False
    assert [line for line, _ in world.dispatched] == [1, 2, 3]
    assert world.api.seen == [(1, "game0001"), (2, "game0002"), (3, "game0003")]
    assert world.report == FetchReport(outcome=FetchOutcome.COMPLETE, lines=3)


def test_a_fetch_tells_how_far_it_is_and_at_last_how_far_it_came(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board()
    monkeypatch.setattr(workers.ingestion.producer, "board", board)
    said: list[str] = []
    monkeypatch.setattr(
        world.api, "report_seen", lambda *_: said.append(board.slots(1)[0].text)
    )  # before each batch but the first, the line of the one before
    world.fetch(lines(*range(1, 251)))
    assert said[0] == "fetching alice: asking Lichess"
    assert said[1].startswith("fetching alice: 100 games, ")
    assert said[2].startswith("fetching alice: 200 games, ")
    assert re.fullmatch(r"idle; last alice: 250 games at \d\d:\d\d UTC", board.slots(1)[0].text)


def test_a_429_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    monkeypatch.setattr(workers.ingestion.producer, "board", board)
    world.fetch(response=httpx.Response(429))
    assert board.slots(1)[0].text.startswith("waiting for Lichess until ")
    board.say("")
    world.api.answers = [FetchAnswer(plan=None, not_before=datetime.now(UTC) + timedelta(minutes=5))]
    world.fetch()
    assert board.slots(1)[0].text.startswith("waiting for Lichess until ")


def test_a_line_is_sent_on_before_the_next_one_is_there(world: World) -> None:
    class Breach(Exception):
        """No fault that a connection has: it ends the run wherever it stands."""

    with pytest.raises(Breach):
        world.fetch(lines(1), Breach())
    assert [line for line, _ in world.dispatched] == [1]


def test_secrets_do_not_reach_the_broker(world: World) -> None:
    world.fetch(as_line(make_game(1, fullId="game0001SECR", pgn="1. e4")))
    ((_, payload),) = world.dispatched
    assert "SECR" not in payload
    assert "pgn" not in payload


def test_the_manifest_is_filled_in_batches(world: World) -> None:
    world.fetch(lines(*range(1, 251)))
    assert [len(batch) for batch in world.api.batches] == [SEEN_BATCH, SEEN_BATCH, 50]


def test_a_slow_stream_is_entered_by_time() -> None:
    api, now = FakeApi(), [0.0]
    run = Run(
        make_plan(),
        api.as_client(),
        lambda *_: None,
        Pressure(lambda: 0, high_water=500, low_water=250, pause_seconds=1),
        FakeGate().cutoff,
        clock=lambda: now[0],
    )

    def slowly() -> Iterator[RawLine]:
        for number in range(1, 5):
            now[0] += 0.4
            yield RawLine(as_line(make_game(number)).strip())

    run.read(slowly())
    assert [len(batch) for batch in api.batches] == [3]
    run.flush()
    assert [len(batch) for batch in api.batches] == [3, 1]


def test_what_came_before_a_cut_is_entered(world: World) -> None:
    world.fetch(lines(1, 2) + b'{"id":"game', httpx.ReadError("reset"))
    assert world.api.seen == [(1, "game0001"), (2, "game0002")]
    assert world.report.outcome is FetchOutcome.CUT
    assert world.report.lines == 2


def test_more_to_fetch_is_passed_on(world: World) -> None:
    world.api.more = True
    assert world.fetch(lines(1)) is True


def test_without_a_plan_lichess_is_not_asked(world: World) -> None:
    world.api.answers = [FetchAnswer(plan=None)]
    assert world.fetch() is False
    assert world.requests == 0
    assert world.gate.closed_for == []


def test_a_back_off_of_the_api_closes_the_gate(world: World) -> None:
    world.api.answers = [FetchAnswer(plan=None, not_before=datetime.now(UTC) + timedelta(seconds=100))]
    world.fetch()
    assert world.requests == 0
    (seconds,) = world.gate.closed_for
    assert 90 < seconds <= 100


def test_a_429_closes_the_gate_and_is_reported(world: World) -> None:
    world.fetch(response=httpx.Response(429))
    assert world.gate.closed_for == [60]
    assert world.report == FetchReport(outcome=FetchOutcome.RATE_LIMITED, lines=0, detail="status 429")


@pytest.mark.parametrize(
    ("status", "outcome"), [(404, FetchOutcome.NOT_FOUND), (401, FetchOutcome.UNAUTHORISED)]
)
def test_a_refusal_of_lichess_is_reported(world: World, status: int, outcome: FetchOutcome) -> None:
    world.fetch(response=error_of_lichess(status, "No"))
    assert world.report.outcome is outcome
    assert world.report.detail == f"status {status}: No"
    assert world.gate.closed_for == []


def test_after_a_lost_counter_the_fence_goes_on_from_where_the_api_stands(world: World) -> None:
    world.api.faults["claim"] = [StaleFence(409, "stale_fence", "old", {"floor": 41})]
    world.fetch(lines(1))
    assert [claim.fence for claim in world.api.claims] == [1, 42]
    assert world.report.outcome is FetchOutcome.COMPLETE


def test_a_fence_that_is_always_refused_ends_in_an_error(world: World) -> None:
    world.api.faults["claim"] = [StaleFence(409, "stale_fence", "old", {}) for _ in range(9)]
    with pytest.raises(RuntimeError):
        world.fetch(lines(1))
    assert world.requests == 0


def test_a_player_who_is_not_tracked_any_more_is_left_alone(world: World) -> None:
    world.api.faults["claim"] = [NotFound(404, "not_found", "alice is not tracked", {})]
    assert world.fetch() is False
    assert world.requests == 0


@pytest.mark.parametrize("where", ["seen", "garbled", "finish"])
def test_a_run_that_was_taken_over_stops_at_once(world: World, where: str) -> None:
    world.api.faults[where] = [StaleRun(409, "stale_run", "run 7 is abandoned", {})]
    assert world.fetch(lines(1), b"garbage\n", lines(2)) is False
    assert [line for line, _ in world.dispatched] == [1]
    assert world.api.reports == []


def test_an_api_that_stays_away_ends_the_request_without_a_report(world: World) -> None:
    world.api.faults["seen"] = [ApiUnavailable("gone")]
    with pytest.raises(ApiUnavailable):
        world.fetch(lines(*range(1, 500)))
    assert len(world.dispatched) == SEEN_BATCH
    assert world.api.reports == []


def test_a_broker_that_takes_no_more_ends_the_run_before_that_line(world: World) -> None:
    world.broken_from = 3
    world.fetch(lines(1, 2, 3, 4))
    assert world.api.seen == [(1, "game0001"), (2, "game0002")]
    assert (world.report.outcome, world.report.lines) == (FetchOutcome.CUT, 2)


def test_a_broker_whose_queue_cannot_be_measured_ends_the_run_with_all_entered(world: World) -> None:
    def away() -> int:
        raise redis.ConnectionError("no broker")

    world.waiting = away
    world.fetch(lines(*range(1, 61)))
    assert len(world.api.seen) == len(world.dispatched) == 50
    assert world.report.outcome is FetchOutcome.CUT


def test_a_stream_that_goes_backwards_is_cut_before_that_line(world: World) -> None:
    world.fetch(lines(1, 5, 3, 6))
    # Not the newer one before it either: the cursor would come to stand behind a game not seen.
    assert world.api.seen == [(1, "game0001")]
    assert world.report == FetchReport(
        outcome=FetchOutcome.UNORDERED, lines=2, detail="line 3 is older than the one before"
    )


def test_games_of_the_same_millisecond_are_in_order(world: World) -> None:
    world.fetch(as_line(make_game(1)), as_line(make_game(2, createdAt=make_game(1)["createdAt"])))
    assert world.report.outcome is FetchOutcome.COMPLETE


def test_named_games_may_come_in_any_order(world: World) -> None:
    plan = make_plan(kind=FetchKind.IDS, ids=["game0005", "game0001"])
    world.api.answers = [FetchAnswer(plan=plan)]
    world.fetch(lines(5, 1))
    assert world.report.outcome is FetchOutcome.COMPLETE


def test_a_garbled_line_stops_the_run_when_the_api_says_so(world: World) -> None:
    world.fetch(lines(1), b'{"half\n', lines(2))
    assert world.api.seen == [(1, "game0001")]
    (garbled,) = world.api.garbled
    assert (garbled.line, garbled.raw) == (2, '{"half')
    assert world.report.outcome is FetchOutcome.CUT
    assert "line 2 is garbled" in (world.report.detail or "")


def test_a_garbled_line_that_was_refused_is_passed(world: World) -> None:
    world.api.verdict = GarbledVerdict.REFUSED
    world.fetch(lines(1), b"\xff\x00\n", lines(2))
    assert world.api.seen == [(1, "game0001"), (3, "game0002")]
    assert world.report == FetchReport(outcome=FetchOutcome.COMPLETE, lines=3)


@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("page", [b"<html>\n", b'{"error":"Something went wrong"}\n', b"\x1f\x8b\x08\x00\n"])
def test_an_answer_without_a_game_holds_no_line_against_the_account(
    world: World, page: bytes, count: int
) -> None:
    world.api.verdict = GarbledVerdict.REFUSED
    # Nothing that comes after so many lines of something else makes it an answer of Lichess.
    world.fetch(page * count, *([lines(1)] if count == 16 else []))
    assert world.api.garbled == []
    assert world.dispatched == []
    assert world.report.outcome is FetchOutcome.UNAVAILABLE
    assert "without a line that names a game" in (world.report.detail or "")


def test_garbled_lines_before_the_first_game_are_judged_once_it_has_come(world: World) -> None:
    world.api.verdict = GarbledVerdict.REFUSED
    world.fetch(b"garbage\n" * 15, lines(1), b"garbage\n")
    assert [line.line for line in world.api.garbled] == [*range(1, 16), 17]
    assert world.api.seen == [(16, "game0001")]
    assert world.report == FetchReport(outcome=FetchOutcome.COMPLETE, lines=17)


def test_a_cut_before_the_first_game_is_a_cut(world: World) -> None:
    world.fetch(b"garbage\n", httpx.ReadError("gone"))
    assert world.api.garbled == []
    assert world.report.outcome is FetchOutcome.CUT


def test_the_lines_before_a_garbled_one_are_entered_before_it_is_judged(world: World) -> None:
    world.api.faults["garbled"] = [ApiUnavailable("gone")]
    with pytest.raises(ApiUnavailable):
        world.fetch(lines(1, 2), b"garbage\n")
    assert len(world.api.seen) == 2


def test_consumers_that_catch_up_let_the_stream_go_on(world: World) -> None:
    depths = iter([500, 400, 250])
    world.waiting = lambda: next(depths)
    world.fetch(lines(*range(1, 61)))
    assert world.report.outcome is FetchOutcome.COMPLETE
    assert next(depths, None) is None


def test_consumers_that_stay_behind_end_the_run_as_stopped(world: World) -> None:
    world.waiting = lambda: 501
    world.fetch(lines(*range(1, 101)))
    assert len(world.api.seen) == 50
    assert world.report.outcome is FetchOutcome.STOPPED


def test_a_pause_ends_when_the_request_is_cut(world: World) -> None:
    def stop() -> int:
        world.gate.cutoff.pull(CutReason.STOPPING)
        return 501

    world.waiting = stop
    world.fetch(lines(*range(1, 101)))
    assert world.report.detail == CutReason.STOPPING.value
