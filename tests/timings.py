"""How long does each file of tests take, and how much of that do processors work for it?

`pytest -p tests.timings --timings=FILE` writes a table. A fixture counts where it starts and where it ends.
"""

import resource
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from os import getpid
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pytest

__all__ = ["Group", "Meter", "Rusage", "Spent", "pytest_addoption", "pytest_configure", "table"]

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_CLOSE_SECONDS: Final = 10


@dataclass
class Spent:
    """What a file of tests has taken."""

    tests: int = 0
    wall_seconds: float = 0
    processor_seconds: float = 0
    """Of all processes, over all processors: may exceed the wall's."""

    def __iadd__(self, other: Self) -> Self:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self


class Meter(Protocol):
    """Counts processor time."""

    def seconds(self) -> float:
        """Return what was used so far."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


class Rusage:
    """Counts this process and those of its descendants whose end was waited for."""

    def seconds(self) -> float:
        """Return what was used so far."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in used)

    def close(self) -> None:
        """Do nothing."""


class Group:
    """Counts this process and all of its descendants, of any user and alive or not: a cgroup of their own."""

    def __init__(self, parent: Path) -> None:
        """Make the group beneath the present one and enter it; raises OSError where that can't be done."""
        self._parent = parent
        self._folder = parent / f"scoresheet-timings-{getpid()}"
        self._folder.mkdir()
        try:
            _enter(self._folder, getpid())
            self.seconds()
        except OSError:
            self.close()
            raise

    def seconds(self) -> float:
        """Return what was used so far."""
        with suppress(FileNotFoundError):
            return int((self._folder / "cpuacct.usage").read_text()) / 1e9  # cgroup v1
        words = (self._folder / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / 1e6  # cgroup v2

    def close(self) -> None:
        """Send everybody back to where this process was before, and remove the group."""
        deadline = time.monotonic() + _CLOSE_SECONDS
        # Whom a member starts before it is sent back begins here, too.
        while (members := self._members()) and time.monotonic() < deadline:
            for pid in members:
                with suppress(ProcessLookupError):
                    _enter(self._parent, pid)
        self._folder.rmdir()

    def _members(self) -> list[int]:
        return [int(pid) for pid in (self._folder / "cgroup.procs").read_text().split()]


class Timings:
    """Measures in each process that runs tests; gathers in the one that reports."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._meter: Meter | None = None
        self._spent: dict[str, Spent] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a test with its fixtures."""
        self._meter = meter = self._meter or _meter()
        wall, processor = time.monotonic(), meter.seconds()
        result = yield
        spent = Spent(1, time.monotonic() - wall, meter.seconds() - processor)
        self._add(item.nodeid.partition("::")[0], spent)
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand what was measured to the reporting process, if that is another."""
        if self._meter:
            self._meter.close()
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["timings"] = {file: asdict(spent) for file, spent in self._spent.items()}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Gather what a worker of xdist measured."""
        for file, spent in getattr(node, "workeroutput", {}).get("timings", {}).items():
            self._add(file, Spent(**spent))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the table, and show it."""
        lines = table(self._spent)
        self._report.parent.mkdir(parents=True, exist_ok=True)
        self._report.write_text("".join(f"{line}\n" for line in lines))
        terminalreporter.section("timings")
        for line in lines:
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"this table is in {self._report}")

    def _add(self, file: str, spent: Spent) -> None:
        total = self._spent.setdefault(file, Spent())
        total += spent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to measure."""
    parser.addoption(
        "--timings", type=Path, metavar="FILE", help="write what each file of tests takes to FILE"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Measure if asked to."""
    if (report := config.getoption("timings")) is not None:
        config.pluginmanager.register(Timings(report))


def table(spent: Mapping[str, Spent]) -> list[str]:
    """Return the lines of a table, the longest first, the total last."""
    total = Spent()
    for each in spent.values():
        total += each
    rows = sorted(spent.items(), key=lambda row: -row[1].wall_seconds)
    return [
        f"{'tests':>6} {'wall s':>8} {'processor s':>12} {'waiting s':>10}  file",
        *(_row(file, each) for file, each in [*rows, ("total", total)]),
    ]


def _row(file: str, spent: Spent) -> str:
    waiting = max(0.0, spent.wall_seconds - spent.processor_seconds)
    return (
        f"{spent.tests:6} {spent.wall_seconds:8.1f} {spent.processor_seconds:12.1f} {waiting:10.1f}  {file}"
    )


def _meter(membership: Path = _MEMBERSHIP, cgroups: Path = _CGROUPS) -> Meter:
    for parent in _present_groups(membership, cgroups):
        with suppress(OSError):
            return Group(parent)
    return Rusage()


def _present_groups(membership: Path, cgroups: Path) -> Iterable[Path]:
    """Yield the folders of this process's groups that count processor time: of cgroup v1, then of v2."""
    lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    for _, controllers, path in lines:
        if "cpuacct" in controllers.split(","):
            yield cgroups / controllers / path.lstrip("/")
    for _, controllers, path in lines:
        if not controllers:
            yield cgroups / path.lstrip("/")


def _enter(group: Path, pid: int) -> None:
    (group / "cgroup.procs").write_text(str(pid))
