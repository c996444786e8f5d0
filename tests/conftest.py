"""What do all tests share?"""

from collections.abc import Generator

import hypothesis
import pytest

# No deadline: how long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("scoresheet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("scoresheet")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to be strict about what the machine lacks."""
    parser.addoption("--nothing-skipped", action="store_true", help="fail the tests that would be skipped")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a failure of a skipped test if that was asked for; one that is expected to fail is none."""
    report = yield
    if report.skipped and item.config.getoption("nothing_skipped") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here: {report.longreprtext}"
    return report
