"""Are the locks in step with pyproject.toml?"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from dev.errors import DevError
from dev.paths import CHECKOUT

__all__ = ["LOCKS", "Lock", "check_lock", "compile_lock", "pins_of", "unsatisfied"]

_PIN: Final = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """Versions of everything, for one Python and those newer."""

    path: Path
    python: str
    extra: str
    """Of pyproject.toml, which this lock holds beside the package itself."""
    constraints: Path | None = None
    """Versions that it must have."""


LOCKS: Final = (
    Lock(CHECKOUT / "requirements.lock", "3.11", "dev"),
    # A host has what the tests have had, without their tools.
    Lock(CHECKOUT / "systemd/requirements.lock", "3.11", "host", CHECKOUT / "requirements.lock"),
    Lock(CHECKOUT / "nix/nixos-26.05.lock", "3.13", "test", CHECKOUT / "nix/nixos-26.05.txt"),
)


def check_lock(lock: Lock) -> None:
    """Compile a lock again, which must change nothing; without a registry, compare pins with ranges.

    Raises DevError with what differs.
    """
    name = lock.path.relative_to(CHECKOUT)
    pyproject = (CHECKOUT / "pyproject.toml").read_text()
    if wrong := unsatisfied(pins_of(lock.path.read_text()), pyproject, lock.extra):
        raise DevError(f"{name} does not satisfy pyproject.toml ({', '.join(wrong)}): run `make lock`")
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / lock.path.name
        shutil.copyfile(lock.path, fresh)  # what is pinned stays pinned while it is allowed
        try:
            compile_lock(lock, fresh)
        except DevError as error:
            print(f"check: no registry to compile {name} again; its pins satisfy pyproject.toml ({error})")
            return
        if fresh.read_text() != lock.path.read_text():
            raise DevError(f"{name} is not what pyproject.toml compiles to; run `make lock`")


def compile_lock(lock: Lock, path: Path) -> None:
    """Compile pyproject.toml into a lock for every platform, keeping the file's pins that are still allowed.

    Raises DevError with uv's reason.
    """
    command: list[str | Path] = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
        "--python-version", lock.python, "--extra", lock.extra, "--no-emit-index-url", "--no-header",
        "pyproject.toml", "--output-file", path,
    ]  # fmt: skip
    if lock.constraints:
        command += ["--constraints", lock.constraints.relative_to(CHECKOUT)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise DevError(f"uv: {reason[:200]}")


def pins_of(lock: str) -> dict[str, str]:
    """Return the version of each package that a lock or a list of constraints names."""
    return {_normal(match["name"]): match["version"] for match in _PIN.finditer(lock)}


def unsatisfied(pins: Mapping[str, str], pyproject: str, *extras: str) -> list[str]:
    """Return what of the project's requirements, and those of some extras, the pins don't meet."""
    project = tomllib.loads(pyproject)["project"]
    wanted = list(map(Requirement, project["dependencies"]))
    for extra in extras:
        wanted += _requirements(project, extra)
    wrong: list[str] = []
    for requirement in wanted:
        pin = pins.get(_normal(requirement.name))
        if pin is None or not requirement.specifier.contains(pin, prereleases=True):
            wrong.append(f"{requirement} (pinned: {pin or 'not'})")
    return wrong


def _requirements(project: Mapping[str, Any], extra: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, project["optional-dependencies"][extra]):
        if requirement.name == project["name"]:
            for other in requirement.extras:
                yield from _requirements(project, other)
        else:
            yield requirement


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
