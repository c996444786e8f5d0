"""Is a request remembered whose status nobody lived to read?"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from celery.exceptions import SoftTimeLimitExceeded

from tests.unit.workers.ingestion.test_producer import World, lines
from workers.ingestion.cutoff import CutReason
from workers.ingestion.in_flight import InFlight


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lichess.request"


@pytest.fixture
def world() -> World:
    return World()


def failing(error: Exception) -> Callable[[], httpx.Response]:
    """Answer with an error of the connection."""

    def fail() -> httpx.Response:
        raise error

    return fail


def test_nothing_is_under_way_at_first(path: Path) -> None:
    assert not InFlight(path).is_open


def test_a_request_is_under_way_until_it_is_answered_whoever_asks(path: Path) -> None:
    for _ in range(2):
        InFlight(path).sent()
        assert InFlight(path).is_open
        InFlight(path).answered()
        assert not InFlight(path).is_open


def test_what_is_noted_is_on_disk_before_anything_is_sent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def note_sync(descriptor: int) -> None:
        synced.append(path.read_bytes() if path.exists() else b"")
        sync(descriptor)

    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", note_sync)
    InFlight(path).sent()
    assert synced == [b"sent    \n"]


def test_a_disk_that_is_full_takes_the_next_notes_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_in_place(descriptor: int, data: bytes, offset: int) -> int:
        if offset + len(data) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(descriptor, data, offset)

    write = os.pwrite
    InFlight(path).sent()
    monkeypatch.setattr(os, "pwrite", write_in_place)
    InFlight(path).answered()
    InFlight(path).sent()
    assert InFlight(path).is_open


def test_the_status_is_known_before_the_first_line_is_read(world: World) -> None:
    class Killed(Exception):
        """Ends the run wherever it stands."""

    with pytest.raises(Killed):
        world.fetch(Killed())
    assert world.gate.events == ["sent", "known"]


def test_a_429_closes_the_gate_before_it_counts_as_read(world: World) -> None:
    world.fetch(response=httpx.Response(429))
    assert world.gate.events == ["sent", "closed", "known"]


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_status_that_is_no_429_is_known(world: World, status: int) -> None:
    world.fetch(response=httpx.Response(status))
    assert world.gate.events == ["sent", "known"]


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadError("reset")])
def test_a_request_that_failed_by_itself_is_over(world: World, error: Exception) -> None:
    world.fetch(response=failing(error))
    assert world.gate.events == ["sent", "known"]


@pytest.mark.parametrize("reason", CutReason)
def test_a_request_that_we_cut_before_its_status_came_stays_open(world: World, reason: CutReason) -> None:
    def cut() -> httpx.Response:
        world.gate.cutoff.pull(reason)
        raise httpx.ReadError("the socket is shut")

    world.fetch(response=cut)
    assert world.gate.events == ["sent"]


def test_a_request_whose_task_ran_out_of_time_stays_open(world: World) -> None:
    world.fetch(response=failing(SoftTimeLimitExceeded()))
    assert world.gate.events == ["sent"]


def test_a_request_that_was_cut_before_it_was_sent_is_none(world: World) -> None:
    world.gate.cutoff.pull(CutReason.STOPPING)
    world.fetch(lines(1))
    assert world.gate.events == []
    assert world.requests == 0
