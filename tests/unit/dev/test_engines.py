"""Is an engine compiled from the very sources that were meant, and never taken for complete before it is?"""

import tarfile
from pathlib import Path

import pytest

from dev import engines, newer_debian
from dev.errors import DevError


@pytest.fixture
def forged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let Debian hand out a tarball with other contents; returns where builds would be put."""

    def handed_out(_package: str, folder: Path) -> Path:
        path = folder / "stockfish_17.orig.tar.gz"
        with tarfile.open(path, "w:gz"):
            pass
        return path

    monkeypatch.setattr(newer_debian, "upstream_source", handed_out)
    monkeypatch.setattr(engines, "TOOLS", tmp_path)
    monkeypatch.setattr(engines, "FOLDER", tmp_path / "stockfish-17")
    return tmp_path / "stockfish-17"


def test_other_sources_than_those_meant_are_refused(forged: Path) -> None:
    with pytest.raises(DevError, match=r"stockfish_17\.orig\.tar\.gz has SHA-256 [0-9a-f]{64}, not d4472666"):
        engines.build_missing(lambda _step: None)
    assert [*forged.iterdir()] == []
    assert engines.builds() == []
    assert [*forged.parent.iterdir()] == [forged]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_builds_of_another_kind_of_machine_are_not_missed(
    forged: Path, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    forged.mkdir()
    kinds = engines._ARCHITECTURES[machine]
    for kind in kinds:
        (forged / f"stockfish-{kind}").touch()
    engines.build_missing(lambda _step: None)  # else it would try the forged sources
    assert [path.name for path in engines.builds()] == [f"stockfish-{kind}" for kind in kinds]


def test_nothing_is_fetched_where_every_build_is_there(forged: Path) -> None:
    forged.mkdir()
    for path in map(engines._path, engines._ARCHITECTURES["x86_64"] + engines._ARCHITECTURES["aarch64"]):
        path.touch()
    said: list[str] = []
    engines.build_missing(said.append)
    assert said == []
    assert engines.builds()
