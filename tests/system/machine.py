"""How is the test's machine booted, and how does it tell what it found?

In QEMU without KVM, so that it runs anywhere. Its first serial port is the console, its second one carries
the lines of the checks; at its end it writes its whole journal to the third disk.
"""

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from dev.paths import CHECKOUT
from tests.system import programs
from tests.system.image import Image
from tests.system.inside.__main__ import CHOSEN

__all__ = ["LIMIT_SECONDS", "Machine", "boot"]

LIMIT_SECONDS: Final = 7_200
"""A machine that runs for longer is switched off: nothing that it waits for will come."""
_MEMORY_MIB: Final = 3_072
_JOURNAL_BYTES: Final = 64 * 2**20
_PROCESSOR: Final = "Nehalem"
"""Of 2008: what newer ones can do beyond it is slow where it is emulated (13 s of imports, `max` 17)."""
_KERNEL_OPTIONS: Final = (
    "root=/dev/vda rw console=ttyS0 panic=-1 quiet systemd.show_status=no",
    # Against holes of real processors; each system call would cost the emulator its translations.
    "mitigations=off",
    # For a machine that does not come as far as to hand its journal over.
    "systemd.journald.forward_to_console=1 systemd.journald.max_level_console=notice",
)
_TESTS: Final = ("tests/__init__.py", "tests/fakes", "tests/system")


@dataclass(frozen=True)
class Machine:
    """A machine that is switched on."""

    lines: IO[str]
    """What the checks print, until the machine is off."""
    console: Path
    _journal: Path

    def journal(self) -> str:
        """Return the journal, once the machine is off; empty if it did not come that far."""
        return self._journal.read_bytes().rstrip(b"\0").decode(errors="replace")


@contextmanager
def boot(image: Image, folder: Path, chosen: Sequence[str] = ()) -> Iterator[Machine]:
    """Switch a machine on; leaving switches it off. Its disk is as before at the next boot.

    It runs the chosen checks, all if there are none.
    """
    tests = folder / "tests.tar"
    _pack(tests, chosen)
    journal = folder / "journal.img"
    with journal.open("wb") as file:
        file.truncate(_JOURNAL_BYTES)
    console = folder / "console.log"
    qemu = programs.qemu()
    hardware = [
        "-machine",
        "q35",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        _PROCESSOR,
        "-smp",
        "2",
        "-nodefaults",
    ]
    kernel: list[str | Path] = ["-kernel", image.kernel, "-initrd", image.initrd]
    command: list[str | Path] = [qemu.path, *qemu.arguments, *hardware, "-m", str(_MEMORY_MIB), *kernel]
    command += ["-append", " ".join(_KERNEL_OPTIONS)]
    command += [
        *_drive(image.disk, "snapshot=on", "cache=unsafe"),
        *_drive(tests, "readonly=on"),
        *_drive(journal, "cache=unsafe"),
    ]
    command += ["-display", "none", "-serial", f"file:{console}", "-serial", "stdio", "-no-reboot"]
    command += ["-device", "virtio-rng-pci"]
    with (folder / "qemu.log").open("wb") as errors:
        process = subprocess.Popen(
            ["timeout", "--kill-after=10", str(LIMIT_SECONDS), *command],
            env=dict(qemu.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        # The terminal of the machine ends its lines with CR LF.
        yield Machine(io.TextIOWrapper(process.stdout, errors="replace", newline=None), console, journal)
    finally:
        process.terminate()
        process.wait()


def _drive(file: Path, *options: str) -> list[str]:
    return ["-drive", ",".join([f"file={file}", "format=raw", "if=virtio", *options])]


def _pack(archive: Path, chosen: Sequence[str]) -> None:
    with tarfile.open(archive, "w") as packed:
        for name in _TESTS:
            packed.add(CHECKOUT / name, name, filter=_source_only)
        if chosen:
            names = "\n".join(chosen).encode()
            member = tarfile.TarInfo(str(CHOSEN))
            member.size = len(names)
            packed.addfile(member, io.BytesIO(names))


def _source_only(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member
