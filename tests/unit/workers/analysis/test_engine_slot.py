"""Does a worker process get its engine back after a failure, and is the right one blamed?"""

from dataclasses import replace
from pathlib import Path

import chess
import pytest

from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from workers.analysis import engine_slot
from workers.analysis.engine import (
    EngineChanged,
    EngineDied,
    EngineOptions,
    EngineUnfit,
)
from workers.analysis.engine_slot import EngineSlot
from workers.progress import Board

BOARD = chess.Board("4k3/8/8/8/8/8/4P3/4K3 w - - 0 1")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def slot_with(path: Path, clock: Clock | None = None, patience_seconds: float = 60.0) -> EngineSlot:
    options = EngineOptions(path, 4, patience_seconds=patience_seconds, slowest_nodes_per_second=1e6)
    return EngineSlot(options, clock=clock or Clock())


@pytest.mark.parametrize(("fault", "patience_seconds"), [(Fault.DIE_ONCE, 60.0), (Fault.HANG_ONCE, 1.0)])
async def test_a_position_is_tried_again_on_a_fresh_engine(
    folder: Path, fault: Fault, patience_seconds: float
) -> None:
    slot = slot_with(fake.install(folder, fault, fit=True))
    identity = await slot.ready()
    first = slot._engine
    assert first is not None
    # Its own patience alone: the next one has as long to start as it needs.
    first._options = replace(first._options, patience_seconds=patience_seconds)
    evaluation = await slot.evaluate(BOARD, 50, identity)
    await slot.evaluate(BOARD, 50, identity)
    await slot.close()
    assert evaluation.nodes == 50
    assert len(fake.pids(folder)) == 2


async def test_a_position_at_which_two_engines_fail_is_to_blame_and_other_positions_are_not(
    folder: Path,
) -> None:
    slot = slot_with(fake.install(folder, Fault.DIE_ON_GO, fit=True))
    identity = await slot.ready()
    for _ in range(3):
        with pytest.raises(EngineDied, match="FEN 4k3"):
            await slot.evaluate(BOARD, 50, identity)
        assert (await slot.evaluate(chess.Board(), 50, identity)).nodes == 50
    await slot.close()


async def test_an_engine_that_fails_at_the_initial_position_is_unfit_and_left_alone_ever_longer(
    folder: Path,
) -> None:
    clock = Clock()
    slot = slot_with(fake.install(folder, Fault.GARBAGE), clock)
    for pause in (1, 2, 4, 8, 16, 30, 30):
        started = len(fake.pids(folder))
        with pytest.raises(EngineUnfit, match="engine_garbage"):
            await slot.ready()
        clock.now += pause - 0.5
        with pytest.raises(EngineUnfit, match="left alone"):
            await slot.ready()
        assert len(fake.pids(folder)) == started + 1
        clock.now += 0.5


async def test_an_engine_that_works_again_is_taken_again(folder: Path) -> None:
    clock = Clock()
    slot = slot_with(fake.install(folder, Fault.DIE_ON_GO), clock)
    for _ in range(2):
        with pytest.raises(EngineUnfit):
            await slot.ready()
        clock.now += 60
    fake.install(folder)
    identity = await slot.ready()
    assert (await slot.evaluate(BOARD, 50, identity)).nodes == 50
    await slot.close()
    fake.install(folder, Fault.EXIT_AT_START)
    with pytest.raises(EngineUnfit, match="last said 'info string no network here'"):
        await slot.ready()
    clock.now += 1  # the pauses begin anew
    with pytest.raises(EngineUnfit, match="engine_died"):
        await slot.ready()


async def test_one_engine_serves_position_after_position(folder: Path) -> None:
    slot = slot_with(fake.install(folder))
    identity = await slot.ready()
    first = [await slot.evaluate(BOARD, 50, identity) for _ in range(3)]
    assert await slot.ready() == identity
    await slot.close()
    assert first[0] == first[1] == first[2]
    assert len(fake.pids(folder)) == 1


async def test_lines_are_asked_for_and_for_that_search_alone(folder: Path) -> None:
    slot = slot_with(fake.install(folder))
    identity = await slot.ready()
    three = await slot.evaluate(BOARD, 50, identity, 3)
    one = await slot.evaluate(BOARD, 50, identity)
    await slot.close()
    assert (three.lines, three.pv, [line.pv for line in three.further]) == (3, ["e1d1"], [["e1d2"], ["e1f1"]])
    scores = [three.score.cp, *(line.score.cp for line in three.further)]
    assert scores == [scores[0], (scores[0] or 0) - 1, (scores[0] or 0) - 2]
    assert (one.lines, one.further, one.score) == (1, [], three.score)


async def test_an_engine_that_was_exchanged_may_not_answer_for_the_old_one(folder: Path) -> None:
    slot = slot_with(fake.install(folder, Fault.DIE_ON_GO, "Fake 1", fit=True))
    identity = await slot.ready()
    fake.install(folder, name="Fake 2")
    with pytest.raises(EngineChanged, match=r"Fake 2.*in place of.*Fake 1"):
        await slot.evaluate(BOARD, 50, identity)
    assert (await slot.ready()).name == "Fake 2"
    await slot.close()


async def test_an_engine_that_vanished_is_not_the_fault_of_the_position(folder: Path) -> None:
    path = fake.install(folder, Fault.DIE_ON_GO, fit=True)
    slot = slot_with(path)
    identity = await slot.ready()
    path.unlink()
    with pytest.raises(EngineUnfit, match="engine_missing"):
        await slot.evaluate(BOARD, 50, identity)


async def test_a_start_that_hangs_ends_too(folder: Path) -> None:
    slot = slot_with(fake.install(folder, Fault.NO_UCIOK), patience_seconds=1.0)
    with pytest.raises(EngineUnfit, match="engine_timeout"):
        await slot.ready()


async def test_an_engine_that_is_too_slow_to_start_gets_twice_the_time_again_and_again(folder: Path) -> None:
    clock = Clock()
    slot = slot_with(fake.install(folder, Fault.NO_UCIOK), clock, patience_seconds=0.05)
    waited = []
    for _ in range(3):
        with pytest.raises(EngineUnfit, match="no answer in") as raised:
            await slot.ready()
        waited.append(str(raised.value).rpartition(" in ")[2])
        clock.now += 100
    assert waited == ["0.05 s", "0.1 s", "0.2 s"]


async def test_the_time_to_start_has_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_slot, "_LONGEST_PATIENCE_SECONDS", 0.07)
    clock = Clock()
    slot = slot_with(fake.install(folder, Fault.NO_UCIOK), clock, patience_seconds=0.05)
    for expected in ("0.05 s", "0.07 s", "0.07 s"):
        with pytest.raises(EngineUnfit, match=f"no answer in {expected}"):
            await slot.ready()
        clock.now += 100


async def test_the_start_of_an_engine_is_no_hang_for_as_long_as_it_may_take(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board()
    monkeypatch.setattr(engine_slot, "progress", board)
    slot = slot_with(fake.install(folder, fit=True), patience_seconds=20)
    await slot.ready()
    await slot.close()
    (shown,) = board.slots(1)
    assert shown.patience_seconds > 40
