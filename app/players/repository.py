"""Where are tracked accounts and their sync state kept?"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.players import PlayerState
from app.db.models import IngestionRun, Player, RunState, SeenGame, SeenState


async def get(session: AsyncSession, user_id: str) -> Player | None:
    """Return an account that is, or was, tracked."""
    return (await session.execute(select(Player).where(Player.user_id == user_id))).scalar_one_or_none()


async def lock(session: AsyncSession, user_id: str) -> Player | None:
    """Return an account, locked until the end of the transaction.

    FOR NO KEY UPDATE: rows that refer to the account can be inserted meanwhile. With FOR UPDATE, whoever
    holds one manifest entry and inserts another would deadlock with a claim.
    """
    query = select(Player).where(Player.user_id == user_id).with_for_update(key_share=True)
    return (await session.execute(query)).scalar_one_or_none()


async def lock_by_id(session: AsyncSession, player_id: int) -> Player:
    """Return an account that a run refers to, locked as by `lock`."""
    return await session.get_one(Player, player_id, with_for_update={"key_share": True})


async def track(session: AsyncSession, username: str) -> bool:
    """Track an account, due at once where it was not tracked; tell whether it is new."""
    statement = insert(Player).values(user_id=username.lower(), username=username)
    added = await session.execute(statement.on_conflict_do_nothing().returning(Player.id))
    if added.scalar_one_or_none() is not None:
        return True
    player = await lock(session, username.lower())
    if player is not None and not player.tracked:
        player.tracked = True
        wake(player)
    return False


def wake(player: Player) -> None:
    """Make an account due at once, whatever state it is in."""
    # Not the transaction's now(): a run may have begun while this waited for the player's row.
    player.next_sync_at = func.clock_timestamp()
    player.failures = 0
    player.not_found_count = 0
    player.state = PlayerState.ACTIVE
    player.state_detail = None


async def page(session: AsyncSession, after: str | None, limit: int) -> Sequence[Player]:
    """Return tracked accounts by user id, behind `after`."""
    query = select(Player).where(Player.tracked).order_by(Player.user_id).limit(limit)
    if after is not None:
        query = query.where(Player.user_id > after)
    return (await session.execute(query)).scalars().all()


async def completeness(session: AsyncSession, player_ids: Sequence[int]) -> dict[int, dict[SeenState, int]]:
    """Return how many entries each player has in each state; a state without entries is absent."""
    query = (
        select(SeenGame.player_id, SeenGame.state, func.count())
        .where(SeenGame.player_id.in_(player_ids))
        .group_by(SeenGame.player_id, SeenGame.state)
    )
    counts: dict[int, dict[SeenState, int]] = {player_id: {} for player_id in player_ids}
    for player_id, state, count in await session.execute(query):
        counts[player_id][state] = count
    return counts


async def oldest_pending(session: AsyncSession, player_ids: Sequence[int]) -> dict[int, datetime]:
    """Return the creation of each player's oldest pending game, where there is one."""
    query = (
        select(SeenGame.player_id, func.min(SeenGame.created_at))
        .where(SeenGame.player_id.in_(player_ids), SeenGame.state == SeenState.PENDING)
        .group_by(SeenGame.player_id)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def running_players(session: AsyncSession) -> set[int]:
    """Return the ids of players with an open run."""
    query = select(IngestionRun.player_id).where(IngestionRun.state == RunState.RUNNING)
    return set((await session.execute(query)).scalars())
