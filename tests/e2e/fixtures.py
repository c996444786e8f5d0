"""On what folder does a system under test run, and what must it leave behind? (Nothing.)"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.harness import System, processes_of, running_system
from tests.kept_logs import keep_logs

__all__ = ["fresh_folder", "system_on_fresh_state"]


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Make a state folder with a path short enough for sockets, open to the user that the stack runs as.

    The logs of a stack whose tests failed are kept.
    """
    folder = Path(tempfile.mkdtemp(prefix="sse-"))
    folder.chmod(0o755)
    try:
        with keep_logs(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def system_on_fresh_state(**options: Any) -> Iterator[System]:
    """Run a system for as long as tests need it, then see that it left no process and told no secret.

    The options are those of `running_system`.
    """
    with fresh_folder() as folder:
        with running_system(folder, **options) as system:
            yield system
        assert_nothing_left(folder, system)


def assert_nothing_left(folder: Path, system: System) -> None:
    """Fail if a process outlived the system, had to be killed, told a secret, or no cause of an error."""
    assert processes_of(folder) == []
    assert [report for report in system.reports if report.startswith("killed what did not stop")] == []
    log = system.stack.log_path("supervisord").read_text().splitlines()
    killed = [line for line in log if "with SIGKILL" in line]
    assert killed == [], "\n".join(["a stop took too long:", *log[-40:]])
    assert system.secrets_written() == []
    without_cause = system.errors_without_cause()
    assert not without_cause, f"no cause told: {without_cause[:3]}"
