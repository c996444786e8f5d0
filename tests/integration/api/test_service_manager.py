"""Does systemd hear what a unit tells of itself?"""

import socket
from pathlib import Path

import pytest

from app.kit.systemd import ServiceManager


def test_each_notice_is_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(10)
        manager = ServiceManager()
        try:
            manager.ready()
            manager.status("12 games\nstored")
            manager.alive()
            manager.stopping()
            heard = [systemd.recv(4_096) for _ in range(4)]
        finally:
            manager._notifier.socket.close()
    assert heard == [b"READY=1", b"STATUS=12 games stored", b"WATCHDOG=1", b"STOPPING=1"]
