"""Does Scoresheet work on a machine of its own? Boot one, let it check itself, and say what it found."""

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dev.errors import DevError
from dev.paths import CHECKOUT
from tests.system import image, machine
from tests.system.inside.__main__ import NAMES

_RESULT: Final = re.compile(r"^(?P<passed>\d+) passed, (?P<failed>\d+) failed$")
_FAILED: Final = re.compile(r"^FAIL  (?P<name>[^:]+): ")
_LAST_LINES: Final = 120
_KEPT: Final = CHECKOUT / "var/ci/system"


@dataclass
class _Outcome:
    """What one machine said."""

    passed: int = 0
    failed: int = 0
    names: list[str] = field(default_factory=list)
    """The checks that failed."""
    journal: str = ""
    console: str = ""

    @property
    def is_good(self) -> bool:
        """Tell whether the machine came to the end of its checks, and all passed."""
        return self.passed > 0 and not self.failed


def main() -> int:
    """Print a line for each check, with its figure; 0 only if all ran and passed."""
    chosen = _chosen()
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
    outcome = _check(built, chosen)
    _keep(outcome)
    report(f"{time.monotonic() - began:.0f} s in all; the machine's journal and console: {_KEPT}")
    if not outcome.is_good:
        print("\n".join((outcome.journal or outcome.console).splitlines()[-_LAST_LINES:]))
        _explain(outcome, report)
    print(f"{outcome.passed} passed, {max(outcome.failed, 0 if outcome.passed else 1)} failed")
    return os.EX_OK if outcome.is_good else 1


def _chosen() -> list[str]:
    names = ", ".join(map(shlex.quote, NAMES))
    parser = argparse.ArgumentParser(
        prog="python -m tests.system", description=__doc__, epilog=f"Checks: {names}"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=NAMES,
        metavar="CHECK",
        help="run only this check, and those that all others depend on; may be repeated",
    )
    chosen: list[str] = parser.parse_args().only
    return chosen


def _check(built: image.Image, chosen: Sequence[str]) -> _Outcome:
    """Boot the machine, and show what its checks say."""
    outcome = _Outcome()
    with tempfile.TemporaryDirectory(prefix="scoresheet-system-") as folder:
        with machine.boot(built, Path(folder), chosen) as booted:
            for line in booted.lines:
                text = line.rstrip()
                if result := _RESULT.match(text):
                    outcome.passed, outcome.failed = int(result["passed"]), int(result["failed"])
                elif text:
                    print(text, flush=True)
                if failed := _FAILED.match(text):
                    outcome.names.append(failed["name"])
        outcome.journal, outcome.console = booted.journal(), booted.console.read_text(errors="replace")
    return outcome


def _keep(outcome: _Outcome) -> None:
    _KEPT.mkdir(parents=True, exist_ok=True)
    (_KEPT / "journal.log").write_text(outcome.journal)
    (_KEPT / "console.log").write_text(outcome.console)


def _explain(outcome: _Outcome, report: Callable[[str], None]) -> None:
    """Name what failed, and how to see it again."""
    if not outcome.passed and not outcome.failed:
        report("the machine did not finish its checks")
    known = [name for name in outcome.names if name in NAMES]
    options = "".join(f" --only {shlex.quote(name)}" for name in known)
    report(f"run alone: {os.path.relpath(sys.executable)} -m tests.system{options}")


if __name__ == "__main__":
    sys.exit(main())
