"""Is a lock that does not fit the declared requirements noticed?"""

import pytest

from dev.check_lock import _unsatisfied

_PROJECT = """
[project]
dependencies = ["redis>=5.2,<6.5", "psycopg[binary]>=3.2"]
[project.optional-dependencies]
dev = ["Import_Linter>=2.3"]
"""


def test_pins_within_the_ranges_satisfy() -> None:
    lock = "redis==6.4.0 \\\n    --hash=sha256:00\nimport-linter==2.3\npsycopg[binary]==3.3.9 ; x == 'y'"
    assert _unsatisfied(lock, _PROJECT) == []


@pytest.mark.mutation("requirements.lock")
def test_a_pin_out_of_range_and_a_missing_one_are_named() -> None:
    lock = "redis==6.5.0 \\\n    --hash=sha256:00\npsycopg==3.3.9\n"
    wrong = _unsatisfied(lock, _PROJECT)
    assert [line.split("(pinned: ")[1] for line in wrong] == ["6.5.0)", "not)"]
    assert wrong[0].startswith("redis")
    assert wrong[1].startswith("Import_Linter")
