"""Who can come to the gate to Lichess in a test? (Rivals in processes of their own, around one Redis.)"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import redis

from dev.binaries import find_binaries
from tests.integration.forks import PROCESSES
from workers import broker
from workers.ingestion.lock import Gate, GateBusyError

TTL_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 0.3
RATE_LIMIT_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 120.0
LOCK_KEY: Final = "scoresheet:lichess:lock"


class WithoutKernelLock(Gate):
    """The mutation: Redis alone keeps the rivals apart."""

    @contextmanager
    def _kernel_lock(self, give_up_at: float) -> Iterator[str]:
        assert give_up_at
        yield ""


def make_gate(
    url: str,
    folder: Path,
    kind: type[Gate] = Gate,
    *,
    boot_id: str = "boot",
    ttl: float = TTL_SECONDS,
    stopping: Callable[[], bool] = lambda: False,
) -> Gate:
    # A Redis that is dead refuses at once; one on a busy disk is slow to confirm what it writes.
    client = broker.connect(url, timeout_seconds=5)
    return kind(
        client,
        folder,
        boot_id,
        ttl_seconds=ttl,
        heartbeat_seconds=HEARTBEAT_SECONDS,
        rate_limit_seconds=RATE_LIMIT_SECONDS,
        stopping=stopping,
    )


def rival(url: str, folder: str, *, mutant: bool, wait: float, hold: float, turns: int, ttl: float) -> None:
    """Take turns at the gate and write them down (runs in a process of its own).

    A turn that fails for want of Redis is tried again. All end when the arena is closed to newcomers.
    """
    gate = make_gate(url, Path(folder), WithoutKernelLock if mutant else Gate, ttl=ttl)

    def note(event: str, **more: Any) -> None:
        record = {"pid": os.getpid(), "event": event, "at": time.monotonic(), **more}
        with (Path(folder) / "journal").open("a") as journal:
            journal.write(json.dumps(record) + "\n")

    note("comes")
    while turns and not (Path(folder) / "closed").exists():
        try:
            with gate.hold(wait_seconds=wait, deadline_seconds=PATIENCE_SECONDS) as turn:
                note("in", fence=turn.fence)
                turn.cutoff.wait(hold)
                note("out", reason=turn.cutoff.reason)
            turns -= 1
        except GateBusyError:
            note("busy")
            turns -= 1
        except redis.RedisError:
            note("redis")
            time.sleep(0.05)


@dataclass(frozen=True)
class Turn:
    """How long one process held the gate; `end` is infinite if it never said."""

    pid: int
    fence: int
    start: float
    end: float
    reason: str | None


class Arena:
    """A Redis and rivals that share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"redis+socket://{folder}/redis.sock?virtual_host=0"
        self.client = broker.connect(self.url, timeout_seconds=5)
        self._redis: subprocess.Popen[bytes] | None = None
        self._rivals: list[BaseProcess] = []

    def start_redis(self) -> None:
        binary = find_binaries().redis
        options = {
            "port": "0",
            "unixsocket": str(self.folder / "redis.sock"),
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "logfile": str(self.folder / "redis.log"),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._redis = subprocess.Popen(
            [binary.path, *arguments], env={**os.environ, **binary.environment}, cwd=self.folder
        )
        wait_for(self._answers)

    def kill_redis(self) -> None:
        assert self._redis is not None
        self._redis.kill()
        self._redis.wait()

    def start_rival(
        self,
        *,
        mutant: bool = False,
        wait: float = PATIENCE_SECONDS,
        hold: float = 0.0,
        turns: int = 1,
        ttl: float = TTL_SECONDS,
    ) -> BaseProcess:
        options = {"mutant": mutant, "wait": wait, "hold": hold, "turns": turns, "ttl": ttl}
        process = PROCESSES.Process(target=rival, args=(self.url, str(self.folder)), kwargs=options)
        process.start()
        self._rivals.append(process)
        return process

    def events(self, event: str, process: BaseProcess | None = None) -> list[dict[str, Any]]:
        path = self.folder / "journal"
        records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            record
            for record in records
            if record["event"] == event and (process is None or record["pid"] == process.pid)
        ]

    def wait_until(self, event: str, process: BaseProcess) -> None:
        def happened() -> bool:
            ended = not process.is_alive()  # asked first: what it wrote before its end is there
            found = bool(self.events(event, process))
            assert found or not ended, f"a rival ended with {process.exitcode} before {event!r}"
            return found

        wait_for(happened)

    def turns(self) -> list[Turn]:
        """Return all turns in the order in which they began."""
        outs = self.events("out")
        turns = []
        for record in self.events("in"):
            end = next(
                (out for out in outs if out["pid"] == record["pid"] and out["at"] >= record["at"]), None
            )
            turns.append(
                Turn(
                    pid=record["pid"],
                    fence=record["fence"],
                    start=record["at"],
                    end=float("inf") if end is None else end["at"],
                    reason=None if end is None else end["reason"],
                )
            )
        return sorted(turns, key=lambda turn: turn.start)

    def overlaps(self, killed: dict[int, float] | None = None) -> list[tuple[Turn, Turn]]:
        """Return the turns that began before another had ended; a killed process held until it was."""
        turns = self.turns()
        return [
            (earlier, later)
            for number, earlier in enumerate(turns)
            for later in turns[number + 1 :]
            if later.start < min(earlier.end, (killed or {}).get(earlier.pid, float("inf")))
        ]

    def close(self) -> None:
        for process in self._rivals:
            process.kill()
            process.join()
        self.kill_redis()
        self.client.close()

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def end_of(process: BaseProcess) -> int | None:
    process.join(PATIENCE_SECONDS)
    return process.exitcode


def send_signal(process: BaseProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)
