"""What do all tests share?"""

import os
import re
import shlex
import sys
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from dev.paths import CHECKOUT
from tests import kept_logs

# No deadline: how long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("scoresheet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("scoresheet")


_UNIT = Path(__file__).parent / "unit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to be strict about what the machine lacks, and to be quick."""
    parser.addoption("--nothing-skipped", action="store_true", help="fail the tests that would be skipped")
    parser.addoption(
        "--quick",
        action="store_true",
        help="run the unit tests but those marked `thorough`, and others marked `smoke`",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not quick if that was asked for."""
    if not config.getoption("quick"):
        return
    quick: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        slow = item.get_closest_marker("thorough")
        is_quick = item.get_closest_marker("smoke") or (_UNIT in item.path.parents and not slow)
        (quick if is_quick else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = quick


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a failure of a skipped test if that was asked for; one that is expected to fail is none."""
    report = yield
    if report.skipped and item.config.getoption("nothing_skipped") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here: {report.longreprtext}"
    if report.failed and _UNIT not in item.path.parents:
        kept_logs.note_failure(item.nodeid)
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the commands that run alone what failed."""
    failed = [report for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])]
    strict = terminalreporter.config.getoption("nothing_skipped")
    for command in dict.fromkeys(run_alone(report.nodeid, strict=strict) for report in failed):
        terminalreporter.write_line(f"run alone: {command}")
    if any(not report.nodeid.startswith("tests/unit/") for report in failed):
        terminalreporter.write_line("logs of the stacks that ran them: var/ci/logs")


def run_alone(nodeid: str, *, strict: bool = False) -> str:
    """Return the command that runs one test: with the seed that it drew, and on the programs that it had."""
    words = [os.path.relpath(sys.executable), "-m", "pytest", shlex.quote(nodeid)]
    if strict:
        words.append("--nothing-skipped")
    if seed := re.search(r"[\[-]seed(\d+)", nodeid):
        words.insert(0, f"SCORESHEET_CHAOS_SEED={seed[1]}")
    tools = CHECKOUT / ".tools"
    if added := [folder for folder in os.get_exec_path() if Path(folder).is_relative_to(tools)]:
        words.insert(0, f"PATH={':'.join(map(os.path.relpath, added))}:$PATH")
    return " ".join(words)
