"""Does systemd hear what a unit tells of itself?"""

import sys
from pathlib import Path

from dev.paths import CHECKOUT
from tests.fakes.systemd import NotifiedProcess

_SPEAK = """
from app.kit.systemd import ServiceManager
manager = ServiceManager()
manager.waiting("the database\\nis away")
manager.ready()
manager.status("12 Züge\\ngespeichert")
manager.alive()
manager.stopping()
"""


def test_each_notice_reaches_it_on_one_line_and_in_its_encoding(tmp_path: Path) -> None:
    with NotifiedProcess(tmp_path, [sys.executable, "-c", _SPEAK], {"PYTHONPATH": str(CHECKOUT)}) as unit:
        assert unit.process.wait(60) == 0
        heard = unit.finish()
    assert heard == [
        "STATUS=the database is away",
        "EXTEND_TIMEOUT_USEC=120000000",
        "READY=1",
        "STATUS=12 Züge gespeichert",
        "WATCHDOG=1",
        "STOPPING=1",
    ]
