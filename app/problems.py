"""How does an error look to a client? (RFC 9457, application/problem+json.)"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.constants import REF_PREFIX
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.errors import AppError, Unauthenticated, Unavailable

_LOG = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

# SQLSTATE classes and codes after which the same request may well succeed: connection trouble (08),
# resources (53), operator intervention, shutdown and statement timeout (57), lock not available, and
# a transaction that lost against another (40).
_PASSING_SQLSTATES = ("08", "40", "53", "57", "55P03", "25P")

_MEANINGS: Final = {
    HTTPStatus.UNAUTHORIZED: "No valid token.",
    HTTPStatus.FORBIDDEN: "A token without the scope.",
    HTTPStatus.NOT_FOUND: "There is no such thing.",
    HTTPStatus.CONFLICT: "The request does not fit the present state; `code` says what is in the way.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not declared as `application/json`.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value that cannot be right: `invalid_request` names the fields.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is away or overloaded: `Retry-After` says how long.",
}


class FieldError(BaseModel):
    """What is wrong with a value of the request."""

    field: Annotated[str, Field(examples=["query.limit"])]
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457). Some codes have members of their own."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:scoresheet:problem:invalid_request"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="For the human who reads it.")]
    code: Annotated[str, Field(description="Stable, for programs.", examples=["invalid_request"])]
    errors: Annotated[list[FieldError], Field(description="Of invalid_request alone; 20 at most.")] = []


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return what a route says of the problems that it answers with, in FastAPI's notation."""
    content = {MEDIA_TYPE: {"schema": {"$ref": REF_PREFIX + Problem.__name__}}}
    return {status.value: {"description": _MEANINGS[status], "content": content} for status in statuses}


def problem(
    status: int,
    code: str,
    detail: str,
    extensions: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document as a response."""
    body = {
        "type": f"urn:scoresheet:problem:{code}",
        # Of the type, as the RFC asks; a status's phrase would change with the version of Python.
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        **(extensions or {}),
    }
    # ASCII: a detail may quote input that UTF-8 cannot hold (lone surrogates).
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


async def _app_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101  registered for this class alone
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return problem(error.status, error.code, error.detail, error.extensions, headers)


async def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class alone
    errors = [_field_error(item) for item in error.errors()[:20]]
    first = errors[0]
    more = len(error.errors()) - 1
    detail = f"{first['field']}: {first['message']}" + (f" (and {more} more)" if more else "")
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, {"errors": errors})


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    # The offending input is left out on purpose: it may be long, or secret.
    location: Sequence[object] = item["loc"]
    message = str(item["msg"])
    if item["type"] == "json_invalid":
        message += f": {item['ctx']['error']}"
    return {"field": ".".join(map(str, location)), "message": message}


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this class alone
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(error.status_code, code, str(error.detail), headers=error.headers)


async def _database_error(request: Request, error: Exception) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if is_passing(error):
        _LOG.warning("database_unavailable", path=request.url.path, error=str(cause))
        return await _app_error(request, Unavailable("the database is away or overloaded; try again"))
    return await _unexpected(request, error)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same request may succeed a little later: the database is away or overloaded."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None:
        # No answer from a server at all, or one from PgBouncer, which has no SQLSTATEs of its own.
        return isinstance(error, OperationalError) or error.connection_invalidated
    return str(sqlstate).startswith(_PASSING_SQLSTATES)


async def _unexpected(request: Request, error: Exception) -> Response:
    _LOG.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "an unexpected error; the log has it")


def install(app: FastAPI) -> None:
    """Register the handlers: whatever goes wrong leaves as a problem document."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeout, _database_error)
    app.add_exception_handler(Exception, _unexpected)
