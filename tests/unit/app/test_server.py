"""What does the API tell systemd while it waits, serves and stops, and which sockets does it take?"""

import asyncio
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from uvicorn.server import ServerState

from app import health, server
from app.health import Check, Schema
from app.kit.environment import ConfigurationError
from app.kit.systemd import ServiceManager, notice_seconds, passed_sockets, watchdog_seconds
from app.server import Unit
from tests.unit.workers.test_progress import Clock


class Bench:
    """A unit over a database that a test scripts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.schema = Schema(Check.DOWN, needed="0001")
        self.said: list[str] = []
        self.clock = Clock()
        self.state = ServerState()
        no_engine: Any = None
        self.unit = Unit(ServiceManager(self.said.append), lambda: no_engine, 5.0, clock=self.clock)

        async def look(_: object) -> Schema:
            return self.schema

        monkeypatch.setattr(health, "look_at_schema", look)
        monkeypatch.setattr(server, "_LOOK_AGAIN_SECONDS", 0)

    async def let_it_look(self) -> None:
        """Give the look at the schema its turns."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_it_is_ready_once_the_schema_is_this_version_s(bench: Bench) -> None:
    bench.unit.tick(bench.state)
    await bench.let_it_look()
    assert any(line.startswith("STATUS=waiting for the database") for line in bench.said)
    bench.schema = Schema(Check.OUTDATED, None, "0002")
    await bench.let_it_look()
    assert bench.said[-1].startswith("STATUS=there is no schema, needs 0002: scoresheet migrate")
    bench.schema = Schema(Check.OUTDATED, "0001", "0002")
    await bench.let_it_look()
    assert bench.said[-1].startswith("STATUS=the schema is at 0001, needs 0002: scoresheet migrate")
    assert "READY=1" not in bench.said
    bench.schema = Schema(Check.OK, "0002", "0002")
    await bench.let_it_look()
    assert bench.said[-2:] == ["STATUS=serving", "READY=1"]
    await bench.unit.stop()


async def test_it_lives_and_tells_how_busy_it_is(bench: Bench) -> None:
    bench.schema = Schema(Check.OK, "0001", "0001")
    bench.unit.tick(bench.state)
    await bench.let_it_look()
    del bench.said[:]
    bench.clock.now += 4
    bench.unit.tick(bench.state)
    assert bench.said == []
    bench.state.total_requests = 60
    bench.clock.now += 1
    bench.unit.tick(bench.state)
    assert bench.said == ["WATCHDOG=1", "STATUS=serving: 12.0 requests/s, 0 under way"]
    await bench.unit.stop()
    assert bench.said[-1] == "STOPPING=1"


async def test_a_stop_ends_the_wait_for_the_database(bench: Bench) -> None:
    bench.unit.tick(bench.state)
    await asyncio.wait_for(bench.unit.stop(), 10)
    await bench.let_it_look()
    assert bench.said[-1] == "STOPPING=1"


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("60000000", "", 60.0),
        ("60000000", "own", 60.0),
        ("60000000", "1", None),
        ("0", "", None),
        ("soon", "", None),
        (None, "", None),
    ],
)
def test_the_watchdog_is_one_for_this_process_or_none(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str, seconds: float | None
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    if usec is not None:
        monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert watchdog_seconds() == seconds


def test_notices_come_thrice_in_the_watchdog_s_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert notice_seconds() == 1
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    assert notice_seconds() == 5


def test_a_socket_that_was_left_behind_makes_way_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    server._make_way(path)
    os.mknod(path, stat.S_IFSOCK | 0o600)
    server._make_way(path)
    assert not path.exists()
    (tmp_path / "notes").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "notes")
    for other in (tmp_path / "notes", tmp_path / "link", tmp_path):
        with pytest.raises(ConfigurationError, match=r"SCORESHEET_API_SOCKET: .* no socket"):
            server._make_way(other)
    assert (tmp_path / "link").read_text() == "precious"


def test_sockets_for_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert passed_sockets() == []


def test_a_descriptor_that_is_no_socket_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: object, **__: object) -> socket.socket:
        raise OSError(88, "Socket operation on non-socket")

    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setattr(os, "set_inheritable", lambda *_: None)
    monkeypatch.setattr(socket, "socket", no_socket)
    with pytest.raises(ConfigurationError, match="LISTEN_FDS: descriptor 3: Socket operation on non-socket"):
        passed_sockets()
    assert "LISTEN_FDS" not in os.environ
