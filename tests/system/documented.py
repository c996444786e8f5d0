"""Which commands does docs/debian.md tell an owner to give? The image is made with these very lines."""

import re
from typing import Final

from dev.errors import DevError
from dev.paths import CHECKOUT

__all__ = ["commands", "packages"]

_DOCUMENT: Final = CHECKOUT / "docs/debian.md"


def commands(section: str) -> list[str]:
    """Return the lines of the section's first block of shell commands, comments and empty lines left out."""
    text = _DOCUMENT.read_text()
    found = re.search(rf"^## {re.escape(section)}\n.*?^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise DevError(f"{_DOCUMENT.name} has no commands under {section!r}")
    lines = (line.split("  #")[0].strip() for line in found[1].splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def packages(section: str) -> list[str]:
    """Return the Debian packages that the section installs."""
    return [name for line in commands(section) if _installs(line) for name in line.split()[2:]]


def without_packages(section: str) -> list[str]:
    """Return the section's commands but those that install Debian packages."""
    return [line for line in commands(section) if not _installs(line)]


def _installs(line: str) -> bool:
    return line.startswith("apt-get install ")
