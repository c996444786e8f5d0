"""What happens with the games that the consumers have parsed?"""

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.contract.ingestion import Observation, StoreAnswer
from app.errors import InvalidInput, NotFound
from app.ingestion import ledger, storage
from app.ingestion.moments import from_ms
from app.players import repository as players

_LOG = structlog.get_logger(__name__)


async def take_in(session: AsyncSession, observations: Sequence[Observation]) -> StoreAnswer:
    """Store or refuse each observation and settle it in its player's manifest, all or none of them.

    Idempotent; any order. Raises InvalidInput for an observation that is neither game nor refusal, NotFound
    for a player that was never tracked.
    """
    counts = {"stored": 0, "updated": 0, "unchanged": 0, "refused": 0}
    for observation in observations:
        if (observation.game is None) == (observation.refusal is None):
            raise InvalidInput(f"{observation.id}: either game or refusal")
    connection = await session.connection()
    # In the order of ids: two requests that lock the same games in different orders would deadlock.
    for observation in sorted(observations, key=lambda item: item.id):
        if observation.game is not None:
            counts[await _store(connection, observation)] += 1
        else:
            counts[await _refuse(session, observation)] += 1
    return StoreAnswer(**counts)


async def _store(connection: AsyncConnection, observation: Observation) -> str:
    record = observation.game
    if record is None or record.id != observation.id:
        raise InvalidInput(f"{observation.id}: the game has another id")
    stored = await storage.put(connection, observation, record)
    if stored is None or not stored.changed:
        return "unchanged"
    return "stored" if stored.inserted else "updated"


async def _refuse(session: AsyncSession, observation: Observation) -> str:
    player = await players.get(session, observation.player.lower())
    if player is None or observation.refusal is None:
        raise NotFound(f"{observation.player} was never tracked")
    refusal = observation.refusal
    await ledger.settle_refused(
        session,
        player.id,
        _manifest_row(observation),
        code=refusal.code,
        detail=refusal.detail,
        raw=refusal.raw,
    )
    _LOG.warning("game_refused", game=observation.id, player=observation.player, code=refusal.code)
    return "refused"


def _manifest_row(observation: Observation) -> dict[str, object]:
    return {
        "source_id": observation.id,
        "created_at": from_ms(observation.created_at_ms),
        "run_id": observation.run_id,
        "line": observation.line,
    }
