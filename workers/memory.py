"""How much memory is there for a role, and how many processes fit in it?

A unit sees its control groups (v2, as systemd sets them up) and their limits, but no /proc/meminfo; a process
that was started by hand sees that.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")
_MEMINFO: Final = Path("/proc/meminfo")
_MIB: Final = 1_048_576


def own_cgroup(membership: Path = MEMBERSHIP, cgroups: Path = CGROUPS) -> Path | None:
    """Return the folder of this process's control group, None where the kernel does not say."""
    try:
        for line in membership.read_text().splitlines():
            if line.startswith("0::"):
                return cgroups / line.removeprefix("0::").lstrip("/")
    except OSError:
        pass
    return None


def available_mib(
    membership: Path = MEMBERSHIP, cgroups: Path = CGROUPS, meminfo: Path = _MEMINFO
) -> int | None:
    """Return what is left of the host's memory and of the limits of all control groups around this process.

    None where nothing limits it that can be read.
    """
    group = own_cgroup(membership, cgroups)
    left = [] if group is None else list(_left_in(group, cgroups))
    try:
        host = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        left.append(int(host["MemAvailable"].split()[0]) * 1024)
    except (OSError, ValueError, KeyError):
        pass
    return max(0, min(left)) // _MIB if left else None


def _left_in(group: Path, cgroups: Path) -> Iterator[int]:
    for folder in (group, *group.parents):
        if not folder.is_relative_to(cgroups):
            return
        try:
            limits = [(folder / name).read_text().strip() for name in ("memory.high", "memory.max")]
            used = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # Pages of files give way.
            used -= int(stat["inactive_file"]) + int(stat["active_file"])
            yield from (int(limit) - used for limit in limits if limit != "max")
        except (OSError, ValueError, KeyError):  # the root group has no such files
            continue


def processes_that_fit(wanted: int, each_mib: int, left_mib: int | None) -> int:
    """Return how many of the processes that are wanted fit, at least one; all where nothing is known."""
    return wanted if left_mib is None else max(1, min(wanted, left_mib // each_mib))
