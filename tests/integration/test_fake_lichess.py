"""Does the fake Lichess behave on real connections: cuts, stalls, pace, clients that leave, rivals?"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.lichess import (
    Control,
    Endpoint,
    Fault,
    FaultKind,
    Outcome,
    RecordedRequest,
    Refusal,
    run_fake_lichess,
)

HEADERS = {"User-Agent": "scoresheet-tests/1.0 (integration)", "Accept": "application/x-ndjson"}
TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.01
ALICE = "/api/games/user/alice"
REPOSITORY = Path(__file__).parents[2]
ESTABLISHED = "01"  # a state in /proc/net/tcp


def make_game(number: int) -> dict[str, Any]:
    return {
        "id": f"game{number:04d}",
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": 1_700_000_000_000 + number,
        "lastMoveAt": 1_700_000_060_000 + number,
        "status": "resign",
        "players": {"white": {"user": {"name": "Alice", "id": "alice"}, "rating": 1500}, "black": {}},
        "winner": "white",
        "moves": "e4 e5 Nf3 Nc6",
    }


@pytest.fixture
def lichess() -> Iterator[Control]:
    """Run a fake Lichess with ten games of Alice."""
    with run_fake_lichess() as control:
        control.put_games(make_game(number) for number in range(10))
        yield control


@pytest.fixture
async def http(lichess: Control) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that opens a connection of its own for each request."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=lichess.url, headers=HEADERS, timeout=TIMEOUT_SECONDS, trust_env=False, limits=limits
    ) as client:
        yield client


async def read_lines(http: httpx.AsyncClient, lines: list[str]) -> None:
    async with http.stream("GET", ALICE, params={"sort": "dateAsc"}) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            lines.append(line)  # noqa: PERF401 - what arrived before an error counts


def all_ended(requests: list[RecordedRequest]) -> bool:
    return all(request.ended_s is not None for request in requests)


@pytest.mark.smoke
async def test_a_whole_export_arrives_a_game_a_line(lichess: Control, http: httpx.AsyncClient) -> None:
    lines: list[str] = []
    await read_lines(http, lines)
    assert [line[7:15] for line in lines] == [f"game{number:04d}" for number in range(10)]
    (request,) = lichess.requests
    assert (request.outcome, request.games_sent) == (Outcome.COMPLETE, 10)


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.HALF_LINE])
async def test_a_cut_stream_is_a_protocol_error(
    lichess: Control, http: httpx.AsyncClient, kind: FaultKind
) -> None:
    lichess.add_fault(Fault(kind=kind, after_lines=3))
    lines: list[str] = []
    with pytest.raises(httpx.RemoteProtocolError):
        await read_lines(http, lines)
    assert len(lines) == 3
    (request,) = lichess.wait_for_requests(all_ended)
    assert (request.outcome, request.games_sent) == (Outcome.CUT, 3)


async def test_a_reset_connection_is_a_network_error(lichess: Control, http: httpx.AsyncClient) -> None:
    lichess.add_fault(Fault(kind=FaultKind.RESET, after_lines=3))
    with pytest.raises(httpx.ReadError):
        await read_lines(http, [])
    lines: list[str] = []
    await read_lines(http, lines)
    assert len(lines) == 10


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STALL, after_lines=2),
        Fault(kind=FaultKind.DRIP, after_lines=2, bytes_per_second=1),
    ],
)
async def test_a_client_that_leaves_is_noticed_while_nothing_flows(
    lichess: Control, http: httpx.AsyncClient, fault: Fault
) -> None:
    lichess.add_fault(fault)
    async with http.stream("GET", ALICE) as response:
        lines = response.aiter_lines()
        await anext(lines)
        await anext(lines)
        assert lichess.requests[0].ended_s is None
    (request,) = lichess.wait_for_requests(all_ended)
    assert (request.outcome, request.games_sent) == (Outcome.CLIENT_LEFT, 2)


async def test_a_client_that_leaves_is_noticed_between_games_of_the_speed_limit(
    lichess: Control, http: httpx.AsyncClient
) -> None:
    lichess.set_speed_limit(0.001)
    async with http.stream("GET", ALICE) as response:
        lines = response.aiter_lines()
        await anext(lines)
    (request,) = lichess.wait_for_requests(all_ended)
    assert (request.outcome, request.games_sent) == (Outcome.CLIENT_LEFT, 1)


async def test_a_stall_with_an_end_goes_on(lichess: Control, http: httpx.AsyncClient) -> None:
    lichess.add_fault(Fault(kind=FaultKind.STALL, after_lines=2, seconds=0.01))
    lines: list[str] = []
    await read_lines(http, lines)
    assert len(lines) == 10


async def test_a_held_stream_stays_under_way_and_goes_on_where_it_was(
    lichess: Control, http: httpx.AsyncClient
) -> None:
    lines: list[str] = []
    lichess.hold_after(4)
    task = asyncio.create_task(read_lines(http, lines))
    for games in (4, 7):
        # A blank line at the end: it is held.
        while sum(map(bool, lines)) < games or lines[-1]:
            assert not task.done(), "nothing held it"
            await asyncio.sleep(POLL_SECONDS)
        (request,) = lichess.requests
        assert (request.games_sent, request.ended_s) == (games, None)
        lichess.hold_after(7)
    lichess.hold_after(None)
    await task
    assert [json.loads(line)["id"] for line in lines if line] == [f"game{n:04d}" for n in range(10)]


@pytest.mark.mutation("one request to Lichess at a time")
async def test_a_rival_request_is_refused_and_recorded(lichess: Control, http: httpx.AsyncClient) -> None:
    lichess.set_penalty_seconds(0)
    lichess.add_fault(Fault(kind=FaultKind.STALL, after_lines=1))
    async with http.stream("GET", ALICE) as response:
        lines = response.aiter_lines()
        await anext(lines)
        for rival in (http.get(ALICE), http.post("/api/games/export/_ids", content="game0001")):
            refused = await rival
            assert refused.status_code == httpx.codes.TOO_MANY_REQUESTS
            assert "retry-after" not in refused.headers
    lichess.wait_for_requests(all_ended)
    assert [(first.number, second.number) for first, second in lichess.overlaps()] == [(1, 2), (1, 3)]
    assert [request.refusal for request in lichess.requests] == [None, Refusal.CONCURRENT, Refusal.CONCURRENT]
    assert lichess.requests[2].endpoint is Endpoint.GAMES_BY_IDS
    assert (await http.get(ALICE)).status_code == httpx.codes.OK


@pytest.mark.mutation("silence after a 429")
async def test_a_request_too_soon_after_a_429_is_a_violation(
    lichess: Control, http: httpx.AsyncClient
) -> None:
    lichess.add_fault(Fault(kind=FaultKind.STATUS, status=429))
    assert (await http.get(ALICE)).status_code == httpx.codes.TOO_MANY_REQUESTS
    assert (await http.get(ALICE)).status_code == httpx.codes.TOO_MANY_REQUESTS
    assert [request.number for request in lichess.penalty_violations()] == [2]
    assert lichess.overlaps() == []


async def test_requests_one_after_the_other_never_overlap(lichess: Control, http: httpx.AsyncClient) -> None:
    """Each client leaves in the middle and the next comes at once: the worst case for telling them apart."""
    lichess.add_fault(Fault(kind=FaultKind.STALL, after_lines=1, times=None))
    for _ in range(100):
        async with http.stream("GET", ALICE) as response:
            assert response.status_code == httpx.codes.OK
            lines = response.aiter_lines()
            await anext(lines)
    lichess.wait_for_requests(all_ended)
    assert lichess.overlaps() == []


def test_a_killed_client_frees_its_place(lichess: Control) -> None:
    lichess.add_fault(Fault(kind=FaultKind.STALL))
    program = (
        "import sys, urllib.request\n"
        "request = urllib.request.Request(sys.argv[1], headers={'User-Agent': 'scoresheet-tests/1.0'})\n"
        "urllib.request.urlopen(request).read()\n"
    )
    client = subprocess.Popen([sys.executable, "-c", program, lichess.url + ALICE])
    try:
        lichess.wait_for_requests(
            lambda requests: len(requests) == 1 and requests[0].status == httpx.codes.OK
        )
        os.kill(client.pid, signal.SIGSTOP)
        assert lichess.requests[0].ended_s is None
    finally:
        client.kill()
        client.wait()
    assert httpx.get(lichess.url + ALICE, headers=HEADERS).status_code == httpx.codes.OK
    assert lichess.requests[0].outcome is Outcome.CLIENT_LEFT


@pytest.mark.parametrize("games_per_second", [200, 50])
async def test_no_answer_is_faster_than_the_speed_limit(
    lichess: Control, http: httpx.AsyncClient, games_per_second: int
) -> None:
    lichess.set_speed_limit(games_per_second)
    await read_lines(http, [])
    request = lichess.requests[-1]
    assert request.ended_s is not None
    # Of ten games; a busy machine only adds to it.
    assert request.ended_s - request.started_s >= 9 / games_per_second


async def test_games_put_during_a_stream_are_seen_by_the_next(
    lichess: Control, http: httpx.AsyncClient
) -> None:
    lichess.put_games([{**make_game(10), "status": "started"}])
    before: list[str] = []
    await read_lines(http, before)
    lichess.put_games([make_game(10)])
    after: list[str] = []
    await read_lines(http, after)
    assert (len(before), len(after)) == (10, 11)


async def test_accounts_close_and_tokens_change_while_running(
    lichess: Control, http: httpx.AsyncClient
) -> None:
    lichess.close_account("Alice")
    assert (await http.get(ALICE)).status_code == httpx.codes.NOT_FOUND
    lichess.reopen_account("alice")
    authorization = {"Authorization": "Bearer secret"}
    assert (await http.get(ALICE, headers=authorization)).status_code == httpx.codes.UNAUTHORIZED
    lichess.set_tokens({"secret": "alice"})
    assert (await http.get(ALICE, headers=authorization)).status_code == httpx.codes.OK
    assert lichess.requests[-1].authenticated_as == "alice"


async def test_a_malformed_control_request_says_why(lichess: Control) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="createdAt"):
        lichess.put_games([{"id": "game0001", "players": {}}])


def test_stopping_does_not_wait_for_a_stalled_stream() -> None:
    with httpx.Client(headers=HEADERS, timeout=TIMEOUT_SECONDS) as http:
        with run_fake_lichess() as lichess:
            lichess.put_games([make_game(0)])
            lichess.add_fault(Fault(kind=FaultKind.STALL))
            response = http.send(http.build_request("GET", lichess.url + ALICE), stream=True)
        with pytest.raises(httpx.RemoteProtocolError):
            response.read()


@contextmanager
def program(tmp_path: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the server as a program serving one game, and yield it with its address."""
    games, port_file = tmp_path / "games.ndjson", tmp_path / "port"
    games.write_text(json.dumps(make_game(1)) + "\n")
    command = [
        sys.executable,
        "-m",
        "tests.fakes.lichess",
        "--games",
        str(games),
        "--port-file",
        str(port_file),
    ]
    server = subprocess.Popen([*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert "1 games at http://127.0.0.1:" in server.stdout.readline()
        yield server, f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        server.terminate()
        server.send_signal(signal.SIGCONT)  # a stopped process can't terminate
        server.communicate(timeout=TIMEOUT_SECONDS)


def test_the_program_serves_a_file_and_stops_on_sigterm(tmp_path: Path) -> None:
    with program(tmp_path) as (server, url):
        assert httpx.get(url + ALICE, headers=HEADERS).json()["id"] == "game0001"
        assert httpx.get(f"{url}/_control/requests").status_code == httpx.codes.NOT_FOUND
    assert server.returncode in (0, -signal.SIGTERM)


def test_leaving_counts_from_when_the_client_left_not_from_when_the_server_looked(tmp_path: Path) -> None:
    """A busy server finds the end of one request and the start of the next together, in any order."""
    with (
        program(tmp_path, "--control") as (server, url),
        Control(url) as lichess,
        httpx.Client(base_url=url, headers=HEADERS, timeout=TIMEOUT_SECONDS) as next_client,
    ):
        next_client.get(
            "/api/games/user/nobody"
        )  # leaves a connection open, on which the next request is read first
        lichess.add_fault(Fault(kind=FaultKind.STALL))
        with httpx.Client(base_url=url, headers=HEADERS, timeout=TIMEOUT_SECONDS) as first_client:
            first_client.send(first_client.build_request("GET", ALICE), stream=True)
            server.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(next_client.get, ALICE)
            wait_for_unread_request(url)
            server.send_signal(signal.SIGCONT)
            assert answer.result().status_code == httpx.codes.OK
        assert lichess.overlaps() == []


def wait_for_unread_request(url: str) -> None:
    """Wait until the kernel holds bytes for the server that it has not read."""
    port_hex = f":{httpx.URL(url).port:04X}"
    while not any(
        fields[1].endswith(port_hex) and fields[3] == ESTABLISHED and not fields[4].endswith(":00000000")
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
    ):
        time.sleep(0.01)


def test_the_program_says_in_one_line_which_line_is_no_game(tmp_path: Path) -> None:
    games = tmp_path / "games.ndjson"
    games.write_text("\n{}\n")
    command = [sys.executable, "-m", "tests.fakes.lichess", "--games", str(games)]
    failed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"fake-lichess: {games}, line 2: ")
    assert failed.stderr.count("\n") == 1


async def test_rivals_get_one_place_between_them(lichess: Control, http: httpx.AsyncClient) -> None:
    lichess.set_penalty_seconds(0)
    lichess.set_speed_limit(5)  # two seconds for all to arrive
    responses = await asyncio.gather(*(http.get(ALICE) for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [200, 429, 429, 429, 429]
    (accepted,) = (request for request in lichess.requests if request.accepted)
    assert sum(accepted in pair for pair in lichess.overlaps()) == 4
