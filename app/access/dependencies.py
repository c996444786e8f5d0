"""How does a route say which scope it needs?"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.access.service import Scope
from app.errors import Forbidden, Unauthenticated

_BEARER = HTTPBearer(
    auto_error=False, description="A token from `scoresheet token create NAME --scope read --scope write`."
)


class ScopeRequired:
    """A dependency that lets only bearers of a scope pass."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> None:
        """Raise Unauthenticated or Forbidden for anybody else."""
        if credentials is None:
            raise Unauthenticated("a bearer token is needed: Authorization: Bearer …")
        scopes = await request.app.state.tokens.scopes_of(request.app.state.sessions, credentials.credentials)
        if scopes is None:
            raise Unauthenticated("the token is unknown or has expired")
        if self._scope not in scopes:
            raise Forbidden(f"this needs a token with the scope {self._scope.value!r}")

    async def check(self, request: Request) -> None:
        """Do the same where FastAPI is not there yet to look up the credentials."""
        await self(request, await _BEARER(request))


def require(scope: Scope) -> ScopeRequired:
    """Return the dependency of a route, or of a router's, that needs this scope."""
    return ScopeRequired(scope)
