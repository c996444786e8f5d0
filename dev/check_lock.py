"""Is requirements.lock in step with pyproject.toml?"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from dev.errors import DevError
from dev.paths import CHECKOUT

__all__ = ["check_lock", "compile_lock"]

LOCK: Final = CHECKOUT / "requirements.lock"

_PIN: Final = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)", re.MULTILINE)


def check_lock() -> None:
    """Compile the lock again, which must change nothing; without a registry, compare pins with ranges.

    Raises DevError with what differs.
    """
    if wrong := _unsatisfied(LOCK.read_text(), (CHECKOUT / "pyproject.toml").read_text()):
        raise DevError(
            f"requirements.lock does not satisfy pyproject.toml ({', '.join(wrong)}): run `make lock`"
        )
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "requirements.lock"
        shutil.copyfile(LOCK, fresh)  # what is pinned stays pinned while it is allowed
        try:
            compile_lock(fresh)
        except DevError as error:
            print(f"check: no registry to compile the lock again; its pins satisfy pyproject.toml ({error})")
            return
        if fresh.read_text() != LOCK.read_text():
            raise DevError("requirements.lock is not what pyproject.toml compiles to; run `make lock`")


def compile_lock(path: Path) -> None:
    """Compile pyproject.toml into a lock for every platform, keeping the file's pins that are still allowed.

    Raises DevError with uv's reason.
    """
    command: list[str | Path] = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
        "--generate-hashes", "--no-emit-index-url", "--no-header", "--extra", "dev", "pyproject.toml",
        "--output-file", path,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise DevError(f"uv: {reason[:200]}")


def _unsatisfied(lock: str, pyproject: str) -> list[str]:
    project = tomllib.loads(pyproject)["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = {_normal(match["name"]): match["version"] for match in _PIN.finditer(lock)}
    wrong: list[str] = []
    for text in wanted:
        requirement = Requirement(text)
        pin = pins.get(_normal(requirement.name))
        if pin is None or not requirement.specifier.contains(pin, prereleases=True):
            wrong.append(f"{requirement} (pinned: {pin or 'not'})")
    return wrong


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
