"""How does a route say which scope it needs?"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.access.service import Scope
from app.errors import Forbidden, Unauthenticated

_BEARER = HTTPBearer(
    auto_error=False, description="A token from `scoresheet token create NAME --scope read --scope write`."
)


def require(scope: Scope) -> Callable[..., Awaitable[None]]:
    """Return a dependency that lets only bearers of this scope pass."""

    async def check_scope(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> None:
        if credentials is None:
            raise Unauthenticated("a bearer token is needed: Authorization: Bearer …")
        scopes = await request.app.state.tokens.scopes_of(request.app.state.sessions, credentials.credentials)
        if scopes is None:
            raise Unauthenticated("the token is unknown or has expired")
        if scope not in scopes:
            raise Forbidden(f"this needs a token with the scope {scope.value!r}")

    return check_scope
