"""Which processes of an earlier run are still alive, and how are they ended?

The process runner leads a session of its own, so what it started carries its session id. The record names the
runner by pid, start time and boot, so that a pid that was given to somebody else's process since is not taken
for ours.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

__all__ = ["SessionRecord"]

_POLL_SECONDS: Final = 0.02
_AFTER_KILL: Final = timedelta(seconds=5)


@dataclass(frozen=True)
class SessionRecord:
    """The session of one process runner."""

    pid: int
    start_ticks: int
    """Clock ticks from the machine's boot to the runner's start."""
    boot: str
    """The kernel's id of this boot: pids and ticks of another mean nothing."""

    @classmethod
    def of(cls, pid: int) -> Self:
        """Record the running leader of a session."""
        process = _process(pid)
        if process is None:
            raise ProcessLookupError(pid)
        return cls(pid, process.start_ticks, _boot())

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a record; None if there is none or it was cut short."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Keep the record for a later run."""
        path.write_text(json.dumps(asdict(self)))

    def members(self) -> list[int]:
        """List the living processes of the session, the leader included."""
        if self.boot != _boot():
            return []
        leader = _process(self.pid)
        if leader is not None and leader.start_ticks != self.start_ticks:
            return []
        return [
            process.pid
            for process in _processes()
            if process.session == self.pid and process.start_ticks >= self.start_ticks
        ]

    def end(self, patience: timedelta) -> list[int]:
        """Let the members stop by themselves for a while, then kill those that are left; return the killed.

        They have been told to stop already: each loses its parent, and the kernel signals that.
        """
        if not self._wait_until_empty(patience):
            killed = self.members()
            for pid in killed:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self._wait_until_empty(_AFTER_KILL)
            return killed
        return []

    def _wait_until_empty(self, patience: timedelta) -> bool:
        deadline = time.monotonic() + patience.total_seconds()
        while self.members():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


@dataclass(frozen=True)
class _Process:
    pid: int
    session: int
    start_ticks: int


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _processes() -> Iterator[_Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (process := _process(int(entry.name))) is not None:
            yield process


def _process(pid: int) -> _Process | None:
    """Read a process that lives; None if it is gone or a zombie, which only its parent can end."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may hold anything; proc(5) numbers the fields after it from 3.
    fields = status.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return _Process(pid, session=int(fields[3]), start_ticks=int(fields[19]))
