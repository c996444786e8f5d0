"""How does a machine without nix get one for these tests?

`python -m tests.unit.nix.provision FOLDER` fills FOLDER/bin, to be put before PATH: with nothing where nix is
on PATH already, or with Debian's nix, unpacked from its package. Nothing is installed and no daemon runs.
"""

import os
import shutil
import sys
from pathlib import Path

from dev import debian
from dev.errors import DevError
from dev.paths import TOOLS

_PACKAGE = "nix-bin"
_ROOT = TOOLS / "debian/root"


def main(folder: Path) -> int:
    """Fill the folder; where nix can't be had, say so in one line: the tests that need it can't run."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    if shutil.which("nix-instantiate"):
        return os.EX_OK
    if problem := _unpack():
        sys.stderr.write(f"nix: {problem}; the tests that need it can't run\n")
        return os.EX_OK
    # Its own libraries are in a folder that only an installation tells the loader of.
    libraries = f"{_ROOT / 'usr/lib/nix'}:{debian.library_path()}"
    for name in ("nix", "nix-instantiate"):
        # One program, which does what the name says that it was called by.
        call = f'LD_LIBRARY_PATH={libraries} exec -a {name} {_ROOT / "usr/bin/nix"} "$@"'
        (programs / name).write_text(f"#!/bin/bash\n{call}\n")
        (programs / name).chmod(0o755)
    return os.EX_OK


def _unpack() -> str | None:
    """Unpack Debian's nix; tell why that can't be."""
    try:
        if not debian.available([_PACKAGE]):
            return f"{_PACKAGE} is not offered here"
        debian.unpack([_PACKAGE])
    except DevError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
