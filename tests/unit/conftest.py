"""Which unit tests need no second Python?"""

from pathlib import Path
from typing import Final

import pytest

_HERE: Final = Path(__file__).parent

ONE_PYTHON: Final = (
    "bench",  # tools that measure, on an engine that is no Python
    "dev/test_parity.py",
    "dev/test_release.py",
    "dev/test_skips.py",  # pytest of its own
    "fakes",  # serve the tests alone
    "nix",  # units, shell scripts and Nix files
    "test_gate.py",  # a shell script
    "test_import_rules.py",
    "test_timings.py",  # a tool that measures
    "workers/ingestion/test_replay.py",  # whole numbers
)
"""Files and folders whose tests say the same on every Python. Whatever is not named runs on each:
formulas too, as Python 3.12 adds floats in another way."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "one_python: says the same on every Python, so that one is enough")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on one Python."""
    once = [_HERE / name for name in ONE_PYTHON]
    for item in items:
        if any(item.path.is_relative_to(path) for path in once):
            item.add_marker("one_python")
