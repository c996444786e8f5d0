"""How does one worker process keep an engine at hand, whatever happens to it?"""

import time
from collections.abc import Callable
from dataclasses import replace

import chess
import structlog

from app.contract.positions import EngineIdentity, Evaluation
from workers.analysis.engine import (
    Engine,
    EngineChanged,
    EngineError,
    EngineOptions,
    EngineTimeout,
    EngineUnfit,
)
from workers.progress import board as progress

_LOG = structlog.get_logger(__name__)

_PROBE_NODES = 1_000
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_PATIENCE_SECONDS = 60.0


class EngineSlot:
    """One long-lived engine, started when it is needed and again after each failure.

    A fresh engine proves itself at the initial position. One that fails there is unfit, and left alone for a
    while, longer each time: the games wait, and none is blamed. One that fails at another position is
    replaced once; if its successor fails as well, the position is to blame.

    One that is too slow to start gets twice the time at the next attempt: where all slots of a host start
    theirs at once on a small share of a processor, none would ever come up within a fixed one.
    """

    def __init__(self, options: EngineOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._engine: Engine | None = None
        self._failures = 0
        """Unfit engines in a row."""
        self._not_before = clock()

    async def ready(self) -> EngineIdentity:
        """Return who will evaluate, started where necessary; raises EngineUnfit, and never waits."""
        return (await self._fit_engine()).identity

    async def evaluate(
        self, board: chess.Board, nodes: int, expected: EngineIdentity, lines: int = 1
    ) -> Evaluation:
        """Search one position, a second time on a fresh engine if the first fails.

        Raises InvalidPosition, or the second EngineError; EngineChanged or EngineUnfit at once.
        """
        try:
            return await self._attempt(board, nodes, expected, lines)
        except (EngineChanged, EngineUnfit):
            raise
        except EngineError as error:
            _LOG.warning("engine_failed", code=error.code, detail=str(error), fen=board.fen(), nodes=nodes)
            return await self._attempt(board, nodes, expected, lines)

    async def close(self) -> None:
        """End the engine; the slot may be used again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    async def _attempt(
        self, board: chess.Board, nodes: int, expected: EngineIdentity, lines: int
    ) -> Evaluation:
        engine = await self._fit_engine()
        if engine.identity != expected:
            raise EngineChanged(f"{engine.identity} in place of {expected}")
        return await engine.evaluate(board, nodes, lines)

    async def _fit_engine(self) -> Engine:
        if self._engine is not None and self._engine.usable:
            return self._engine
        await self.close()
        wait = self._not_before - self._clock()
        if wait > 0:
            raise EngineUnfit(f"it is left alone for another {wait:.0f} s")
        patience = self._options.patience_seconds
        progress.advance(patience_seconds=patience + self._options.deadline_seconds(_PROBE_NODES))
        try:
            self._engine = await _proven(self._options)
        except EngineError as error:
            if isinstance(error, EngineTimeout):
                longer = max(patience, min(2 * patience, _LONGEST_PATIENCE_SECONDS))
                self._options = replace(self._options, patience_seconds=longer)
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**self._failures)
            self._failures += 1
            self._not_before = self._clock() + pause
            _LOG.error("engine_unfit", code=error.code, detail=str(error), pause_seconds=pause)
            raise EngineUnfit(f"{error.code}: {error}") from error
        self._failures = 0
        identity = self._engine.identity
        _LOG.info("engine_started", engine=identity.name, net=identity.net, pid=self._engine.pid)
        return self._engine


async def _proven(options: EngineOptions) -> Engine:
    """Start an engine and let it search the initial position: only that shows its net and its CPU."""
    engine = await Engine.launch(options)
    try:
        await engine.evaluate(chess.Board(), _PROBE_NODES)
    except BaseException:
        await engine.close()
        raise
    return engine
