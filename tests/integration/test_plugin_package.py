"""Is a plugin that an author begins with installed by pip, found, and fit?"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from dev.paths import CHECKOUT


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a virtual environment that has what this one has, Scoresheet included."""
    folder = tmp_path_factory.mktemp("author") / "venv"
    # It finds our pip below: installing another takes longer than the tests.
    venv.create(folder, with_pip=False)
    ours = sysconfig.get_path("purelib")
    (theirs,) = folder.glob("lib/python*/site-packages")
    # addsitedir reads .pth files, which the editable install of Scoresheet is.
    (theirs / "scoresheet-of-the-checkout.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return folder / "bin" / "python"


def run(python: Path, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCORESHEET_")}
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_package_is_installed_found_fit_and_tested(python: Path, tmp_path: Path) -> None:
    worker = ("-m", "workers.cli", "plugin")
    said = run(python, *worker, "new", "first_mistake", cwd=tmp_path)
    package = tmp_path / said.split()[0]
    before = run(python, *worker, "list", cwd=tmp_path)
    assert "first_mistake" not in before
    run(
        python,
        *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-index", "--no-deps", "--no-build-isolation", str(package)),  # nothing is fetched
        cwd=tmp_path,
    )
    after = run(python, *worker, "list", cwd=tmp_path).splitlines()
    assert [line for line in after if line not in before] == [
        "first_mistake\t1\tFirst mistake\tscoresheet_first_mistake:FirstMistake"
    ]
    assert len(after) > 1
    assert run(python, *worker, "check", "first_mistake", cwd=tmp_path).endswith("  fit\n")
    assert "3 passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=package)


@pytest.mark.smoke
def test_the_kit_the_template_and_the_names_of_openings_are_part_of_the_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, CHECKOUT),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    ).stdout
    for file in ("samples.json", "template/pyproject.toml.txt", "template/plugin.py.txt"):
        assert f"plugins/testkit/{file}" in listed
    assert "app/contract/named_positions.tsv" in listed
