"""How are games asked of lichess.org, and how did the request end?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from importlib import metadata
from typing import Any, Final

import httpx
from pydantic import SecretStr

from app.contract.ingestion import FetchKind, FetchOutcome, FetchPlan
from workers.ingestion.cutoff import CutOff, RequestEnded
from workers.ingestion.lines import LineSplitter, RawLine
from workers.progress import board

NDJSON: Final = "application/x-ndjson"

# Also the longest that a cut waits: during the handshake of TLS there is no socket to shut, nor a request.
_CONNECT_SECONDS: Final = 10

# lichess-org/api @ f59dc80. Nothing that would filter: perfType, rated, color and analysed go through
# Lichess's search index, which is capped and repeats games. `tags` and `literate` shape PGN alone.
_SWITCHES: Final = {
    "moves": "true",
    "clocks": "true",
    "evals": "true",
    "accuracy": "true",
    "opening": "true",
    "division": "true",
    "pgnInJson": "false",
}
_OF_STATUS: Final[dict[int, FetchOutcome]] = {
    HTTPStatus.UNAUTHORIZED: FetchOutcome.UNAUTHORISED,
    HTTPStatus.NOT_FOUND: FetchOutcome.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS: FetchOutcome.RATE_LIMITED,
}


class LichessClient:
    """Asks for games. Whether it may ask now is the gate's business (see lock.py)."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr | None,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = base_url
        self._headers = {
            "Accept": NDJSON,
            # A compressed stream would arrive in large pieces, and expand without a bound.
            "Accept-Encoding": "identity",
            "User-Agent": f"Scoresheet/{_version()}",
        }
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._timeout_seconds = timeout_seconds
        self._timeout = httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds))
        self._transport = transport

    @contextmanager
    def games(self, plan: FetchPlan, cutoff: CutOff) -> Iterator[Iterator[RawLine]]:
        """Send one request; yield its lines, whose iteration raises RequestEnded if the answer is cut.

        Opening raises RequestEnded too. On leaving the block the connection is closed, whatever was read.
        """
        cutoff.check()
        with httpx.Client(
            base_url=self._base_url,
            headers=self._headers,
            timeout=self._timeout,
            transport=self._transport,
        ) as http:
            request = _request(http, plan)
            request.extensions["trace"] = _watch(cutoff)
            board.advance(patience_seconds=self._timeout_seconds)
            try:
                response = http.send(request, stream=True)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                cutoff.check()
                raise RequestEnded(FetchOutcome.UNAVAILABLE, _brief(error)) from None
            try:
                _refuse_other_than_ndjson(response, plan)
                yield _lines(response, cutoff, self._timeout_seconds)
            finally:
                response.close()


def _request(http: httpx.Client, plan: FetchPlan) -> httpx.Request:
    if plan.kind is FetchKind.IDS:
        return http.build_request(
            "POST",
            "/api/games/export/_ids",
            params=_SWITCHES,
            content=",".join(plan.ids),
            headers={"Content-Type": "text/plain"},
        )
    params = {
        **_SWITCHES,
        "sort": "dateAsc",
        "finished": "true",
        "ongoing": "true",
        "max": str(plan.max_games),
    }
    if plan.since_ms is not None:
        params["since"] = str(plan.since_ms)
    return http.build_request("GET", f"/api/games/user/{plan.player}", params=params)


def _watch(cutoff: CutOff) -> Any:
    # The response names its socket only once headers are here; a stalled handshake must end as well.
    def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            cutoff.attach(info["return_value"].get_extra_info("socket"))

    return trace


def _refuse_other_than_ndjson(response: httpx.Response, plan: FetchPlan) -> None:
    status = response.status_code
    if status != HTTPStatus.OK:
        outcome = _OF_STATUS.get(status, FetchOutcome.UNAVAILABLE)
        # An export by ids names no account that could be missing.
        if outcome is FetchOutcome.NOT_FOUND and plan.kind is FetchKind.IDS:
            outcome = FetchOutcome.UNAVAILABLE
        raise RequestEnded(outcome, f"status {status}")
    media_type = response.headers.get("Content-Type", "nothing").partition(";")[0].strip().lower()
    if media_type != NDJSON:
        raise RequestEnded(FetchOutcome.UNAVAILABLE, f"status 200 with {media_type[:100]} instead of NDJSON")


def _lines(response: httpx.Response, cutoff: CutOff, timeout_seconds: float) -> Iterator[RawLine]:
    splitter = LineSplitter()
    try:
        for chunk in response.iter_raw():
            for line in splitter.feed(chunk):
                cutoff.check()
                yield line
            board.advance(patience_seconds=timeout_seconds)
    except (httpx.HTTPError, httpx.StreamError) as error:
        cutoff.check()
        # What is left in the splitter is half a line: it goes with the connection.
        raise RequestEnded(FetchOutcome.CUT, _brief(error)) from None
    cutoff.check()
    if not _end_is_marked(response):
        raise RequestEnded(FetchOutcome.CUT, "the connection closed without an end of the answer")
    last = splitter.end()
    if last is not None:
        yield last


def _end_is_marked(response: httpx.Response) -> bool:
    # Without either, a broken connection looks like the end; with one, httpx has seen to it.
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return chunked or "Content-Length" in response.headers


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500].replace("\x00", "")


def _version() -> str:
    try:
        return metadata.version("scoresheet")
    except metadata.PackageNotFoundError:
        return "development"
