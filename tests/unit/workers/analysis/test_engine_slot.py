"""Does a worker process get its engine back after a failure, and give up when that does not help?"""

from pathlib import Path

import chess
import pytest

from tests.fakes import engine as fake
from tests.fakes.engine import Fault
from workers.analysis.engine import EngineChanged, EngineDied, EngineMissing, EngineOptions, EngineTimeout
from workers.analysis.engine_slot import EngineSlot


class Pauses:
    """Takes the place of sleep: remembers how long, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def slot_with(path: Path, pauses: Pauses, patience_seconds: float = 20.0) -> EngineSlot:
    return EngineSlot(
        EngineOptions(path, 4, patience_seconds=patience_seconds, slowest_nodes_per_second=1e6), sleep=pauses
    )


@pytest.mark.parametrize(("fault", "patience_seconds"), [(Fault.DIE_ONCE, 20.0), (Fault.HANG_ONCE, 1.0)])
async def test_a_position_is_tried_again_on_a_fresh_engine(
    folder: Path, fault: Fault, patience_seconds: float
) -> None:
    pauses = Pauses()
    slot = slot_with(fake.install(folder, fault), pauses, patience_seconds)
    identity = await slot.identity()
    evaluation = await slot.evaluate(chess.Board(), 50, identity)
    await slot.evaluate(chess.Board(), 50, identity)
    await slot.close()
    assert evaluation.nodes == 50
    assert len(fake.pids(folder)) == 2
    assert pauses.seconds == []


async def test_after_the_second_failure_the_position_is_given_up(folder: Path) -> None:
    slot = slot_with(fake.install(folder, Fault.DIE_ON_GO), Pauses())
    with pytest.raises(EngineDied, match="FEN"):
        await slot.evaluate(chess.Board(), 50, await slot.identity())
    await slot.close()
    assert len(fake.pids(folder)) == 2


async def test_an_engine_that_keeps_failing_is_started_ever_more_slowly(folder: Path) -> None:
    pauses = Pauses()
    slot = slot_with(fake.install(folder, Fault.DIE_ON_GO), pauses)
    identity = await slot.identity()
    for _ in range(4):
        with pytest.raises(EngineDied):
            await slot.evaluate(chess.Board(), 50, identity)
    await slot.close()
    assert pauses.seconds == [1, 2, 4, 8, 16, 30]


async def test_one_engine_serves_position_after_position(folder: Path) -> None:
    slot = slot_with(fake.install(folder), Pauses())
    identity = await slot.identity()
    first = [await slot.evaluate(chess.Board(), 50, identity) for _ in range(3)]
    await slot.close()
    assert first[0] == first[1] == first[2]
    assert len(fake.pids(folder)) == 1


async def test_an_engine_that_was_exchanged_may_not_answer_for_the_old_one(folder: Path) -> None:
    slot = slot_with(fake.install(folder, Fault.DIE_ONCE, "Fake 1"), Pauses())
    identity = await slot.identity()
    fake.install(folder, Fault.DIE_ONCE, "Fake 2")
    with pytest.raises(EngineChanged, match=r"Fake 2.*in place of.*Fake 1"):
        await slot.evaluate(chess.Board(), 50, identity)
    assert (await slot.identity()).name == "Fake 2"
    await slot.close()


async def test_the_last_identity_stands_in_for_an_engine_that_vanished(folder: Path) -> None:
    path = fake.install(folder, Fault.DIE_ON_GO)
    slot = slot_with(path, Pauses())
    identity = await slot.identity()
    await slot.close()
    path.unlink()
    assert await slot.identity() == identity
    with pytest.raises(EngineMissing):
        await slot.evaluate(chess.Board(), 50, identity)


async def test_an_engine_that_never_started_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing):
        await slot_with(tmp_path / "none", Pauses()).identity()


async def test_a_start_that_hangs_ends_too(folder: Path) -> None:
    slot = slot_with(fake.install(folder, Fault.NO_UCIOK), Pauses(), patience_seconds=1.0)
    with pytest.raises(EngineTimeout):
        await slot.identity()
