"""What becomes of one game that is to be analysed?"""

import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from app.contract.analyses import (
    AnalysisClaim,
    AnalysisClaimRequest,
    AnalysisFailure,
    AnalysisHandback,
    AnalysisResults,
    AnalysisState,
    LeaseRenewal,
    PluginId,
    PluginResult,
    Provenance,
)
from app.contract.positions import EngineIdentity, EvaluationSource
from plugins.api import AnalysedGame, Wish
from workers.analysis.budget import Budget, scan_nodes
from workers.analysis.engine import EngineChanged, EngineError, EngineUnfit
from workers.analysis.evaluator import GameSearch, analysed_game, replay
from workers.analysis.lease import Lease, OutOfTime, WorkerStopping
from workers.analysis.lichess_evaluations import over_lichess_evaluations
from workers.analysis.plugin_registry import PluginRegistry
from workers.analysis.plugin_runner import PluginFailed, ask_wishes, run_plugin, sendable
from workers.analysis.position import InvalidPosition
from workers.analysis.workbench import Workbench
from workers.api_client import (
    ApiClient,
    ApiError,
    ApiProblem,
    ApiUnavailable,
    NotClaimable,
    NotFound,
    StaleFence,
)
from workers.progress import board

_LOG = structlog.get_logger(__name__)

_DETAIL_CHARACTERS = 60_000


@dataclass(frozen=True)
class Analyst:
    """Takes games one after another through claim, engine, plugins and report."""

    client: ApiClient
    workbench: Workbench
    plugins: PluginRegistry
    budget: Budget
    prefer: EvaluationSource
    """LICHESS: a game that Lichess analysed to its end is not searched."""
    limit_seconds: float
    """Longest that the positions of one game may take altogether."""
    worker: str
    """Who holds the leases: no two at work have the same name."""
    stopping: Callable[[], bool]

    def analyze(self, game: str) -> AnalysisState | None:
        """Analyse one game; None if there was nothing to do, or if it was given up without a report.

        Without an engine that works no game is claimed. Whatever goes wrong with the game is reported to the
        API, which counts attempts; what goes wrong without its fault gives it back uncounted. Raises ApiError
        if the API does not answer (the lease then runs out), and, after reporting it, an error of our own.
        """
        if self.stopping():
            return None
        try:
            engine = self.workbench.ready()
        except EngineUnfit as error:
            _LOG.warning("game_left_waiting", reason=str(error))
            return None
        request = AnalysisClaimRequest(
            worker=self.worker,
            plugins=self.plugins.ids,
            earlier_games_for=self.plugins.ids_that(lambda needs: needs.earlier_games),
            engine=engine,
            min_nodes=scan_nodes(self.budget),
        )
        try:
            claim = self.client.claim_analysis(game, request)
        except (NotClaimable, NotFound) as refusal:
            _LOG.info("game_not_claimed", reason=refusal.detail)
            return None
        try:
            return self._work(claim, engine)
        except (StaleFence, NotFound):
            _LOG.warning("lease_lost", attempt=claim.attempt)
            return None

    def _work(self, claim: AnalysisClaim, engine: EngineIdentity) -> AnalysisState | None:
        try:
            return self._pass(claim, engine)
        except (WorkerStopping, EngineChanged, EngineUnfit) as reason:
            self.client.hand_back(claim.id, AnalysisHandback(fence=claim.fence))
            _LOG.info("game_handed_back", reason=str(reason))
            return None
        except InvalidPosition as error:
            return self._fail(claim, error.code, str(error), permanent=True)
        except (EngineError, OutOfTime) as error:
            return self._fail(claim, error.code, str(error))
        except SoftTimeLimitExceeded:
            return self._fail(claim, OutOfTime.code, "the task reached its soft time limit")
        except (StaleFence, NotFound, ApiUnavailable):
            raise
        except ApiProblem as error:
            return self._fail(claim, "results_refused", str(error))
        except Exception:
            self._fail(claim, "internal_error", traceback.format_exc())
            raise

    def _pass(self, claim: AnalysisClaim, engine: EngineIdentity) -> AnalysisState:
        lease = Lease(
            claim.lease_seconds,
            lambda: self.client.renew_lease(claim.id, LeaseRenewal(fence=claim.fence)),
        )
        basis = self._basis(claim, engine, lease)
        results = sendable(self._result(plugin, basis, lease) for plugin in claim.plugins)
        outcome = self.client.post_results(
            claim.id, AnalysisResults(fence=claim.fence, provenance=basis.provenance, results=results)
        )
        _LOG.info(
            "game_analysed",
            state=str(outcome.state),
            plies=basis.game.plies,
            source=str(basis.provenance.source),
            searched=basis.provenance.searched_positions,
            nodes=basis.provenance.searched_nodes,
        )
        return outcome.state

    def _basis(self, claim: AnalysisClaim, engine: EngineIdentity, lease: Lease) -> "_Basis":
        boards = replay(claim)
        game = analysed_game(claim)
        if not claim.uci or not self._needs_evaluations(claim):
            return _Basis(game, self._provenance(engine))
        if self.prefer is EvaluationSource.LICHESS:
            given = over_lichess_evaluations(game, boards)
            if given is not None:
                return _Basis(given, _OF_LICHESS)
        search = GameSearch(
            self.workbench.slot, engine, self.budget, boards, claim.uci, known=claim.evaluations
        )
        try:
            refused = self._search(search, game, lease)
        except BaseException:
            # The next attempt goes on from here.
            with suppress(ApiError):
                self.client.store_evaluations(engine, search.new)
            raise
        self.client.store_evaluations(engine, search.new)
        return _Basis(
            replace(game, evaluations=search.evaluations()), self._provenance(engine, search), refused
        )

    def _search(self, search: GameSearch, game: AnalysedGame, lease: Lease) -> dict[str, str]:
        """Search a game as far as budget and wishes go; return the errors of plugins, by name."""
        deadline = time.monotonic() + self.limit_seconds

        def run(work: Coroutine[None, None, None]) -> None:
            left = deadline - time.monotonic()
            self.workbench.run(lease.keep(work, stopping=self.stopping, limit_seconds=left))

        run(search.search())
        wishes, refused = self._wishes(replace(game, evaluations=search.evaluations()), lease)
        if wishes:
            run(search.search({ply for ply, wish in wishes.items() if wish.full_budget}))
            run(search.fulfil(wishes))
        return refused

    def _wishes(self, game: AnalysedGame, lease: Lease) -> tuple[dict[int, Wish], dict[str, str]]:
        # Of all plugins, not only of those that lack a result: what is searched must not depend on which
        # plugin came when. What the others wish for is in the store already.
        wishes: dict[int, Wish] = {}
        refused = {}
        for plugin in self.plugins:
            lease.renew_if_due()
            board.advance(patience_seconds=2 * self.limit_seconds)
            try:
                for ply, wish in ask_wishes(plugin, game, time_limit_seconds=lease.plugin_seconds).items():
                    other = wishes.get(ply, wish)
                    wishes[ply] = Wish(
                        max(wish.lines, other.lines), full_budget=wish.full_budget or other.full_budget
                    )
            except PluginFailed as failure:
                refused[plugin.name] = str(failure)
        return wishes, refused

    def _needs_evaluations(self, claim: AnalysisClaim) -> bool:
        plugins = map(self.plugins.get, claim.plugins)
        return any(plugin is not None and plugin.needs.evaluations for plugin in plugins)

    def _provenance(self, engine: EngineIdentity, search: GameSearch | None = None) -> Provenance:
        return Provenance(
            source=EvaluationSource.ENGINE,
            engine=engine,
            nodes=self.budget.reference_nodes,
            mode=self.budget.mode,
            position_nodes=[] if search is None else search.position_nodes(),
            searched_positions=0 if search is None else len(search.new),
            searched_nodes=0 if search is None else sum(item.nodes for item in search.new),
        )

    def _result(self, identity: PluginId, basis: "_Basis", lease: Lease) -> PluginResult:
        plugin = self.plugins.get(identity)
        if plugin is None:
            return PluginResult(plugin=identity, error="not installed on this worker")
        if identity.name in basis.refused:
            return PluginResult(plugin=identity, error=basis.refused[identity.name])
        lease.renew_if_due()
        # A plugin that loops in C only the task's hard limit ends, and this child alone.
        board.advance(patience_seconds=2 * self.limit_seconds)
        return run_plugin(plugin, basis.game, time_limit_seconds=lease.plugin_seconds)

    def _fail(
        self, claim: AnalysisClaim, code: str, detail: str, *, permanent: bool = False
    ) -> AnalysisState:
        detail = detail.replace("\x00", "�")[-_DETAIL_CHARACTERS:]
        _LOG.warning("analysis_failed", code=code, detail=detail, attempt=claim.attempt, permanent=permanent)
        failure = AnalysisFailure(fence=claim.fence, code=code, detail=detail, permanent=permanent)
        return self.client.report_failure(claim.id, failure).state


@dataclass(frozen=True)
class _Basis:
    """What plugins compute from."""

    game: AnalysedGame
    provenance: Provenance
    refused: Mapping[str, str] = field(default_factory=dict)
    """Errors of plugins whose wishes could not be had, by name."""


_OF_LICHESS = Provenance(
    source=EvaluationSource.LICHESS,
    engine=None,
    nodes=None,
    mode=None,
    position_nodes=[],
    searched_positions=0,
    searched_nodes=0,
)
