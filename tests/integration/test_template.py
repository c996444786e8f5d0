"""Does the data that stacks start from go with the process that set it up?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.paths import CHECKOUT
from tests.integration.conftest import wait_until


@pytest.mark.smoke
@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["ends", "is killed"])
def test_the_folder_of_a_process_goes_with_it(end: str, tmp_path: Path) -> None:
    make = f"""
import os, signal
from tests.integration.template import folder_of_this_process
folder = folder_of_this_process()
(folder / "file").touch()
print(folder, flush=True)
{end}
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", make],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    folder = Path(ended.stdout.strip())
    assert folder.parent == tmp_path
    wait_until(lambda: not folder.exists(), "the folder goes")
