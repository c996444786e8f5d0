"""What becomes of one game once its message is here?"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

import structlog

from app.contract.ingestion import Observation, Observations, Refusal
from workers.api_client import ApiClient, ApiProblem
from workers.ingestion.lines import load_json
from workers.ingestion.parsing import parse, refusal

_LOG = structlog.get_logger(__name__)

# The API found the game itself at fault: the same request would never pass.
_AT_FAULT: Final = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})


def process(api: ApiClient, player: str, run_id: int, line: int, payload: str) -> None:
    """Parse a game and store it, or the reason why it can't be stored. Idempotent.

    Raises ApiError if the API can't be reached for long: the game stays pending in the manifest, and is
    fetched again.
    """
    game = load_json(payload)
    with structlog.contextvars.bound_contextvars(game=game["id"]):
        observe = partial(
            Observation,
            player=player,
            run_id=run_id,
            line=line,
            id=game["id"],
            created_at_ms=game["createdAt"],
        )
        found = parse(game, payload)
        if isinstance(found, Refusal):
            _refuse(api, observe, found)
            return
        try:
            answer = api.store(Observations(observations=[observe(game=found)]))
        except ApiProblem as problem:
            if problem.status not in _AT_FAULT:
                raise
            _refuse(api, observe, refusal("not_accepted", problem.detail, payload))
        else:
            _LOG.debug("game_processed", **answer.model_dump())


def _refuse(api: ApiClient, observe: Callable[..., Observation], why: Refusal) -> None:
    _LOG.warning("game_refused", code=why.code, detail=why.detail)
    api.store(Observations(observations=[observe(refusal=why)]))
