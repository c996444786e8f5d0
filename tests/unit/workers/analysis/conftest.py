"""What the tests of analysis share: fake engines that leave nothing behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import engine as fake


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return where a fake engine lives; at the end nothing that it started may be left."""
    yield tmp_path
    left = [pid for pid in fake.pids(tmp_path) if alive(pid)]
    assert left == []


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that was killed and waits to be reaped by init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
