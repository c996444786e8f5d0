"""Is the client of a request still there, and how can the server hang up on it?"""

import asyncio
import select
from typing import ClassVar

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TrackedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with its open connections listed by the client's address."""

    transports: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """List the connection."""
        super().connection_made(transport)
        if self.client:
            self.transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the connection off the list."""
        if self.client:
            self.transports.pop(self.client, None)
        super().connection_lost(exc)


class Connection:
    """The connection that a request came on; one that no socket stands behind counts as open."""

    def __init__(self, scope: Scope) -> None:
        client: tuple[str, int] | None = scope.get("client")
        self._transport = TrackedProtocol.transports.get(client) if client else None

    def is_alive(self) -> bool:
        """Ask the kernel, which knows of a closed or reset connection before the event loop does."""
        if self._transport is None:
            return True
        if self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return not poll.poll(0)

    def reset(self) -> None:
        """Drop the connection at once, unsent bytes included."""
        if self._transport is not None:
            self._transport.abort()
