"""How does a worker speak to Scoresheet's API, and what can go wrong there?

ApiError
├── ApiUnavailable        no usable answer in time; worth another try later
├── InvalidAnswer         the API answered what its contract does not allow
└── ApiProblem            the API refused: application/problem+json
    ├── StaleRun          a newer request to Lichess has taken over
    ├── StaleFence        the lock or lease is older than the newest that the API saw
    ├── NotClaimable      nothing to do for this game, or somebody does it
    └── NotFound
"""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from app.contract.analyses import (
    AnalysisClaim,
    AnalysisClaimRequest,
    AnalysisFailure,
    AnalysisHandback,
    AnalysisOutcome,
    AnalysisResults,
    Backlog,
    BacklogRequest,
    LeaseRenewal,
    PendingGames,
    PendingRequest,
    PluginId,
)
from app.contract.ingestion import (
    DuePlayers,
    FetchAnswer,
    FetchClaim,
    FetchReport,
    FetchVerdict,
    GarbledAnswer,
    GarbledLine,
    Observations,
    SeenGames,
    StoreAnswer,
)
from app.contract.positions import MAX_BATCH, EngineIdentity, Evaluation, EvaluationBatch
from workers.progress import board
from workers.settings import Settings, get_settings

_LOG = structlog.get_logger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)

RETRY_TOTAL_SECONDS = 30.0
"""After this long a request is given up: the ledger in PostgreSQL brings its work back."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_TIMEOUT = httpx.Timeout(15, connect=5)
# Less than uvicorn's 5 s, so that a connection is never reused while the server closes it.
_KEEPALIVE_SECONDS = 4.0
# 502 and 504 come from a proxy between us and the API.
_PASSING = frozenset({502, 503, 504})


class ApiError(Exception):
    """A request to the API failed."""


class ApiUnavailable(ApiError):
    """The API gave no usable answer within the time for retries."""


class InvalidAnswer(ApiError):
    """The API answered something that its contract does not allow."""


class ApiProblem(ApiError):
    """The API refused a request, as a problem document says."""

    def __init__(self, status: int, code: str, detail: str, extensions: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.extensions = extensions


class StaleRun(ApiProblem):
    """A newer request to Lichess has taken over; this one must stop at once."""


class StaleFence(ApiProblem):
    """The fence is older than the newest that the API saw."""

    @property
    def floor(self) -> int | None:
        """The newest fence that the API saw, where it says so."""
        floor = self.extensions.get("floor")
        return floor if isinstance(floor, int) else None


class NotClaimable(ApiProblem):
    """The game needs no analysis now, or somebody else holds its lease."""


class NotFound(ApiProblem):
    """The API does not know what the request names."""


_PROBLEMS: Final[dict[str, type[ApiProblem]]] = {
    "stale_run": StaleRun,
    "stale_fence": StaleFence,
    "not_claimable": NotClaimable,
    "not_found": NotFound,
}


class ApiClient:
    """The endpoints for workers, one method each.

    Each request may be repeated without harm, so each is retried on lost connections and 503, with a
    jittered back-off, until `retry_total` seconds are over. Raises ApiError. Neither thread-safe nor
    to be shared across a fork: see `get_api_client`.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        retry_total: float = RETRY_TOTAL_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Straight to the transport: cookies, redirects, proxies and hooks, none of which we have, make
        # httpx's client take five times as long for a request.
        self._transport = transport or httpx.HTTPTransport(limits=_LIMITS, trust_env=False)
        self._base_url = httpx.URL(base_url)
        self._headers = {
            "Host": self._base_url.netloc.decode(),
            "Authorization": f"Bearer {token}",
            "Accept-Encoding": "identity",
        }
        self._retry_total = retry_total
        self._sleep = sleep
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return a client as the settings have it: over TCP, or a unix socket where one is named."""
        transport = httpx.HTTPTransport(
            uds=None if settings.api_socket is None else str(settings.api_socket), limits=_LIMITS
        )
        return cls(settings.api_url, settings.worker_token().get_secret_value(), transport=transport)

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def due_players(self, limit: int) -> DuePlayers:
        """Return whom to fetch now."""
        return self._get(f"/v1/ingestion/due?limit={limit}", DuePlayers)

    def claim_fetch(self, claim: FetchClaim) -> FetchAnswer:
        """Open a run; raises StaleFence with a `floor` if the gate's fence fell behind."""
        return self._post("/v1/ingestion/claims", claim, FetchAnswer)

    def report_seen(self, run_id: int, games: SeenGames) -> None:
        """Enter lines in the manifest; raises StaleRun."""
        self._tell(f"/v1/ingestion/runs/{run_id}/seen", games)

    def report_garbled(self, run_id: int, line: GarbledLine) -> GarbledAnswer:
        """Ask what to do about a line that names no game; raises StaleRun."""
        return self._post(f"/v1/ingestion/runs/{run_id}/garbled", line, GarbledAnswer)

    def finish_fetch(self, run_id: int, report: FetchReport) -> FetchVerdict:
        """Close a run; raises StaleRun."""
        return self._post(f"/v1/ingestion/runs/{run_id}/finish", report, FetchVerdict)

    def store(self, observations: Observations) -> StoreAnswer:
        """Store games and refusals."""
        return self._post("/v1/ingestion/observations", observations, StoreAnswer)

    def pending_games(self, request: PendingRequest) -> PendingGames:
        """Return games that lack a result of one of the plugins."""
        return self._post("/v1/analyses/pending", request, PendingGames)

    def count_backlog(self, plugins: Sequence[PluginId]) -> int:
        """Return how many games lack a result of one of the plugins; takes the API a while."""
        return self._post("/v1/analyses/backlog", BacklogRequest(plugins=list(plugins)), Backlog).games

    def claim_analysis(self, game: str, request: AnalysisClaimRequest) -> AnalysisClaim:
        """Take the lease on a game, anew if the same worker holds it; raises NotClaimable or NotFound."""
        return self._post(f"/v1/analyses/{game}/claim", request, AnalysisClaim)

    def renew_lease(self, game: str, renewal: LeaseRenewal) -> None:
        """Keep the lease; raises StaleFence if it is lost."""
        self._tell(f"/v1/analyses/{game}/renew", renewal)

    def hand_back(self, game: str, handback: AnalysisHandback) -> None:
        """Give the lease back untouched; raises StaleFence."""
        self._tell(f"/v1/analyses/{game}/handback", handback)

    def store_evaluations(self, engine: EngineIdentity, evaluations: Sequence[Evaluation]) -> None:
        """Store what an engine found, in requests of at most `MAX_BATCH`; none where there is nothing."""
        for start in range(0, len(evaluations), MAX_BATCH):
            chunk = list(evaluations[start : start + MAX_BATCH])
            self._tell("/v1/evaluations", EvaluationBatch(engine=engine, evaluations=chunk))

    def post_results(self, game: str, results: AnalysisResults) -> AnalysisOutcome:
        """Store what the plugins made of a game; raises StaleFence."""
        return self._post(f"/v1/analyses/{game}/results", results, AnalysisOutcome)

    def report_failure(self, game: str, failure: AnalysisFailure) -> AnalysisOutcome:
        """Record why a pass over a game ended without results; raises StaleFence."""
        return self._post(f"/v1/analyses/{game}/failure", failure, AnalysisOutcome)

    def _get(self, path: str, answer: type[ModelT]) -> ModelT:
        return _parsed(self._request("GET", path, None), answer)

    def _post(self, path: str, message: BaseModel, answer: type[ModelT]) -> ModelT:
        return _parsed(self._request("POST", path, message), answer)

    def _tell(self, path: str, message: BaseModel) -> None:
        self._request("POST", path, message)

    def _request(self, method: str, path: str, message: BaseModel | None) -> httpx.Response:
        content = None if message is None else message.model_dump_json().encode()
        deadline = self._clock() + self._retry_total
        pause = _FIRST_PAUSE_SECONDS
        while True:
            at_least = 0.0
            board.advance()
            try:
                response = self._send(method, path, content)
            except httpx.TransportError as error:
                # Not the exception's chain: it holds the request, and that the token.
                trouble = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return response
                if response.status_code not in _PASSING:
                    raise _problem(response)
                trouble = f"status {response.status_code}"
                at_least = _retry_after(response)
            wait = max(at_least, pause * random.uniform(0.5, 1.5))  # noqa: S311  spreads load, keeps no secret
            if self._clock() + wait > deadline:
                raise ApiUnavailable(f"{method} {path}: {trouble}")
            _LOG.debug("api_retry", path=path, trouble=trouble, wait_seconds=round(wait, 3))
            self._sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _send(self, method: str, path: str, content: bytes | None) -> httpx.Response:
        headers = self._headers
        if content is not None:
            headers = headers | {"Content-Type": "application/json", "Content-Length": str(len(content))}
        request = httpx.Request(
            method, self._base_url.join(path), headers=headers, content=content, extensions=_EXTENSIONS
        )
        response = self._transport.handle_request(request)
        response.request = request
        response.read()
        return response


_EXTENSIONS: Final = {"timeout": _TIMEOUT.as_dict()}
_LIMITS = httpx.Limits(max_connections=2, max_keepalive_connections=2, keepalive_expiry=_KEEPALIVE_SECONDS)


def _parsed(response: httpx.Response, answer: type[ModelT]) -> ModelT:
    try:
        # A worker on another host may be a release behind the API, and what is new to it no use to it.
        return answer.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidAnswer(f"{response.request.url.path}: {where} {first['msg']}") from None


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_PAUSE_SECONDS) if value.isdecimal() else 0.0


def _problem(response: httpx.Response) -> ApiProblem:
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    code = str(document.pop("code", "unknown"))
    detail = str(document.pop("detail", "")) or response.reason_phrase
    return _PROBLEMS.get(code, ApiProblem)(response.status_code, code, detail, document)


_of_process: tuple[int, ApiClient] | None = None


def get_api_client() -> ApiClient:
    """Return this process's client, made on first use: connections must not survive a fork."""
    global _of_process  # noqa: PLW0603  one client a process is the point
    if _of_process is None or _of_process[0] != os.getpid():
        _of_process = (os.getpid(), ApiClient.from_settings(get_settings()))
    return _of_process[1]
