"""Does a process notice that another program was installed beneath it?"""

import shutil
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from workers.program import Program, installed

_LOOKS = 3


def install(folder: Path, name: str, record: str) -> Distribution:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(record)
    return Distribution.at(info)


def test_what_stays_as_it_was_is_no_change_even_if_it_was_installed_again(tmp_path: Path) -> None:
    program = Program([install(tmp_path, "swings", "swings.py,sha256=1,9")], look_seconds=0)
    install(tmp_path, "swings", "swings.py,sha256=1,9")
    assert [program.change() for _ in range(2 * _LOOKS)] == [None] * 2 * _LOOKS


@pytest.mark.parametrize("removed", [False, True])
def test_a_change_is_told_once_the_installation_has_come_to_rest(tmp_path: Path, removed: bool) -> None:
    parts = [install(tmp_path, name, "module.py,sha256=1,9") for name in ("scoresheet", "swings")]
    program = Program(parts, look_seconds=0)
    assert program.change() is None
    shutil.rmtree(tmp_path / "swings-1.0.dist-info")
    assert program.change() is None
    if not removed:
        install(tmp_path, "swings", "module.py,sha256=2,9")
    found = [program.change() for _ in range(_LOOKS)]
    assert found[-1] == ("swings was removed" if removed else "swings was replaced")
    assert found[0] is None


def test_what_was_away_for_a_moment_is_no_change(tmp_path: Path) -> None:
    program = Program([install(tmp_path, "swings", "swings.py,sha256=1,9")], look_seconds=0)
    shutil.rmtree(tmp_path / "swings-1.0.dist-info")
    assert program.change() is None
    install(tmp_path, "swings", "swings.py,sha256=1,9")
    assert [program.change() for _ in range(2 * _LOOKS)] == [None] * 2 * _LOOKS


def test_it_looks_only_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("workers.program.time.monotonic", lambda: now)
    program = Program([install(tmp_path, "swings", "swings.py,sha256=1,9")], look_seconds=5)
    shutil.rmtree(tmp_path / "swings-1.0.dist-info")
    assert [program.change() for _ in range(2 * _LOOKS)] == [None] * 2 * _LOOKS
    for _ in range(_LOOKS):
        now += 5
        found = program.change()
    assert found == "swings was removed"


def test_a_checkout_that_is_not_installed_has_nothing_that_could_change() -> None:
    assert installed("no-such-distribution") == []
    assert Program([]).change() is None
