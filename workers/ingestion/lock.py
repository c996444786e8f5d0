"""Who may ask Lichess now? (One request at a time, over all processes and hosts.)

Two locks, one in the other. The kernel's `flock` on a file of this host is released by the end of its
process and by nothing else, so no process here can follow one that is merely stopped or slow. The Redis
lock inside it keeps other hosts out; it lapses when its holder's heartbeat stays away. Its holder then
shuts its own connection to Lichess. A holder on another host that is stopped for longer than the TTL is
the one case that no lock with a time limit excludes; there the API's fence refuses what it reports.

A Redis lock says under which kernel's lock it was taken. Whoever holds that one now knows its holder to be
dead, and takes it over without waiting until it lapses.
"""

import contextlib
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import redis
import structlog

from workers.ingestion.cutoff import CutOff, CutReason
from workers.ingestion.in_flight import InFlight
from workers.ingestion.silence import Silence
from workers.progress import board
from workers.settings import UNKNOWN_BOOT

_LOG = structlog.get_logger(__name__)

_LOCK_KEY: Final = "scoresheet:lichess:lock"
_FENCE_KEY: Final = "scoresheet:lichess:fence"

# One script, so that no two holders can ever have the same fence, and no holder a fence of before.
# Takes over what was left behind under our own kernel lock, whose name begins the token unless it is empty.
# Answers the new fence, 0 if the lock is taken.
_ACQUIRE: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and (ARGV[3] == '' or string.sub(holder, 1, #ARGV[3]) ~= ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])
"""
_EXTEND: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
_RAISE: Final = """
local fence = tonumber(redis.call('GET', KEYS[1]) or '0')
if fence < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 0
"""

_POLL_SECONDS: Final = 0.2
"""How soon a freed lock, a stop or a deadline is noticed."""
_FAILURES_UNTIL_LOST: Final = 2


class GateBusyError(Exception):
    """Somebody else asks Lichess, and went on for longer than we waited."""


class GateClosedError(Exception):
    """Lichess must not be asked now: it said 429 a while ago, or may have."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"closed for another {seconds:.0f} s")
        self.seconds = seconds


class Gate:
    """The one way to Lichess. `stopping` tells whether this process should end soon.

    `boot_id` tells this boot of the host from others.
    """

    def __init__(
        self,
        client: redis.Redis,
        state_dir: Path,
        boot_id: str,
        *,
        ttl_seconds: float,
        heartbeat_seconds: float,
        rate_limit_seconds: float,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._boot_id = boot_id
        self._lock_file = state_dir / "lichess.lock"
        self._silence = Silence(state_dir / "lichess.silence", boot_id)
        self._in_flight = InFlight(state_dir / "lichess.request")
        self._rate_limit_seconds = rate_limit_seconds
        self._ttl_ms = round(ttl_seconds * 1_000)
        self._heartbeat_seconds = heartbeat_seconds
        self._stopping = stopping
        self._acquire = client.register_script(_ACQUIRE)
        self._extend = client.register_script(_EXTEND)
        self._release = client.register_script(_RELEASE)

    @contextlib.contextmanager
    def hold(self, *, wait_seconds: float, deadline_seconds: float) -> Iterator["Hold"]:
        """Be the only one who asks Lichess within this block, for `deadline_seconds` at most.

        Raises GateBusyError after `wait_seconds`, GateClosedError while a back-off runs, RedisError.
        """
        give_up_at = time.monotonic() + wait_seconds
        with self._kernel_lock(give_up_at) as name:
            self._suspect_429()
            if seconds := self._silence.seconds_left():
                raise GateClosedError(seconds)
            token = name + secrets.token_hex(16)
            lease_until, fence = self._redis_lock(token, name, give_up_at)
            hold = Hold(fence, CutOff(lease_until), time.monotonic() + deadline_seconds)
            try:
                with _Watch(hold, self._heartbeat_seconds, lambda: self._extended(token), self._stopping):
                    yield hold
            finally:
                self._free(token)

    def raise_fence(self, floor: int) -> None:
        """Make the next fence larger than `floor`: the counter was lost with Redis's data."""
        self._client.eval(_RAISE, 1, _FENCE_KEY, str(floor))

    def close_for(self, seconds: float) -> None:
        """Let nobody of this host in for so long; for whoever holds the gate.

        Where the disk is full, say, the API, which knows of the back-off too, turns the next claim down.
        """
        try:
            self._silence.keep(seconds)
        except OSError as error:
            _LOG.warning("gate_not_closed", error=str(error))

    def request_sent(self) -> None:
        """Note that a request is about to be sent; for whoever holds the gate."""
        try:
            self._in_flight.sent()
        except OSError as error:
            _LOG.warning("request_not_noted", error=str(error))

    def status_known(self) -> None:
        """Note that what was answered to the request, if anything, has been heeded."""
        try:
            self._in_flight.answered()
        except OSError as error:
            _LOG.warning("request_not_noted", error=str(error))

    def _suspect_429(self) -> None:
        """Keep the silence of a 429 where nobody read the last request's status; raises GateClosedError."""
        if not self._in_flight.is_open:
            return
        _LOG.warning("last_status_unknown", silence_seconds=self._rate_limit_seconds)
        try:
            # From now: nothing tells when it was answered.
            self._silence.keep(self._rate_limit_seconds)
        except OSError as error:
            _LOG.warning("gate_not_closed", error=str(error))
            raise GateClosedError(self._rate_limit_seconds) from error
        self.status_known()

    @contextlib.contextmanager
    def _kernel_lock(self, give_up_at: float) -> Iterator[str]:
        """Hold the kernel's lock within the block, which gets its name; raises GateBusyError."""
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _flocked(descriptor):
                self._wait(give_up_at)
            yield _name(descriptor, self._boot_id)
        finally:
            os.close(descriptor)

    def _redis_lock(self, token: str, name: str, give_up_at: float) -> tuple[float, int]:
        while True:
            # The lease counts from before the command was sent: Redis's own time starts later.
            lease_until = time.monotonic() + self._ttl_ms / 1_000
            try:
                fence = int(self._acquire(keys=[_LOCK_KEY, _FENCE_KEY], args=[token, self._ttl_ms, name]))
            except redis.RedisError:
                self._free(token)  # it may have been granted, and only the answer lost
                raise
            if fence:
                return lease_until, fence
            self._wait(give_up_at)

    def _wait(self, give_up_at: float) -> None:
        if self._stopping() or time.monotonic() >= give_up_at:
            raise GateBusyError("somebody else is asking Lichess")
        board.advance()
        time.sleep(_POLL_SECONDS)

    def _extended(self, token: str) -> float | None:
        """Return the new end of the lease, or None if the lock is not ours any more; raises RedisError."""
        lease_until = time.monotonic() + self._ttl_ms / 1_000
        return lease_until if self._extend(keys=[_LOCK_KEY], args=[token, self._ttl_ms]) else None

    def _free(self, token: str) -> None:
        try:
            self._release(keys=[_LOCK_KEY], args=[token])
        except redis.RedisError as error:
            _LOG.warning("gate_not_released", error=str(error))  # lapses by itself after the TTL


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(descriptor: int, boot_id: str) -> str:
    """Return what tells a lock file from those of all other hosts, boots and paths; empty if nothing does.

    The file counts, not its path: one that was deleted and made anew is another lock, which excludes nobody
    who holds the one before. Containers of one host share its boot, so the host's name belongs here too.
    """
    if boot_id == UNKNOWN_BOOT:
        return ""
    file = os.fstat(descriptor)
    return f"{os.uname().nodename} {boot_id} {file.st_dev:x}:{file.st_ino} "


class Hold:
    """A turn at the gate."""

    def __init__(self, fence: int, cutoff: CutOff, deadline: float) -> None:
        self.fence = fence
        """Larger than that of every turn before, as far as Redis remembers."""
        self.cutoff = cutoff
        """Ends the request when the turn ends before it."""
        self.deadline = deadline


class _Watch:
    """Keeps the lock alive, from a thread; cuts the request off when it can't, must stop, or is late."""

    def __init__(
        self,
        hold: Hold,
        heartbeat_seconds: float,
        extend: Callable[[], float | None],
        stopping: Callable[[], bool],
    ) -> None:
        self._hold = hold
        self._heartbeat_seconds = heartbeat_seconds
        self._extend = extend
        self._stopping = stopping
        self._done = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="gate-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        next_beat = time.monotonic() + self._heartbeat_seconds
        while not self._done.wait(min(_POLL_SECONDS, self._heartbeat_seconds)):
            now = time.monotonic()
            reason = None
            if now >= next_beat:
                next_beat = now + self._heartbeat_seconds
                reason = self._beat()
            elif self._stopping():
                reason = CutReason.STOPPING
            elif now >= self._hold.deadline:
                reason = CutReason.DEADLINE
            reason = reason or self._hold.cutoff.reason  # the lease may have run out meanwhile
            if reason is not None:
                self._hold.cutoff.pull(reason)
                _LOG.warning("request_cut_off", reason=reason.value)
                return

    def _beat(self) -> CutReason | None:
        try:
            lease_until = self._extend()
        except redis.RedisError as error:
            self._failures += 1
            _LOG.warning("heartbeat_failed", failures=self._failures, error=str(error))
            return CutReason.LOCK_LOST if self._failures >= _FAILURES_UNTIL_LOST else None
        self._failures = 0
        if lease_until is None:
            return CutReason.LOCK_LOST
        self._hold.cutoff.extend_lease(lease_until)
        return None
