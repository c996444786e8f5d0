"""How long may a worker go on with a game?"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from plugins.time_limit import TIME_LIMIT_SECONDS
from workers.api_client import ApiUnavailable
from workers.progress import board

_LOG = structlog.get_logger(__name__)

_TICK_SECONDS = 0.2
"""How often it is asked whether the worker stops; also how late a stop may be noticed."""

Answer = TypeVar("Answer")


class WorkerStopping(Exception):
    """The worker shuts down: the game goes back untouched."""


class OutOfTime(Exception):
    """The game took longer than a game may."""

    code = "time_limit"


class Lease:
    """The right to work on one game, renewed at a third of its length by the loop that does the work."""

    def __init__(
        self, lease_seconds: float, renew: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.plugin_seconds = min(TIME_LIMIT_SECONDS, lease_seconds / 2)
        """How long one plugin may take: while it runs nothing is renewed, and up to a third is used up."""
        self._interval = lease_seconds / 3
        self._renew = renew
        self._clock = clock
        self._renewed_at = clock()

    def renew_if_due(self) -> None:
        """Renew after a third; raises StaleFence if the game is somebody else's by now.

        An API that is away is no reason to stop: nobody else can take the game then either.
        """
        if not self._due():
            return
        try:
            self._renew()
        except ApiUnavailable as error:
            _LOG.warning("lease_not_renewed", error=str(error))
        self._renewed_at = self._clock()

    async def keep(
        self, work: Coroutine[Any, Any, Answer], *, stopping: Callable[[], bool], limit_seconds: float
    ) -> Answer:
        """Return what the work yields, renewing the lease meanwhile.

        Cancels the work and raises WorkerStopping, OutOfTime or StaleFence.
        """
        deadline = self._clock() + limit_seconds
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                # This loop keeps the deadlines of the work, the engine's too: while it turns, nothing hangs.
                board.advance()
                if stopping():
                    raise WorkerStopping
                if self._clock() > deadline:
                    raise OutOfTime(f"not done after {limit_seconds:g} s")
                if self._due():
                    # In a thread, so that the engine is heard meanwhile; nobody else uses the client now.
                    await asyncio.to_thread(self.renew_if_due)
                await asyncio.wait({task}, timeout=min(_TICK_SECONDS, self._interval))
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _due(self) -> bool:
        return self._clock() - self._renewed_at >= self._interval
