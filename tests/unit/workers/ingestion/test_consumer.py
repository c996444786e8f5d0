"""Does each game of a message end stored or visibly refused?"""

import json
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from app.contract.games import MAX_PLIES
from app.contract.ingestion import Observations
from app.settings import BODY_LIMIT_MIN_BYTES
from tests.unit.workers.ingestion.fakes import FakeApi
from tests.unit.workers.ingestion.games import CREATED_MS, as_line, make_game
from workers.api_client import ApiProblem, ApiUnavailable
from workers.ingestion import consumer, parsing
from workers.ingestion.lines import LINE_MAX_BYTES
from workers.ingestion.replay import Replay, replay
from workers.progress import Board


@pytest.fixture(autouse=True)
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """Give the consumer a page of its own."""
    board = Board()
    monkeypatch.setattr(consumer, "board", board)
    return board


def messages(*games: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [("alice", 7, line, json.dumps(game)) for line, game in enumerate(games, start=3)]


def process(api: FakeApi, *games: dict[str, Any]) -> None:
    consumer.process(api.as_client(), messages(*games))


def outcomes(api: FakeApi) -> dict[str, str]:
    """Tell what became of each game: "stored", or the code of its refusal."""
    return {
        observation.id: "stored" if observation.refusal is None else observation.refusal.code
        for observation in api.observations
    }


def test_a_game_is_stored_with_where_it_was_seen() -> None:
    api = FakeApi()
    process(api, make_game())
    (observation,) = api.observations
    assert (observation.player, observation.run_id, observation.line) == ("alice", 7, 3)
    assert (observation.id, observation.created_at_ms) == ("game0001", CREATED_MS + 1)
    assert observation.game is not None
    assert observation.refusal is None


def test_a_game_that_can_not_be_parsed_is_refused() -> None:
    api = FakeApi()
    process(api, make_game(moves=["e4"]))
    (observation,) = api.observations
    assert observation.game is None
    assert observation.refusal is not None
    assert observation.refusal.code == "invalid_field"


@pytest.mark.parametrize("status", [413, 422])
def test_a_game_that_the_api_finds_at_fault_is_refused_instead_of_tried_for_ever(status: int) -> None:
    api = FakeApi(faults={"store": [ApiProblem(status, "invalid_request", "body.game: odd", {})]})
    process(api, make_game())
    (observation,) = api.observations
    assert observation.refusal is not None
    assert (observation.refusal.code, observation.refusal.detail) == ("not_accepted", "body.game: odd")


_UNKNOWN_FIELD = {"errors": [{"field": "body.game.new", "message": "Extra inputs are not permitted"}]}


@pytest.mark.parametrize(
    "error",
    [
        ApiUnavailable("gone"),
        ApiProblem(401, "unauthorised", "no", {}),
        ApiProblem(422, "invalid_request", "an API of the release before", _UNKNOWN_FIELD),
    ],
)
def test_a_failure_that_is_not_the_game_s_leaves_it_pending(error: Exception) -> None:
    api = FakeApi(faults={"store": [error]})
    with pytest.raises(type(error)):
        process(api, make_game())
    assert api.observations == []


@pytest.mark.parametrize("error", [MemoryError(), SoftTimeLimitExceeded()], ids=repr)
def test_what_ends_the_parser_from_outside_leaves_its_game_pending(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def replay_all_but_one(variant: str, initial_fen: str | None, san: list[str]) -> Replay:
        if san[0] == "d4":
            raise error
        return replay(variant, initial_fen, san)

    monkeypatch.setattr(parsing, "replay", replay_all_but_one)
    api = FakeApi()
    with pytest.raises(type(error)):
        process(api, make_game(1), make_game(2, moves="d4 d5"), make_game(3))
    assert outcomes(api) == {"game0001": "stored", "game0003": "stored"}


def test_games_that_arrive_together_are_stored_by_one_request() -> None:
    api = FakeApi()
    process(api, make_game(1), make_game(2, status=7), make_game(3))
    assert outcomes(api) == {"game0001": "stored", "game0002": "invalid_field", "game0003": "stored"}
    assert [observation.line for observation in api.observations] == [3, 4, 5]
    assert api.stores == 1


@pytest.mark.parametrize("status", [404, 413, 422])
def test_a_game_that_the_api_has_something_against_does_not_harm_the_others(status: int) -> None:
    problem = ApiProblem(status, "odd", "it is odd", {})
    # The request of all, and then the second of three.
    api = FakeApi(faults={"store": [problem, None, problem]})
    if status == 404:
        with pytest.raises(ApiProblem):
            process(api, make_game(1), make_game(2), make_game(3))
        assert outcomes(api) == {"game0001": "stored", "game0003": "stored"}
    else:
        process(api, make_game(1), make_game(2), make_game(3))
        assert outcomes(api) == {"game0001": "stored", "game0002": "not_accepted", "game0003": "stored"}


def test_a_message_that_holds_no_game_does_not_harm_the_others() -> None:
    api = FakeApi()
    with pytest.raises(ExceptionGroup, match="games stay pending") as raised:
        process(api, {}, make_game(2), {})
    assert len(raised.value.exceptions) == 2
    assert outcomes(api) == {"game0002": "stored"}


def test_a_message_of_another_shape_does_not_harm_the_others() -> None:
    api = FakeApi()
    first, second, third = messages(make_game(1), make_game(2), make_game(3))
    with pytest.raises(TypeError):
        consumer.process(api.as_client(), [first, (*second, "more"), third])
    assert outcomes(api) == {"game0001": "stored", "game0003": "stored"}


def test_the_games_that_went_well_are_counted_whatever_became_of_the_others(board: Board) -> None:
    problem = ApiProblem(404, "odd", "it is odd", {})
    api = FakeApi(faults={"store": [problem, None, problem]})
    with pytest.raises(ExceptionGroup):
        process(api, make_game(1), make_game(2), make_game(3), {})
    assert board.slots(1)[0].done == 2


def test_an_api_that_goes_away_is_waited_for_once() -> None:
    problem = ApiProblem(422, "odd", "one of them is odd", {})
    api = FakeApi(faults={"store": [problem, None, ApiUnavailable("gone")]})
    with pytest.raises(ApiUnavailable):
        process(api, make_game(1), make_game(2), make_game(3))
    assert outcomes(api) == {"game0001": "stored"}


def test_the_largest_game_fits_the_smallest_limit_of_a_body() -> None:
    game = make_game(
        moves=" ".join(["Nf3", "Nf6", "Ng1", "Ng8"] * (MAX_PLIES // 4)),
        clocks=[100_000] * MAX_PLIES,
        analysis=[{"eval": -1000}] * MAX_PLIES,
        news="",
    )
    game["news"] = "x" * (LINE_MAX_BYTES - len(as_line(game)))
    assert len(as_line(game)) == LINE_MAX_BYTES
    api = FakeApi()
    process(api, game)
    assert outcomes(api) == {"game0001": "stored"}
    body = Observations(observations=api.observations).model_dump_json().encode()
    assert LINE_MAX_BYTES < len(body) < BODY_LIMIT_MIN_BYTES // 2
