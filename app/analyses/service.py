"""Which games wait for analysis, who may work on one, and what becomes of the work?"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.analyses import repository
from app.analyses.repository import LockedAnalysis, Tried
from app.contract.analyses import (
    AnalysisClaim,
    AnalysisClaimRequest,
    AnalysisFailure,
    AnalysisPriority,
    AnalysisResults,
    AnalysisState,
    PendingRequest,
    PluginId,
    Provenance,
)
from app.contract.games import Clock
from app.db.models import Game, GameAnalysis
from app.errors import NotClaimable, NotFound, StaleFence
from app.games import history, lichess
from app.games import service as games
from app.positions import repository as positions
from app.settings import Settings

_LOG = structlog.get_logger(__name__)
_RETRY_WAIT_MAX = timedelta(hours=6)
_BACKFILL_SHARE = 4
"""Of so many games that go out, one may be an analysed game that lacks a new plugin's result, while others
still wait for their first analysis. Mostly it takes no search, and so next to nothing of their time."""


def first_state(*, analysable: bool) -> AnalysisState:
    """Return where the analysis of a finished game begins."""
    return AnalysisState.PENDING if analysable else AnalysisState.UNSUPPORTED


async def pending(session: AsyncSession, settings: Settings, request: PendingRequest) -> list[str]:
    """Return games that lack a result of one of the plugins and that nobody holds.

    Those never analysed come first: requested ones, then the newest. Those that lack a new plugin's result
    have a share, so that a long backlog does not keep them waiting for ever, and all that the others leave.
    """
    for game_id in await repository.fail_exhausted(session, settings.analysis_attempts):
        _LOG.error("analysis_failed", game_id=game_id, code=repository.WORKER_LOST)
    limit, plugins = request.limit, request.plugins
    waiting = await repository.open_games(session, limit)
    if not plugins:
        return waiting
    room = max(limit - len(waiting), limit // _BACKFILL_SHARE)
    lacking = await repository.lacking(session, plugins, _plugin_set(plugins), room) if room else []
    return _mixed(waiting[: limit - len(lacking)], lacking)


async def backlog(session: AsyncSession, plugins: Sequence[PluginId]) -> int:
    """Return how many games lack a result of one of the plugins and may still get it."""
    return await repository.backlog(session, _plugin_set(plugins) if plugins else None)


def _plugin_set(plugins: Sequence[PluginId]) -> str:
    names = ",".join(sorted(f"{plugin.name}:{plugin.version}" for plugin in plugins))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _mixed(waiting: Sequence[str], lacking: Sequence[str]) -> list[str]:
    """Put one of those that lack something behind each few that wait: who takes only the first gets both."""
    mixed: list[str] = []
    rest = iter(lacking)
    for count, game in enumerate(waiting, start=1):
        mixed.append(game)
        if count % (_BACKFILL_SHARE - 1) == 0:
            mixed += [other for other in [next(rest, None)] if other is not None]
    return [*mixed, *rest]


async def claim(
    session: AsyncSession, settings: Settings, source_id: str, request: AnalysisClaimRequest
) -> AnalysisClaim:
    """Lease a game to a worker; raises NotClaimable where there is nothing to do or somebody is at it.

    A worker that holds the game already has not heard of it: the lease starts anew, and is no new attempt.
    """
    locked = await _locked(session, source_id)
    analysis, game = locked
    tried = await repository.tried(session, game.id)
    unheard = _is_running(analysis) and analysis.worker == request.worker
    if not unheard:
        _check_claimable(analysis, tried, request.plugins, settings)
        _count_attempt(analysis)
    lacking = [plugin for plugin in request.plugins if _key(plugin) not in tried.with_result]
    analysis.plugin_set = _plugin_set(request.plugins)
    await repository.lease(session, analysis, settings.analysis_lease_seconds, request.worker)
    moves = await repository.moves(session, game.id)
    games.follow_rules(game, moves)
    engine_id = await positions.engine_id(session, request.engine)
    return AnalysisClaim(
        id=game.source_id,
        fence=analysis.fence,
        lease_seconds=settings.analysis_lease_seconds,
        attempt=analysis.attempts,
        variant=game.variant,
        initial_fen=game.initial_fen,
        status=game.status,
        winner=game.winner,
        uci=moves.uci or [],
        clocks_cs=moves.clocks_cs,
        lichess_evaluations=lichess.evaluations(game.variant, game.initial_fen, moves.source_evaluations),
        speed=game.speed,
        clock=_clock(game),
        days_per_turn=game.days_per_turn,
        middlegame_ply=game.middlegame_ply,
        endgame_ply=game.endgame_ply,
        earlier_games=await history.earlier_games(session, game, moves)
        if any(plugin in request.earlier_games_for for plugin in lacking)
        else {},
        plugins=lacking,
        evaluations=await positions.known(session, moves.position_keys or [], engine_id, request.min_nodes),
    )


async def renew(session: AsyncSession, settings: Settings, source_id: str, fence: int) -> None:
    """Start a worker's lease anew; raises StaleFence."""
    analysis, _ = await _held(session, source_id, fence)
    await repository.renew(session, analysis, settings.analysis_lease_seconds)


async def hand_back(session: AsyncSession, source_id: str, fence: int) -> None:
    """Take a game back from a worker that stops, without counting the attempt; raises StaleFence."""
    analysis, _ = await _held(session, source_id, fence)
    analysis.state = AnalysisState.PENDING
    analysis.attempts -= 1
    analysis.lease_until = None


async def store_results(
    session: AsyncSession, settings: Settings, source_id: str, results: AnalysisResults
) -> AnalysisState:
    """Store what the plugins made of a game and close the lease; raises StaleFence.

    A plugin that failed costs an attempt; the other plugins' results are kept. Idempotent.
    """
    analysis, game = await _locked(session, source_id)
    if _is_repeated(analysis, results.fence):
        return analysis.state
    _take_up(analysis, results.fence)
    basis = results.provenance
    engine_id = await _engine_id(session, basis)
    await repository.put_results(session, game.id, results.results, basis, engine_id)
    _set(
        analysis,
        searched_positions=basis.searched_positions,
        searched_nodes=basis.searched_nodes,
    )
    # What the engine found last is shown with the game. Lichess's evaluations take no engine's place, and
    # a pass of plugins that had none says nothing about those that the game has.
    if basis.of_engine or (basis.of_lichess and analysis.engine_id is None):
        _set(
            analysis,
            source=basis.source,
            engine_id=engine_id,
            budget_nodes=basis.nodes,
            mode=basis.mode,
            position_nodes=basis.position_nodes,
        )
    failed = [item for item in results.results if item.error is not None]
    if failed:
        names = ", ".join(item.plugin.name for item in failed)
        _fail(analysis, settings, repository.PLUGIN_FAILED, f"{names}: {failed[0].error}", permanent=False)
    else:
        analysis.state = AnalysisState.DONE
        analysis.priority = AnalysisPriority.ROUTINE
        analysis.analysed_at = datetime.now(UTC)
        _set(analysis, error_code=None, error=None, not_before=None)
    analysis.lease_until = None
    return analysis.state


async def _engine_id(session: AsyncSession, basis: Provenance) -> int | None:
    if basis.engine is None or not basis.of_engine:
        return None
    return await positions.engine_id(session, basis.engine)


async def store_failure(
    session: AsyncSession, settings: Settings, source_id: str, failure: AnalysisFailure
) -> AnalysisState:
    """Close a lease without results: the game waits for its next attempt or is failed. Idempotent."""
    analysis, _ = await _locked(session, source_id)
    if _is_repeated(analysis, failure.fence):
        return analysis.state
    _take_up(analysis, failure.fence)
    _fail(analysis, settings, failure.code, failure.detail, permanent=failure.permanent)
    _LOG.warning(
        "analysis_attempt_failed",
        game=source_id,
        code=failure.code,
        attempt=analysis.attempts,
        state=analysis.state.value,
    )
    return analysis.state


async def request(session: AsyncSession, source_id: str) -> AnalysisState:
    """Move a game to the front, a failed one with fresh attempts; raises NotFound."""
    analysis, _ = await _locked(session, source_id)
    if analysis.state is AnalysisState.FAILED:
        analysis.state = AnalysisState.PENDING
        _set(analysis, **repository.FRESH)
    if analysis.state in repository.OPEN:
        analysis.priority = AnalysisPriority.REQUESTED
        analysis.not_before = None
    return analysis.state


def _clock(game: Game) -> Clock | None:
    if game.initial_seconds is None or game.increment_seconds is None:
        return None
    return Clock(initial_seconds=game.initial_seconds, increment_seconds=game.increment_seconds)


async def _locked(session: AsyncSession, source_id: str) -> LockedAnalysis:
    locked = await repository.lock(session, source_id)
    if locked is None:
        raise NotFound(f"there is no finished game {source_id}")
    return locked


async def _held(session: AsyncSession, source_id: str, fence: int) -> LockedAnalysis:
    locked = await _locked(session, source_id)
    _take_up(locked.analysis, fence)
    return locked


def _is_leased(analysis: GameAnalysis) -> bool:
    # A lease that has run out still counts as long as nobody else took the game: a worker that could not
    # reach the API meanwhile is alive, even if the game was given up for its silence.
    return analysis.state is AnalysisState.RUNNING or (
        analysis.state is AnalysisState.FAILED and analysis.error_code == repository.WORKER_LOST
    )


def _is_repeated(analysis: GameAnalysis, fence: int) -> bool:
    """Tell whether the report of this lease has come already."""
    return analysis.fence == fence and not _is_leased(analysis)


def _take_up(analysis: GameAnalysis, fence: int) -> None:
    """Go on with a lease that its worker is heard of; raises StaleFence where there is another, or none."""
    if analysis.fence != fence or not _is_leased(analysis):
        raise StaleFence(f"the lease with fence {fence} is gone")
    if analysis.state is AnalysisState.FAILED:
        _set(analysis, state=AnalysisState.RUNNING, error_code=None, error=None)


def _is_running(analysis: GameAnalysis) -> bool:
    """Tell whether somebody's lease has not run out."""
    return analysis.state is AnalysisState.RUNNING and (
        analysis.lease_until is None or analysis.lease_until > datetime.now(UTC)
    )


def _count_attempt(analysis: GameAnalysis) -> None:
    if analysis.state not in repository.OPEN:
        analysis.attempts = 0
    analysis.attempts += 1


def _key(plugin: PluginId) -> tuple[str, int]:
    return plugin.name, plugin.version


def _check_claimable(
    analysis: GameAnalysis, tried: Tried, plugins: Sequence[PluginId], settings: Settings
) -> None:
    now = datetime.now(UTC)
    state = analysis.state
    lacks = tried.lacks({_key(plugin) for plugin in plugins}, state)
    if _is_running(analysis):
        raise NotClaimable(f"leased to {analysis.worker}")
    if state is AnalysisState.RUNNING and analysis.attempts >= settings.analysis_attempts:
        raise NotClaimable("no attempts left")
    if state is AnalysisState.PENDING and analysis.not_before is not None and analysis.not_before > now:
        raise NotClaimable(f"waits until {analysis.not_before.isoformat()}")
    if state is AnalysisState.DONE and not lacks:
        raise NotClaimable("no result is lacking")
    given_up = state is AnalysisState.FAILED and not (
        lacks and analysis.error_code == repository.PLUGIN_FAILED
    )
    if given_up or state is AnalysisState.UNSUPPORTED:
        raise NotClaimable(f"the game is {state.value}")


def _fail(analysis: GameAnalysis, settings: Settings, code: str, detail: str, *, permanent: bool) -> None:
    analysis.error_code = code
    analysis.error = detail
    analysis.lease_until = None
    if permanent or analysis.attempts >= settings.analysis_attempts:
        analysis.state = AnalysisState.FAILED
        return
    analysis.state = AnalysisState.PENDING
    wait = timedelta(seconds=settings.analysis_retry_seconds) * 2 ** min(analysis.attempts - 1, 16)
    analysis.not_before = datetime.now(UTC) + min(wait, _RETRY_WAIT_MAX)


def _set(analysis: GameAnalysis, **values: object) -> None:
    for name, value in values.items():
        setattr(analysis, name, value)
