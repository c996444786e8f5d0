"""How does one worker process keep an engine at hand, whatever happens to it?"""

import asyncio
from collections.abc import Awaitable, Callable

import chess
import structlog

from app.contract.positions import EngineIdentity, Evaluation
from workers.analysis.engine import Engine, EngineChanged, EngineError, EngineOptions

_LOG = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class EngineSlot:
    """One long-lived engine, started on first use and again after each failure, ever more slowly."""

    def __init__(
        self,
        options: EngineOptions,
        *,
        known: EngineIdentity | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._options = options
        self._known = known
        """Who answered last; stands in while no engine can be started."""
        self._sleep = sleep
        self._engine: Engine | None = None
        self._failures = 0
        """In a row."""

    async def identity(self) -> EngineIdentity:
        """Return who will evaluate; raises EngineError if no engine ever started."""
        try:
            return (await self._ready()).identity
        except EngineError:
            if self._known is None:
                raise
            return self._known

    async def evaluate(self, board: chess.Board, nodes: int, expected: EngineIdentity) -> Evaluation:
        """Search one position, a second time on a fresh engine if the first fails.

        Raises InvalidPosition, or the second EngineError; EngineChanged at once if another engine than the
        expected one answers.
        """
        try:
            return await self._attempt(board, nodes, expected)
        except EngineChanged:
            raise
        except EngineError as error:
            _LOG.warning("engine_failed", code=error.code, detail=str(error), fen=board.fen(), nodes=nodes)
            return await self._attempt(board, nodes, expected)

    async def close(self) -> None:
        """End the engine; the slot may be used again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    async def _attempt(self, board: chess.Board, nodes: int, expected: EngineIdentity) -> Evaluation:
        engine = await self._ready()
        if engine.identity != expected:
            raise EngineChanged(f"{engine.identity} in place of {expected}")
        try:
            evaluation = await engine.evaluate(board, nodes)
        except EngineError:
            self._failures += 1
            raise
        self._failures = 0
        return evaluation

    async def _ready(self) -> Engine:
        if self._engine is not None and self._engine.usable:
            return self._engine
        await self.close()
        if self._failures > 1:  # the first fresh engine comes at once
            await self._sleep(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (self._failures - 2)))
        try:
            self._engine = await Engine.launch(self._options)
        except EngineError:
            self._failures += 1
            raise
        self._known = self._engine.identity
        _LOG.info("engine_started", engine=self._known.name, net=self._known.net, pid=self._engine.pid)
        return self._engine
