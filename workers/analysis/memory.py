"""Did the kernel kill something for want of memory?"""

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def oom_kills(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> int:
    """Return how often the kernel has killed in this process's cgroup, 0 where it does not say.

    Of cgroup v2, as systemd sets it up: the counter `oom_kill` in memory.events.
    """
    try:
        for line in membership.read_text().splitlines():
            if line.startswith("0::"):
                events = cgroups / line.removeprefix("0::").lstrip("/") / "memory.events"
                counts = dict(line.split() for line in events.read_text().splitlines())
                return int(counts.get("oom_kill", 0))
    except (OSError, ValueError):
        pass
    return 0
