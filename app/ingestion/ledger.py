"""Which rows hold the manifest: every game that was seen, and what became of it?"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, bindparam, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Player, SeenGame, SeenState

NAMELESS_PREFIX = "line:"
"""Begins the manifest's id of a line that names no game."""
_ATTEMPTS_COUNTED = 8
"""More double no wait further: it lies far beyond the longest."""


async def enter_seen(session: AsyncSession, rows: Sequence[dict[str, Any]], retry_at: datetime) -> None:
    """Enter lines in the manifest as pending, where they are not there yet.

    `rows` hold player_id, source_id, created_at, run_id and line, each source_id once. A game that
    is pending already was sent on its way again, so it is a hole from `retry_at` on at the earliest;
    and Lichess still has it.
    """
    pending = [{**row, "state": SeenState.PENDING, "retry_at": retry_at} for row in rows]
    statement = insert(SeenGame).values(sorted(pending, key=lambda row: str(row["source_id"])))
    upsert = statement.on_conflict_do_update(
        index_elements=["player_id", "source_id"],
        set_={
            "retry_at": func.greatest(SeenGame.retry_at, statement.excluded.retry_at),
            "refusal_detail": None,
        },
        where=SeenGame.state == SeenState.PENDING,
    )
    await session.execute(upsert)


async def count_attempt(
    session: AsyncSession, player_id: int, ids: Sequence[str], *, detail: str | None = None
) -> None:
    """Count that those of these games that are pending were asked for once more, and answered.

    `detail` says what is known against them.
    """
    statement = (
        update(SeenGame)
        .where(
            SeenGame.player_id == player_id,
            SeenGame.source_id.in_(ids),
            SeenGame.state == SeenState.PENDING,
        )
        .values(attempts=SeenGame.attempts + 1, updated_at=func.now(), refusal_detail=detail)
    )
    await session.execute(statement)


async def count_new(
    session: AsyncSession, player_id: int, run_id: int, ids: Sequence[str], *, behind_line: int
) -> int:
    """Return how many of these games a run was the first to see, in lines behind one of its lines.

    Whether its producer or a consumer entered them. They are looked up by their ids: nothing finds a run's
    among all of a player's.
    """
    query = select(func.count()).where(
        SeenGame.player_id == player_id,
        SeenGame.source_id.in_(ids),
        SeenGame.run_id == run_id,
        SeenGame.line > behind_line,
    )
    return (await session.execute(query)).scalar_one()


def settle_stored() -> CTE:
    """Return the part of a statement that marks a game as stored in a player's manifest, whatever it was.

    The entry then names the earliest line that was stored, so the order of deliveries leaves no trace; it is
    made where it is missing. Parameters are `of_user`, `source_id`, `created_at`, `run_id` and `line`. The
    player is looked up in passing: one that was never tracked violates a constraint.
    """
    player_id = select(Player.id).where(Player.user_id == bindparam("of_user")).scalar_subquery()
    statement = insert(SeenGame).values(
        player_id=player_id,
        state=SeenState.STORED,
        **{name: bindparam(name) for name in ("source_id", "created_at", "run_id", "line")},
    )
    cleared: dict[str, Any] = dict.fromkeys(("retry_at", "refusal_code", "refusal_detail", "raw"))
    new = statement.excluded
    earlier = tuple_(new.run_id, new.line) < tuple_(SeenGame.run_id, SeenGame.line)
    return statement.on_conflict_do_update(
        index_elements=["player_id", "source_id"],
        set_={
            "state": SeenState.STORED,
            "run_id": new.run_id,
            "line": new.line,
            "updated_at": func.now(),
            **cleared,
        },
        where=or_(SeenGame.state != SeenState.STORED, earlier),
    ).cte("settled")


async def settle_refused(
    session: AsyncSession, player_id: int, row: dict[str, Any], *, code: str, detail: str, raw: str
) -> None:
    """Mark a line as refused, unless its game is stored or a later line was refused."""
    refusal = {"refusal_code": code, "refusal_detail": detail, "raw": raw}
    statement = insert(SeenGame).values(**row, **refusal, player_id=player_id, state=SeenState.REFUSED)
    excluded = statement.excluded
    newer = tuple_(excluded.run_id, excluded.line) > tuple_(SeenGame.run_id, SeenGame.line)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["player_id", "source_id"],
            set_={
                **refusal,
                "state": SeenState.REFUSED,
                "retry_at": None,
                "run_id": excluded.run_id,
                "line": excluded.line,
                "updated_at": func.now(),
            },
            where=or_(
                SeenGame.state == SeenState.PENDING,
                (SeenGame.state == SeenState.REFUSED) & newer,
            ),
        )
    )


async def due_holes(session: AsyncSession, player_id: int, limit: int) -> Sequence[SeenGame]:
    """Return entries that have been pending for too long, oldest game first, locked.

    Those that are locked already are being settled: to wait for them would be a deadlock, as a batch of the
    consumer holds several, in another order.
    """
    query = (
        select(SeenGame)
        .where(
            SeenGame.player_id == player_id,
            SeenGame.state == SeenState.PENDING,
            SeenGame.retry_at <= func.now(),
        )
        .order_by(SeenGame.created_at, SeenGame.source_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalars().all()


async def hasten_holes(session: AsyncSession, player_id: int, first_wait: timedelta) -> None:
    """Let no pending entry of a player wait longer from now than its own attempts ask for.

    Those that are locked are being settled.
    """
    wait = literal(first_wait) * func.power(2, func.least(SeenGame.attempts, _ATTEMPTS_COUNTED))
    late = (
        select(SeenGame.source_id)
        .where(
            SeenGame.player_id == player_id,
            SeenGame.state == SeenState.PENDING,
            SeenGame.retry_at > func.now() + wait,
        )
        .with_for_update(skip_locked=True)
        .cte("late")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    statement = (
        update(SeenGame)
        .where(SeenGame.player_id == player_id, SeenGame.source_id == late.c.source_id)
        .values(retry_at=func.now() + wait)
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)


async def kept_lines(session: AsyncSession, player_id: int, ids: Sequence[str]) -> Sequence[SeenGame]:
    """Return those of these games that are pending and were refused once, with the line as it came then."""
    query = select(SeenGame).where(
        SeenGame.player_id == player_id,
        SeenGame.source_id.in_(ids),
        SeenGame.state == SeenState.PENDING,
        SeenGame.raw != "",
    )
    return (await session.execute(query.order_by(SeenGame.source_id))).scalars().all()


async def last_settled_at(session: AsyncSession) -> datetime | None:
    """Return when a consumer last settled any game: it was alive then."""
    settled = SeenGame.state.in_([SeenState.STORED, SeenState.REFUSED])
    query = select(func.max(SeenGame.updated_at)).where(settled)
    return (await session.execute(query)).scalar_one()


async def refused(session: AsyncSession, player_id: int, after: str | None, limit: int) -> Sequence[SeenGame]:
    """Return a player's refused lines by id, behind `after`."""
    query = (
        select(SeenGame)
        .where(SeenGame.player_id == player_id, SeenGame.state == SeenState.REFUSED)
        .order_by(SeenGame.source_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(SeenGame.source_id > after)
    return (await session.execute(query)).scalars().all()


async def reopen_refused(session: AsyncSession, player_id: int, ids: Sequence[str] | None) -> int:
    """Make refused games pending again, due at once; return how many. Lines without a game stay."""
    wanted = [
        SeenGame.player_id == player_id,
        SeenGame.state == SeenState.REFUSED,
        ~SeenGame.source_id.startswith(NAMELESS_PREFIX),
    ]
    if ids is not None:
        wanted.append(SeenGame.source_id.in_(ids))
    # In the order of ids, as a batch of the consumer locks them: an update locks as it comes across them.
    locked = (
        select(SeenGame.source_id)
        .where(*wanted)
        .order_by(SeenGame.source_id)
        .with_for_update()
        .cte("locked")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    statement = (
        update(SeenGame)
        .where(SeenGame.player_id == player_id, SeenGame.source_id == locked.c.source_id)
        .values(
            state=SeenState.PENDING,
            attempts=0,
            retry_at=func.now(),
            updated_at=func.now(),
            # The line itself stays: Lichess may not return it any more.
            refusal_code=None,
            refusal_detail=None,
        )
        .returning(SeenGame.source_id)
    )
    return len((await session.execute(statement)).all())
