"""Is the time of a file of tests counted with that of all its processes, and is nothing left behind?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.paths import CHECKOUT
from tests import timings
from tests.timings import Rusage, Spent, table

_BURNT_SECONDS = 0.3
_BURN = f"import time\nwhile time.process_time() < {_BURNT_SECONDS}: pass"
_WORKING = (
    f"import subprocess, sys\ndef test_works(): subprocess.run([sys.executable, '-c', {_BURN!r}], check=True)"
)
_IDLE = "def test_one(): pass\ndef test_two(): pass"


@pytest.mark.parametrize("processes", ["0", "2"])
def test_every_file_has_its_row_whichever_process_ran_it(processes: str, tmp_path: Path) -> None:
    (tmp_path / "test_working.py").write_text(_WORKING)
    (tmp_path / "test_idle.py").write_text(_IDLE)
    report = tmp_path / "reports/table"
    left_before = _groups_left()
    options = ["-p", "tests.timings", f"--timings={report}", "-n", processes, "--dist", "loadfile"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, *options, tmp_path],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = report.read_text().splitlines()
    rows = {line.split()[-1]: line.split() for line in lines[1:]}
    assert lines[-1].split()[-1] == "total"
    assert {name: row[0] for name, row in rows.items()} == {
        "test_working.py": "1",
        "test_idle.py": "2",
        "total": "3",
    }
    assert float(rows["test_working.py"][2]) >= _BURNT_SECONDS
    assert lines[-1] in done.stdout
    assert _groups_left() <= left_before


def test_whoever_is_started_while_the_group_closes_is_sent_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[subprocess.Popen[bytes]] = []
    enter = timings._enter

    def start_another_first(group: Path, pid: int) -> None:
        if not late:
            late.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        enter(group, pid)

    meter = timings._meter()  # where no group can be made, it leaves nothing anyway
    monkeypatch.setattr(timings, "_enter", start_another_first)
    try:
        meter.close()
        assert f"scoresheet-timings-{os.getpid()}" not in {group.name for group in _groups()}
    finally:
        for process in late:
            process.communicate(b"\n")


def test_the_longest_comes_first_and_the_total_last() -> None:
    lines = table({"short": Spent(2, 1, 0.5), "long": Spent(1, 4, 6)})
    assert [line.split() for line in lines[1:]] == [
        ["1", "4.0", "6.0", "0.0", "long"],
        ["2", "1.0", "0.5", "0.5", "short"],
        ["3", "5.0", "6.5", "0.0", "total"],
    ]


def test_the_groups_of_this_process_are_found_of_either_kind(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("4:cpu,cpuacct:/user\n1:memory:/else\n0::/slice/unit\n")
    groups = [tmp_path / "cpu,cpuacct/user", tmp_path / "slice/unit"]
    assert list(timings._present_groups(tmp_path / "self", tmp_path)) == groups


def test_where_no_group_can_be_made_the_children_that_ended_are_counted(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("0::/slice/unit\n")
    meter = timings._meter(tmp_path / "self", tmp_path)
    assert isinstance(meter, Rusage)
    before = meter.seconds()
    subprocess.run([sys.executable, "-c", _BURN], check=True)
    assert meter.seconds() - before >= _BURNT_SECONDS
    meter.close()


def _groups() -> set[Path]:
    """Return the groups that were made beneath ours."""
    present = timings._present_groups(timings._MEMBERSHIP, timings._CGROUPS)
    return {group for parent in present for group in parent.glob("scoresheet-timings-*")}


def _groups_left() -> set[Path]:
    """Return those whose process has ended; a run that is killed leaves its own."""
    return {group for group in _groups() if not Path("/proc", group.name.rpartition("-")[2]).exists()}
