"""How are programs run together: started in order, watched, and stopped in reverse order?"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dev.errors import DevError
from dev.program import Program, waves
from dev.state import StateFolder
from dev.supervision import SUPERVISORD, Ended, Supervisor

__all__ = ["Stack"]

_POLL_SECONDS: Final = 0.1
_LAST_LINES: Final = 12


class Stack:
    """The programs of one state folder, running while the context is entered.

    A program starts when those before it are ready. One that dies is restarted, and its name and the cause
    are reported. Enter it in the main thread.
    """

    def __init__(
        self,
        state: StateFolder,
        programs: Sequence[Program],
        report: Callable[[str], None] = print,
        progress: Callable[[str], None] = lambda _: None,
        *,
        supervisord: str = SUPERVISORD,
    ) -> None:
        """Take the programs; `supervisord` is the module that runs as such."""
        self._state = state
        self._programs = {program.name: program for program in programs}
        self._report = report
        self._progress = progress
        self._supervisor = Supervisor(state, programs, self._crashed, supervisord)

    def __enter__(self) -> Self:
        """Start every program; all of them are ready on return."""
        try:
            self._supervisor.start()
            self.start(self._programs)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop every program in reverse order; no process is left."""
        self._progress("stopping")
        if killed := self._supervisor.stop():
            self._report(f"killed what did not stop: {', '.join(str(pid) for pid in killed)}")

    @property
    def names(self) -> list[str]:
        """The programs in the order of their start."""
        return list(self._programs)

    def start(self, names: Iterable[str]) -> None:
        """Start programs in order, each when those before it are ready; side by side where they allow it.

        Raises DevError with the last lines of its log if one ends first or does not become ready in its time.
        """
        for together in waves(self._programs[name] for name in names):
            self._progress(f"starting {', '.join(together)}")
            ends = {name: self._supervisor.ends(name) for name in together}
            for name in together:
                self._supervisor.start_program(name)
            self._wait_started(ends)

    def _wait_started(self, ends: Mapping[str, int]) -> None:
        """Wait until programs are ready, or oneshots done, that had ended so often before their start."""
        began, missing = time.monotonic(), list(ends)
        while missing := [name for name in missing if not self._has_started(name, ends[name])]:
            for name in missing:
                limit_seconds = self._programs[name].start_limit.total_seconds()
                if time.monotonic() - began > limit_seconds:
                    raise self._failure(name, f"was not ready after {limit_seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _has_started(self, name: str, ends: int) -> bool:
        program = self._programs[name]
        if self._supervisor.ends(name) > ends:
            end = self._supervisor.last_end(name)
            if program.oneshot and end is not None and end.successful:
                return True
            how = "failed" if program.oneshot else "ended before it was ready"
            raise self._failure(name, f"{how} ({end.cause if end else 'unknown'})")
        if self.state(name) in {"BACKOFF", "FATAL"}:
            raise self._failure(name, f"can't be run ({self._supervisor.spawn_error(name)})")
        return self._is_ready(program)

    def stop(self, name: str) -> None:
        """Stop one program and leave it stopped."""
        self._supervisor.stop_programs([name])

    def restart(self, name: str) -> None:
        """Stop one program if it runs and start it again; ready on return."""
        if self.pid(name):
            self.stop(name)
        self.start([name])

    def kill(self, name: str, with_signal: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a program's main process, as a fault would; return its pid."""
        pid = self.pid(name)
        if not pid:
            raise DevError(f"{name} does not run")
        os.kill(pid, with_signal)
        return pid

    def pid(self, name: str) -> int:
        """Give the pid of a program's main process, 0 if it does not run."""
        return self._supervisor.pid(name)

    def state(self, name: str) -> str:
        """Give supervisor's name of a program's state: RUNNING, STOPPED, EXITED, FATAL and so on."""
        return self._supervisor.state(name)

    def watch(self) -> None:
        """Do nothing while the stack runs, until the caller is interrupted.

        Raises DevError if the process runner itself ends, without which nothing is restarted.
        """
        self._supervisor.wait()
        raise DevError("supervisord died; everything stops")

    def log_path(self, name: str) -> Path:
        """Give the file with all that a program printed, this run's and earlier ones'."""
        return self._state.logs / f"{name}.log"

    def wait_ready(self, name: str, limit: timedelta | None = None) -> None:
        """Wait until a program is ready, however often it dies and is restarted meanwhile.

        Raises DevError with the last lines of its log after the limit (by default its own for a start).
        """
        program = self._programs[name]
        limit_seconds = (limit or program.start_limit).total_seconds()
        deadline = time.monotonic() + limit_seconds
        while not self._is_ready(program):
            if time.monotonic() > deadline:
                raise self._failure(name, f"was not ready after {limit_seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _is_ready(self, program: Program) -> bool:
        if program.oneshot or not self.pid(program.name):
            return False
        if program.ready is None:
            return True
        with suppress(Exception):  # a probe fails in as many ways as there are clients
            return program.ready()
        return False

    def _failure(self, name: str, what: str) -> DevError:
        with suppress(FileNotFoundError):
            lines = self.log_path(name).read_text(errors="replace").splitlines()[-_LAST_LINES:]
            if lines:
                return DevError(f"{name} {what}; the end of {self.log_path(name)}:\n  " + "\n  ".join(lines))
        return DevError(f"{name} {what}; it printed nothing")

    def _crashed(self, end: Ended, restarted: bool) -> None:
        self._report(f"{end.name} died ({end.cause})" + (", restarted" if restarted else ""))
