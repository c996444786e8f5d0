"""Does a quick run touch every integration?"""

from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).parents[1]
_NO_INTEGRATION: Final = {"test_reproducibility.py"}
"""Files about something else, which the whole run shows."""


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(_TESTS.glob("integration/test_*.py")) if path.name not in _NO_INTEGRATION],
    ids=lambda path: path.stem,
)
def test_each_integration_has_a_smoke_test(path: Path) -> None:
    assert "@pytest.mark.smoke\n" in path.read_text()


@pytest.mark.parametrize("folder", ["integration/api", "e2e"])
def test_the_api_and_the_whole_pipeline_have_smoke_tests(folder: str) -> None:
    assert any("@pytest.mark.smoke\n" in path.read_text() for path in _TESTS.glob(f"{folder}/test_*.py"))
