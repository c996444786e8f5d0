"""Did the kernel kill something for want of memory?"""

from pathlib import Path

from workers.memory import CGROUPS, MEMBERSHIP, own_cgroup


def oom_kills(membership: Path = MEMBERSHIP, cgroups: Path = CGROUPS) -> int:
    """Return how often the kernel has killed in this process's cgroup, 0 where it does not say.

    Of cgroup v2, as systemd sets it up: the counter `oom_kill` in memory.events.
    """
    group = own_cgroup(membership, cgroups)
    if group is None:
        return 0
    try:
        counts = dict(line.split() for line in (group / "memory.events").read_text().splitlines())
        return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
