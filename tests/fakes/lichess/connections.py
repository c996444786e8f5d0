"""Is the client of a request still there, and how can the server hang up on it?"""

import asyncio
import select
import socket
import struct
from typing import ClassVar

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Both ends: one client port may be in use towards two servers of this process.
Ends = tuple[tuple[str, int] | None, tuple[str, int | None] | None]


class TrackedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with its open connections listed by their ends."""

    transports: ClassVar[dict[Ends, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """List the connection."""
        super().connection_made(transport)
        self.transports[self.client, self.server] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the connection off the list."""
        self.transports.pop((self.client, self.server), None)
        super().connection_lost(exc)


class Connection:
    """The connection that a request came on; one that no socket stands behind counts as open."""

    def __init__(self, scope: Scope) -> None:
        self._transport = TrackedProtocol.transports.get((scope.get("client"), scope.get("server")))

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
        """Drop the connection at once, unsent bytes included: the client sees a reset, not an end."""
        if self._transport is not None:
            connection: socket.socket = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
