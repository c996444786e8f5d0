"""What passes between a worker and the real Stockfish? (A program; `ScriptedStockfish` writes a starter.)"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.02


def _script(folder: Path) -> dict[str, Any]:
    try:
        script: dict[str, Any] = json.loads((folder / "script").read_text())
    except FileNotFoundError:
        return {"search": {}, "start": None}
    return script


def _fault(folder: Path, position: str) -> str | None:
    """Return what is to go wrong in a position, once the search need not wait any more."""
    while True:
        faults = _script(folder)["search"]
        fault = next((fault for text, fault in faults.items() if text in position), None)
        if fault != "wait":
            return fault
        time.sleep(_POLL_SECONDS)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end_by(number: signal.Signals) -> NoReturn:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), number)
    raise AssertionError("survived its own death")


def _go_wrong(fault: str) -> None:
    if fault == "segfault":
        _end_by(signal.SIGSEGV)
    if fault == "illegal_instruction":
        _end_by(signal.SIGILL)
    if fault == "exit":
        sys.stdout.write("info string no more\n")
        sys.exit(3)
    if fault == "garbage":
        sys.stdout.write("<html>\ninfo score cp many depth\nbestmove\n")
        sys.stdout.flush()
    while fault == "hang":
        signal.pause()


def main(folder: Path, stockfish: str) -> None:
    """Pass lines on until the input ends; the answers go past us."""
    if fault := _script(folder)["start"]:
        _go_wrong(fault)
        return
    # The wrapper may be killed alone: Stockfish must not outlive it.
    engine = subprocess.Popen([stockfish], stdin=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)  # noqa: PLW1509
    assert engine.stdin is not None
    position = ""
    with (folder / "journal").open("a", buffering=1) as journal:
        for line in sys.stdin:
            journal.write(f"{os.getpid()} {line}")
            if line.startswith("position "):
                position = line
            if line.startswith("go ") and (fault := _fault(folder, position)) is not None:
                _go_wrong(fault)
                continue
            engine.stdin.write(line)
            engine.stdin.flush()
    engine.stdin.close()
    engine.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
