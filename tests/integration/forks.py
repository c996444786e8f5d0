"""How does a test start many processes of its own, or commands, without loading the product for each?

They are forks of one process that has loaded it: a start takes milliseconds in place of a second of processor
time. What is tested is a process all the same, with its own environment, output and end.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app import cli

PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "tests.integration.arena"])

_LIMIT_SECONDS: Final = 300


def run_command(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `scoresheet` with these arguments and this environment alone."""
    with tempfile.TemporaryDirectory() as folder:
        process = PROCESSES.Process(target=_scoresheet, args=(Path(folder), dict(environment), arguments))
        process.start()
        process.join(_LIMIT_SECONDS)
        status = process.exitcode
        process.kill()
        assert status is not None, f"scoresheet {arguments} has not ended"
        said = [(Path(folder) / name).read_text() for name in ("stdout", "stderr")]
    return subprocess.CompletedProcess(arguments, status, *said)


def _scoresheet(folder: Path, environment: Mapping[str, str], arguments: tuple[str, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with (folder / name).open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    raise SystemExit(cli.main(arguments))
