"""What is asked of Lichess, and which outcome has which answer?"""

from collections.abc import Callable

import httpx
import pytest
from pydantic import SecretStr

from app.contract.ingestion import FetchKind, FetchOutcome, FetchPlan
from tests.unit.workers.ingestion.fakes import NEVER, Answer, error_of_lichess, make_plan, ndjson
from workers.ingestion.cutoff import CutOff, CutReason, RequestEnded
from workers.ingestion.lichess import LichessClient

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, token: str | None = None) -> LichessClient:
    secret = None if token is None else SecretStr(token)
    return LichessClient("https://lichess.test", secret, 60, httpx.MockTransport(handler))


def ask(handler: Handler, plan: FetchPlan | None = None, cutoff: CutOff | None = None) -> list[bytes]:
    """Return the lines of a whole answer."""
    with client(handler).games(plan or make_plan(), cutoff or CutOff(NEVER)) as lines:
        return [line.data for line in lines]


def outcome_of(handler: Handler, plan: FetchPlan | None = None) -> tuple[FetchOutcome, str]:
    with pytest.raises(RequestEnded) as caught:
        ask(handler, plan)
    return caught.value.outcome, caught.value.detail


def answer(response: httpx.Response) -> Handler:
    return lambda _: response


def test_a_player_s_games_are_asked_for_unfiltered_oldest_first_with_all_that_can_be_had() -> None:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return ndjson(b"{}\n")

    with client(handler, "lip_token").games(
        make_plan(player="Alice", since_ms=1_700_000_000_000, max_games=300), CutOff(NEVER)
    ) as lines:
        list(lines)
    (request,) = requests
    assert request.method == "GET"
    assert request.url.path == "/api/games/user/Alice"
    assert dict(request.url.params) == {
        "since": "1700000000000",
        "max": "300",
        "sort": "dateAsc",
        "finished": "true",
        "ongoing": "true",
        "moves": "true",
        "clocks": "true",
        "evals": "true",
        "accuracy": "true",
        "opening": "true",
        "division": "true",
        "pgnInJson": "false",
    }
    assert request.headers["Accept"] == "application/x-ndjson"
    assert request.headers["User-Agent"].startswith("Scoresheet/")
    assert request.headers["Authorization"] == "Bearer lip_token"


def test_without_a_bound_or_a_token_neither_is_sent() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert "since" not in request.url.params
        assert "Authorization" not in request.headers
        return ndjson()

    assert ask(handler) == []


def test_the_user_agent_names_whom_lichess_can_turn_to() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["User-Agent"].startswith("Scoresheet/")
        assert request.headers["User-Agent"].endswith(" (me@example.org)")
        return ndjson()

    lichess = LichessClient(
        "https://lichess.test", None, 60, httpx.MockTransport(handler), contact="me@example.org"
    )
    with lichess.games(make_plan(), CutOff(NEVER)) as lines:
        assert list(lines) == []


def test_named_games_are_asked_for_by_id() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/api/games/export/_ids")
        assert request.content == b"game0001,game0002"
        assert request.url.params["clocks"] == "true"
        assert "max" not in request.url.params
        return ndjson(b'{"id":1}\n')

    plan = make_plan(kind=FetchKind.IDS, ids=["game0001", "game0002"])
    assert ask(handler, plan) == [b'{"id":1}']


def test_lines_come_whole_however_they_were_cut_and_the_last_may_lack_its_end() -> None:
    assert ask(answer(ndjson(b'{"a"', b":1}\r\n\n", b'{"b":2}'))) == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (429, FetchOutcome.RATE_LIMITED),
        (301, FetchOutcome.UNAVAILABLE),
        (400, FetchOutcome.UNAVAILABLE),
        (500, FetchOutcome.UNAVAILABLE),
        (502, FetchOutcome.UNAVAILABLE),
        (599, FetchOutcome.UNAVAILABLE),
    ],
)
def test_a_status_becomes_an_outcome(status: int, outcome: FetchOutcome) -> None:
    assert outcome_of(answer(httpx.Response(status))) == (outcome, f"status {status}")


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (404, "Not found", FetchOutcome.NOT_FOUND),
        (401, "No such token", FetchOutcome.UNAUTHORISED),
    ],
)
def test_lichess_itself_says_what_is_wrong_with_account_or_token(
    status: int, error: str, outcome: FetchOutcome
) -> None:
    assert outcome_of(answer(error_of_lichess(status, error))) == (outcome, f"status {status}: {error}")


@pytest.mark.parametrize("status", [401, 404])
@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/html; charset=utf-8", b"<!DOCTYPE html><title>Page not found</title>"),
        ("text/html", b'{"error":"Not found"}'),
        (None, b""),
        (None, b'{"error":"Not found"}'),
        ("application/json", b""),
        ("application/json", b'{"message":"no Route matched with those values"}'),
        ("application/json", b'{"error":{"code":404}}'),
        ("application/json", b'["error"]'),
        ("application/json", b'{"error":"Not fou'),
        ("application/json", b'{"error":"Not found","filler":"' + b"x" * 10_000 + b'"}'),
        ("application/json", b"[" * 4_000),
        ("application/json", b"\xff\xfe"),
    ],
)
def test_any_other_answer_with_that_status_blames_neither_account_nor_token(
    status: int, media_type: str | None, body: bytes
) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    response = httpx.Response(status, headers=headers, stream=Answer(body))
    outcome, detail = outcome_of(answer(response))
    assert outcome is FetchOutcome.UNAVAILABLE
    assert detail.startswith(f"status {status} with {(media_type or 'nothing').partition(';')[0]}")
    assert "not about" in detail


def test_an_error_that_breaks_off_blames_nobody() -> None:
    body = Answer(b'{"error":"Not found"}', httpx.ReadError("gone"))
    response = httpx.Response(404, headers={"Content-Type": "application/json"}, stream=body)
    assert outcome_of(answer(response))[0] is FetchOutcome.UNAVAILABLE


def test_an_error_that_does_not_end_can_be_cut_off() -> None:
    cutoff = CutOff(NEVER)

    def handler(_: httpx.Request) -> httpx.Response:
        cutoff.pull(CutReason.STOPPING)
        stream = Answer(b'{"error":', b'"Not found"}')
        return httpx.Response(404, headers={"Content-Type": "application/json"}, stream=stream)

    with pytest.raises(RequestEnded) as caught:
        ask(handler, cutoff=cutoff)
    assert caught.value.outcome is FetchOutcome.STOPPED


def test_an_export_by_ids_never_says_that_the_player_is_unknown() -> None:
    plan = make_plan(kind=FetchKind.IDS, ids=["game0001"])
    assert outcome_of(answer(error_of_lichess(404, "Not found")), plan)[0] is FetchOutcome.UNAVAILABLE


@pytest.mark.parametrize("media_type", ["text/html; charset=utf-8", "application/json", None])
def test_a_page_or_an_error_object_with_status_200_is_no_answer(media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    outcome, detail = outcome_of(answer(httpx.Response(200, headers=headers, stream=Answer(b"<html>\n"))))
    assert outcome is FetchOutcome.UNAVAILABLE
    assert "instead of NDJSON" in detail


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "identity, zstd"},
        {"Content-Encoding": "x-unheard-of"},
        {"Content-Type": "application/x-ndjson; charset=utf-16"},
    ],
)
def test_bytes_that_mean_something_else_are_no_lines(headers: dict[str, str]) -> None:
    response = ndjson(b"\x1f\x8b\x08\x00\n")
    response.headers.update(headers)
    outcome, detail = outcome_of(answer(response))
    assert outcome is FetchOutcome.UNAVAILABLE
    assert detail.startswith("status 200 in ")


@pytest.mark.parametrize(
    "headers", [{"Content-Encoding": "identity"}, {"Content-Type": "Application/X-NDJSON; charset=UTF-8"}]
)
def test_what_goes_without_saying_may_be_said(headers: dict[str, str]) -> None:
    response = ndjson(b"{}\n")
    response.headers.update(headers)
    assert ask(answer(response)) == [b"{}"]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (httpx.ReadTimeout("no luck"), "ReadTimeout: no luck"),
        (httpx.ConnectError("no such name"), "lichess.test can't be reached: no such name"),
        (httpx.ConnectTimeout(""), "lichess.test can't be reached: ConnectTimeout"),
    ],
)
def test_no_answer_is_unavailable(error: httpx.TransportError, detail: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    assert outcome_of(handler) == (FetchOutcome.UNAVAILABLE, detail)


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_a_stream_that_breaks_gives_its_whole_lines_and_is_cut(error: type[httpx.TransportError]) -> None:
    seen: list[bytes] = []
    broken = answer(ndjson(b'{"a":1}\n{"b":', error("gone")))
    with client(broken).games(make_plan(), CutOff(NEVER)) as lines, pytest.raises(RequestEnded) as caught:
        seen.extend(line.data for line in lines)
    assert seen == [b'{"a":1}']
    assert caught.value.outcome is FetchOutcome.CUT


def test_a_stream_whose_end_nothing_marks_is_cut() -> None:
    assert outcome_of(answer(ndjson(b'{"a":1}\n', chunked=False)))[0] is FetchOutcome.CUT


def test_a_pulled_cut_off_ends_the_reading_with_its_own_reason() -> None:
    cutoff = CutOff(NEVER)
    body = Answer(b'{"a":1}\n{"b":2}\n')
    headers = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
    with client(answer(httpx.Response(200, headers=headers, stream=body))).games(
        make_plan(), cutoff
    ) as lines:
        next(lines)
        cutoff.pull(CutReason.STOPPING)
        with pytest.raises(RequestEnded) as caught:
            next(lines)
    assert caught.value.outcome is FetchOutcome.STOPPED
    assert body.closed


def test_a_request_is_not_even_sent_once_the_lock_is_lost() -> None:
    cutoff = CutOff(NEVER)
    cutoff.pull(CutReason.LOCK_LOST)

    def handler(_: httpx.Request) -> httpx.Response:
        raise AssertionError("Lichess was asked")

    with pytest.raises(RequestEnded), client(handler).games(make_plan(), cutoff):
        pass


def test_the_connection_is_closed_when_reading_ends_early() -> None:
    body = Answer(b'{"a":1}\n', b'{"b":2}\n')
    headers = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
    with client(answer(httpx.Response(200, headers=headers, stream=body))).games(
        make_plan(), CutOff(NEVER)
    ) as lines:
        next(lines)
    assert body.closed


def test_a_cut_off_ends_by_itself_when_its_lease_runs_out() -> None:
    now = [0.0]
    cutoff = CutOff(10.0, clock=lambda: now[0])
    cutoff.check()
    cutoff.extend_lease(20.0)
    now[0] = 15.0
    cutoff.check()
    now[0] = 20.0
    with pytest.raises(RequestEnded, match="lock"):
        cutoff.check()
    cutoff.extend_lease(100.0)
    assert cutoff.reason is CutReason.LOCK_LOST
