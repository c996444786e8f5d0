"""May this request be served now? Lichess serves one at a time, and none for a while after a 429."""

import asyncio
import time
from collections.abc import Callable

from tests.fakes.lichess.journal import Refusal

DEFAULT_PENALTY_SECONDS = 60.0


class Gate:
    """One place for all callers, since all come from one address; every 429 starts the penalty time anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._holder_is_alive: Callable[[], bool] | None = None
        self._freed = asyncio.Event()
        self._penalty_until_s = float("-inf")
        self.penalty_seconds = DEFAULT_PENALTY_SECONDS

    async def settle(self) -> None:
        """Wait for the holder to be noticed as gone, if its client has closed the connection already.

        A client may close one connection and open the next at once; both events then wait in this process,
        in either order, and the order must not look like two requests at a time.
        """
        while self._holder_is_alive is not None and not self._holder_is_alive():
            await self._freed.wait()

    def enter(self, is_alive: Callable[[], bool]) -> Refusal | None:
        """Take the place, or say why not; `is_alive` tells whether the caller's connection is still open."""
        if self._clock() < self._penalty_until_s:
            return Refusal.PENALTY
        if self._holder_is_alive is not None:
            return Refusal.CONCURRENT
        self._holder_is_alive = is_alive
        self._freed.clear()
        return None

    def leave(self) -> None:
        """Give the place back."""
        self._holder_is_alive = None
        self._freed.set()

    def penalise(self) -> None:
        """Start the penalty time: a 429 is being answered."""
        self._penalty_until_s = self._clock() + self.penalty_seconds

    def forgive(self) -> None:
        """End the penalty time."""
        self._penalty_until_s = float("-inf")
