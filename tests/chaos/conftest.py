"""Which running systems do the chaos tests share, and from which seeds do they draw their moments?

SCORESHEET_CHAOS_RUNS=n repeats each test that draws at random n times. SCORESHEET_CHAOS_SEED=s begins with
the seed s, which a failed test has in its name, instead of with one by chance.
"""

import os
import random
from collections.abc import Iterator

import pytest

from tests.e2e.fixtures import system_on_fresh_state
from tests.e2e.harness import System


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `seed` one, or as many as there shall be runs."""
    if "seed" in metafunc.fixturenames:
        # Each process of a run in several has to find the same tests.
        seeds = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))
        first = int(os.environ.get("SCORESHEET_CHAOS_SEED") or seeds.randrange(10**6))
        runs = int(os.environ.get("SCORESHEET_CHAOS_RUNS") or 1)
        metafunc.parametrize("seed", range(first, first + runs), ids=lambda seed: f"seed{seed}")


@pytest.fixture(scope="session")
def shared_system() -> Iterator[System]:
    """Run ingestion, without an engine, once for all tests that break it."""
    with system_on_fresh_state() as system:
        yield system


@pytest.fixture
def system(shared_system: System) -> System:
    """Give a test the running system, with everything of the tests before forgotten."""
    shared_system.begin()
    return shared_system
