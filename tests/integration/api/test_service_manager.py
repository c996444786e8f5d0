"""Does systemd hear what the API tells of itself, and does the API take systemd's sockets?"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.db.revisions import head_revision
from dev.paths import CHECKOUT
from tests.fakes.systemd import NotifiedProcess
from tests.integration.api.test_command_line import _empty_database, _environment, _free_port
from tests.integration.conftest import Backend
from tests.integration.forks import run_command

_SPEAK = """
from app.kit.systemd import ServiceManager
manager = ServiceManager()
manager.waiting("the database\\nis away")
manager.ready()
manager.status("12 Züge\\ngespeichert")
manager.alive()
manager.stopping()
"""


@pytest.mark.smoke
def test_each_notice_reaches_it_on_one_line_and_in_its_encoding(tmp_path: Path) -> None:
    with NotifiedProcess(tmp_path, [sys.executable, "-c", _SPEAK], {"PYTHONPATH": str(CHECKOUT)}) as unit:
        assert unit.process.wait(60) == 0
        heard = unit.finish()
    assert heard == [
        "STATUS=the database is away",
        "EXTEND_TIMEOUT_USEC=120000000",
        "READY=1",
        "STATUS=12 Züge gespeichert",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


_SERVE = [sys.executable, "-m", "app.cli", "serve"]
_SERVE_LATECOMERS = [
    sys.executable,
    "-c",
    "from app import cli, server; server._ARRIVAL_SECONDS = 60.0; raise SystemExit(cli.main(['serve']))",
]
"""As long as it takes a busy machine, and no longer than until they are here."""
_WATCHDOG_SECONDS = 3.0


@contextmanager
def _listeners(folder: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Open the sockets of scoresheet-api.socket."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "api.sock"))
        unix.listen(64)
        yield tcp, unix


def _clients(tcp: socket.socket, unix: socket.socket) -> list[httpx.Client]:
    over_unix = httpx.HTTPTransport(uds=unix.getsockname())
    address = f"http://127.0.0.1:{tcp.getsockname()[1]}"
    return [
        httpx.Client(base_url=address, timeout=60, trust_env=False),
        httpx.Client(base_url="http://api", transport=over_unix, timeout=60),
    ]


def test_it_serves_on_both_sockets_of_systemd_and_a_restart_refuses_nobody(
    backend: Backend, tmp_path: Path
) -> None:
    environment = _environment(backend)
    answers: list[int] = []
    with _listeners(tmp_path) as sockets:
        clients = _clients(*sockets)

        def ask() -> None:
            answers.extend(client.get("/readyz").status_code for client in clients)

        # Each start finds the requests of those who came before it.
        for _ in range(2):
            early = threading.Thread(target=ask)
            early.start()
            with NotifiedProcess(
                tmp_path, _SERVE, environment, watchdog_seconds=_WATCHDOG_SECONDS, sockets=sockets
            ) as unit:
                unit.wait_ready()
                early.join(60)
                unit.wait_fed(4)
                assert unit.status.startswith("serving: ")
                assert unit.stop() in {0, -15}
                assert "STOPPING=1" in unit.finish()
                assert "Traceback" not in unit.log
        assert Path(sockets[1].getsockname()).is_socket()
        for client in clients:
            client.close()
    assert answers == [200] * 4


def test_a_request_that_arrives_during_the_stop_is_answered(backend: Backend, tmp_path: Path) -> None:
    port = _free_port()
    environment = {
        **_environment(backend),
        "SCORESHEET_API_PORT": str(port),
        "SCORESHEET_API_SOCKET": "",
    }
    with NotifiedProcess(
        tmp_path, _SERVE_LATECOMERS, environment, watchdog_seconds=_WATCHDOG_SECONDS
    ) as unit:
        unit.wait_ready()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as early:
            # Connections are accepted in order: the answer to this one tells that the early one is accepted.
            assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
            unit.process.terminate()
            unit.wait_until(lambda: "STOPPING=1" in unit.messages, "STOPPING")
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n")
            assert early.recv(64).startswith(b"HTTP/1.1 200")
        assert unit.process.wait(60) in {0, -15}


def test_it_is_ready_once_the_schema_is_there(backend: Backend, tmp_path: Path) -> None:
    with _empty_database(backend, "unready") as database:
        environment = {**database, "SCORESHEET_API_PORT": str(_free_port()), "SCORESHEET_API_SOCKET": ""}
        with NotifiedProcess(tmp_path, _SERVE, environment, watchdog_seconds=_WATCHDOG_SECONDS) as unit:
            unit.wait_status(f"there is no schema, needs {head_revision()}: scoresheet migrate")
            assert not unit.ready
            assert run_command(environment, "migrate").returncode == 0
            unit.wait_ready()


def test_it_waits_for_the_database_and_says_so(backend: Backend, tmp_path: Path) -> None:
    environment = {
        **_environment(backend),
        "SCORESHEET_API_PORT": str(_free_port()),
        "SCORESHEET_API_SOCKET": "",
    }
    backend.stack.stop("pgbouncer")
    try:
        with NotifiedProcess(tmp_path, _SERVE, environment, watchdog_seconds=_WATCHDOG_SECONDS) as unit:
            unit.wait_status("waiting for the database")
            unit.wait_fed(4)
            assert not unit.ready
            backend.stack.start(["pgbouncer"])
            unit.wait_ready()
            assert unit.stop() in {0, -15}
    finally:
        backend.stack.restart("pgbouncer")
