"""How does the real Stockfish go wrong where a test wants it to, and what was it told?"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PROGRAM = Path(__file__).with_name("program.py")


class Fault(StrEnum):
    """What happens instead of a search, or of a start; all else is Stockfish's own doing."""

    SEGFAULT = "segfault"
    """Ends as Stockfish does when it gets a board without a king."""
    ILLEGAL_INSTRUCTION = "illegal_instruction"
    """Ends as a program does that was built for another CPU."""
    EXIT = "exit"
    HANG = "hang"
    WAIT = "wait"
    """Searches once the script does not say so any more."""
    GARBAGE = "garbage"
    """Answers what is no UCI."""


@dataclass(frozen=True)
class Told:
    """One line that an engine was told."""

    pid: int
    line: str


@dataclass(frozen=True)
class ScriptedStockfish:
    """An executable that passes all on to Stockfish but for its script's faults, and keeps a journal."""

    folder: Path

    @property
    def path(self) -> Path:
        """The executable."""
        return self.folder / "stockfish"

    def install(self, stockfish: Path) -> None:
        """Write the executable to its folder, anew if it is gone; it has to be writable to who runs it."""
        draft = self.folder / "stockfish.new"
        draft.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{PROGRAM}" "{self.folder}" "{stockfish}"\n')
        draft.chmod(0o755)
        draft.replace(self.path)

    def script(self, on_search: Mapping[str, Fault] | None = None, on_start: Fault | None = None) -> None:
        """Go wrong from now on in each position whose FEN holds one of these texts, or at every start.

        Replaces the script; without arguments all is well again.
        """
        draft = self.folder / "script.new"
        draft.write_text(json.dumps({"search": dict(on_search or {}), "start": on_start}))
        draft.chmod(0o644)
        draft.replace(self.folder / "script")

    def hold(self, *places: str) -> None:
        """Let every search in a position whose FEN holds one of these texts wait for the next script."""
        self.script(dict.fromkeys(places, Fault.WAIT))

    def told(self) -> list[Told]:
        """Return every line that any process was told, in order."""
        journal = self.folder / "journal"
        lines = journal.read_text().splitlines() if journal.exists() else []
        return [Told(int(pid), line) for pid, _, line in (entry.partition(" ") for entry in lines)]

    def searches(self) -> int:
        """Count the searches begun so far."""
        return sum(told.line.startswith("go ") for told in self.told())

    def positions(self) -> list[str]:
        """Return the FEN of every position that was set up, in order."""
        return [
            told.line.removeprefix("position fen ").replace("position startpos", "startpos")
            for told in self.told()
            if told.line.startswith("position ")
        ]
