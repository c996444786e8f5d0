"""Which checks run on this machine, in which order, and how do they end?

Each brings its own work, so that any of them can run alone. Those that want analysis without an end come
first, and those that want it to end after them: the workers are started anew in between.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from tests.system.inside import faults, limits, records, start, status
from tests.system.inside.host import CheckFailedError, run
from tests.system.inside.situation import Situation

Check = Callable[[Situation], str]

_ESSENTIAL: Final[tuple[tuple[str, Check], ...]] = (
    ("boot to target", start.boot),
    ("games ingested", start.ingest),
)
_CHECKS: Final[tuple[tuple[tuple[str, Check], ...], ...]] = (
    (("CPU quota", limits.quota),),
    (("set-property, live", limits.set_property),),
    (("PostgreSQL, PgBouncer, Redis restarted", faults.services_restarted),),
    (("API restarted under load", faults.api_restart),),
    (("kill -9 of every role", faults.killed),),
    (("watchdog", faults.watchdog),),
    (("warm stop", faults.warm_stop),),
    (
        ("STATUS lines", status.said),
        ("wrong setting", faults.wrong_setting),
        ("exposure", start.exposure),
        ("database closed to workers", start.database_closed),
    ),
    (("nothing lost", records.analysed), ("journal is structured", records.structured)),
    (("memory", limits.memory),),
    (("disk full", faults.disk_full),),
    (("clock an hour off", faults.clock),),
    (("nothing failed", records.nothing_failed),),
    (("backup and restore", records.restored),),
)
"""Those of a group run side by side: one waits while another needs the processor."""
NAMES: Final = tuple(name for name, _ in (*_ESSENTIAL, *chain(*_CHECKS)))
CHOSEN: Final = Path("tests/system/chosen")
"""Names of the checks to run beside the essential ones, one a line; all if there is no such file."""
_JOURNAL_DISK: Final = Path("/dev/ubdc")


def main() -> int:
    """Run the checks, print a line for each; 0 only if all passed."""
    situation = Situation()
    chosen = CHOSEN.read_text().splitlines() if CHOSEN.exists() else NAMES
    groups = [[check for check in group if check[0] in chosen] for group in _CHECKS]
    passed = failed = 0
    for check in _ESSENTIAL:
        if not _passes(situation, check):
            failed = len(_ESSENTIAL) - passed + sum(map(len, groups))
            print(f"FAIL  the {failed - 1} checks that follow: they make no sense without", flush=True)
            groups = []
            break
        passed += 1
    for group in filter(None, groups):
        with ThreadPoolExecutor(len(group)) as pool:
            results = list(pool.map(partial(_passes, situation), group))
        passed += results.count(True)
        failed += results.count(False)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else os.EX_OK


def _passes(situation: Situation, named: tuple[str, Check]) -> bool:
    name, check = named
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
        exit_status = main()
    finally:
        _hand_over()
    sys.exit(exit_status)
