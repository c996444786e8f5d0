"""Where are the logs of a stack whose tests failed? In `var/ci/logs`, by the name of the first of them."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev.paths import CHECKOUT
from dev.state import logs_of

__all__ = ["keep_logs", "note_failure"]

_KEPT: Final = CHECKOUT / "var/ci/logs"
_failures: list[str] = []
"""The tests of this process that failed so far, by their node ids."""


def note_failure(nodeid: str) -> None:
    """Remember that a test failed: the logs of the stacks that run now are kept."""
    _failures.append(nodeid)


@contextmanager
def keep_logs(state: Path, kept: Path = _KEPT) -> Iterator[None]:
    """Copy the logs of a state folder on leaving if a test failed meanwhile, or the end of its stack did."""
    logs, before = logs_of(state), len(_failures)
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        failed = _failures[before:]
        if (failed or not succeeded) and logs.is_dir():
            name = failed[0] if failed else f"stopped {state.name}"
            target = kept / re.sub(r"[^\w.-]+", "_", name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(logs, target, ignore_dangling_symlinks=True)
            (target / "failed-tests.txt").write_text("\n".join([*failed, ""]))
