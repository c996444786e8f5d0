"""How does an engine's process start, speak, and end without leaving anything behind?"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import chess.engine

OUTPUT_LIMIT_BYTES = 4_000_000
"""Most that an engine may say in answer to one command; a search of a billion nodes says a tenth of it."""
REAP_SECONDS = 10.0
"""How long a killed process may take to disappear from the process table."""

_LAST_WORDS_SECONDS = 0.5
"""How long the end of the process waits for the end of its output."""
_UCI_WORDS = frozenset({"id", "option", "uciok", "readyok", "info", "bestmove"})
_QUOTED_CHARACTERS = 200
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class FaultHandler(Protocol):
    """Told once that an engine can no longer be trusted."""

    def died(self, exit_code: int, last_words: str) -> None:
        """Note that the process ended."""

    def talked_nonsense(self, detail: str) -> None:
        """Note that it said what UCI does not allow."""


def _die_with(parent_pid: int) -> Callable[[], None]:
    """Return what a child does before it becomes the engine: arrange to die when its parent does."""

    def before_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the call
            os._exit(1)

    return before_exec


class EngineProtocol(chess.engine.UciProtocol):
    """python-chess's UCI dialogue, which here notices what it would wait for in vain.

    Alone it waits for ever when the process ends between `ucinewgame` and `readyok`, when a search ends
    with an illegal move, or when its own parser raises; and it would buffer an endless line. It hears of a
    search's last words alone: the last report that is whole, and the count of nodes of the very last.
    """

    def __init__(self, faults: FaultHandler) -> None:
        super().__init__()
        self._faults = faults
        self._bytes_left = OUTPUT_LIMIT_BYTES
        self._last_words = ""
        self._whole: list[str] = []
        self._growing: list[str] = []
        self._nodes = ""
        self.exited = asyncio.Event()

    def begin_command(self) -> None:
        """Forget what was said before: the next answer may be as long as the limit."""
        self._bytes_left = OUTPUT_LIMIT_BYTES
        self._whole, self._growing = [], []
        self._nodes = ""

    def process_exited(self) -> None:
        """Report the end, even where a child of the engine holds its pipes open.

        Not at once: what the engine said last, often the reason, may still be in the pipes.
        """
        self.exited.set()
        self.loop.call_later(_LAST_WORDS_SECONDS, self._report_death)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end; whoever waits for a command waits for the report as well."""
        self._report_death()
        self.command = self.next_command = None
        super().connection_lost(exc)

    def _report_death(self) -> None:
        code = None if self.transport is None else self.transport.get_returncode()
        self._faults.died(-1 if code is None else code, self._last_words)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Take output up to the limit."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._nonsense(f"more than {OUTPUT_LIMIT_BYTES} bytes in answer to one command")
            return
        super().pipe_data_received(fd, data)

    def _line_received(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word not in _UCI_WORDS or rest.startswith("string"):
            self._last_words = line[:_QUOTED_CHARACTERS]
        if word == "info":
            self._keep(line)
            return
        if word == "bestmove":
            if not self._plausible(rest):
                self._nonsense(f"{line[:_QUOTED_CHARACTERS]!r} in {self.board.fen()}")
                return
            self._close_report()
            for info in self._whole:
                self._pass_on(info)
            if self._nodes:
                self._pass_on(f"info nodes {self._nodes}")
        self._pass_on(line)

    def _keep(self, line: str) -> None:
        # Playing out the line of every iteration cost a tenth of a search of 100,000 nodes, and only the last
        # that is no mere bound is wanted, with the count of nodes of the very last.
        _, counted, rest = line.partition(" nodes ")
        if counted:
            self._nodes = rest.partition(" ")[0]
        if " score " in line:
            # Lines of one report follow each other, the best first ("multipv 1", or no number for one line).
            if " multipv " not in line or " multipv 1 " in line:
                self._close_report()
            self._growing.append(line)

    def _close_report(self) -> None:
        """Prefer the report that has just ended to the one before, unless a score in it is a mere bound."""
        if self._growing and not any(
            " lowerbound" in line or " upperbound" in line for line in self._growing
        ):
            self._whole = self._growing
        self._growing = []

    def _pass_on(self, line: str) -> None:
        try:
            super()._line_received(line)
        except Exception as error:  # noqa: BLE001 - whatever the parser trips over is the engine's fault
            self._nonsense(f"{line[:_QUOTED_CHARACTERS]!r}: {error!r}")

    def error_line_received(self, line: str) -> None:
        """Keep the last line of stderr: it may say why the engine ends."""
        self._last_words = line[:_QUOTED_CHARACTERS]

    def _plausible(self, best: str) -> bool:
        try:
            self.board.parse_uci(best.split(maxsplit=1)[0].lower())
        except (ValueError, IndexError):
            return False
        return True

    def _nonsense(self, detail: str) -> None:
        self._faults.talked_nonsense(detail)


async def start(path: Path, faults: FaultHandler) -> tuple[asyncio.SubprocessTransport, EngineProtocol]:
    """Start an engine in a process group of its own; raises OSError where it can't be executed.

    Call it from the thread that lives as long as the process: to the kernel the end of that thread is the
    parent's death.
    """
    return await asyncio.get_running_loop().subprocess_exec(
        lambda: EngineProtocol(faults), str(path), process_group=0, preexec_fn=_die_with(os.getpid())
    )


async def end(transport: asyncio.SubprocessTransport, protocol: EngineProtocol) -> None:
    """Kill an engine and all that it started in its group, and wait until it is gone; safe to repeat."""
    # Nothing in an engine is worth saving: SIGKILL at once. The group outlives a leader that has died.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(protocol.exited.wait(), REAP_SECONDS)
    transport.close()  # not before: it polls the process and would snatch the exit status from asyncio
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(protocol.returncode), REAP_SECONDS)
