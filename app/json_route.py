"""Which bodies does a route take?"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.errors import UnsupportedMedia
from app.kit import strict_json


class _StrictRequest(Request):
    async def json(self) -> Any:
        """Return the body's value."""
        return strict_json.loads(await self.body())


class StrictJsonRoute(APIRoute):
    """A route that takes JSON alone, and refuses what is in doubt as a problem document."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route's requests."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if self.body_field is not None and media_type != "application/json":
                raise UnsupportedMedia("the body must be declared as Content-Type: application/json")
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
