"""How does an observed game come in: stored, entered for analysis and settled, in one statement?

One round trip instead of four: each cost the API more than PostgreSQL's work did (tests/bench/README.md).
"""

from typing import Any, Final, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.analyses import repository as analyses
from app.analyses.service import first_state
from app.contract.games import GameRecord
from app.contract.ingestion import Observation
from app.db.prepared import prepared
from app.errors import NotFound
from app.games import store
from app.ingestion import ledger
from app.ingestion.moments import from_ms


class Stored(NamedTuple):
    """What became of a game that no later observation had forestalled."""

    inserted: bool
    changed: bool
    """Inserted, or different from before."""


async def put(connection: AsyncConnection, observation: Observation, record: GameRecord) -> Stored | None:
    """Store a game, enter it for analysis where it is finished, settle it in its player's manifest.

    Returns None where a later observation is stored already: then it is settled all the same. Idempotent;
    raises NotFound for a player that was never tracked.
    """
    parameters: dict[str, Any] = {
        **store.rows(record, observation.run_id, observation.line),
        "finished": record.finished,
        "analysis_state": first_state(analysable=store.is_analysable(record)),
        "of_user": observation.player.lower(),
        "source_id": observation.id,
        "created_at": from_ms(observation.created_at_ms),
        "run_id": observation.run_id,
        "line": observation.line,
    }
    try:
        row = (await connection.execute(_PUT, parameters)).one_or_none()
    except IntegrityError as error:
        raise NotFound(f"{observation.player} was never tracked") from error
    return None if row is None else Stored(*row)


def _statement() -> Select[Any]:
    stored = store.upsert_game()
    return select(stored.c.inserted, stored.c.changed).add_cte(
        store.upsert_moves(stored),
        *analyses.enter(stored, store.moves_changed(stored)),
        ledger.settle_stored(),
    )


_PUT: Final = prepared(_statement())
