"""Does the fake Lichess enforce, and record, one request at a time and peace after a 429?"""

import asyncio

import httpx
import pytest

from tests.fakes.lichess.app import create_app
from tests.fakes.lichess.faults import Fault, FaultKind
from tests.fakes.lichess.gate import Gate
from tests.fakes.lichess.journal import (
    Endpoint,
    Journal,
    Outcome,
    RecordedRequest,
    Refusal,
    overlaps,
    penalty_violations,
)
from tests.fakes.lichess.site import Site
from tests.unit.fakes.conftest import Client


class FakeClock:
    """A clock that a test sets, in seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def alive() -> bool:
    return True


def test_a_second_request_is_refused_until_the_first_has_ended(clock: FakeClock) -> None:
    gate = Gate(clock)
    assert gate.enter(alive) is None
    assert gate.enter(alive) is Refusal.CONCURRENT
    gate.leave()
    assert gate.enter(alive) is None


def test_after_a_429_every_request_is_refused_for_the_penalty_time(clock: FakeClock) -> None:
    gate = Gate(clock)
    gate.penalise()
    clock.now_s = 59.9
    assert gate.enter(alive) is Refusal.PENALTY
    clock.now_s = 60.0
    assert gate.enter(alive) is None


async def test_a_holder_whose_client_has_gone_is_waited_for(clock: FakeClock) -> None:
    gate = Gate(clock)
    connected = [True]
    gate.enter(lambda: connected[0])
    connected[0] = False
    settling = asyncio.create_task(gate.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    gate.leave()
    await settling
    assert gate.enter(alive) is None


def record(started_s: float, ended_s: float | None, refusal: Refusal | None = None) -> RecordedRequest:
    return RecordedRequest(
        number=round(started_s),
        endpoint=Endpoint.GAMES_OF_USER,
        started_s=started_s,
        ended_s=ended_s,
        refusal=refusal,
    )


@pytest.mark.mutation("one request to Lichess at a time")
@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(1, 2), (2, 3)], []),
        ([(1, 3), (2, 4)], [(1, 2)]),
        ([(1, None), (2, 3)], [(1, 2)]),
        ([(1, 9), (2, 3), (4, 5)], [(1, 2), (1, 4)]),
        ([(4, 5), (1, 2)], []),
    ],
)
def test_overlaps_are_pairs_under_way_at_once(
    intervals: list[tuple[float, float | None]], expected: list[tuple[int, int]]
) -> None:
    pairs = overlaps(record(start, end) for start, end in intervals)
    assert [(first.number, second.number) for first, second in pairs] == expected


@pytest.mark.mutation("one request to Lichess at a time")
def test_a_refused_attempt_is_an_overlap_too() -> None:
    assert len(overlaps([record(1, 4), record(2, 3, Refusal.CONCURRENT)])) == 1


@pytest.mark.mutation("silence after a 429")
def test_penalty_violations_are_the_requests_refused_for_it() -> None:
    requests = [record(1, 2), record(3, 4, Refusal.CONCURRENT), record(5, 6, Refusal.PENALTY)]
    assert [request.number for request in penalty_violations(requests)] == [5]


def test_a_record_ends_once(clock: FakeClock) -> None:
    journal = Journal(clock)
    opened = journal.open(Endpoint.GAMES_OF_USER)
    journal.close(opened, Outcome.CLIENT_LEFT)
    clock.now_s = 5
    journal.close(opened, Outcome.COMPLETE)
    assert (opened.ended_s, opened.outcome) == (0, Outcome.CLIENT_LEFT)


def test_a_record_survives_json() -> None:
    original = record(1, 2, Refusal.PENALTY)
    assert RecordedRequest.from_json(original.to_json()) == original


async def test_a_429_has_no_retry_after_and_starts_the_penalty_time(site: Site, client: Client) -> None:
    site.faults.add(Fault(kind=FaultKind.STATUS, status=429))
    refused = await client.export()
    assert refused.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert "retry-after" not in refused.headers
    assert (await client.export()).status_code == httpx.codes.TOO_MANY_REQUESTS
    assert [request.number for request in penalty_violations(site.journal.requests)] == [2]


async def test_the_penalty_time_can_be_scaled(site: Site, client: Client) -> None:
    await client.http.post("/_control/settings", json={"penalty_seconds": 0})
    site.faults.add(Fault(kind=FaultKind.STATUS, status=429))
    await client.export()
    assert (await client.export()).status_code == httpx.codes.OK


async def test_an_answered_request_frees_the_place(client: Client) -> None:
    for username in ("alice", "nobody", "alice"):
        assert (await client.export(username)).status_code != httpx.codes.TOO_MANY_REQUESTS


async def test_control_is_absent_unless_asked_for(site: Site) -> None:
    transport = httpx.ASGITransport(create_app(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://fake") as http:
        assert (await http.get("/_control/requests")).status_code == httpx.codes.NOT_FOUND


async def test_reset_returns_to_the_games_of_the_start(site: Site, client: Client) -> None:
    await client.http.delete("/_control/games/game0001")
    await client.http.put("/_control/accounts/bob", json={"closed": True})
    assert len(await client.games()) == 2
    await client.http.post("/_control/reset")
    assert len(await client.games("bob")) == 3
    assert len(site.journal.requests) == 1
