"""How is the test's machine booted, and how does it tell what it found?

Its kernel is User-Mode Linux: Debian's Linux, built to run as a program. No KVM is needed, and the
processor itself computes what the machine's programs compute (docs/adr/0015). It has one processor, and no
devices but disks and lines.

What it prints on its terminal is the console; its second serial line carries the lines of the checks; at its
end it writes its whole journal to the third disk.
"""

import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from dev.errors import DevError
from dev.paths import CHECKOUT
from tests.system.image import Image
from tests.system.inside.__main__ import CHOSEN

__all__ = ["LIMIT_SECONDS", "Machine", "boot"]

LIMIT_SECONDS: Final = 7_200
"""A machine that runs for longer is switched off: nothing that it waits for will come."""
_MEMORY_MIB: Final = 3_072
_SPARE_MIB: Final = 512
"""For the kernel's own, and for what others put there meanwhile."""
_JOURNAL_BYTES: Final = 64 * 2**20
_FOLDER: Final = Path("/mnt")
"""Where the kernel finds its disks."""
_MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108  the kernel itself makes the file, and removes its name
_HARDWARE: Final = (
    f"mem={_MEMORY_MIB}M",
    f"ubda={_FOLDER}/changes,{_FOLDER}/disk.img",
    f"ubdbr={_FOLDER}/tests.tar",
    f"ubdc={_FOLDER}/journal.img",
    "con=null",
    "con0=null,fd:2",
    "ssl=null",
    "ssl1=null,fd:1",
    f"uml_dir={_FOLDER}",
)
_KERNEL_OPTIONS: Final = (
    *("root=/dev/ubda", "rw", "console=tty0", "panic=-1", "systemd.show_status=no"),
    # For a machine that does not come as far as to hand its journal over.
    "systemd.journald.forward_to_console=1",
    "systemd.journald.max_level_console=notice",
)
# The kernel needs the libraries of the Debian that it is a program of. Its processes and these mounts end
# with the namespaces.
_ENTER: Final = f"""
    root=$1 folder=$2 disk=$3
    shift 3
    touch "$folder/disk.img"
    mount --bind "$folder" "$root{_FOLDER}"
    mount --bind "$disk" "$root{_FOLDER}/disk.img"
    mount --rbind /dev "$root/dev"
    mount -t proc none "$root/proc"
    exec chroot "$root" "$@"
"""
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
    _pack(folder / "tests.tar", chosen)
    journal = folder / "journal.img"
    with journal.open("wb") as file:
        file.truncate(_JOURNAL_BYTES)
    console = folder / "console.log"
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    enter: list[str | Path] = ["sh", "-euc", _ENTER, "sh", image.root, folder, image.disk]
    kernel: list[str | Path] = [image.kernel, *_HARDWARE, *_KERNEL_OPTIONS]
    process = subprocess.Popen(
        [
            "setpriv",
            "--pdeathsig=TERM",
            "timeout",
            "--kill-after=10",
            str(LIMIT_SECONDS),
            *namespaces,
            *enter,
            *kernel,
        ],
        env={**os.environ, "TMPDIR": str(_memory_folder(folder))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    # The kernel polls what it writes to, which can't be done with a file.
    keeping = threading.Thread(target=_keep, args=(process.stderr, console))
    keeping.start()
    try:
        # The terminal of the machine ends its lines with CR LF.
        yield Machine(io.TextIOWrapper(process.stdout, errors="replace", newline=None), console, journal)
    finally:
        process.terminate()
        process.wait()
        keeping.join()


def _keep(stream: IO[bytes], file: Path) -> None:
    with file.open("wb") as kept:
        shutil.copyfileobj(stream, kept)


def _memory_folder(folder: Path) -> Path:
    """Return where the kernel makes the file that is the machine's memory: into memory, if it may be there.

    Raises DevError if there is no room for it, which the kernel would notice in the midst of its work.
    """
    for seen_here, seen_there in ((_MEMORY_FOLDER, _MEMORY_FOLDER), (folder, _FOLDER)):
        if seen_here.is_dir():
            about = os.statvfs(seen_here)
            room_mib = about.f_bavail * about.f_frsize // 2**20
            if room_mib > _MEMORY_MIB + _SPARE_MIB and not about.f_flag & os.ST_NOEXEC:
                return seen_there
    wanted = f"{_MEMORY_MIB + _SPARE_MIB} MiB in {_MEMORY_FOLDER} or {folder.parent}"
    raise DevError(f"the machine's memory needs {wanted}, where programs may run")


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
