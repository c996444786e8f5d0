"""What plugins do that do not keep the contract."""

import contextlib
import os
import sys
import time
from typing import Any, ClassVar, NoReturn

import chess

from plugins.api import MAX_RESULT_DEPTH, AnalysedGame, Needs, Plugin, PluginOutput


class Verdict(PluginOutput):
    """A small result."""

    value: float
    text: str = ""


class Good(Plugin[Verdict]):
    """Keeps the contract; the others derive from it."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "good"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Good"
    description: ClassVar[str] = "Counts the plies."
    result_type: ClassVar[type[PluginOutput]] = Verdict

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Count the plies."""
        return Verdict(value=game.plies)


class Lazy(Good):
    """Needs no evaluations."""

    name: ClassVar[str] = "lazy"
    needs: ClassVar[Needs] = Needs(evaluations=False)


class Throws(Good):
    """Raises an exception."""

    name: ClassVar[str] = "throws"

    def analyse(self, game: AnalysedGame) -> NoReturn:
        """Raise."""
        raise LookupError(f"no ply 99 in {game.id}\x00\ud800")


class Exits(Good):
    """Ends the process."""

    name: ClassVar[str] = "exits"

    def analyse(self, game: AnalysedGame) -> NoReturn:
        """Exit."""
        sys.exit(game.plies)


class Interrupts(Good):
    """Raises what Ctrl-C raises."""

    name: ClassVar[str] = "interrupts"

    def analyse(self, game: AnalysedGame) -> NoReturn:
        """Interrupt."""
        raise KeyboardInterrupt(game.id)


class Mute(Exception):
    """An exception that can't even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unspeakable(Good):
    """Raises an exception that can't be printed."""

    name: ClassVar[str] = "unspeakable"

    def analyse(self, game: AnalysedGame) -> NoReturn:
        """Raise."""
        raise Mute(game.id)


class Prints(Good):
    """Writes to stdout, a lot."""

    name: ClassVar[str] = "prints"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Print and count."""
        print("chatter " * 100_000)  # noqa: T201 - the point
        return super().analyse(game)


class NotANumber(Good):
    """Gets NaN past pydantic."""

    name: ClassVar[str] = "not_a_number"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Return NaN."""
        return Verdict.model_construct(value=float("nan"), text=game.id)


class WrongField(Good):
    """Gets a text past pydantic where a number belongs."""

    name: ClassVar[str] = "wrong_field"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Return the wrong type in a field."""
        fields: dict[str, Any] = {"value": "many", "text": game.id}
        return Verdict.model_construct(**fields)


class WrongType(Good):
    """Returns something else than it declares."""

    name: ClassVar[str] = "wrong_type"

    def analyse(self, game: AnalysedGame) -> Any:
        """Return a dictionary."""
        return {"value": game.plies}


class Nul(Good):
    """Returns a text that no database takes."""

    name: ClassVar[str] = "nul"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Return NUL."""
        return Verdict(value=game.plies, text="a\x00b")


class Huge(Good):
    """Returns a hundred megabytes."""

    name: ClassVar[str] = "huge"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Return a hundred megabytes."""
        return Verdict(value=game.plies, text="x" * 100_000_000)


class Nest(PluginOutput):
    """A result that can be of any depth."""

    value: Any


class Deep(Good):
    """Returns what pydantic can dump, but nobody can put into a message."""

    name: ClassVar[str] = "deep"
    result_type: ClassVar[type[PluginOutput]] = Nest
    lists: ClassVar[int] = 254

    def analyse(self, game: AnalysedGame) -> Any:
        """Nest lists."""
        value: Any = game.plies
        for _ in range(self.lists):
            value = [value]
        return Nest(value=value)


class Shallower(Deep):
    """Goes as deep as it may."""

    name: ClassVar[str] = "shallower"
    lists: ClassVar[int] = MAX_RESULT_DEPTH - 1


class Loops(Good):
    """Never returns, and catches what it can."""

    name: ClassVar[str] = "loops"

    def analyse(self, game: AnalysedGame) -> NoReturn:
        """Loop."""
        while True:
            with contextlib.suppress(Exception):
                time.sleep(game.plies + 100)


class Forks(Good):
    """Comes back twice."""

    name: ClassVar[str] = "forks"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Fork, and wait for the copy in the original."""
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            return Verdict(value=os.waitstatus_to_exitcode(status), text=game.id)
        return super().analyse(game)


class Scribbles(Good):
    """Tries to change the game."""

    name: ClassVar[str] = "scribbles"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Assign to a field."""
        game.uci = ()  # type: ignore[misc]
        return super().analyse(game)


class Clears(Good):
    """Throws away what the next one needs."""

    name: ClassVar[str] = "clears"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Clear a mapping."""
        game.earlier_games.clear()  # type: ignore[attr-defined]
        return super().analyse(game)


class Rewrites(Good):
    """Writes into what the next one reads."""

    name: ClassVar[str] = "rewrites"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Assign to an entry."""
        for earlier in game.earlier_games.values():
            earlier.reached[0] = 0  # type: ignore[index]
        return super().analyse(game)


class Bends(Good):
    """Changes what can be changed: python-chess's moves, and what hides behind a frozen dataclass."""

    name: ClassVar[str] = "bends"

    def analyse(self, game: AnalysedGame) -> Verdict:
        """Bend the moves."""
        for move in game.moves:
            move.promotion = chess.QUEEN
        vars(game)["earlier_games"] = {}
        return super().analyse(game)
