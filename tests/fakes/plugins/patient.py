"""What does a plugin do that a test holds? (It waits in the games that a file names, until that is gone.)"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from plugins.api import AnalysedGame, Plugin, PluginOutput

WHERE = "tests.fakes.plugins.patient:Patient"
_FILE = "held-games"
_POLL_SECONDS = 0.02


def hold(folder: Path, games: Iterable[str]) -> None:
    """Hold these games, by id, from now on; `folder` is the SCORESHEET_STATE_DIR of the workers."""
    for mark in folder.glob("*.waits"):
        mark.unlink()
    (folder / _FILE).write_text(" ".join(games))


def release(folder: Path) -> None:
    """Let all go on."""
    (folder / _FILE).unlink(missing_ok=True)


def waiting(folder: Path) -> set[str]:
    """Return the games in which a worker waits, or waited since `hold`."""
    return {mark.stem for mark in folder.glob("*.waits")}


class Count(PluginOutput):
    """A number of plies."""

    plies: int


class Patient(Plugin[Count]):
    """Counts the evaluations once nothing holds it."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "patient"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Patient"
    description: ClassVar[str] = "How many positions have an evaluation."
    result_type: ClassVar[type[PluginOutput]] = Count

    def analyse(self, game: AnalysedGame) -> Count:
        """Wait as long as the game is held, beyond the time that a plugin has, then count."""
        folder = Path(os.environ["SCORESHEET_STATE_DIR"])
        while game.id in _held(folder):
            signal.setitimer(signal.ITIMER_REAL, 0)
            (folder / f"{game.id}.waits").touch()
            time.sleep(_POLL_SECONDS)
        return Count(plies=len(game.evaluations))


def _held(folder: Path) -> list[str]:
    try:
        return (folder / _FILE).read_text().split()
    except FileNotFoundError:
        return []
