"""Which errors can a request end with?

    AppError
    ├── Unauthenticated      401  no valid token
    ├── Forbidden            403  a token without the scope
    ├── NotFound             404
    ├── UnsupportedMedia     415  a body that is not declared as JSON
    ├── InvalidInput         422  a value that types alone do not rule out
    ├── Conflict             409
    │   ├── StaleRun              a report on a run that a newer one replaced
    │   ├── StaleFence            a lease or gate that somebody else holds by now
    │   └── NotClaimable          nothing to do, or somebody is at it
    └── Unavailable          503  PostgreSQL or PgBouncer is away; come again

Each becomes application/problem+json (RFC 9457) in `app.problems`.
"""

from http import HTTPStatus
from typing import Any, ClassVar


class AppError(Exception):
    """Base of all errors that a client is told about; `detail` is for the human who reads it."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    """Stable name of the error, for programs."""

    def __init__(self, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions
        """Further members of the problem document."""


class Unauthenticated(AppError):
    """No bearer token, or one that is unknown, expired or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"


class Forbidden(AppError):
    """The token lacks the scope."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(AppError):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class UnsupportedMedia(AppError):
    """The body is of another media type."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class InvalidInput(AppError):
    """A value is well formed but makes no sense here."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid_input"


class Conflict(AppError):
    """The request does not fit the present state."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class StaleRun(Conflict):
    """The run is closed, or a newer one took its place."""

    code = "stale_run"


class StaleFence(Conflict):
    """Somebody else holds the lease or the gate by now."""

    code = "stale_fence"


class NotClaimable(Conflict):
    """The game is leased, done, failed or unsupported."""

    code = "not_claimable"


class Unavailable(AppError):
    """The database cannot be reached or does not answer; nothing was changed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"
