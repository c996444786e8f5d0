"""How does a program behave under systemd? A stand-in that starts it so, and hears its notices."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_LIMIT_SECONDS: Final = 60
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")
# Puts the sockets where systemd would, and becomes the program under the same process id.
_LAUNCH: Final = """
import fcntl, os, sys
descriptors = [int(number) for number in sys.argv[1].split(",")]
out_of_the_way = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100) for descriptor in descriptors]
for place, descriptor in enumerate(out_of_the_way, start=3):
    os.dup2(descriptor, place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(descriptors)))
os.execv(sys.argv[2], sys.argv[2:])
"""


class NotifiedProcess:
    """A running unit. Leaving the block kills it."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        watchdog_seconds: float | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """Start it with these variables alone, and a few of the test's that say where programs are."""
        folder.mkdir(parents=True, exist_ok=True)
        self._heard: list[tuple[float, str]] = []
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = folder / "notify"
        address.unlink(missing_ok=True)
        self._systemd.bind(str(address))
        variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
        variables |= {**environment, "NOTIFY_SOCKET": str(address)}
        if watchdog_seconds is not None:
            variables["WATCHDOG_USEC"] = str(round(watchdog_seconds * 1e6))
        self.log_path = folder / "log"
        descriptors = [listener.fileno() for listener in sockets]
        launcher = [sys.executable, "-c", _LAUNCH, ",".join(map(str, descriptors))]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*(launcher if sockets else []), *command],
                env=variables,
                stderr=log,
                pass_fds=descriptors,
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, name="systemd", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(_LIMIT_SECONDS)
        self.finish()
        self._systemd.close()

    def finish(self) -> list[str]:
        """Hear what is left to hear; return all that was said."""
        if self._listener.is_alive():
            # An empty message ends the listener: closing a socket wakes nobody who reads it.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", self._systemd.getsockname())
            self._listener.join(_LIMIT_SECONDS)
        return self.messages

    @property
    def children(self) -> list[int]:
        """The process ids of its children, the oldest first."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    @property
    def messages(self) -> list[str]:
        """Everything that it has said, one assignment each."""
        return [line for _, message in list(self._heard) for line in message.split("\n")]

    @property
    def ready(self) -> bool:
        """Whether it has said READY."""
        return "READY=1" in self.messages

    @property
    def status(self) -> str:
        """Its last line."""
        lines = [line.removeprefix("STATUS=") for line in self.messages if line.startswith("STATUS=")]
        return lines[-1] if lines else ""

    @property
    def fed(self) -> int:
        """How often the watchdog was fed."""
        return self.messages.count("WATCHDOG=1")

    @property
    def log(self) -> str:
        """What it wrote to its log."""
        return self.log_path.read_text(errors="replace")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition while the process lives; fail with what it said if it does not come about."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not condition():
            story = "\n".join([*self.messages[-12:], self.log[-3_000:]])
            assert self.process.poll() is None, f"ended before {what}: {story}"
            assert time.monotonic() < deadline, f"in vain: {what}\n{story}"
            time.sleep(0.02)

    def wait_ready(self) -> None:
        """Wait for READY."""
        self.wait_until(lambda: self.ready, "READY")

    def wait_said(self, times: int, beginning: str) -> None:
        """Wait until it has said something that begins so, some more times."""

        def count() -> int:
            return sum(line.startswith(beginning) for line in self.messages)

        enough = count() + times
        self.wait_until(lambda: count() >= enough, beginning)

    def wait_fed(self, times: int = 2) -> None:
        """Wait until the watchdog was fed some more times."""
        self.wait_said(times, "WATCHDOG=1")

    def wait_status(self, part: str) -> None:
        """Wait for a status with these words in it."""
        self.wait_until(lambda: part in self.status, f"a status with {part!r}")

    def stop(self) -> int:
        """Stop it as systemd does; return its exit status (-15 counts as clean there)."""
        self.process.terminate()
        return self.process.wait(_LIMIT_SECONDS)

    def _listen(self) -> None:
        while message := self._systemd.recv(8_192):
            self._heard.append((time.monotonic(), message.decode()))
