"""Is what the kernel says of its kills understood?"""

from pathlib import Path

import pytest

from workers.analysis.memory import oom_kills


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    unit = tmp_path / "fs" / "system.slice" / "unit"
    unit.mkdir(parents=True)
    (unit / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n")
    (tmp_path / "cgroup").write_text("4:memory:/else\n0::/system.slice/unit\n")
    return tmp_path


def test_the_kills_of_this_cgroup_are_counted(cgroups: Path) -> None:
    assert oom_kills(cgroups / "cgroup", cgroups / "fs") == 2


@pytest.mark.parametrize("membership", ["", "4:memory:/x\n", "0::/elsewhere\n", "nonsense"])
def test_where_the_kernel_does_not_say_there_are_none(cgroups: Path, membership: str) -> None:
    (cgroups / "cgroup").write_text(membership)
    assert oom_kills(cgroups / "cgroup", cgroups / "fs") == 0
    assert oom_kills(cgroups / "none", cgroups / "fs") == 0
