"""Does Scoresheet work on a machine of its own? Boot one, let it check itself, and say what it found."""

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from dev.errors import DevError
from dev.paths import TOOLS
from tests.system import image, machine

_RESULT: Final = re.compile(r"^(?P<passed>\d+) passed, (?P<failed>\d+) failed$")
_LAST_LINES: Final = 120
_EMULATORS_FAULT: Final = "Oops: int3"
"""What the kernel says where QEMU lets a processor run a breakpoint that another one has taken out already: a
kernel changes its own code, when the first CPU quota is set for one. No real processor does that."""
_BOOTS: Final = 8
"""Every third boot or so ends that way, half a minute after its start."""


def main() -> int:
    """Print a line for each check, with its figure; 0 only if all ran and passed."""
    began = time.monotonic()

    def report(text: str) -> None:
        print(f"system: {text}", flush=True)

    try:
        image.require_root()
        built = image.build(report)
    except DevError as error:
        report(str(error))
        return os.EX_SOFTWARE
    report(f"the image is there after {time.monotonic() - began:.0f} s; booting it")
    for _ in range(_BOOTS):
        passed, failed, journal, console = _check(built)
        if passed or failed or _EMULATORS_FAULT not in console:
            break
        report("the emulator ran code that its kernel was just changing; booting again")
    kept = TOOLS / "system/journal.log"
    kept.write_text(journal or console)
    report(f"{time.monotonic() - began:.0f} s in all; the machine's journal: {kept}")
    if not passed or failed:
        print("\n".join((journal or console).splitlines()[-_LAST_LINES:]))
    if not passed and not failed:
        report("the machine did not finish its checks")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else os.EX_OK


def _check(built: image.Image) -> tuple[int, int, str, str]:
    """Boot the machine, show what its checks say; return how many passed and failed, journal and console."""
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="scoresheet-system-") as folder:
        with machine.boot(built, Path(folder)) as booted:
            for line in booted.lines:
                text = line.rstrip()
                if result := _RESULT.match(text):
                    passed, failed = int(result["passed"]), int(result["failed"])
                elif text:
                    print(text, flush=True)
        return passed, failed, booted.journal(), booted.console.read_text(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
