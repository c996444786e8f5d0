"""Are lines counted in processes that end abruptly, and is a line found that ran before and runs no more?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from coverage import CoverageData

from dev.coverage import Lines, lost_lines
from dev.paths import CHECKOUT

_BEFORE = Lines(source=["def f():", "    a()", "    b()", "    c()"], covered=[1, 2, 3], missing=[4])
_IN_A_CHILD = "pid = os.fork()\nif pid == 0:\n    import dev.paths\n    {}\nos.waitpid(pid, 0)"


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_lines_of_a_forked_child_count_however_it_ends(end: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    configuration = str(CHECKOUT / "pyproject.toml")
    subprocess.run(
        [sys.executable, "-c", "import os, signal\n" + _IN_A_CHILD.format(end)],
        cwd=CHECKOUT,
        env={**os.environ, "COVERAGE_PROCESS_START": configuration, "COVERAGE_FILE": str(data)},
        check=True,
    )
    counted = set()
    for part in tmp_path.iterdir():
        measured = CoverageData(part)
        measured.read()
        counted |= measured.measured_files()
    assert str(CHECKOUT / "dev/paths.py") in counted


def test_a_line_that_ran_and_runs_no_more_is_lost() -> None:
    after = Lines(source=_BEFORE["source"], covered=[1, 2], missing=[3, 4])
    assert lost_lines(_BEFORE, after) == [3]


def test_a_line_that_moved_is_followed() -> None:
    source = ["import x", "", *_BEFORE["source"]]
    assert lost_lines(_BEFORE, Lines(source=source, covered=[1, 3, 4, 5], missing=[6])) == []
    assert lost_lines(_BEFORE, Lines(source=source, covered=[1, 3, 4], missing=[5, 6])) == [3]


def test_a_line_that_was_changed_or_removed_is_not_compared() -> None:
    source = ["def f():", "    z()", "    c()"]
    assert lost_lines(_BEFORE, Lines(source=source, covered=[1], missing=[2, 3])) == []
