"""Where do the analyses of games stand?"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    Boolean,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.analyses import AnalysisPriority, AnalysisState, PluginId, Provenance
from app.contract.analyses import PluginResult as PluginResultMessage
from app.db.models import Game, GameAnalysis, GameMoves, PluginResult
from app.games import store

OPEN = (AnalysisState.PENDING, AnalysisState.RUNNING)
PLUGIN_FAILED = "plugin_failed"
"""Error code of a game that all went well with but for a plugin."""
WORKER_LOST = "worker_lost"
"""Error code of a game whose last lease ran out without a word of its worker."""
_IN_STATE_OF_REST = (
    GameAnalysis.state == AnalysisState.DONE,
    and_(GameAnalysis.state == AnalysisState.FAILED, GameAnalysis.error_code == PLUGIN_FAILED),
)
"""The games that other plugins bring back to work. One that failed for another reason waits for its owner."""


class Tried(NamedTuple):
    """The plugins that ran on a game, by name and version."""

    with_result: set[tuple[str, int]]
    with_error: set[tuple[str, int]]

    def lacks(self, plugins: AbstractSet[tuple[str, int]], state: AnalysisState) -> bool:
        """Tell whether another pass is worth while with these plugins.

        For a game that failed it is when one of them has not had its turn: the others would fail again.
        """
        missing = plugins - self.with_result
        return bool(missing - self.with_error if state is AnalysisState.FAILED else missing)


class LockedAnalysis(NamedTuple):
    """A game's analysis, locked until the end of the transaction."""

    analysis: GameAnalysis
    game: Game


FRESH: dict[str, Any] = {
    "attempts": 0,
    "not_before": None,
    "lease_until": None,
    "worker": None,
    "error_code": None,
    "error": None,
}
"""Values of an analysis that nobody has tried yet."""
_BASIS = [
    GameAnalysis.__table__.c[name]
    for name in ("source", "engine_id", "budget_nodes", "mode", "position_nodes")
]
"""What the scores rest on that are shown with a game."""


def enter(stored: CTE, moves_changed: CTE) -> tuple[CTE, CTE]:
    """Return the parts of a statement that enter a finished game; where plugins are told other things, anew.

    What the engine found stays, and is shown, unless the moves are others. `stored` yields id, created_at and
    changed of the game, `moves_changed` its id or nothing (app/games/store.py); parameters are `finished` and
    `analysis_state`.
    """
    changed = select(store.input_changed(stored).c.id)
    moved = exists(select(moves_changed.c.id))
    statement = insert(GameAnalysis).from_select(
        ["game_id", "created_at", "state"],
        select(stored.c.id, stored.c.created_at, bindparam("analysis_state", type_=Text)).where(
            stored.c.changed, bindparam("finished", type_=Boolean)
        ),
    )
    # The fence moves on: a worker that still analyses the game as it was may not report.
    restarted = {"state": statement.excluded.state, "fence": GameAnalysis.fence + 1, **FRESH}
    kept = {column.name: case((moved, null()), else_=column) for column in _BASIS}
    entered = statement.on_conflict_do_update(
        index_elements=["game_id"], set_=restarted | kept, where=exists(changed)
    )
    void = delete(PluginResult).where(PluginResult.game_id.in_(changed))
    return entered.cte("analysis_entered"), void.cte("results_voided")


async def fail_exhausted(session: AsyncSession, max_attempts: int) -> Sequence[int]:
    """Fail the games whose last allowed worker vanished without a word; return their ids."""
    statement = (
        update(GameAnalysis)
        .where(
            GameAnalysis.state == AnalysisState.RUNNING,
            GameAnalysis.lease_until < func.now(),
            GameAnalysis.attempts >= max_attempts,
        )
        .values(
            state=AnalysisState.FAILED,
            error_code=WORKER_LOST,
            error=func.concat("the worker vanished in each of ", GameAnalysis.attempts, " attempts"),
        )
        .returning(GameAnalysis.game_id)
    )
    return (await session.execute(statement)).scalars().all()


async def open_games(session: AsyncSession, limit: int) -> list[str]:
    """Return ids of games that wait for their analysis: requested ones first, then the newest."""
    waiting = or_(
        and_(
            GameAnalysis.state == AnalysisState.PENDING,
            or_(GameAnalysis.not_before.is_(None), GameAnalysis.not_before <= func.now()),
        ),
        and_(GameAnalysis.state == AnalysisState.RUNNING, GameAnalysis.lease_until < func.now()),
    )
    # "requested" sorts before "routine".
    query = (
        select(Game.source_id)
        .join(GameAnalysis, GameAnalysis.game_id == Game.id)
        .where(GameAnalysis.state.in_(OPEN), waiting)
        .order_by(GameAnalysis.priority, GameAnalysis.created_at.desc())
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def backlog(session: AsyncSession, plugin_set: str | None) -> int:
    """Count the games that lack a result of one of these plugins, None for no plugin, and may still get it.

    Games that `lacking` would look at, and has not yet, count as if they lacked one.
    """
    lacking = and_(or_(*_IN_STATE_OF_REST), GameAnalysis.plugin_set.is_distinct_from(plugin_set))
    waiting = GameAnalysis.state.in_(OPEN)
    query = select(func.count()).where(waiting if plugin_set is None else or_(waiting, lacking))
    return (await session.execute(query)).scalar_one()


_PAGE = 100
"""Games that are looked at together …"""
_PAGES = 20
"""… and how often in one request. What lacks nothing is marked, so the next request goes on from there."""


async def lacking(
    session: AsyncSession, plugins: Sequence[PluginId], plugin_set: str, limit: int
) -> list[str]:
    """Return ids of games, done or failed by a plugin, that one of the plugins has still to look at.

    The newest come first. `plugin_set` is the digest of the plugins. Games that turn out to lack nothing are
    marked with it: to look at the results of all of them each time takes ten seconds with 100,000 games and
    eight plugins. One that failed is done if all these plugins have a result: whichever failed is not among
    them any more.
    """
    wanted = {(plugin.name, plugin.version) for plugin in plugins}
    found: list[str] = []
    key: tuple[datetime, int] | None = None
    for _ in range(_PAGES):
        page = await _unmarked(session, plugin_set, key)
        tried = await _tried(session, [row.game_id for row in page])
        lacking = {row.game_id for row in page if tried[row.game_id].lacks(wanted, row.state)}
        found += [row.source_id for row in page if row.game_id in lacking][: limit - len(found)]
        rest = [row for row in page if row.game_id not in lacking]
        await _mark(session, [row.game_id for row in rest], plugin_set=plugin_set)
        failed = [row.game_id for row in rest if row.state is AnalysisState.FAILED]
        await _mark(session, [id_ for id_ in failed if wanted <= tried[id_].with_result], **_DONE)
        if len(found) == limit or len(page) < _PAGE:
            break
        key = (page[-1].created_at, page[-1].game_id)
    return found


_DONE: dict[str, Any] = {
    "state": AnalysisState.DONE,
    "error_code": None,
    "error": None,
    "analysed_at": func.coalesce(GameAnalysis.analysed_at, func.now()),
}


class _Unmarked(NamedTuple):
    game_id: int
    created_at: datetime
    state: AnalysisState
    source_id: str


async def _unmarked(
    session: AsyncSession, plugin_set: str, after: tuple[datetime, int] | None
) -> list[_Unmarked]:
    query = (
        select(GameAnalysis.game_id, GameAnalysis.created_at, GameAnalysis.state, Game.source_id)
        .join(Game, Game.id == GameAnalysis.game_id)
        .where(GameAnalysis.plugin_set.is_distinct_from(plugin_set))
        .order_by(GameAnalysis.created_at.desc(), GameAnalysis.game_id.desc())
        .limit(_PAGE)
    )
    if after is not None:
        query = query.where(
            tuple_(GameAnalysis.created_at, GameAnalysis.game_id)
            < tuple_(literal(after[0]), literal(after[1]))
        )
    # One scan of the index a state, each bounded, merged: an OR over both would sort the whole history.
    both = union_all(*(select(query.where(state).subquery()) for state in _IN_STATE_OF_REST)).subquery()
    merged = select(both).order_by(both.c.created_at.desc(), both.c.game_id.desc()).limit(_PAGE)
    return [_Unmarked(*row) for row in await session.execute(merged)]


async def _tried(session: AsyncSession, game_ids: Sequence[int]) -> dict[int, Tried]:
    query = select(
        PluginResult.game_id, PluginResult.plugin, PluginResult.version, PluginResult.result.is_not(None)
    ).where(PluginResult.game_id.in_(game_ids))
    tried = {game_id: Tried(set(), set()) for game_id in game_ids}
    for game_id, plugin, version, succeeded in await session.execute(query):
        of_game = tried[game_id]
        (of_game.with_result if succeeded else of_game.with_error).add((plugin, version))
    return tried


async def _mark(session: AsyncSession, game_ids: Sequence[int], **values: Any) -> None:
    # In one order and past what another scheduler is at: neither waits for the other.
    free = (
        select(GameAnalysis.game_id)
        .where(GameAnalysis.game_id.in_(game_ids), or_(*_IN_STATE_OF_REST))
        .order_by(GameAnalysis.game_id)
        .with_for_update(skip_locked=True)
    )
    if game_ids:
        await session.execute(
            update(GameAnalysis)
            .where(GameAnalysis.game_id.in_(free))
            .values(**values)
            .execution_options(synchronize_session=False)
        )


async def lock(session: AsyncSession, source_id: str) -> LockedAnalysis | None:
    """Return the analysis of a game, locked; None for a game that is unknown or unfinished."""
    query = (
        select(GameAnalysis, Game)
        .join(Game, Game.id == GameAnalysis.game_id)
        .where(Game.source == "lichess", Game.source_id == source_id)
        .with_for_update(of=GameAnalysis)
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else LockedAnalysis(row[0], row[1])


async def moves(session: AsyncSession, game_id: int) -> GameMoves:
    """Return the moves of a game."""
    return await session.get_one(GameMoves, game_id)


async def tried(session: AsyncSession, game_id: int) -> Tried:
    """Return which plugins ran on a game."""
    return (await _tried(session, [game_id]))[game_id]


async def put_results(
    session: AsyncSession,
    game_id: int,
    results: Sequence[PluginResultMessage],
    basis: Provenance,
    engine_id: int | None,
) -> None:
    """Store results and errors, one row a plugin and version; no error ever replaces a result.

    `engine_id` is that of the engine in `basis`, None where the plugins had none of its evaluations.
    """
    had_none = not basis.of_engine and not basis.of_lichess
    for item in sorted(results, key=lambda item: (item.plugin.name, item.plugin.version)):
        statement = insert(PluginResult).values(
            game_id=game_id,
            plugin=item.plugin.name,
            version=item.plugin.version,
            result=item.result,
            error=item.error,
            engine_id=engine_id,
            budget_nodes=0 if had_none else basis.nodes,
            mode=None if had_none else basis.mode,
        )
        new = statement.excluded
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["game_id", "plugin", "version"],
                set_={
                    "result": new.result,
                    "error": new.error,
                    "engine_id": new.engine_id,
                    "budget_nodes": new.budget_nodes,
                    "mode": new.mode,
                    "computed_at": func.now(),
                },
                where=or_(PluginResult.result.is_(None), new.result.is_not(None))
                & (
                    PluginResult.result.is_distinct_from(new.result)
                    | PluginResult.error.is_distinct_from(new.error)
                ),
            )
        )


async def page(
    session: AsyncSession, state: AnalysisState, after: tuple[datetime, int] | None, limit: int
) -> Sequence[tuple[GameAnalysis, Game]]:
    """Return analyses in a state with their games, the newest games first."""
    query = (
        select(GameAnalysis, Game)
        .join(Game, Game.id == GameAnalysis.game_id)
        .where(GameAnalysis.state == state)
        .order_by(GameAnalysis.created_at.desc(), GameAnalysis.game_id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            tuple_(GameAnalysis.created_at, GameAnalysis.game_id)
            < tuple_(literal(after[0]), literal(after[1]))
        )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def retry_failed(session: AsyncSession, ids: Sequence[str] | None) -> int:
    """Make failed analyses pending again; return how many."""
    statement = (
        update(GameAnalysis)
        .where(GameAnalysis.state == AnalysisState.FAILED)
        .values(state=AnalysisState.PENDING, priority=AnalysisPriority.REQUESTED, **FRESH)
        .returning(GameAnalysis.game_id)
    )
    if ids is not None:
        statement = statement.where(GameAnalysis.game_id.in_(select(Game.id).where(Game.source_id.in_(ids))))
    return len((await session.execute(statement)).all())


async def lease(session: AsyncSession, analysis: GameAnalysis, seconds: int, worker: str) -> None:
    """Give a game to a worker under a new fence; the database's clock counts."""
    analysis.state = AnalysisState.RUNNING
    analysis.fence += 1
    analysis.worker = worker
    await session.flush()
    await renew(session, analysis, seconds)


async def renew(session: AsyncSession, analysis: GameAnalysis, seconds: int) -> None:
    """Start the lease anew."""
    await session.execute(
        update(GameAnalysis)
        .where(GameAnalysis.game_id == analysis.game_id)
        .values(lease_until=func.now() + literal(timedelta(seconds=seconds)))
    )
