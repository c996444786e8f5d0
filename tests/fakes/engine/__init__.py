"""How is a fake UCI engine installed that goes wrong in a chosen way?"""

import sys
from enum import StrEnum
from pathlib import Path

PROGRAM = Path(__file__).with_name("engine.py")


class Fault(StrEnum):
    """The way in which a fake engine goes wrong; all else works."""

    NONE = "none"
    EXIT_AT_START = "exit_at_start"
    ILLEGAL_INSTRUCTION = "illegal_instruction"
    """Ends as a program does that was built for another CPU."""
    NO_UCIOK = "no_uciok"
    NAMELESS = "nameless"
    DIE_ON_NEW_GAME = "die_on_new_game"
    """Between `ucinewgame` and `readyok`."""
    DIE_ON_GO = "die_on_go"
    """With a segmentation fault, as Stockfish without a king."""
    DIE_ONCE = "die_once"
    """The first process dies on `go`, later ones don't."""
    LEAVE_CHILD = "leave_child"
    """Starts a process that inherits its pipes, then dies on `go`."""
    HANG_ON_GO = "hang_on_go"
    HANG_ONCE = "hang_once"
    DEAF_ON_GO = "deaf_on_go"
    """Searches for ever and reads nothing more, not even the end of its input."""
    GARBAGE = "garbage"
    """Answers `go` with bytes that are no text and a best move that is none."""
    ILLEGAL_BEST_MOVE = "illegal_best_move"
    ILLEGAL_LINE = "illegal_line"
    NO_SCORE = "no_score"
    ABSURD_SCORE = "absurd_score"
    MATE_IN_ZERO = "mate_in_zero"
    ENDLESS_LINE = "endless_line"
    HUGE_LINE = "huge_line"
    """A best line of 2,000 plies, all legal."""
    BOUND_AT_END = "bound_at_end"
    """The last score is an upper bound."""
    BOUND_IN_REPORT = "bound_in_report"
    """Two lines: the last report has a lower bound for the second."""
    TWIN_LINES = "twin_lines"


def install(
    folder: Path, fault: Fault = Fault.NONE, name: str = "Fake 1", *, fit: bool = False, salt: str = ""
) -> Path:
    """Write an executable to a folder, which keeps its journal and memory there too; returns its path.

    A `fit` one never goes wrong at the initial position. Another `salt`, other scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "engine"
    arguments = f'"{PROGRAM}" "{fault}" "{folder}" "{name}" "{fit:d}" "{salt}"'
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I {arguments}\n')
    path.chmod(0o755)
    return path


def commands(folder: Path) -> list[str]:
    """Return every line that the engines of a folder have been told, in order."""
    journal = folder / "journal"
    return journal.read_text().splitlines() if journal.exists() else []


def pids(folder: Path) -> list[int]:
    """Return the process ids of the engines of a folder and of what they started, in order of their start."""
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []
