"""How is the API served, and what does systemd hear of it?"""

import asyncio
import gc
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from uvicorn.server import ServerState

from app import health
from app.health import Check
from app.kit.environment import ConfigurationError
from app.kit.systemd import ServiceManager, notice_seconds, passed_sockets
from app.settings import Settings

_LOG = structlog.get_logger(__name__)

_STOP_SECONDS = 10
"""How long requests under way may take to end when the API stops."""
_ARRIVAL_SECONDS = 2.0
"""How long a request may still take to arrive then, over a connection that was accepted before."""
_ARRIVAL_POLL_SECONDS = 0.05
_TICKS_EACH_SECOND = 10
"""Of uvicorn's main loop."""
_LOOK_AGAIN_SECONDS = 1.0
"""Between two looks at a database that is not ready."""


def serve(app: FastAPI, settings: Settings) -> int:
    """Serve until SIGTERM; return the exit status. Raises ConfigurationError, or OSError for a taken port."""
    listeners = passed_sockets() or _listen(settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    # What is loaded stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    manager = ServiceManager()
    Server(config, Unit(manager, lambda: app.state.engine, notice_seconds())).run(listeners)
    return os.EX_OK


def _listen(settings: Settings) -> list[socket.socket]:
    """Return the listening sockets: TCP for clients and, where it is set, a Unix socket for the workers."""
    if settings.api_socket is not None:
        _make_way(settings.api_socket)
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    listeners = [socket.create_server((settings.api_host, settings.api_port), family=family)]
    if settings.api_socket is not None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(settings.api_socket))
        settings.api_socket.chmod(0o660)
        listeners.append(listener)
    return listeners


def _make_way(path: Path) -> None:
    """Remove the socket that an API that was killed has left: it would refuse us. Nothing else is ours."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigurationError(f"SCORESHEET_API_SOCKET: {path} is there already, and no socket")
        path.unlink()
    except FileNotFoundError:
        pass


class Unit:
    """Tells systemd how the API does, from the event loop that serves."""

    def __init__(
        self,
        manager: ServiceManager,
        engine: Callable[[], AsyncEngine],
        interval_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the engine as a function: the application makes it when it starts."""
        self._manager = manager
        self._engine = engine
        self._interval = interval_seconds
        self._clock = clock
        self._last_notice: float | None = None
        self._requests = 0
        """Served until the last notice."""
        self._opening: asyncio.Task[None] | None = None
        """Waits for the schema; done once the API is ready."""

    def tick(self, state: ServerState) -> None:
        """Feed the watchdog and tell what goes on, if it is time; call it often once the sockets are open."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        elapsed = 0.0 if self._last_notice is None else self._clock() - self._last_notice
        if self._last_notice is not None and elapsed < self._interval:
            return
        self._manager.alive()
        if self._opening.done():
            self._opening.result()
            rate = (state.total_requests - self._requests) / elapsed if elapsed else 0.0
            self._manager.status(f"serving: {rate:.1f} requests/s, {len(state.tasks)} under way")
        self._last_notice, self._requests = self._clock(), state.total_requests

    async def stop(self) -> None:
        """Say that the API shuts down."""
        self._manager.stopping()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)

    async def _open(self) -> None:
        """Say READY once the schema is this version's, and until then what is in the way."""
        told = ""
        while (trouble := await _trouble(self._engine())) is not None:
            self._manager.waiting(trouble)
            if trouble != told:
                _LOG.warning("not_ready", reason=trouble)
                told = trouble
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        self._manager.status("serving")
        self._manager.ready()
        _LOG.info("ready")


async def _trouble(engine: AsyncEngine) -> str | None:
    schema = await health.look_at_schema(engine)
    if schema.check is Check.DOWN:
        return "waiting for the database"
    if schema.check is Check.OUTDATED:
        present = "there is no schema" if schema.revision is None else f"the schema is at {schema.revision}"
        return f"{present}, needs {schema.needed}: scoresheet migrate"
    return None


class Server(uvicorn.Server):
    """uvicorn, with a word to systemd each second and at the end."""

    def __init__(self, config: uvicorn.Config, unit: Unit) -> None:
        super().__init__(config)
        self._unit = unit

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second."""
        # Not uvicorn's callback_notify: it goes by the wall clock, and falls silent when that is set back.
        if counter % _TICKS_EACH_SECOND == 0:
            self._unit.tick(self.server_state)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests under way end, and those arrive whose connections are accepted."""
        await self._unit.stop()
        for server in self.servers:
            server.close()
        await self._hear_arrivals()
        await super().shutdown(sockets)

    async def _hear_arrivals(self) -> None:
        """Wait a little for the first request of each connection: uvicorn would reset those without one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ARRIVAL_SECONDS
        # Before the first look: what the loop has just accepted is known as a connection a moment later.
        while loop.time() < deadline:
            await asyncio.sleep(_ARRIVAL_POLL_SECONDS)
            # A connection of another protocol has no cycle of request and response.
            if all(getattr(each, "cycle", True) for each in self.server_state.connections):
                return
