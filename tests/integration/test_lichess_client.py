"""Does the client tell a whole answer from a broken one on real connections, and let go when it must?"""

import resource
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from app.contract.ingestion import FetchKind, FetchOutcome, FetchPlan
from tests.fakes.lichess import Control, Endpoint, Fault, FaultKind, Outcome, run_fake_lichess
from workers.ingestion.cutoff import CutOff, CutReason, RequestEnded
from workers.ingestion.lichess import LichessClient
from workers.ingestion.lines import LINE_MAX_BYTES, GarbledError, RawLine, read_game

GAMES = 10
FIRST_MS = 1_700_000_000_000


def make_game(number: int) -> dict[str, Any]:
    return {
        "id": f"game{number:04d}",
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": FIRST_MS + number,
        "lastMoveAt": FIRST_MS + 60_000 + number,
        "status": "resign",
        "players": {"white": {"user": {"name": "Alice", "id": "alice"}, "rating": 1500}, "black": {}},
        "winner": "white",
        "moves": "e4 e5 Nf3 Nc6",
        "clocks": [30_000, 30_000, 29_000, 29_000],
    }


@pytest.fixture
def lichess() -> Iterator[Control]:
    """Run a fake Lichess with ten games of Alice."""
    with run_fake_lichess(tokens={"lip_alice": "alice"}) as control:
        control.put_games(make_game(number) for number in range(GAMES))
        yield control


def plan(**changes: Any) -> FetchPlan:
    values = {"run_id": 1, "player": "Alice", "kind": FetchKind.STREAM, "max_games": 100} | changes
    return FetchPlan(**values)


def never() -> CutOff:
    return CutOff(float("inf"))


def client(url: str, timeout_seconds: float = 30, token: str | None = None) -> LichessClient:
    return LichessClient(url, None if token is None else SecretStr(token), timeout_seconds)


def read(
    lichess: LichessClient, asked: FetchPlan | None = None, cutoff: CutOff | None = None
) -> tuple[list[RawLine], FetchOutcome]:
    """Return the lines that came and how the request ended."""
    lines: list[RawLine] = []
    try:
        with lichess.games(asked or plan(), cutoff or never()) as stream:
            lines.extend(stream)
    except RequestEnded as end:
        return lines, end.outcome
    return lines, FetchOutcome.COMPLETE


def ids(lines: list[RawLine]) -> list[str]:
    return [read_game(line).id for line in lines]


def test_all_games_come_oldest_first_with_what_was_asked_for(lichess: Control) -> None:
    lines, outcome = read(client(lichess.url, token="lip_alice"))  # noqa: S106  the fake's
    assert outcome is FetchOutcome.COMPLETE
    assert ids(lines) == [f"game{number:04d}" for number in range(GAMES)]
    assert b'"clocks"' in lines[0].data
    (request,) = lichess.requests
    assert request.accept == "application/x-ndjson"
    assert request.user_agent.startswith("Scoresheet/")
    assert request.authenticated_as == "alice"


def test_the_bounds_of_a_slice_are_kept(lichess: Control) -> None:
    lines, _ = read(client(lichess.url), plan(since_ms=FIRST_MS + 3, max_games=4))
    assert ids(lines) == ["game0003", "game0004", "game0005", "game0006"]


@pytest.mark.smoke
def test_named_games_are_fetched_by_id(lichess: Control) -> None:
    asked = plan(kind=FetchKind.IDS, ids=["game0007", "game0002", "nowhere0"])
    lines, outcome = read(client(lichess.url), asked)
    assert outcome is FetchOutcome.COMPLETE
    assert sorted(ids(lines)) == ["game0002", "game0007"]
    assert lichess.requests[0].endpoint is Endpoint.GAMES_BY_IDS


@pytest.mark.parametrize(
    ("fault", "outcome", "whole_lines"),
    [
        (Fault(kind=FaultKind.CUT, after_lines=3), FetchOutcome.CUT, 3),
        (Fault(kind=FaultKind.HALF_LINE, after_lines=3), FetchOutcome.CUT, 3),
        (Fault(kind=FaultKind.STATUS, status=500), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.STATUS, status=429), FetchOutcome.RATE_LIMITED, 0),
        (Fault(kind=FaultKind.STATUS, status=404), FetchOutcome.NOT_FOUND, 0),
        (Fault(kind=FaultKind.STATUS, status=404, body="<html>"), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.STATUS, status=401, body="<html>"), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.STATUS, status=404, body="", media_type=None), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.HTML), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.JSON_ERROR), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.GZIP), FetchOutcome.UNAVAILABLE, 0),
        (Fault(kind=FaultKind.BLANK_LINES), FetchOutcome.COMPLETE, GAMES),
        (Fault(kind=FaultKind.CRLF), FetchOutcome.COMPLETE, GAMES),
        (Fault(kind=FaultKind.BOM, after_lines=2), FetchOutcome.COMPLETE, GAMES),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Fault) else None,
)
def test_each_fault_has_its_outcome_and_loses_no_whole_line(
    lichess: Control, fault: Fault, outcome: FetchOutcome, whole_lines: int
) -> None:
    lichess.add_fault(fault)
    lines, ended = read(client(lichess.url))
    assert ended is outcome
    assert ids(lines) == [f"game{number:04d}" for number in range(whole_lines)]


def test_a_reset_is_a_cut_that_gives_nothing_but_whole_lines(lichess: Control) -> None:
    lichess.add_fault(Fault(kind=FaultKind.RESET, after_lines=3))
    lines, ended = read(client(lichess.url))
    assert ended is FetchOutcome.CUT
    assert ids(lines) == [f"game{number:04d}" for number in range(len(lines))]


def test_an_unknown_account_and_a_wrong_token_are_told_apart(lichess: Control) -> None:
    assert read(client(lichess.url), plan(player="nobody"))[1] is FetchOutcome.NOT_FOUND
    wrong = client(lichess.url, token="lip_wrong")  # noqa: S106  the fake's
    assert read(wrong)[1] is FetchOutcome.UNAUTHORISED


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE, FaultKind.HUGE_LINE, FaultKind.MISSING_ID])
def test_a_line_that_names_no_game_does_not_end_the_stream(lichess: Control, kind: FaultKind) -> None:
    lichess.add_fault(Fault(kind=kind, after_lines=2))
    lines, outcome = read(client(lichess.url))
    assert outcome is FetchOutcome.COMPLETE
    assert ids(lines[:2]) == ["game0000", "game0001"]
    assert all(len(line.data) <= LINE_MAX_BYTES for line in lines)
    with pytest.raises(GarbledError):
        read_game(lines[2])
    assert ids(lines[3:])[-1] == "game0009"


def test_a_silent_connection_counts_as_dead(lichess: Control) -> None:
    lichess.add_fault(Fault(kind=FaultKind.STALL, after_lines=2))
    lines, outcome = read(client(lichess.url, timeout_seconds=2))
    assert (len(lines), outcome) == (2, FetchOutcome.CUT)


def test_nobody_at_the_door_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert read(client(f"http://127.0.0.1:{port}"))[1] is FetchOutcome.UNAVAILABLE


@pytest.mark.parametrize("kind", [FaultKind.STALL, FaultKind.DRIP])
@pytest.mark.parametrize("reason", CutReason)
def test_a_cut_off_ends_a_stream_while_nothing_comes(
    lichess: Control, kind: FaultKind, reason: CutReason
) -> None:
    lichess.add_fault(Fault(kind=kind, after_lines=1, seconds=10, bytes_per_second=20))
    cutoff = never()
    with client(lichess.url).games(plan(), cutoff) as lines:
        next(lines)
        threading.Timer(0.05, cutoff.pull, [reason]).start()
        with pytest.raises(RequestEnded) as caught:
            next(lines)
    stopped = reason is CutReason.STOPPING
    assert caught.value.outcome is (FetchOutcome.STOPPED if stopped else FetchOutcome.CUT)
    (request,) = lichess.wait_for_requests(lambda requests: requests[0].ended_s is not None)
    # Without the cut the client would have stayed until the second game was through.
    assert (request.outcome, request.games_sent) == (Outcome.CLIENT_LEFT, 1)


def test_a_cut_off_ends_a_request_that_is_not_answered() -> None:
    asked, cutoff, left = threading.Event(), never(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            asked.set()
            connection.settimeout(10)
            if connection.recv(1) == b"":
                left.set()

    def pull() -> None:
        asked.wait(30)
        cutoff.pull(CutReason.DEADLINE)

    threads = [threading.Thread(target=serve), threading.Thread(target=pull)]
    for thread in threads:
        thread.start()
    assert read(client(f"http://127.0.0.1:{listener.getsockname()[1]}"), cutoff=cutoff)[1] is FetchOutcome.CUT
    for thread in threads:
        thread.join()
    listener.close()
    assert left.is_set()


def test_an_answer_that_ends_with_the_connection_alone_is_cut() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
            connection.sendall(head + b'{"id":"game0001","createdAt":1700000000000}\n')

    thread = threading.Thread(target=serve)
    thread.start()
    lines, outcome = read(client(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    thread.join()
    listener.close()
    assert ids(lines) == ["game0001"]
    assert outcome is FetchOutcome.CUT


def test_reading_an_endless_line_takes_constant_memory() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            connection.sendall(head)
            for _ in range(640):
                connection.sendall(chunk)
            connection.sendall(b"1\r\n\n\r\n0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    before = peak_memory_kib()
    lines, outcome = read(client(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    thread.join()
    listener.close()
    assert outcome is FetchOutcome.COMPLETE
    assert len(lines) == 1
    assert lines[0].digest is not None
    assert peak_memory_kib() - before < 20_000


def peak_memory_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
