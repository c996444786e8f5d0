"""Does the client survive what passes, and say clearly what does not?"""

import itertools
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.contract import analyses, ingestion
from app.contract.positions import EngineIdentity, EvaluationSource
from workers.api_client import (
    ApiClient,
    ApiProblem,
    ApiUnavailable,
    InvalidAnswer,
    NotClaimable,
    NotFound,
    StaleFence,
    StaleRun,
)

STORED = {"stored": 1, "updated": 0, "unchanged": 0, "refused": 0}
DUE = {"players": ["alice"]}


class Server:
    """Answers with the responses it was given, one after the other, the last one for ever."""

    def __init__(self, *responses: httpx.Response | Exception) -> None:
        self.responses = list(responses)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        return response

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def client(self) -> ApiClient:
        return ApiClient(
            "http://api.test",
            "secret-token",
            transport=httpx.MockTransport(self),
            sleep=self.sleep,
            clock=lambda: self.now,
        )


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def problem(status: int, code: str, **extensions: Any) -> httpx.Response:
    body = {"type": "about:blank", "title": "x", "status": status, "detail": "why", "code": code} | extensions
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


def test_a_request_carries_the_token_and_its_answer_is_checked() -> None:
    server = Server(ok(DUE))
    assert server.client().due_players(5).players == ["alice"]
    assert server.requests[0].headers["Authorization"] == "Bearer secret-token"
    assert str(server.requests[0].url) == "http://api.test/v1/ingestion/due?limit=5"


ENGINE = EngineIdentity(name="Stockfish 17", hash_mb=16)
OF_LICHESS = analyses.Provenance(
    source=EvaluationSource.LICHESS,
    engine=None,
    nodes=None,
    mode=None,
    position_nodes=[],
    searched_positions=0,
    searched_nodes=0,
)
OUTCOME = {"state": "done"}


@pytest.mark.parametrize(
    ("call", "path", "answer"),
    [
        (
            lambda c: c.claim_fetch(ingestion.FetchClaim(player="alice", fence=1)),
            "/v1/ingestion/claims",
            {"plan": None},
        ),
        (
            lambda c: c.report_seen(
                7, ingestion.SeenGames(games=[ingestion.SeenGame(id="a" * 8, created_at_ms=1, line=1)])
            ),
            "/v1/ingestion/runs/7/seen",
            None,
        ),
        (
            lambda c: c.report_garbled(
                7, ingestion.GarbledLine(line=1, reason="x", raw="y", digest="0" * 64)
            ),
            "/v1/ingestion/runs/7/garbled",
            {"verdict": "stop"},
        ),
        (
            lambda c: c.finish_fetch(
                7, ingestion.FetchReport(outcome=ingestion.FetchOutcome.COMPLETE, lines=1)
            ),
            "/v1/ingestion/runs/7/finish",
            {"more": False},
        ),
        (
            lambda c: c.store(
                ingestion.Observations(
                    observations=[
                        ingestion.Observation(player="a", run_id=1, line=1, id="a" * 8, created_at_ms=1)
                    ]
                )
            ),
            "/v1/ingestion/observations",
            STORED,
        ),
        (
            lambda c: c.pending_games(analyses.PendingRequest(plugins=[])),
            "/v1/analyses/pending",
            {"games": []},
        ),
        (
            lambda c: c.renew_lease("abcdefgh", analyses.LeaseRenewal(fence=1)),
            "/v1/analyses/abcdefgh/renew",
            None,
        ),
        (
            lambda c: c.hand_back("abcdefgh", analyses.AnalysisHandback(fence=1)),
            "/v1/analyses/abcdefgh/handback",
            None,
        ),
        (
            lambda c: c.post_results(
                "abcdefgh",
                analyses.AnalysisResults(fence=1, provenance=OF_LICHESS, results=[]),
            ),
            "/v1/analyses/abcdefgh/results",
            OUTCOME,
        ),
        (
            lambda c: c.report_failure(
                "abcdefgh", analyses.AnalysisFailure(fence=1, code="engine_died", detail="x")
            ),
            "/v1/analyses/abcdefgh/failure",
            OUTCOME,
        ),
    ],
)
def test_each_message_goes_to_its_endpoint(call: Callable[[ApiClient], Any], path: str, answer: Any) -> None:
    server = Server(httpx.Response(204) if answer is None else ok(answer))
    call(server.client())
    (request,) = server.requests
    assert (request.method, request.url.path) == ("POST", path)
    assert request.headers["Content-Type"] == "application/json"
    assert isinstance(json.loads(request.content), dict)


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(503, headers={"Retry-After": "2"}),
        httpx.Response(502),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
    ],
)
def test_what_passes_is_waited_for(trouble: httpx.Response | Exception) -> None:
    server = Server(trouble, trouble, ok(DUE))
    assert server.client().due_players(1).players == ["alice"]
    assert len(server.requests) == 3


def test_retry_after_is_respected_and_the_pauses_grow() -> None:
    server = Server(httpx.Response(503, headers={"Retry-After": "2"}), ok(DUE))
    server.client().due_players(1)
    assert server.slept == [2.0]
    growing = Server(*[httpx.ConnectError("refused")] * 5, ok(DUE))
    growing.client().due_players(1)
    assert all(later > earlier / 2 for earlier, later in itertools.pairwise(growing.slept))
    assert growing.slept[-1] > growing.slept[0]


def test_what_does_not_pass_is_given_up_in_bounded_time_without_the_token_in_the_message() -> None:
    server = Server(httpx.ConnectError("refused"))
    with pytest.raises(ApiUnavailable) as caught:
        server.client().due_players(1)
    assert sum(server.slept) <= 30
    assert "refused" in str(caught.value)
    assert "secret-token" not in str(caught.value)
    assert len(server.requests) > 5


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "stale_run", StaleRun),
        (409, "stale_fence", StaleFence),
        (409, "not_claimable", NotClaimable),
        (404, "not_found", NotFound),
        (401, "unauthenticated", ApiProblem),
        (500, "internal_error", ApiProblem),
    ],
)
def test_a_problem_is_an_exception_of_its_kind_and_is_not_repeated(
    status: int, code: str, kind: type[ApiProblem]
) -> None:
    server = Server(problem(status, code))
    with pytest.raises(ApiProblem) as caught:
        server.client().due_players(1)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.detail) == (status, code, "why")
    assert len(server.requests) == 1


def test_a_stale_fence_says_where_to_go_on() -> None:
    with pytest.raises(StaleFence) as caught:
        Server(problem(409, "stale_fence", floor=41)).client().due_players(1)
    assert caught.value.floor == 41
    with pytest.raises(StaleFence) as caught:
        Server(problem(409, "stale_fence")).client().due_players(1)
    assert caught.value.floor is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"text"', b""])
def test_a_refusal_that_is_no_problem_document_is_still_a_problem(body: bytes) -> None:
    with pytest.raises(ApiProblem) as caught:
        Server(httpx.Response(418, content=body)).client().due_players(1)
    assert caught.value.code == "unknown"
    assert caught.value.detail


def test_what_a_newer_api_adds_to_an_answer_is_passed_over() -> None:
    added = {"added": 1}
    evaluation = {"position_key": 1, "halfmove_clock": 0, "budget_nodes": 9, "depth": 1, "nodes": 9, "pv": []}
    answer = {
        "id": "abcdefgh",
        "fence": 7,
        "lease_seconds": 120,
        "attempt": 1,
        "variant": "standard",
        "initial_fen": None,
        "status": "resign",
        "winner": "white",
        "uci": [],
        "clocks_cs": None,
        "lichess_evaluations": None,
        "plugins": [{"name": "accuracy", "version": 1} | added],
        "evaluations": [evaluation | {"score": {"cp": 1, "mate": None} | added} | added],
    }
    request = analyses.AnalysisClaimRequest(worker="w", plugins=[], engine=ENGINE, min_nodes=1)
    claim = Server(ok(answer | added)).client().claim_analysis("abcdefgh", request)
    assert (claim.fence, claim.plugins) == (7, [analyses.PluginId(name="accuracy", version=1)])
    assert claim.evaluations[0].score.cp == 1
    assert "added" not in claim.model_dump_json()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"players":[1]}', b'{"added":1}'])
def test_an_answer_outside_the_contract_is_an_error(body: bytes) -> None:
    with pytest.raises(InvalidAnswer, match="/v1/ingestion/due"):
        Server(httpx.Response(200, content=body)).client().due_players(1)
