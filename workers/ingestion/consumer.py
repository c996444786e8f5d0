"""What becomes of games once their messages are here?"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import structlog

from app.contract.games import GameRecord
from app.contract.ingestion import Observation, Observations, Refusal
from workers.api_client import ApiClient, ApiError, ApiProblem, ApiUnavailable
from workers.ingestion.lines import load_json
from workers.ingestion.parsing import parse, refusal
from workers.progress import board

_LOG = structlog.get_logger(__name__)

# The API found the game itself at fault: the same request would never pass.
_AT_FAULT: Final = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_UNKNOWN_FIELD: Final = "Extra inputs are not permitted"
"""As Pydantic says it."""


class Delivery(NamedTuple):
    """What the message of one game holds."""

    player: str
    run_id: int
    line: int
    payload: str
    """The JSON text of the export, without its secrets."""


class _Parsed(NamedTuple):
    payload: str
    observation: Observation


def process(api: ApiClient, messages: Sequence[Sequence[Any]]) -> None:
    """Parse games and store each, or the reason why it can't be stored. Idempotent.

    A message holds what Delivery does. Raises what kept a game from that once the others are done, ApiError
    if the API can't be reached for long: it stays pending in the manifest, and is fetched again.
    """
    parsed: list[_Parsed] = []
    failures: list[Exception] = []
    for message in messages:
        board.advance()
        try:
            parsed.append(_parse(Delivery(*message)))
        except Exception as error:  # noqa: BLE001  the other games are not to blame
            failures.append(error)
    if parsed:
        failures += _store(api, parsed)
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("games stay pending", failures)


def _parse(delivery: Delivery) -> _Parsed:
    game = load_json(delivery.payload)
    found = parse(game, delivery.payload)
    observation = Observation(
        player=delivery.player,
        run_id=delivery.run_id,
        line=delivery.line,
        id=game["id"],
        created_at_ms=game["createdAt"],
        game=found if isinstance(found, GameRecord) else None,
        refusal=found if isinstance(found, Refusal) else None,
    )
    if isinstance(found, Refusal):
        _note(observation, found)
    return _Parsed(delivery.payload, observation)


def _store(api: ApiClient, parsed: Sequence[_Parsed]) -> list[Exception]:
    """Store all in one request or, if the API has something against one of them, each by itself."""
    try:
        answer = api.store(Observations(observations=[observation for _, observation in parsed]))
    except ApiProblem as problem:
        if len(parsed) > 1:
            return _store_singly(api, parsed)
        ((payload, observation),) = parsed
        if (
            problem.status not in _AT_FAULT
            or observation.refusal is not None
            or _is_of_a_release_before(problem)
        ):
            return [problem]
        why = refusal("not_accepted", problem.detail, payload)
        _note(observation, why)
        return _store(api, [_Parsed(payload, observation.model_copy(update={"game": None, "refusal": why}))])
    except ApiError as error:
        return [error]
    board.count(len(parsed))
    _LOG.debug("games_processed", **answer.model_dump())
    return []


def _is_of_a_release_before(problem: ApiProblem) -> bool:
    """Tell whether the API lacks a field that we send: amid an upgrade the workers may start anew first.

    That is no fault of the game's, which comes again.
    """
    return any(_UNKNOWN_FIELD in str(error) for error in problem.extensions.get("errors", ()))


def _store_singly(api: ApiClient, parsed: Sequence[_Parsed]) -> list[Exception]:
    failures: list[Exception] = []
    for one in parsed:
        board.advance()
        failures += _store(api, [one])
        if failures and isinstance(failures[-1], ApiUnavailable):
            break  # each of the others would wait for the API as long as this one did
    return failures


def _note(observation: Observation, why: Refusal) -> None:
    _LOG.warning(
        "game_refused",
        player=observation.player,
        run_id=observation.run_id,
        line=observation.line,
        game=observation.id,
        code=why.code,
        detail=why.detail,
    )
