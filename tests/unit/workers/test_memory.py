"""Is the memory that a role has understood, and do as many processes start as fit?"""

from pathlib import Path

import pytest

from workers.memory import available_mib, processes_that_fit

MIB = 1_048_576


class Host:
    """Control groups and a /proc in a folder."""

    def __init__(self, folder: Path) -> None:
        self.cgroups = folder / "cgroup"
        self.membership = folder / "self"
        self.meminfo = folder / "meminfo"
        self.cgroups.mkdir()

    def in_group(self, name: str) -> None:
        self.membership.write_text(f"4:memory:/else\n0::/{name}\n")

    def limit(
        self, name: str, *, current: int = 0, files: int = 0, high: int | None = None, most: int | None = None
    ) -> None:
        """Set limits and use, all in MiB."""
        group = self.cgroups / name
        group.mkdir(parents=True, exist_ok=True)
        for file, limit in (("memory.high", high), ("memory.max", most)):
            (group / file).write_text("max\n" if limit is None else f"{limit * MIB}\n")
        (group / "memory.current").write_text(f"{current * MIB}\n")
        stat = f"anon 1\nactive_file {files * MIB // 2}\ninactive_file {files * MIB // 2}\nshmem 5\n"
        (group / "memory.stat").write_text(stat)

    def available(self) -> int | None:
        return available_mib(self.membership, self.cgroups, self.meminfo)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_tightest_limit_of_all_groups_around_counts_without_the_pages_of_files(host: Host) -> None:
    host.in_group("scoresheet.slice/analysis.slice/worker.service")
    host.limit("scoresheet.slice/analysis.slice/worker.service", current=30)
    host.limit("scoresheet.slice/analysis.slice", current=60, files=20, high=410, most=512)
    host.limit("scoresheet.slice", current=300, most=800)
    assert host.available() == 370


def test_so_does_what_the_host_has_left(host: Host) -> None:
    host.in_group("user.slice")
    host.limit("user.slice", current=10, most=2_000)
    host.meminfo.write_text("MemTotal:  2000000 kB\nMemAvailable:  512000 kB\nHugePages_Total: 0\n")
    assert host.available() == 500
    host.limit("user.slice", current=1_800, most=2_000)
    assert host.available() == 200
    host.limit("user.slice", current=2_100, most=2_000)
    assert host.available() == 0


def test_where_nothing_can_be_read_nothing_is_known(host: Host) -> None:
    assert host.available() is None
    host.in_group("gone.slice")
    host.meminfo.write_text("MemTotal: many\n")
    assert host.available() is None
    host.limit("gone.slice")
    assert host.available() is None


@pytest.mark.parametrize(
    ("left", "processes"), [(None, 4), (8_000, 4), (1_004, 4), (1_003, 3), (251, 1), (0, 1)]
)
def test_as_many_processes_start_as_fit_and_one_always(left: int | None, processes: int) -> None:
    assert processes_that_fit(4, 251, left) == processes
