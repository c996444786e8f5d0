"""Where does a stack keep its data, sockets and logs, and whose is it?"""

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from dev.errors import DevError
from dev.identity import ServiceUser
from dev.leftovers import SessionRecord

__all__ = ["StateFolder", "held_state", "logs_of", "run_folder"]

# A socket's address holds 107 bytes; the longest name is supervisor's, which appends its pid for a moment.
_LONGEST_SOCKETS_PATH: Final = 107 - len("/supervisor.sock.4194304")

_LEFTOVERS_STOP: Final = timedelta(seconds=20)


def logs_of(state: Path) -> Path:
    """Return where the programs of a state folder log: one file for each."""
    return state / "log"


@dataclass(frozen=True)
class StateFolder:
    """The folder of one stack: a folder each for sockets, logs and every program's data."""

    path: Path
    user: ServiceUser

    def prepare(self) -> None:
        """Make what is missing; idempotent.

        Raises DevError where the folder belongs to somebody else.
        """
        for folder in (self.logs, self.supervisor, self.app, self.run):
            self.make(folder)

    def make(self, folder: Path) -> None:
        """Make a folder that only the stack's user may enter; one that exists must be such a folder already.

        Raises DevError where it is not.
        """
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            self.user.give(folder)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.user.uid or found.st_mode & 0o077:
            raise DevError(f"{folder} is not a private folder of {self.user.name}: remove {self.path}")

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return logs_of(self.path)

    @property
    def supervisor(self) -> Path:
        """What the process runner reads and writes."""
        return self.path / "supervisor"

    @property
    def app(self) -> Path:
        """The product's own files (SCORESHEET_STATE_DIR)."""
        return self.path / "app"

    @property
    def run(self) -> Path:
        """The sockets and temporary files: in the state folder, or below /tmp where its path is too long."""
        return run_folder(self.path, self.user.uid)

    @property
    def session(self) -> Path:
        """The record of the process runner that runs, or ran, here."""
        return self.supervisor / "session.json"

    def clear_run(self) -> None:
        """Remove the folder of sockets and temporary files, which all who used it have left."""
        shutil.rmtree(self.run, ignore_errors=True)


def run_folder(state: Path, uid: int) -> Path:
    """Tell where the stack of a user on a state folder has its sockets."""
    near = state / "run"
    if len(os.fsencode(near)) <= _LONGEST_SOCKETS_PATH:
        return near
    # Told by the path alone, so that the next run, and a person, finds the same folder.
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    return Path("/tmp") / f"scoresheet-{uid}-{name}"  # noqa: S108 (StateFolder.make refuses a stranger's)


@contextmanager
def held_state(path: Path, user: ServiceUser, report: Callable[[str], None]) -> Iterator[StateFolder]:
    """Hold a state folder for one stack; the kernel lets it go when the holder dies.

    What an earlier run left alive is ended first. Raises DevError, naming the holder, if there is one.
    """
    path.mkdir(parents=True, exist_ok=True)
    state = StateFolder(path, user)
    with (path / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise DevError(f"a stack runs on {path} already (process {holder})") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        earlier = SessionRecord.read(state.session)
        if earlier is not None and earlier.members():
            report("waiting for the processes of an earlier run to stop")
            earlier.end(_LEFTOVERS_STOP)
        state.prepare()
        try:
            yield state
        finally:
            state.clear_run()
