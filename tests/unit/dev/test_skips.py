"""Does a test that lacks something fail where nothing may be left out?"""

import subprocess
import sys

import pytest

from dev.paths import CHECKOUT


@pytest.mark.mutation("nothing is left out in CI")
@pytest.mark.parametrize(
    ("options", "status", "outcome"), [((), 0, "skipped"), (("--nothing-skipped",), 1, "error")]
)
def test_what_the_machine_lacks_is_told_and_fails_if_asked(
    options: tuple[str, ...], status: int, outcome: str
) -> None:
    parses = "tests/unit/nix/test_nix.py::test_every_file_parses"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, parses],
        cwd=CHECKOUT,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "needs nix" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"1 {outcome}")
