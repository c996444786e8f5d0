"""What becomes of one game that is to be analysed?"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass

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
)
from plugins.api import AnalysedGame
from workers.analysis.engine import EngineError
from workers.analysis.evaluator import Budget, GameEvaluations, analysed_game, evaluate_game, replay
from workers.analysis.lease import Lease, OutOfTime, WorkerStopping
from workers.analysis.plugin_registry import PluginRegistry
from workers.analysis.plugin_runner import run_plugin
from workers.analysis.position import InvalidPosition
from workers.analysis.workbench import Workbench
from workers.api_client import (
    ApiClient,
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
    nodes: int
    """Per position."""
    limit_seconds: float
    """Longest that the positions of one game may take altogether."""
    worker: str
    """Who holds the leases, for the human who reads the table."""
    stopping: Callable[[], bool]

    def analyze(self, game: str) -> AnalysisState | None:
        """Analyse one game; None if there was nothing to do, or if it was given up without a report.

        Whatever goes wrong with the game is reported to the API, which counts attempts. Raises EngineError
        if no engine has ever started here, ApiError if the API does not answer (the lease then runs out),
        and, after reporting it, an error of our own.
        """
        if self.stopping():
            return None
        budget = Budget(self.workbench.identity(), self.nodes)
        request = AnalysisClaimRequest(
            worker=self.worker, plugins=self.plugins.ids, engine=budget.engine, nodes=budget.nodes
        )
        try:
            claim = self.client.claim_analysis(game, request)
        except (NotClaimable, NotFound) as refusal:
            _LOG.info("game_not_claimed", reason=refusal.detail)
            return None
        try:
            return self._work(claim, budget)
        except (StaleFence, NotFound):
            _LOG.warning("lease_lost", attempt=claim.attempt)
            return None

    def _work(self, claim: AnalysisClaim, budget: Budget) -> AnalysisState | None:
        try:
            return self._pass(claim, budget)
        except WorkerStopping:
            self.client.hand_back(claim.id, AnalysisHandback(fence=claim.fence))
            _LOG.info("game_handed_back")
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

    def _pass(self, claim: AnalysisClaim, budget: Budget) -> AnalysisState:
        lease = Lease(
            claim.lease_seconds,
            lambda: self.client.renew_lease(claim.id, LeaseRenewal(fence=claim.fence)),
        )
        found = self._evaluations(claim, budget, lease)
        game = analysed_game(claim, found.by_ply)
        results = []
        for plugin in claim.plugins:
            lease.renew_if_due()
            # A plugin that loops in C only the task's hard limit ends, and this child alone.
            board.advance(patience_seconds=2 * self.limit_seconds)
            results.append(self._result(plugin, game))
        outcome = self.client.post_results(
            claim.id,
            AnalysisResults(
                fence=claim.fence,
                engine=budget.engine,
                nodes=budget.nodes,
                evaluations=found.new,
                results=results,
            ),
        )
        _LOG.info(
            "game_analysed",
            state=str(outcome.state),
            plies=game.plies,
            searched=len(found.new),
            nodes=sum(item.nodes for item in found.new),
        )
        return outcome.state

    def _evaluations(self, claim: AnalysisClaim, budget: Budget, lease: Lease) -> GameEvaluations:
        boards = replay(claim)
        if not claim.uci or not self._needs_evaluations(claim):
            return GameEvaluations()
        work = evaluate_game(self.workbench.slot, boards, claim.evaluations, budget)
        return self.workbench.run(lease.keep(work, stopping=self.stopping, limit_seconds=self.limit_seconds))

    def _needs_evaluations(self, claim: AnalysisClaim) -> bool:
        plugins = map(self.plugins.get, claim.plugins)
        return any(plugin is not None and plugin.needs.evaluations for plugin in plugins)

    def _result(self, identity: PluginId, game: AnalysedGame) -> PluginResult:
        plugin = self.plugins.get(identity)
        if plugin is None:
            return PluginResult(plugin=identity, error="not installed on this worker")
        return run_plugin(plugin, game)

    def _fail(
        self, claim: AnalysisClaim, code: str, detail: str, *, permanent: bool = False
    ) -> AnalysisState:
        detail = detail.replace("\x00", "�")[-_DETAIL_CHARACTERS:]
        _LOG.warning("analysis_failed", code=code, detail=detail, attempt=claim.attempt, permanent=permanent)
        failure = AnalysisFailure(fence=claim.fence, code=code, detail=detail, permanent=permanent)
        return self.client.report_failure(claim.id, failure).state
