"""Which accounts are tracked, and how complete is each one's record?"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.players import Completeness, PlayerView
from app.db.models import Player, SeenState
from app.errors import NotFound
from app.players import repository


async def track(session: AsyncSession, username: str) -> tuple[PlayerView, bool]:
    """Track an account; return it, and whether it is new. Idempotent."""
    new = await repository.track(session, username)
    await session.flush()
    return await get(session, username), new


async def existing(session: AsyncSession, username: str) -> Player:
    """Return the row of an account that is, or was, tracked; raises NotFound."""
    player = await repository.get(session, username.lower())
    if player is None:
        raise NotFound(f"{username} is not tracked")
    return player


async def is_tracked(session: AsyncSession, user_id: str) -> bool:
    """Tell whether an account is tracked."""
    player = await repository.get(session, user_id)
    return player is not None and player.tracked


async def is_complete_before(session: AsyncSession, user_id: str, moment: datetime) -> bool:
    """Tell whether every game that a tracked account created before a moment was seen, and is settled."""
    player = await repository.get(session, user_id)
    if player is None or player.seen_until is None or player.seen_until < moment:
        return False
    oldest = (await repository.oldest_pending(session, [player.id])).get(player.id)
    return oldest is None or oldest >= moment


async def untrack(session: AsyncSession, username: str) -> None:
    """Stop fetching an account; its games stay. Idempotent; raises NotFound for one never tracked."""
    player = await _lock(session, username)
    player.tracked = False


async def get(session: AsyncSession, username: str) -> PlayerView:
    """Return an account; raises NotFound."""
    player = await existing(session, username)
    await session.refresh(player)
    return (await _views(session, [player]))[0]


async def page(session: AsyncSession, after: str | None, limit: int) -> list[PlayerView]:
    """Return tracked accounts by name."""
    return await _views(session, await repository.page(session, after, limit))


async def request_sync(session: AsyncSession, username: str) -> PlayerView:
    """Make an account due at once, whatever state it is in; raises NotFound."""
    player = await wake(session, username)
    await session.flush()
    await session.refresh(player)
    return (await _views(session, [player]))[0]


async def wake(session: AsyncSession, username: str) -> Player:
    """Make an account due at once, and return it locked; raises NotFound."""
    player = await _lock(session, username)
    if not player.tracked:
        raise NotFound(f"{username} is not tracked any more")
    repository.wake(player)
    return player


async def _lock(session: AsyncSession, username: str) -> Player:
    player = await repository.lock(session, username.lower())
    if player is None:
        raise NotFound(f"{username} is not tracked")
    return player


async def _views(session: AsyncSession, players: Sequence[Player]) -> list[PlayerView]:
    ids = [player.id for player in players]
    counts = await repository.completeness(session, ids)
    pending = await repository.oldest_pending(session, ids)
    running = await repository.running_players(session)
    return [
        PlayerView(
            username=player.username,
            tracked=player.tracked,
            state=player.state,
            state_detail=player.state_detail,
            cursor=cursor(player.seen_until, pending.get(player.id)),
            syncing=player.id in running,
            backfilling=player.backfilling,
            next_sync_at=player.next_sync_at,
            synced_at=player.synced_at,
            completeness=_completeness(player, counts[player.id]),
        )
        for player in players
    ]


def cursor(seen_until: datetime | None, oldest_pending: datetime | None) -> datetime | None:
    """Return the moment before which every game is stored or refused: it cannot pass a pending one."""
    if seen_until is None or oldest_pending is None:
        return seen_until
    return min(seen_until, oldest_pending)


def _completeness(player: Player, counts: dict[SeenState, int]) -> Completeness:
    pending = counts.get(SeenState.PENDING, 0)
    return Completeness(
        seen=sum(counts.values()),
        stored=counts.get(SeenState.STORED, 0),
        refused=counts.get(SeenState.REFUSED, 0),
        pending=pending,
        complete=pending == 0 and not player.backfilling and player.synced_at is not None,
    )
