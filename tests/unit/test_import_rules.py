"""Do the import rules hold, and would a breach of each be noticed?"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).parents[2]
_LINT = Path(sys.executable).with_name("lint-imports")

# A line that breaks one rule, and where it is put.
_BREACHES = {
    "a worker reaches the database": ("workers/ingestion/consumer.py", "import app.db.session"),
    "a worker speaks SQL": ("workers/analysis/consumer.py", "import sqlalchemy"),
    "a plugin opens sockets": ("plugins/accuracy.py", "import httpx"),
    "a plugin knows the workers": ("plugins/api.py", "import workers.settings"),
    "the API knows the workers": ("app/main.py", "import workers.settings"),
    "the contract knows the database": ("app/contract/games.py", "import app.db.models"),
    "the contract needs a web framework": ("app/contract/wire.py", "import fastapi"),
    "a repository knows its router": ("app/games/repository.py", "import app.games.router"),
    "a lower domain knows a higher one": ("app/players/service.py", "import app.stats.service"),
    "a module outside every layer": ("app/helpers.py", "import app.kit"),
}


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_LINT, "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in ("app", "workers", "plugins"):
        shutil.copytree(_CHECKOUT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_CHECKOUT / ".importlinter", tmp_path)
    return tmp_path


def test_the_rules_hold(tree: Path) -> None:
    result = _lint(tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.mutation("import rules")
@pytest.mark.parametrize("breach", _BREACHES)
def test_a_breach_is_noticed(tree: Path, breach: str) -> None:
    file, line = _BREACHES[breach]
    with (tree / file).open("a") as module:
        module.write(f"\n{line}\n")
    result = _lint(tree)
    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout
