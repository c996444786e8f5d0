"""What is fetched next, and what became of what was seen?"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.ingestion import (
    EXPORT_BY_ID_MAX,
    FetchAnswer,
    FetchClaim,
    FetchKind,
    FetchOutcome,
    FetchPlan,
    FetchReport,
    FetchVerdict,
    GarbledLine,
    GarbledVerdict,
    KeptLine,
)
from app.contract.ingestion import SeenGame as SeenGameMessage
from app.contract.players import PlayerState
from app.db.models import IngestionRun, Player, RunState, SeenGame, SourceGate
from app.errors import InvalidInput, NotFound, StaleFence, StaleRun
from app.ingestion import ledger, repository, waits
from app.ingestion.moments import EPOCH, from_ms, to_ms
from app.players import repository as players
from app.settings import Settings

_LOG = structlog.get_logger(__name__)

GARBLED_RUNS = 3
"""Runs that must meet the same unreadable bytes before they count as what Lichess really has."""
HOLE_ATTEMPTS = 5
"""Fetches of a hole, with consumers known to be alive, before the game is refused."""


async def claim(session: AsyncSession, settings: Settings, request: FetchClaim) -> FetchAnswer:
    """Open the next run for a player: holes and revisits first, then the stream.

    Raises StaleFence (with `floor`) for a gate that is not the newest, NotFound for a player that is
    not tracked. All runs that are still open end as abandoned: whoever holds the gate is alone.
    """
    gate, now = await repository.lock_gate(session)
    if request.fence < gate.fence:
        raise StaleFence(f"the gate is at fence {gate.fence}", floor=gate.fence)
    gate.fence = request.fence
    for run_id in await repository.abandon_open_runs(session):
        _LOG.warning("run_abandoned", run_id=run_id)
    if (waiting := await repository.not_before(session)) is not None:
        return FetchAnswer(plan=None, not_before=waiting)
    player = await players.lock(session, request.player.lower())
    if player is None or not player.tracked:
        raise NotFound(f"{request.player} is not tracked")
    if player.state not in repository.FETCHABLE:
        return FetchAnswer(plan=None)
    ids = await _ids_to_fetch(session, settings, player, now)
    if ids:
        run = await repository.open_run(session, player.id, FetchKind.IDS, max_games=len(ids), asked_ids=ids)
        return FetchAnswer(plan=_plan(player, run))
    if player.synced_at is not None and player.synced_at > now:
        # The clock was put back: the time of the next look says nothing.
        player.synced_at = player.next_sync_at = now
    if player.next_sync_at > now:
        return FetchAnswer(plan=None)
    run = await repository.open_run(
        session,
        player.id,
        FetchKind.STREAM,
        max_games=player.slice_games or settings.slice_games,
        since=_since(player, settings),
    )
    return FetchAnswer(plan=_plan(player, run))


def _since(player: Player, settings: Settings) -> datetime | None:
    if player.seen_until is None or player.backfilling:
        # Between two slices of a backfill nothing is read twice: what lies behind is in the manifest.
        return player.seen_until
    since = player.seen_until - settings.overlap
    if player.synced_at is None:
        return since
    # By then all that is older had shown itself: who plays no more is not read again and again.
    return max(since, min(player.seen_until, player.synced_at - settings.overlap))


def _plan(player: Player, run: IngestionRun) -> FetchPlan:
    return FetchPlan(
        run_id=run.id,
        player=player.username,
        kind=run.kind,
        since_ms=None if run.since is None else to_ms(run.since),
        max_games=run.max_games,
        ids=run.asked_ids or [],
    )


async def _ids_to_fetch(
    session: AsyncSession, settings: Settings, player: Player, now: datetime
) -> list[str]:
    ids: list[str] = []
    holes = await ledger.due_holes(session, player.id, EXPORT_BY_ID_MAX)
    tried_out = any(hole.attempts >= HOLE_ATTEMPTS for hole in holes)
    # An attempt says nothing while no consumer runs: then the hole only waits longer.
    consumers_seen_at = await ledger.last_settled_at(session) if tried_out else None
    for hole in holes:
        if hole.attempts >= HOLE_ATTEMPTS and _is_hopeless(hole, consumers_seen_at):
            code = "never_processed" if hole.refusal_detail is None else "vanished"
            await ledger.settle_refused(
                session,
                player.id,
                {
                    "source_id": hole.source_id,
                    "created_at": hole.created_at,
                    "run_id": hole.run_id,
                    "line": hole.line,
                },
                code=code,
                detail=hole.refusal_detail
                or f"sent to the consumers {hole.attempts + 1} times, never stored nor refused",
                raw=hole.raw or "",
            )
            _LOG.error("game_refused", player=player.username, game=hole.source_id, code=code)
            continue
        hole.retry_at = now + waits.after_hole(settings.hole_after, hole.attempts, player.failures)
        ids.append(hole.source_id)
    room = EXPORT_BY_ID_MAX - len(ids)
    revisits = await repository.take_due_revisits(session, player.user_id, room)
    return ids + [game_id for game_id in revisits if game_id not in ids]


def _is_hopeless(hole: SeenGame, consumers_seen_at: datetime | None) -> bool:
    if hole.refusal_detail is not None and not hole.raw:
        return True  # Lichess itself did not return it, and there is no line for the consumers
    return consumers_seen_at is not None and consumers_seen_at > hole.updated_at


async def enter_seen(
    session: AsyncSession, settings: Settings, run_id: int, games: Sequence[SeenGameMessage]
) -> None:
    """Enter lines of a run in the manifest and move the scan forward, in one transaction.

    Raises StaleRun where a newer run took over, InvalidInput where a stream's dates go backwards:
    then a later line could hide behind the cursor. Idempotent.
    """
    run = await _open_run(session, run_id)
    rows = {
        game.id: {
            "player_id": run.player_id,
            "source_id": game.id,
            "created_at": from_ms(game.created_at_ms),
            "run_id": run.id,
            "line": game.line,
        }
        for game in games
    }
    retry_at = datetime.now(UTC) + settings.hole_after
    await ledger.enter_seen(session, list(rows.values()), retry_at)
    # A line that was reported before was counted then.
    run.new_games += await ledger.count_new(session, run.player_id, run.id, list(rows), behind_line=run.lines)
    repeated = games[0].line <= run.lines
    run.lines = max(run.lines, games[-1].line)
    player = await players.lock_by_id(session, run.player_id)
    if player.state is PlayerState.ACTIVE:
        # Games flow: how an earlier request failed is over, long before this one ends.
        player.state_detail = None
    if run.kind is FetchKind.IDS:
        asked = run.asked_ids or []
        await ledger.count_attempt(session, run.player_id, [game for game in asked if game in rows])
        run.asked_ids = [game for game in asked if game not in rows]
        return
    moments = [from_ms(game.created_at_ms) for game in games]
    before = [] if repeated or run.last_created_at is None else [run.last_created_at]
    if [*before, *moments] != sorted([*before, *moments]):
        raise InvalidInput("the games of a stream must come in the order of their creation")
    run.last_created_at = max(run.last_created_at or moments[-1], moments[-1])
    player.seen_until = max(player.seen_until or run.last_created_at, run.last_created_at)


async def judge_garbled(session: AsyncSession, run_id: int, line: GarbledLine) -> GarbledVerdict:
    """Decide on a line that names no game: a fault on the way, or what Lichess really has?"""
    run = await _open_run(session, run_id)
    times = await repository.count_garbled(session, run.player_id, run.id, line)
    _LOG.warning("line_garbled", run_id=run_id, line=line.line, reason=line.reason, times=times)
    if times < GARBLED_RUNS:
        return GarbledVerdict.STOP
    await ledger.settle_refused(
        session,
        run.player_id,
        {
            "source_id": ledger.NAMELESS_PREFIX + line.digest[:32],
            "created_at": run.last_created_at or run.since or EPOCH,
            "run_id": run.id,
            "line": line.line,
        },
        code="garbled",
        detail=line.reason,
        raw=line.raw,
    )
    return GarbledVerdict.REFUSED


async def finish(session: AsyncSession, settings: Settings, run_id: int, report: FetchReport) -> FetchVerdict:
    """Close a run and decide when the player is due again. Idempotent; raises StaleRun."""
    # The gate first, as in claim(): two transactions that lock in different orders would deadlock.
    gate, now = await repository.lock_gate(session)
    run = await repository.lock_run(session, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    state = RunState(report.outcome.value)
    if run.state not in (RunState.RUNNING, state):
        raise StaleRun(f"run {run_id} is {run.state.value}")
    if run.state is RunState.RUNNING:
        run.state = state
        run.lines = report.lines
        run.detail = report.detail
        run.finished_at = now
        if state is RunState.COMPLETE and run.new_games == 0:
            await repository.forget_uneventful_before(session, run)
        player = await players.lock_by_id(session, run.player_id)
        # A stream begins when the player is due, so a later moment was asked for while it ran. A run for
        # holes may begin before the player is due: there only what is due by now.
        asked_again = player.next_sync_at > run.started_at and (
            run.kind is FetchKind.STREAM or player.next_sync_at <= now
        )
        failures = player.failures
        if report.outcome is FetchOutcome.RATE_LIMITED:
            _back_off(gate, settings, now)
        elif report.outcome is FetchOutcome.COMPLETE:
            # The silence is over, whatever the clock will say: it may be put back to before its end.
            gate.rate_limits, gate.not_before = 0, None
            await _complete(session, settings, player, run, now)
        else:
            _postpone(settings, player, run, report, now)
        if failures and not player.failures:
            # They are forgotten: holes wait no longer than their own attempts ask for.
            await ledger.hasten_holes(session, player.id, settings.hole_after)
        if asked_again:
            # The source may have answered before whatever the sync was asked for.
            players.wake(player)
            player.next_sync_at = now
        await session.flush()
    waiting = await repository.not_before(session)
    return FetchVerdict(
        more=waiting is None and await repository.is_due(session, run.player_id),
        kept=await _kept(session, run),
    )


async def _kept(session: AsyncSession, run: IngestionRun) -> list[KeptLine]:
    """Return what the ledger has of the games that a run asked for in vain: Lichess may have lost them."""
    if run.kind is not FetchKind.IDS or run.state is not RunState.COMPLETE:
        return []
    rows = await ledger.kept_lines(session, run.player_id, run.asked_ids or [])
    return [KeptLine(id=row.source_id, run_id=row.run_id, line=row.line, raw=row.raw or "") for row in rows]


def _back_off(gate: SourceGate, settings: Settings, now: datetime) -> None:
    wait = timedelta(seconds=settings.rate_limit_seconds) * 2 ** min(gate.rate_limits, 16)
    gate.rate_limits += 1
    gate.not_before = now + min(wait, repository.RATE_LIMIT_WAIT_MAX)


async def _complete(
    session: AsyncSession, settings: Settings, player: Player, run: IngestionRun, now: datetime
) -> None:
    player.failures = 0
    if _concerns_the_account(player, run):
        player.state_detail = None
    if run.kind is FetchKind.IDS:
        # Lichess showed these once and does not know them any more.
        detail = "Lichess does not return this game any more"
        await ledger.count_attempt(session, player.id, run.asked_ids or [], detail=detail)
        return
    player.state = PlayerState.ACTIVE
    player.not_found_count = 0
    if run.lines >= run.max_games:
        stuck = run.since is not None and (run.last_created_at is None or run.last_created_at <= run.since)
        player.slice_games = run.max_games * 2 if stuck else None
        player.backfilling = True
        player.next_sync_at = now
        return
    player.slice_games = None
    player.backfilling = False
    player.synced_at = now
    player.next_sync_at = now + timedelta(seconds=settings.sync_interval_seconds)


def _postpone(
    settings: Settings, player: Player, run: IngestionRun, report: FetchReport, now: datetime
) -> None:
    if _concerns_the_account(player, run) or report.outcome is FetchOutcome.UNAUTHORISED:
        player.state_detail = report.detail or report.outcome.value
    if report.outcome is FetchOutcome.NOT_FOUND:
        not_found_waits = settings.not_found_waits
        player.not_found_count = min(player.not_found_count + 1, len(not_found_waits))
        gone = player.not_found_count == len(not_found_waits)
        player.state = PlayerState.GONE if gone else PlayerState.NOT_FOUND
        player.next_sync_at = now + not_found_waits[player.not_found_count - 1]
    elif report.outcome is FetchOutcome.UNAUTHORISED:
        player.state = PlayerState.UNAUTHORISED
    elif report.outcome is FetchOutcome.STOPPED or (
        run.new_games > 0 and report.outcome is not FetchOutcome.UNORDERED
    ):
        player.failures = 0
        player.next_sync_at = now
    else:
        if report.outcome is FetchOutcome.UNORDERED:
            # What was entered in the manifest stays; the next run reads it all again.
            player.seen_until = run.since
        first = timedelta(seconds=settings.failure_retry_seconds)
        wait = waits.after_failure(report.outcome, first, player.failures)
        player.failures += 1
        # A run for holes may fail while an account that is not found rests: that makes it due no sooner.
        player.next_sync_at = max(player.next_sync_at, now + wait)


def _concerns_the_account(player: Player, run: IngestionRun) -> bool:
    """Tell whether `state_detail` is about this run: games can be had by id of an account that is gone."""
    return run.kind is FetchKind.STREAM or player.state is PlayerState.ACTIVE


async def _open_run(session: AsyncSession, run_id: int) -> IngestionRun:
    run = await repository.lock_run(session, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    if run.state is not RunState.RUNNING:
        raise StaleRun(f"run {run_id} is {run.state.value}")
    return run
