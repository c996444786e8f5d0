"""Which rows hold the gate and the runs, and what is due?"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Integer,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.ingestion import FetchKind
from app.contract.ingestion import GarbledLine as GarbledLineMessage
from app.contract.players import PlayerState
from app.db.models import Game, GarbledLine, IngestionRun, Player, RunState, SeenGame, SeenState, SourceGate

SOURCE = "lichess"
_REVISIT_WAIT = timedelta(minutes=10)
_REVISIT_WAIT_MAX = timedelta(days=1)
_REVISITS_COUNTED = 100
RATE_LIMIT_WAIT_MAX = timedelta(hours=1)
FETCHABLE = (PlayerState.ACTIVE, PlayerState.NOT_FOUND, PlayerState.GONE)


async def lock_gate(session: AsyncSession) -> tuple[SourceGate, datetime]:
    """Return the source's row, locked until the end of the transaction: claims come one after the other.

    With it comes the time of the transaction, which all queries here compare with: by the process's own
    clock, what is due "now" would be due a moment after the transaction's now().
    """
    await session.execute(insert(SourceGate).values(source=SOURCE).on_conflict_do_nothing())
    query = select(SourceGate, func.now()).where(SourceGate.source == SOURCE).with_for_update(of=SourceGate)
    row = (await session.execute(query.execution_options(populate_existing=True))).one()
    return row[0], row[1]


async def not_before(session: AsyncSession) -> datetime | None:
    """Return the moment before which the source must not be asked, if it lies ahead.

    No silence lasts so long that it could lie further ahead than the longest: the clock was put back.
    """
    query = select(SourceGate.not_before).where(
        SourceGate.source == SOURCE,
        SourceGate.not_before.between(func.now(), func.now() + RATE_LIMIT_WAIT_MAX),
    )
    return (await session.execute(query)).scalar_one_or_none()


async def abandon_open_runs(session: AsyncSession) -> Sequence[int]:
    """Close the runs whose producer never reported; return their ids."""
    statement = (
        update(IngestionRun)
        .where(IngestionRun.state == RunState.RUNNING)
        .values(state=RunState.ABANDONED, finished_at=func.now())
        .returning(IngestionRun.id)
    )
    return (await session.execute(statement)).scalars().all()


async def open_run(
    session: AsyncSession,
    player_id: int,
    kind: FetchKind,
    *,
    max_games: int,
    since: datetime | None = None,
    asked_ids: Sequence[str] | None = None,
) -> IngestionRun:
    """Enter a new request to the source."""
    run = IngestionRun(
        player_id=player_id,
        kind=kind,
        since=since,
        max_games=max_games,
        asked_ids=None if asked_ids is None else list(asked_ids),
    )
    session.add(run)
    await session.flush()
    return run


async def forget_uneventful_before(session: AsyncSession, run: IngestionRun) -> None:
    """Delete the player's run before this one if it too was a look that found nothing new.

    There is one a minute: of those in a row the last is kept.
    """
    before = (
        select(IngestionRun.id)
        .where(IngestionRun.player_id == run.player_id, IngestionRun.id < run.id)
        .order_by(IngestionRun.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    await session.execute(
        delete(IngestionRun).where(
            IngestionRun.id == before,
            IngestionRun.kind == run.kind,
            IngestionRun.state == RunState.COMPLETE,
            IngestionRun.new_games == 0,
        )
    )


async def lock_run(session: AsyncSession, run_id: int) -> IngestionRun | None:
    """Return a run, locked until the end of the transaction."""
    return await session.get(IngestionRun, run_id, with_for_update=True)


async def take_due_revisits(session: AsyncSession, user_id: str, limit: int) -> Sequence[str]:
    """Return ids of stored games of a player to fetch again, and put their next visit off.

    Storing what comes back sets a better moment; a game that Lichess does not return any more is
    asked for ever more rarely, once a day in the end.
    """
    mine = or_(Game.white_id == user_id, Game.black_id == user_id)
    due = (
        select(Game.id)
        .where(Game.revisit_at <= func.now(), mine)
        .order_by(Game.revisit_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # Evaluated once: a subquery may run once a row, and would lock beyond the limit.
        .cte("due")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    doubled = literal(_REVISIT_WAIT) * func.power(2, func.least(Game.revisits, 8))
    wait = func.least(doubled, literal(_REVISIT_WAIT_MAX))
    statement = (
        update(Game)
        .where(Game.id == due.c.id)
        .values(revisit_at=func.now() + wait, revisits=func.least(Game.revisits, _REVISITS_COUNTED) + 1)
        .returning(Game.source_id)
    )
    return (await session.execute(statement)).scalars().all()


async def due_players(session: AsyncSession, limit: int) -> Sequence[str]:
    """Return the names of players for whom a claim would yield a plan, the longest waiting first."""
    hole = exists().where(
        SeenGame.player_id == Player.id,
        SeenGame.state == SeenState.PENDING,
        SeenGame.retry_at <= func.now(),
    )
    query = (
        select(Player.username)
        .where(
            Player.tracked,
            Player.state.in_(FETCHABLE),
            or_(_sync_due(), hole, _revisit_due(Player)),
        )
        .order_by(Player.next_sync_at)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def is_due(session: AsyncSession, player_id: int) -> bool:
    """Tell whether a claim for this player would yield a plan now."""
    hole = exists().where(
        SeenGame.player_id == player_id,
        SeenGame.state == SeenState.PENDING,
        SeenGame.retry_at <= func.now(),
    )
    query = select(or_(_sync_due(), hole, _revisit_due(Player))).where(
        Player.id == player_id, Player.tracked, Player.state.in_(FETCHABLE)
    )
    return bool(await session.scalar(query))


def _sync_due() -> ColumnElement[bool]:
    # What was synchronised in the future was so before the clock was put back.
    return or_(Player.next_sync_at <= func.now(), Player.synced_at > func.now())


def _revisit_due(player: type[Player]) -> ColumnElement[bool]:
    mine = or_(Game.white_id == player.user_id, Game.black_id == player.user_id)
    return exists().where(Game.revisit_at <= func.now(), mine)


async def count_garbled(session: AsyncSession, player_id: int, run_id: int, line: GarbledLineMessage) -> int:
    """Enter a line that names no game; return how many runs met the same bytes."""
    statement = insert(GarbledLine).values(
        player_id=player_id, digest=line.digest, reason=line.reason, raw=line.raw, last_run_id=run_id
    )
    again = GarbledLine.last_run_id != statement.excluded.last_run_id
    upsert = statement.on_conflict_do_update(
        index_elements=["player_id", "digest"],
        set_={
            "times": GarbledLine.times + cast(again, Integer),
            "last_run_id": statement.excluded.last_run_id,
        },
    ).returning(GarbledLine.times)
    return (await session.execute(upsert)).scalar_one()


async def runs(
    session: AsyncSession, player_id: int, before: int | None, limit: int
) -> Sequence[IngestionRun]:
    """Return a player's runs, the newest first."""
    query = select(IngestionRun).where(IngestionRun.player_id == player_id).order_by(IngestionRun.id.desc())
    if before is not None:
        query = query.where(IngestionRun.id < before)
    return (await session.execute(query.limit(limit))).scalars().all()
