"""Is there never more than one who may ask Lichess, whatever happens to Redis and to whoever asks?

The rivals are processes of their own. Each writes down from when to when it held the gate, by the clock
that all processes of a machine share. Some tests run a second time without the kernel's lock: then they
must find two holders at once, or they would prove nothing.
"""

import errno
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from tests.integration.arena import (
    LOCK_KEY,
    PATIENCE_SECONDS,
    Arena,
    end_of,
    make_gate,
    send_signal,
    wait_for,
)
from workers.ingestion.cutoff import CutReason
from workers.ingestion.lock import GateBusyError, GateClosedError
from workers.ingestion.silence import Silence
from workers.settings import UNKNOWN_BOOT

_POLLS_SECONDS: Final = 0.5
"""Some looks at a gate: long enough to be let in, if that could happen."""


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


def test_after_a_holder_was_killed_the_next_comes_in_although_its_lock_is_still_there(arena: Arena) -> None:
    # A lock that nobody here could wait for.
    holder = arena.start_rival(hold=PATIENCE_SECONDS, ttl=10 * PATIENCE_SECONDS)
    arena.wait_until("in", holder)
    follower = arena.start_rival(ttl=10 * PATIENCE_SECONDS)
    arena.wait_until("comes", follower)
    assert holder.pid is not None
    killed = {holder.pid: time.monotonic()}
    holder.kill()
    assert end_of(follower) == 0
    first, second = arena.turns()
    assert second.reason is None
    assert second.fence > first.fence
    assert arena.overlaps(killed) == []
    assert not arena.client.exists(LOCK_KEY)


@pytest.mark.parametrize("other", ["host", "boot", "file", "no boot"])
def test_only_a_lock_of_this_host_and_boot_and_lock_file_is_taken_over(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    boot_id = UNKNOWN_BOOT if other == "no boot" else "boot"
    with hold(arena, boot_id=boot_id):
        left_behind = arena.client.get(LOCK_KEY)
    assert isinstance(left_behind, bytes)
    arena.client.set(LOCK_KEY, left_behind, px=60_000)
    if other == "host":
        this = os.uname()
        monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "another", *this[2:])))
    elif other == "boot":
        boot_id = "another"
    elif other == "file":
        # Made anew: whoever holds the one before does not hold this one.
        before = arena.folder / "lichess.lock"
        before.rename(arena.folder / "deleted.lock")
    with pytest.raises(GateBusyError), hold(arena, boot_id=boot_id):
        pass
    assert arena.client.get(LOCK_KEY) == left_behind


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


def test_a_request_whose_status_nobody_read_closes_the_gate_as_a_429_does(arena: Arena) -> None:
    gate = make_gate(arena.url, arena.folder)
    with gate.hold(wait_seconds=0, deadline_seconds=PATIENCE_SECONDS):
        gate.request_sent()  # and here its producer is killed
    for _ in range(2):
        with pytest.raises(GateClosedError), hold(arena):
            pass
    # When that silence is over, nothing is owed any more.
    (arena.folder / "lichess.silence").unlink()
    with hold(arena):
        pass


def test_a_request_whose_status_was_read_costs_its_successor_nothing(arena: Arena) -> None:
    gate = make_gate(arena.url, arena.folder)
    with hold(arena):
        gate.request_sent()
        gate.status_known()
    with hold(arena):
        pass


def test_a_disk_that_does_not_take_the_silence_keeps_the_gate_closed(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    make_gate(arena.url, arena.folder).request_sent()
    with monkeypatch.context() as patch:
        patch.setattr(Silence, "keep", full)
        for _ in range(2):
            with pytest.raises(GateClosedError), hold(arena):
                pass
    with pytest.raises(GateClosedError), hold(arena):
        pass
