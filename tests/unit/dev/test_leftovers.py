"""Are only our own left-over processes taken for ours?"""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dev.leftovers import SessionRecord


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_session_is_found_by_its_record(leader: subprocess.Popen[bytes], tmp_path: Path) -> None:
    record = SessionRecord.of(leader.pid)
    record.write(tmp_path / "session.json")
    assert SessionRecord.read(tmp_path / "session.json") == record
    assert record.members() == [leader.pid]


def test_a_pid_given_to_another_process_since_is_not_ours(leader: subprocess.Popen[bytes]) -> None:
    record = SessionRecord.of(leader.pid)
    assert replace(record, start_ticks=record.start_ticks - 1).members() == []


def test_a_record_of_an_earlier_boot_has_no_members(leader: subprocess.Popen[bytes]) -> None:
    assert replace(SessionRecord.of(leader.pid), boot="another").members() == []


def test_what_does_not_stop_is_killed(leader: subprocess.Popen[bytes]) -> None:
    assert SessionRecord.of(leader.pid).end(timedelta()) == [leader.pid]
    assert leader.wait() == -9


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]"])
def test_a_record_cut_short_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "session.json"
    path.write_text(text)
    assert SessionRecord.read(path) is None
