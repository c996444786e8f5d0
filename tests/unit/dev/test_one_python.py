"""Is what one Python is enough for named by files that are there?"""

from pathlib import Path

import pytest

from tests.unit.conftest import ONE_PYTHON

_UNIT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ONE_PYTHON)
def test_what_one_python_is_enough_for_exists(name: str) -> None:
    assert (_UNIT / name).exists()


def test_a_test_that_is_not_named_runs_on_every_python(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("one_python") is None
