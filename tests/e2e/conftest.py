"""Which running systems do the end-to-end tests share?"""

from collections.abc import Iterator

import pytest

from tests.e2e.fixtures import system_on_fresh_state
from tests.e2e.harness import System

_NO_MESSAGE_IS_LOST = {"SCORESHEET_HOLE_AFTER_SECONDS": "30"}
"""Tests count requests: none must be made for a game that a busy machine is slow to store."""


@pytest.fixture(scope="module")
def shared_system() -> Iterator[System]:
    """Run ingestion, without an engine, once for the tests of a module."""
    with system_on_fresh_state(settings=_NO_MESSAGE_IS_LOST) as system:
        yield system


@pytest.fixture
def system(shared_system: System) -> System:
    """Give a test the running system, with everything of the tests before forgotten."""
    shared_system.begin()
    return shared_system
