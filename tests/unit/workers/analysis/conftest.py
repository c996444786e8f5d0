"""What the tests of analysis share: fake engines that leave nothing behind."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import engine as fake

_LIMIT_SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return where a fake engine lives; at the end nothing that it started may be left."""
    yield tmp_path
    # What an engine started is not the worker's to wait for: killed, it dies when the kernel gets to it.
    deadline = time.monotonic() + _LIMIT_SECONDS
    while left := [pid for pid in fake.pids(tmp_path) if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that was killed and waits to be reaped by init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter while it is being reaped
        return False
