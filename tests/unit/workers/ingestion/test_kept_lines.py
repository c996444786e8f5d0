"""Does the line of a game that Lichess lost reach the consumers in its place?"""

import json

import pytest

from app.contract.ingestion import FetchAnswer, FetchKind, FetchPlan, KeptLine
from tests.unit.workers.ingestion.fakes import make_plan
from tests.unit.workers.ingestion.games import as_line, make_game
from tests.unit.workers.ingestion.test_producer import World


class Observed(World):
    """One that keeps the runs, too."""

    def __init__(self, *kept: KeptLine) -> None:
        super().__init__()
        self.runs: list[int] = []
        ids = [line.id for line in kept]
        self.api.answers = [FetchAnswer(plan=make_plan(kind=FetchKind.IDS, ids=[*ids, "game0009"]))]
        self.api.kept = list(kept)

    def dispatch(self, plan: FetchPlan, line: int, payload: str) -> None:
        super().dispatch(plan, line, payload)
        self.runs.append(plan.run_id)


def kept(number: int, raw: str | None = None) -> KeptLine:
    game = make_game(number)
    return KeptLine(id=game["id"], run_id=2, line=40 + number, raw=json.dumps(game) if raw is None else raw)


def test_a_kept_line_is_sent_on_as_what_it_was_when_it_came() -> None:
    world = Observed(kept(1))
    world.fetch(as_line(make_game(9)))
    assert world.runs == [7, 2]
    assert [line for line, _ in world.dispatched] == [1, 41]
    assert json.loads(world.dispatched[1][1]) == make_game(1)
    assert [game for _, game in world.api.seen] == ["game0009"]


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"id":"game0001"}', json.dumps(make_game(1))[:-40]])
def test_a_kept_line_that_can_not_be_read_does_not_keep_the_others(raw: str) -> None:
    world = Observed(kept(1, raw), kept(2))
    world.fetch()
    assert [line for line, _ in world.dispatched] == [42]


def test_a_broker_that_takes_no_kept_line_leaves_it_where_it_is() -> None:
    world = Observed(kept(1), kept(2))
    world.broken_from = 41
    assert world.fetch() is False
    assert world.dispatched == []
    assert len(world.api.reports) == 1
