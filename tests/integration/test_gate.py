"""Is there never more than one who may ask Lichess, whatever happens to Redis and to whoever asks?

The rivals are processes of their own. Each writes down from when to when it held the gate, by the clock
that all processes of a machine share. Some tests run a second time without the kernel's lock: then they
must find two holders at once, or they would prove nothing.
"""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from dev.binaries import find_binaries
from tests.integration.forks import PROCESSES
from workers import broker
from workers.ingestion.cutoff import CutReason
from workers.ingestion.lock import Gate, GateBusyError, GateClosedError
from workers.ingestion.silence import Silence

TTL_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 0.3
PATIENCE_SECONDS: Final = 120.0
LOCK_KEY: Final = "scoresheet:lichess:lock"
_POLLS_SECONDS: Final = 0.5
"""Some looks at a gate: long enough to be let in, if that could happen."""


class WithoutKernelLock(Gate):
    """The mutation: Redis alone keeps the rivals apart."""

    @contextmanager
    def _kernel_lock(self, give_up_at: float) -> Iterator[None]:
        assert give_up_at
        yield


def make_gate(
    url: str,
    folder: Path,
    kind: type[Gate] = Gate,
    *,
    ttl: float = TTL_SECONDS,
    stopping: Callable[[], bool] = lambda: False,
) -> Gate:
    # A Redis that is dead refuses at once; one on a busy disk is slow to confirm what it writes.
    client = broker.connect(url, timeout_seconds=5)
    return kind(
        client, folder, "boot", ttl_seconds=ttl, heartbeat_seconds=HEARTBEAT_SECONDS, stopping=stopping
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


@pytest.fixture
def arena() -> Iterator[Arena]:
    """Run a Redis in a folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="gate-"))
    arena = Arena(folder)
    arena.start_redis()
    try:
        yield arena
    finally:
        arena.close()
        shutil.rmtree(folder)


def hold(arena: Arena, *, wait: float = 0.0, deadline: float = PATIENCE_SECONDS, **options: Any) -> Any:
    return make_gate(arena.url, arena.folder, **options).hold(wait_seconds=wait, deadline_seconds=deadline)


def test_rivals_take_turns_and_each_fence_is_larger(arena: Arena) -> None:
    rivals = [arena.start_rival(hold=0.01, turns=5) for _ in range(4)]
    for process in rivals:
        assert end_of(process) == 0
    turns = arena.turns()
    assert len(turns) == 20
    assert arena.overlaps() == []
    fences = [turn.fence for turn in turns]
    assert fences == sorted(set(fences))
    assert not arena.client.exists(LOCK_KEY)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(False, id="kernel-lock"),
        pytest.param(True, id="without-kernel-lock", marks=pytest.mark.mutation("kernel lock of the gate")),
    ],
)
def test_a_holder_stopped_for_longer_than_the_ttl_keeps_rivals_out(arena: Arena, *, mutant: bool) -> None:
    # A TTL that a busy machine does not use up before the holder is stopped.
    holder = arena.start_rival(mutant=mutant, hold=PATIENCE_SECONDS, ttl=3.0)
    arena.wait_until("in", holder)
    send_signal(holder, signal.SIGSTOP)
    assert not arena.events("out", holder)
    wait_for(lambda: not arena.client.exists(LOCK_KEY))
    impatient = arena.start_rival(mutant=mutant, wait=_POLLS_SECONDS)
    assert end_of(impatient) == 0
    patient = arena.start_rival(mutant=mutant)
    arena.wait_until("comes", patient)
    send_signal(holder, signal.SIGCONT)
    arena.wait_until("out", holder)
    arena.wait_until("out", patient)
    assert arena.turns()[0].reason == CutReason.LOCK_LOST
    if mutant:
        assert arena.overlaps() != []
    else:
        assert arena.overlaps() == []
        assert arena.events("busy", impatient)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(False, id="kernel-lock"),
        pytest.param(True, id="without-kernel-lock", marks=pytest.mark.mutation("kernel lock of the gate")),
    ],
)
def test_a_holder_whose_lock_is_flushed_away_lets_go_before_a_rival_comes(
    arena: Arena, *, mutant: bool
) -> None:
    holder = arena.start_rival(mutant=mutant, hold=PATIENCE_SECONDS, ttl=2 * PATIENCE_SECONDS)
    arena.wait_until("in", holder)
    follower = arena.start_rival(mutant=mutant)
    arena.wait_until("comes", follower)
    # Stopped, so that the mutation can't be saved by a heartbeat that comes just in time.
    send_signal(holder, signal.SIGSTOP)
    arena.client.flushall()
    if mutant:
        arena.wait_until("in", follower)
    send_signal(holder, signal.SIGCONT)
    arena.wait_until("out", follower)
    arena.wait_until("out", holder)
    assert arena.turns()[0].reason == CutReason.LOCK_LOST
    assert bool(arena.overlaps()) is mutant


def test_a_lost_fence_counter_goes_on_from_where_it_is_told_to(arena: Arena) -> None:
    gate = make_gate(arena.url, arena.folder)
    gate.raise_fence(41)
    with hold(arena) as turn:
        assert turn.fence == 42
    gate.raise_fence(7)
    with hold(arena) as turn:
        assert turn.fence == 43


def test_redis_killed_and_started_again_lets_in_one_at_a_time(arena: Arena) -> None:
    rivals = [arena.start_rival(hold=0.02, turns=10**6) for _ in range(3)]
    for _ in range(3):
        before = len(arena.turns())
        wait_for(lambda before=before: len(arena.turns()) > before + 3)  # type: ignore[misc]
        arena.kill_redis()
        arena.start_redis()
    (arena.folder / "closed").touch()
    for process in rivals:
        assert end_of(process) == 0
    assert arena.overlaps() == []
    fences = [turn.fence for turn in arena.turns()]
    assert fences == sorted(set(fences))


def test_a_holder_that_can_not_reach_redis_lets_go(arena: Arena) -> None:
    with hold(arena) as turn:
        arena.kill_redis()
        assert turn.cutoff.wait(PATIENCE_SECONDS)
        assert turn.cutoff.reason is CutReason.LOCK_LOST
    arena.start_redis()


def test_nobody_is_let_in_without_redis(arena: Arena) -> None:
    arena.kill_redis()
    with pytest.raises(redis.ConnectionError), hold(arena):
        pass
    arena.start_redis()


def test_a_back_off_that_a_full_disk_does_not_take_does_not_keep_the_run_from_being_reported(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Silence, "keep", full)
        make_gate(arena.url, arena.folder).close_for(60)
    with hold(arena) as turn:
        assert turn.fence == 1


def test_after_a_holder_was_killed_the_next_comes_in(arena: Arena) -> None:
    holder = arena.start_rival(hold=PATIENCE_SECONDS)
    arena.wait_until("in", holder)
    follower = arena.start_rival()
    arena.wait_until("comes", follower)
    assert holder.pid is not None
    killed = {holder.pid: time.monotonic()}
    holder.kill()
    assert end_of(follower) == 0
    assert arena.events("out", follower)
    assert arena.overlaps(killed) == []


def test_a_busy_gate_is_left_alone(arena: Arena) -> None:
    with hold(arena), pytest.raises(GateBusyError), hold(arena):
        pass


def test_a_gate_held_on_another_host_is_left_alone(arena: Arena) -> None:
    arena.client.set(LOCK_KEY, "of another host", px=60_000)
    with pytest.raises(GateBusyError), hold(arena):
        pass


def test_only_its_owner_releases_a_lock(arena: Arena) -> None:
    with hold(arena) as turn:
        arena.client.set(LOCK_KEY, "of another host", px=60_000)
        assert turn.cutoff.wait(PATIENCE_SECONDS)
        assert turn.cutoff.reason is CutReason.LOCK_LOST
    assert arena.client.get(LOCK_KEY) == b"of another host"


@pytest.mark.smoke
def test_a_heartbeat_extends_the_lock(arena: Arena) -> None:
    def remaining_ms() -> int:
        remaining = arena.client.pttl(LOCK_KEY)
        assert isinstance(remaining, int)
        return remaining

    with hold(arena, ttl=2 * PATIENCE_SECONDS) as turn:
        least = remaining_ms()

        def extended() -> bool:
            nonlocal least
            now = remaining_ms()
            least = min(least, now)
            return now > least

        wait_for(extended)
        turn.cutoff.check()


def test_a_stop_and_a_deadline_end_a_turn(arena: Arena) -> None:
    with hold(arena, stopping=lambda: True) as turn:
        assert turn.cutoff.wait(PATIENCE_SECONDS)
        assert turn.cutoff.reason is CutReason.STOPPING
    with hold(arena, deadline=0.1) as turn:
        assert turn.cutoff.wait(PATIENCE_SECONDS)
        assert turn.cutoff.reason is CutReason.DEADLINE


def test_a_back_off_keeps_everybody_out_across_restarts_and_is_never_shortened(arena: Arena) -> None:
    gate = make_gate(arena.url, arena.folder)
    gate.close_for(60)
    gate.close_for(5)
    gate.close_for(-1)
    arena.client.flushall()
    with pytest.raises(GateClosedError) as caught, hold(arena):
        pass
    assert 5 < caught.value.seconds <= 60


def test_a_back_off_that_is_over_lets_in_again(arena: Arena) -> None:
    make_gate(arena.url, arena.folder).close_for(0.05)

    def let_in() -> bool:
        try:
            with hold(arena):
                return True
        except GateClosedError:
            return False

    wait_for(let_in)
