"""How is a request to Lichess ended from outside, at any moment of it?"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from app.contract.ingestion import FetchOutcome


class RequestEnded(Exception):
    """A request to Lichess ended other than by a complete answer."""

    def __init__(self, outcome: FetchOutcome, detail: str) -> None:
        super().__init__(f"{outcome.value}: {detail}")
        self.outcome = outcome
        self.detail = detail


class CutReason(StrEnum):
    """Why we broke a request off."""

    LOCK_LOST = "the lock of the gate was lost"
    STOPPING = "the worker stops"
    DEADLINE = "the request took too long altogether"


class CutOff:
    """Shuts the socket of a running request, from whatever thread finds a reason; the first reason stays.

    The lease is the time up to which the lock of the gate is known to be ours. Past it nothing more is
    read even if no thread got to run in time to pull: the process may have been stopped and gone on.
    """

    def __init__(self, lease_until: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lease_until = lease_until
        self._guard = threading.Lock()
        self._socket: socket.socket | None = None
        self._pulled = threading.Event()
        self._reason: CutReason | None = None

    @property
    def reason(self) -> CutReason | None:
        """Why the request was cut; None while it may go on."""
        if self._reason is None and self._clock() >= self._lease_until:
            self.pull(CutReason.LOCK_LOST)
        return self._reason

    def extend_lease(self, until: float) -> None:
        """Move the end of the lease, in seconds of the clock."""
        self._lease_until = until

    def attach(self, connection: socket.socket) -> None:
        """Name the socket to shut; one that comes after the reason is shut at once."""
        with self._guard:
            self._socket = connection
            if self._pulled.is_set():
                self._shut()

    def pull(self, reason: CutReason) -> None:
        """End the request; its reader gets an error or the end of the stream within an instant."""
        with self._guard:
            if self._reason is None:
                self._reason = reason
            self._pulled.set()
            self._shut()

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until the request is cut; tell whether it is."""
        return self._pulled.wait(seconds)

    def check(self) -> None:
        """Raise RequestEnded if the request was cut."""
        reason = self.reason
        if reason is not None:
            stopped = reason is CutReason.STOPPING
            raise RequestEnded(FetchOutcome.STOPPED if stopped else FetchOutcome.CUT, reason.value)

    def _shut(self) -> None:
        if self._socket is None:
            return
        # The base class's method on purpose: ssl.SSLSocket's own would also drop the TLS state that the
        # reading thread is using. OSError: already closed, which is what we want.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
