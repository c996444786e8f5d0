"""What do the unit files say, as they are and as they are installed?"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[3]
SYSTEMD: Final = CHECKOUT / "systemd"
SANDBOX: Final = SYSTEMD / "sandbox.conf"


@dataclass(frozen=True)
class UnitFile:
    """One file: its settings in order, continued lines joined, comments left out."""

    name: str
    settings: tuple[tuple[str, str, str], ...]
    """(section, key, value)"""

    def all(self, key: str) -> list[str]:
        """Return the values of a key, in order."""
        return [value for _, found, value in self.settings if found == key]

    def one(self, key: str) -> str:
        """Return the value of a key that stands there exactly once."""
        (value,) = self.all(key)
        return value


def read_unit(path: Path) -> UnitFile:
    """Read a unit file or a drop-in."""
    section = ""
    settings = []
    for line in path.read_text().replace("\\\n", " ").splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[]")
        elif text and not text.startswith(("#", ";")):
            key, _, value = text.partition("=")
            settings.append((section, key, value))
    return UnitFile(path.name, tuple(settings))


def services() -> list[UnitFile]:
    """Return every service, in the order of names."""
    return [read_unit(path) for path in sorted(SYSTEMD.glob("*.service"))]


def install(root: Path, *values: str) -> subprocess.CompletedProcess[str]:
    """Lay the files out under a folder, as `systemd/install` does on a host."""
    return subprocess.run(
        [SYSTEMD / "install", "--root", root, *values], capture_output=True, text=True, check=False
    )
