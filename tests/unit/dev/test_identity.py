"""Does a process get a right of root's only where it can't do without?"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.identity import _open_to_others


@pytest.fixture
def open_folder() -> Iterator[Path]:
    # pytest's own temporary folders are closed to others.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize(("mode", "is_open"), [(0o755, True), (0o711, True), (0o700, False), (0o754, False)])
def test_a_file_is_open_only_below_folders_that_others_may_search(
    open_folder: Path,
    mode: int,
    is_open: bool,
) -> None:
    folder = open_folder / "folder"
    folder.mkdir()
    file = folder / "file"
    file.touch(mode=0o644)
    folder.chmod(mode)
    assert _open_to_others(file) is is_open


def test_a_file_that_others_may_not_read_is_closed(open_folder: Path) -> None:
    file = open_folder / "file"
    file.touch()
    file.chmod(0o640)
    assert not _open_to_others(file)
