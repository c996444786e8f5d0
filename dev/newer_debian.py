"""How is a program taken from a newer Debian than the machine's?

With all its libraries, the C library and its loader included, unpacked into `.tools/debian-13`: a script
beside them starts the program through that loader. Nothing is installed, and nothing of the machine replaced.
"""

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dev import debian
from dev.errors import DevError
from dev.paths import TOOLS

__all__ = ["SUITE", "mirror", "unpack", "unpacked", "upstream_source"]

SUITE: Final = "trixie"
_BASE: Final = TOOLS / "debian-13"
_ROOT: Final = _BASE / "root"
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Programs are linked against these alone; the rest of what a package depends on serves its scripts.
_LIBRARIES: Final = ("lib", "zlib1g")


def unpack(packages: Sequence[str]) -> bool:
    """Download and unpack packages and their libraries; tell whether this machine can have them at all.

    It can if it is a Debian (or like one) whose keyring knows the newer release. Raises DevError with apt's
    reason.
    """
    scratch = _BASE / "apt"
    options = _options(scratch, "deb")
    if options is None:
        return False
    plan = debian.apt(
        "apt-get", *options, "install", "--simulate", "--no-install-recommends", *packages
    ).stdout
    wanted = [
        f"{package}={version}"
        for package, version in debian.planned(plan)
        if package in packages or package.startswith(_LIBRARIES)
    ]
    downloads = scratch / "packages"
    downloads.mkdir()
    debian.apt("apt-get", *options, "download", *wanted, folder=downloads)
    for package in sorted(downloads.glob("*.deb")):
        debian.extract(package, _ROOT)
    shutil.rmtree(scratch)
    return True


def upstream_source(package: str, folder: Path) -> Path:
    """Download the upstream tarball of a source package ("name=version"); apt checks its signature.

    Raises DevError.
    """
    scratch = folder / "apt"
    options = _options(scratch, "deb-src")
    if options is None:
        raise DevError(f"no Debian here to fetch the source package {package} from")
    debian.apt("apt-get", *options, "source", "--download-only", "--tar-only", package, folder=folder)
    shutil.rmtree(scratch)
    return next(folder.glob("*.orig.tar.*"))


def unpacked(name: str) -> Path | None:
    """Return a script that starts a program among what `unpack` left, if it is there."""
    folders = ("usr/bin", "usr/sbin", "usr/games")
    program = next((path for folder in folders if (path := _ROOT / folder / name).is_file()), None)
    loader = next(_ROOT.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"), None)
    if program is None or loader is None:
        return None
    script = _BASE / "bin" / name
    command = shlex.join([str(loader), "--library-path", str(loader.parent), str(program)])
    text = f'#!/bin/sh\nexec {command} "$@"\n'
    if not script.exists() or script.read_text() != text:  # the checkout may have moved
        script.parent.mkdir(exist_ok=True)
        script.write_text(text)
        script.chmod(0o755)
    return script


def mirror(scratch: Path) -> str | None:
    """Return where the machine has its Debian from, None if it has none: the newer one is there, too.

    apt's lists go to the folder.
    """
    lists = _lists(scratch / "machine")
    debian.apt("apt-get", *lists, "update", check=False)  # another source that is away does not matter
    sources = debian.apt(
        "apt-get", *lists, "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Origin: Debian"
    )
    main = re.search(r"^(\S+) main$", sources.stdout, re.MULTILINE)
    return main[1] if main else None


def _options(scratch: Path, kind: str) -> list[str] | None:
    """Return apt's options for the newer release's packages ("deb") or sources ("deb-src"), lists fetched.

    None where this machine can't have them. `scratch` is emptied first.
    """
    if not (_KEYRING.exists() and shutil.which("apt-get")):
        return None
    shutil.rmtree(scratch, ignore_errors=True)
    address = mirror(scratch)
    if address is None:
        return None
    sources, status = scratch / "sources.list", scratch / "status"
    sources.write_text(f"{kind} [signed-by={_KEYRING}] {address} {SUITE} main\n")
    status.touch()  # nothing is installed: the plan then holds every library
    options = [
        *_lists(scratch / "newer"),
        *("-o", f"Dir::Etc::sourcelist={sources}"),
        *("-o", "Dir::Etc::sourceparts=/nonexistent"),
        *("-o", f"Dir::State::status={status}"),
    ]
    debian.apt("apt-get", *options, "update")
    return options


def _lists(folder: Path) -> list[str]:
    lists, cache = folder / "lists", folder / "cache"
    for partial in (lists / "partial", cache / "archives" / "partial"):
        partial.mkdir(parents=True)
    return ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}"]
