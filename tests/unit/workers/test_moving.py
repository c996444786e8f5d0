"""Does each step of a task that may take its time note that the task moves?"""

import asyncio
import itertools
from contextlib import closing
from pathlib import Path

import httpx
import pytest

import workers.analysis.consumer
import workers.analysis.lease
import workers.api_client
import workers.ingestion.lichess
import workers.ingestion.lock
import workers.ingestion.pressure
from tests.fakes import engine as fake
from tests.unit.workers.analysis.test_consumer import analyst, claimed
from tests.unit.workers.ingestion.fakes import NEVER, make_plan, ndjson
from tests.unit.workers.test_api_client import DUE, Server, ok
from workers.analysis.engine import EngineOptions
from workers.analysis.lease import Lease
from workers.analysis.workbench import Workbench
from workers.ingestion.cutoff import CutOff
from workers.ingestion.lichess import LichessClient
from workers.ingestion.lock import Gate
from workers.ingestion.pressure import Pressure

MODULES = (
    workers.api_client,
    workers.analysis.consumer,
    workers.analysis.lease,
    workers.ingestion.lichess,
    workers.ingestion.lock,
    workers.ingestion.pressure,
)


class Moves:
    """Remembers each move of a task, as the patience that it asked for."""

    def __init__(self) -> None:
        self.patience: list[float] = []

    def advance(self, *, patience_seconds: float = 0.0) -> None:
        self.patience.append(patience_seconds)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    moves = Moves()
    for module in MODULES:
        monkeypatch.setattr(module, "board", moves)
    return moves


def test_every_try_of_a_request_to_the_api_is_a_move(moves: Moves) -> None:
    server = Server(httpx.ConnectError("refused"), httpx.Response(503), ok(DUE))
    server.client().due_players(5)
    assert moves.patience == [0, 0, 0]


async def test_every_turn_of_the_loop_in_which_an_engine_searches_is_a_move(moves: Moves) -> None:
    lease = Lease(600, lambda: None)
    turns = 0
    enough = asyncio.Event()

    async def search() -> str:
        await enough.wait()
        return "done"

    def stopping() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            enough.set()
        return False

    assert await lease.keep(search(), stopping=stopping, limit_seconds=600) == "done"
    assert moves.patience == [0, 0, 0]


def test_a_plugin_gets_the_time_until_the_task_s_hard_limit_ends_it(moves: Moves, tmp_path: Path) -> None:
    options = EngineOptions(fake.install(tmp_path), 4, patience_seconds=60, slowest_nodes_per_second=1e6)
    with closing(Workbench(options)) as workbench:
        analyst(claimed(), workbench, limit_seconds=1_200).analyze("abcdefgh")
    assert moves.patience[-2:] == [2_400, 0]


def test_lichess_may_be_silent_for_as_long_as_its_timeout(moves: Moves) -> None:
    transport = httpx.MockTransport(lambda _: ndjson(b"{}\n", b"{}\n"))
    with LichessClient("https://lichess.test", None, 240, transport).games(
        make_plan(), CutOff(NEVER)
    ) as lines:
        assert moves.patience == [240]
        next(lines)
        moves.advance()  # as a report to the API does
        list(lines)
    assert moves.patience == [240, 0, 240, 240]


def test_the_wait_at_a_busy_gate_is_a_move(moves: Moves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.ingestion.lock, "_POLL_SECONDS", 0)
    gate = Gate.__new__(Gate)
    gate._stopping = lambda: False
    gate._wait(NEVER)
    assert moves.patience == [0]


def test_the_wait_for_the_consumers_is_a_move(moves: Moves, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.ingestion.pressure, "_LINES_PER_LOOK", 1)
    monkeypatch.setattr(workers.ingestion.pressure, "_POLL_SECONDS", 0)
    lengths = itertools.chain([500, 500, 400], itertools.repeat(0))
    pressure = Pressure(lambda: next(lengths), high_water=500, low_water=250, pause_seconds=60)
    pressure.yield_to_consumers(CutOff(NEVER))
    assert moves.patience == [0, 0]
