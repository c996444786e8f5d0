"""Is a worker process left clean when a signal breaks out of its event loop?"""

import asyncio
import signal
from contextlib import closing
from pathlib import Path
from types import FrameType

import chess
import pytest

from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from tests.unit.workers.analysis.conftest import alive
from workers.analysis.engine import EngineOptions
from workers.analysis.workbench import Workbench

BOARD = chess.Board("4k3/8/8/8/8/8/4P3/4K3 w - - 0 1")


class TimeIsUp(Exception):
    """What a time limit's signal raises wherever the program happens to be."""


def test_work_that_a_signal_breaks_off_does_not_go_on_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(fake.install(folder, Fault.HANG_ON_GO, fit=True), 4, patience_seconds=60)

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise TimeIsUp

    with closing(Workbench(options)) as bench:
        identity = bench.ready()
        handler = signal.signal(signal.SIGUSR1, ring)
        # Where the limit strikes in practice: while the loop waits for something to happen.
        loop_waits = asyncio.SelectorEventLoop._run_once  # type: ignore[attr-defined]

        def strike(loop: asyncio.SelectorEventLoop) -> None:
            loop_waits(loop)
            if "go nodes 50" in fake.commands(folder):
                monkeypatch.undo()  # it strikes once
                signal.raise_signal(signal.SIGUSR1)

        monkeypatch.setattr(asyncio.SelectorEventLoop, "_run_once", strike)
        with pytest.raises(TimeIsUp):
            bench.run(bench.slot.evaluate(BOARD, 50, identity))
        signal.signal(signal.SIGUSR1, handler)
        assert [pid for pid in fake.pids(folder) if alive(pid)] == []
        assert bench.ready() == identity
    assert len(fake.pids(folder)) == 2
