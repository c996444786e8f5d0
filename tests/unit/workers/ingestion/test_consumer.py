"""Does each game of a message end stored or visibly refused?"""

import json
from typing import Any

import pytest

from tests.unit.workers.ingestion.fakes import FakeApi
from tests.unit.workers.ingestion.games import CREATED_MS, make_game
from workers.api_client import ApiProblem, ApiUnavailable
from workers.ingestion import consumer


def process(api: FakeApi, **changes: Any) -> None:
    consumer.process(api.as_client(), "alice", 7, 3, json.dumps(make_game(**changes)))


def test_a_game_is_stored_with_where_it_was_seen() -> None:
    api = FakeApi()
    process(api)
    (observation,) = api.observations
    assert (observation.player, observation.run_id, observation.line) == ("alice", 7, 3)
    assert (observation.id, observation.created_at_ms) == ("game0001", CREATED_MS + 1)
    assert observation.game is not None
    assert observation.refusal is None


def test_a_game_that_can_not_be_parsed_is_refused() -> None:
    api = FakeApi()
    process(api, moves="e4 Ke5")
    (observation,) = api.observations
    assert observation.game is None
    assert observation.refusal is not None
    assert observation.refusal.code == "illegal_move"


@pytest.mark.parametrize("status", [413, 422])
def test_a_game_that_the_api_finds_at_fault_is_refused_instead_of_tried_for_ever(status: int) -> None:
    api = FakeApi(faults={"store": [ApiProblem(status, "invalid_request", "body.game: odd", {})]})
    process(api)
    (observation,) = api.observations
    assert observation.refusal is not None
    assert (observation.refusal.code, observation.refusal.detail) == ("not_accepted", "body.game: odd")


@pytest.mark.parametrize("error", [ApiUnavailable("gone"), ApiProblem(401, "unauthorised", "no", {})])
def test_a_failure_that_is_not_the_game_s_leaves_it_pending(error: Exception) -> None:
    api = FakeApi(faults={"store": [error]})
    with pytest.raises(type(error)):
        process(api)
    assert api.observations == []
