"""How are games asked of lichess.org, and how did the request end?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from importlib import metadata
from typing import Any, Final, NamedTuple

import httpx
from pydantic import SecretStr

from app.contract.ingestion import FetchKind, FetchOutcome, FetchPlan
from workers.ingestion.cutoff import CutOff, RequestEnded
from workers.ingestion.lines import LineSplitter, RawLine, load_json
from workers.progress import board

NDJSON: Final = "application/x-ndjson"
_JSON: Final = "application/json"
_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")

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
_ERROR_MAX_BYTES: Final = 4_096
"""Lichess's own errors have less than 100."""


class _OfAccount(NamedTuple):
    """What a status says if it is Lichess itself that says it, as JSON with an `error`."""

    outcome: FetchOutcome
    subject: str


# The same status with anything else in it comes from something before Lichess, as a proxy, or is its page for
# clients that it does not recognise (lichess-org/api#667): that is about neither account nor token.
_OF_ACCOUNT: Final[dict[int, _OfAccount]] = {
    HTTPStatus.UNAUTHORIZED: _OfAccount(FetchOutcome.UNAUTHORISED, "the token"),
    HTTPStatus.NOT_FOUND: _OfAccount(FetchOutcome.NOT_FOUND, "the account"),
}


class LichessClient:
    """Asks for games. Whether it may ask now is the gate's business (see lock.py)."""

    def __init__(
        self,
        base_url: str,
        token: SecretStr | None,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None = None,
        *,
        contact: str | None = None,
    ) -> None:
        self._base_url = base_url
        self._headers = {
            "Accept": NDJSON,
            # A compressed stream would arrive in large pieces, and expand without a bound. One that comes all
            # the same is refused.
            "Accept-Encoding": "identity",
            "User-Agent": f"Scoresheet/{_version()}" + ("" if contact is None else f" ({contact})"),
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
                raise RequestEnded(FetchOutcome.UNAVAILABLE, _unanswered(request, error)) from None
            try:
                _refuse_other_than_ndjson(response, plan, cutoff, self._timeout_seconds)
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


def _refuse_other_than_ndjson(
    response: httpx.Response, plan: FetchPlan, cutoff: CutOff, timeout_seconds: float
) -> None:
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RequestEnded(FetchOutcome.RATE_LIMITED, f"status {status}")
    if status in _OF_ACCOUNT:
        raise _about_the_account(response, plan, cutoff, timeout_seconds)
    if status != HTTPStatus.OK:
        raise RequestEnded(FetchOutcome.UNAVAILABLE, f"status {status}")
    media_type = _media_type(response)
    if media_type != NDJSON:
        raise RequestEnded(FetchOutcome.UNAVAILABLE, f"status 200 with {media_type} instead of NDJSON")
    # Read as they are, its bytes would be lines that name no game.
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise RequestEnded(
            FetchOutcome.UNAVAILABLE, f"status 200 in Content-Encoding {coding[:100]}, unasked"
        )
    charset = response.charset_encoding or "utf-8"
    if charset.lower() not in _CHARSETS:
        raise RequestEnded(FetchOutcome.UNAVAILABLE, f"status 200 in {charset[:100]} instead of UTF-8")


def _about_the_account(
    response: httpx.Response, plan: FetchPlan, cutoff: CutOff, timeout_seconds: float
) -> RequestEnded:
    status = response.status_code
    meaning = _OF_ACCOUNT[status]
    error = _error_of_lichess(response, cutoff, timeout_seconds)
    if error is None:
        detail = f"status {status} with {_media_type(response)}, which is not about {meaning.subject}"
        return RequestEnded(FetchOutcome.UNAVAILABLE, detail)
    # An export by ids names no account that could be missing.
    by_ids = meaning.outcome is FetchOutcome.NOT_FOUND and plan.kind is FetchKind.IDS
    return RequestEnded(FetchOutcome.UNAVAILABLE if by_ids else meaning.outcome, f"status {status}: {error}")


def _error_of_lichess(response: httpx.Response, cutoff: CutOff, timeout_seconds: float) -> str | None:
    """Return what Lichess says is wrong; None where it is not Lichess that answers, or not wholly."""
    if _media_type(response) != _JSON:
        return None
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += chunk
            cutoff.check()
            board.advance(patience_seconds=timeout_seconds)
            if len(body) > _ERROR_MAX_BYTES:
                return None
    except (httpx.HTTPError, httpx.StreamError):
        cutoff.check()
        return None
    cutoff.check()
    try:
        answer = load_json(body.decode())
    except (ValueError, RecursionError):
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    return error[:200].replace("\x00", "") if isinstance(error, str) else None


def _media_type(response: httpx.Response) -> str:
    value: str = response.headers.get("Content-Type", "nothing")
    return value.partition(";")[0].strip().lower()[:100]


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


def _unanswered(request: httpx.Request, error: Exception) -> str:
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _brief(error)
    # Whoever reads this has no network, most likely: to them the name of the exception says little.
    reason = str(error) or type(error).__name__
    return f"{request.url.host} can't be reached: {reason}"[:500].replace("\x00", "")


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500].replace("\x00", "")


def _version() -> str:
    try:
        return metadata.version("scoresheet")
    except metadata.PackageNotFoundError:
        return "development"
