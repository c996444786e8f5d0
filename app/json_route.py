"""Which bodies does a route take, and from whom?"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.access.dependencies import ScopeRequired
from app.errors import UnsupportedMedia
from app.kit import strict_json


class _StrictRequest(Request):
    async def json(self) -> Any:
        """Return the body's value."""
        return strict_json.loads(await self.body())


class StrictJsonRoute(APIRoute):
    """A route that takes JSON alone, and refuses what is in doubt as a problem document.

    FastAPI reads and parses a body before it asks the first dependency. So the route asks those that
    require a scope by itself, before anything else: of a stranger it reads nothing.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route's requests."""
        handle = super().get_route_handler()
        required = [each.dependency for each in self.dependencies]
        scopes = [each for each in required if isinstance(each, ScopeRequired)]

        async def handle_strictly(request: Request) -> Response:
            if self.body_field is None:
                return await handle(request)
            for scope in scopes:
                await scope.check(request)
            media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if media_type != "application/json":
                raise UnsupportedMedia("the body must be declared as Content-Type: application/json")
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
