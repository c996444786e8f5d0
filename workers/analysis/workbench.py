"""What does one worker process keep between two games?"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.contract.positions import EngineIdentity
from workers.analysis.engine import EngineOptions
from workers.analysis.engine_slot import EngineSlot

Answer = TypeVar("Answer")


class Workbench:
    """A private event loop and the engine that lives in it; both are made on first use, after the fork."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._runner: asyncio.Runner | None = None
        self._slot: EngineSlot | None = None

    @property
    def slot(self) -> EngineSlot:
        """The engine; to be used inside `run` alone."""
        if self._slot is None:
            self._slot = EngineSlot(self._options)
        return self._slot

    def ready(self) -> EngineIdentity:
        """Return who will evaluate; raises EngineUnfit."""
        return self.run(self.slot.ready())

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine to its end and raise what it raises."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(work)
        finally:
            # A time limit's signal can break out of the loop and leave the work in it, to go on some day.
            if asyncio.all_tasks(self._runner.get_loop()):
                self.close()

    def close(self) -> None:
        """End the engine and the loop; safe to repeat, and the workbench may be used again."""
        runner, self._runner = self._runner, None
        slot, self._slot = self._slot, None
        if runner is not None:
            with runner:
                runner.run(_wind_up(slot))


async def _wind_up(slot: EngineSlot | None) -> None:
    # What is left of broken-off work first: it would start another engine.
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if slot is not None:
        await slot.close()
