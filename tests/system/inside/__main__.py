"""Which checks run on this machine, in which order, and how do they end?

Those that need analysis under way come first: there is only so much of it.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.system.inside import faults, limits, records, start
from tests.system.inside.host import CheckFailedError, run
from tests.system.inside.situation import Situation

Check = Callable[[Situation], str]

_ESSENTIAL: Final[tuple[tuple[str, Check], ...]] = (
    ("boot to target", start.boot),
    ("games ingested", start.ingest),
)
_CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("CPU quota", limits.quota),
    ("set-property, live", limits.set_property),
    ("PostgreSQL, PgBouncer, Redis restarted", faults.services_restarted),
    ("API restarted under load", faults.api_restart),
    ("kill -9 of every role", faults.killed),
    ("watchdog", faults.watchdog),
    ("warm stop", faults.warm_stop),
    ("journal is structured", records.structured),
    ("wrong setting", faults.wrong_setting),
    ("exposure", start.exposure),
    ("database closed to workers", start.database_closed),
    ("nothing lost", records.analysed),
    ("STATUS lines", lambda situation: situation.status.check()),
    ("memory", limits.memory),
    ("disk full", faults.disk_full),
    ("clock an hour off", faults.clock),
    ("nothing failed", records.nothing_failed),
    ("backup and restore", records.restored),
)
_JOURNAL_DISK: Final = Path("/dev/vdc")


def main() -> int:
    """Run all checks, print a line for each; 0 only if all passed."""
    situation = Situation()
    passed = failed = 0
    for number, (name, check) in enumerate((*_ESSENTIAL, *_CHECKS)):
        if _passes(name, check, situation):
            passed += 1
            continue
        failed += 1
        if number < len(_ESSENTIAL):
            failed = len(_ESSENTIAL) + len(_CHECKS) - passed
            print(f"FAIL  the {failed - 1} checks that follow: they make no sense without", flush=True)
            break
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else os.EX_OK


def _passes(name: str, check: Check, situation: Situation) -> bool:
    began = time.monotonic()
    try:
        figure = check(situation)
    except CheckFailedError as error:
        print(f"FAIL  {name}: {error}  [{time.monotonic() - began:.0f} s]", flush=True)
        return False
    except Exception as error:  # noqa: BLE001  one broken check must not hide the others
        traceback.print_exc()
        print(f"FAIL  {name}: {error!r}  [{time.monotonic() - began:.0f} s]", flush=True)
        return False
    print(f"ok    {name}: {figure}  [{time.monotonic() - began:.0f} s]", flush=True)
    return True


def _hand_over() -> None:
    """Write the journal to the disk that is there for it, and switch the machine off."""
    if _JOURNAL_DISK.is_block_device():
        text = run("journalctl", "--boot", "--no-pager", "--output=short-monotonic", check=False)
        with _JOURNAL_DISK.open("r+b", buffering=0) as disk:
            disk.write(text.encode()[-60 * 2**20 :])
            os.fsync(disk.fileno())
    run("systemctl", "poweroff", "--force", "--force", check=False)


if __name__ == "__main__":
    try:
        status = main()
    finally:
        _hand_over()
    sys.exit(status)
