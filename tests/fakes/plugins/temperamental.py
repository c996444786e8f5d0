"""What does a plugin do that keeps the contract in some games and breaks it in others?"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput

_hoard: list[bytes] = []


class Mood(PluginOutput):
    """A small result."""

    plies: float
    text: str = ""
    more: Any = None


def _throw(game: AnalysedGame) -> Mood:
    raise LookupError(f"no ply 99 in {game.id}")


def _exit(_: AnalysedGame) -> Mood:
    sys.exit(0)


def _loop(_: AnalysedGame) -> Mood:
    while True:
        time.sleep(0.01)


def _be_deaf(_: AnalysedGame) -> Mood:
    # As a loop in C is to the handlers of Python: no time limit but the hard one ends it.
    for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def _print(game: AnalysedGame) -> Mood:
    print("chatter " * 100_000)  # noqa: T201 - the point
    os.write(1, b"chatter past Python\n")
    return Mood(plies=game.plies)


def _not_a_number(game: AnalysedGame) -> Mood:
    return Mood.model_construct(plies=float("nan"), text=game.id)


def _wrong_type(_: AnalysedGame) -> Any:
    return ["no", "model"]


def _huge(game: AnalysedGame) -> Mood:
    return Mood(plies=game.plies, text="x" * 20_000_000)


def _deep(game: AnalysedGame) -> Mood:
    more: Any = None
    for _ in range(253):
        more = [more]
    return Mood(plies=game.plies, more=more)


def _hoard_memory(game: AnalysedGame) -> Mood:
    _hoard.append(b"\x01" * 700_000_000)
    return Mood(plies=game.plies)


def _die(_: AnalysedGame) -> Mood:
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does to who takes too much memory
    raise AssertionError("survived its own death")


MOODS: Final[Mapping[str, Callable[[AnalysedGame], Mood]]] = {
    "throws": _throw,
    "exits": _exit,
    "loops": _loop,
    "deaf": _be_deaf,
    "prints": _print,
    "nan": _not_a_number,
    "wrong": _wrong_type,
    "huge": _huge,
    "deep": _deep,
    "hoards": _hoard_memory,
    "dies": _die,
}
"""What it does in a game whose id begins so; in all others it counts the plies."""


class Temperamental(Plugin[Mood]):
    """Does what the game's id says."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "temperamental"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Temperamental"
    description: ClassVar[str] = "Counts the plies, in a good mood."
    result_type: ClassVar[type[PluginOutput]] = Mood
    needs: ClassVar[Needs] = Needs(evaluations=False)

    def analyse(self, game: AnalysedGame) -> Mood:
        """Count the plies or misbehave."""
        word = game.id.rstrip("0123456789")
        return MOODS[word](game) if word in MOODS else Mood(plies=game.plies)
