"""Which running systems do the end-to-end tests share?"""

from collections.abc import Iterator

import pytest

from tests.e2e.fixtures import system_on_fresh_state
from tests.e2e.harness import System

_PATIENT = {
    "SCORESHEET_HOLE_AFTER_SECONDS": "600",
    "SCORESHEET_LOCK_TTL_SECONDS": "300",
    "SCORESHEET_LICHESS_TIMEOUT_SECONDS": "300",
}
"""Tests count requests. None must be made for a game that a busy machine is slow to store, and none be broken
off because a heartbeat or a line comes late. Nothing dies here that others would have to wait for."""


@pytest.fixture(scope="module")
def shared_system() -> Iterator[System]:
    """Run ingestion, without an engine, once for the tests of a module."""
    with system_on_fresh_state(settings=_PATIENT) as system:
        yield system


@pytest.fixture
def system(shared_system: System) -> System:
    """Give a test the running system, with everything of the tests before forgotten."""
    shared_system.begin()
    return shared_system
