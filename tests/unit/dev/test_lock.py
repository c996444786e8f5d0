"""Is a lock that does not fit the declared requirements noticed, and a release of NixOS that does not?"""

import pytest

from dev.check_lock import pins_of, unsatisfied
from dev.paths import CHECKOUT

_PROJECT = """
[project]
name = "ours"
dependencies = ["redis>=5.2,<6.5", "psycopg[binary]>=3.2"]
[project.optional-dependencies]
test = ["Import_Linter>=2.3"]
dev = ["ours[test]"]
"""


def test_pins_within_the_ranges_satisfy() -> None:
    lock = "redis==6.4.0 \\\n    --hash=sha256:00\nimport-linter==2.3\npsycopg[binary]==3.3.9 ; x == 'y'"
    assert unsatisfied(pins_of(lock), _PROJECT, "dev") == []


@pytest.mark.mutation("requirements.lock")
def test_a_pin_out_of_range_and_a_missing_one_are_named() -> None:
    lock = "redis==6.5.0 \\\n    --hash=sha256:00\npsycopg==3.3.9\n"
    wrong = unsatisfied(pins_of(lock), _PROJECT, "dev")
    assert [line.split("(pinned: ")[1] for line in wrong] == ["6.5.0)", "not)"]
    assert wrong[0].startswith("redis")
    assert wrong[1].startswith("Import_Linter")


def test_the_project_admits_what_nixos_carries() -> None:
    carried = pins_of((CHECKOUT / "nix/nixos-26.05.txt").read_text())
    assert unsatisfied(carried, (CHECKOUT / "pyproject.toml").read_text()) == []


def test_the_environment_of_nixos_has_what_nixos_carries() -> None:
    carried = pins_of((CHECKOUT / "nix/nixos-26.05.txt").read_text())
    locked = pins_of((CHECKOUT / "nix/nixos-26.05.lock").read_text())
    assert {name: locked.get(name) for name in carried} == carried


def test_a_host_has_the_versions_that_were_tested() -> None:
    tested = pins_of((CHECKOUT / "requirements.lock").read_text())
    installed = pins_of((CHECKOUT / "systemd/requirements.lock").read_text())
    assert installed.items() <= tested.items()
    assert {"celery", "fastapi", "psycopg-binary"} <= set(installed)
