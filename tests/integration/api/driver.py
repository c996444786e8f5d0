"""What do a producer, a consumer and an analyst look like to the API?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

from app.contract.analyses import (
    AnalysisClaim,
    AnalysisClaimRequest,
    AnalysisFailure,
    AnalysisOutcome,
    AnalysisResults,
    BudgetMode,
    PendingRequest,
    PluginId,
    PluginResult,
    Provenance,
)
from app.contract.games import GameRecord
from app.contract.ingestion import (
    FetchAnswer,
    FetchClaim,
    FetchOutcome,
    FetchPlan,
    FetchReport,
    FetchVerdict,
    GarbledLine,
    GarbledVerdict,
    Observation,
    Observations,
    Refusal,
    SeenGame,
    SeenGames,
    StoreAnswer,
)
from app.contract.players import PlayerView
from app.contract.positions import EngineIdentity, Evaluation, EvaluationSource, Score
from tests.integration.conftest import Api
from workers.api_client import ApiClient
from workers.ingestion.parsing import parse

Game = dict[str, Any]
"""A game as Lichess exports it."""

FIRST_MS: Final = 1_704_067_200_000  # 2024-01-01
MINUTE_MS: Final = 60_000


def make_game(number: int, **fields: Any) -> Game:
    """Build a finished game between Alice (White) and Bob; those with higher numbers are later."""
    created_at = FIRST_MS + number * MINUTE_MS
    return {
        "id": f"game{number:04d}",
        "rated": True,
        "variant": "standard",
        "speed": "blitz",
        "perf": "blitz",
        "createdAt": created_at,
        "lastMoveAt": created_at + 30_000,
        "status": "resign",
        "source": "pool",
        "players": {
            "white": {"user": {"name": "Alice", "id": "alice"}, "rating": 1500},
            "black": {"user": {"name": "Bob", "id": "bob"}, "rating": 1480},
        },
        "winner": "white",
        "moves": "e4 e5 Nf3 Nc6",
        **fields,
    }


def record_of(game: Game) -> GameRecord:
    """Parse a game as the consumer does."""
    record = parse(game, json.dumps(game))
    assert isinstance(record, GameRecord), record
    return record


def observe(
    game: Game, run_id: int, line: int, *, refused: bool = False, player: str = "alice"
) -> Observation:
    """Make a consumer's report on one line of one run."""
    return Observation(
        player=player,
        run_id=run_id,
        line=line,
        id=game["id"],
        created_at_ms=game["createdAt"],
        game=None if refused else record_of(game),
        refusal=Refusal(code="invalid_field", detail=f"line {line}", raw=json.dumps(game))
        if refused
        else None,
    )


class Ledger:
    """Acts as producer and consumer for one player."""

    def __init__(self, api: Api, player: str = "alice") -> None:
        self.api = api
        self.player = player

    def track(self) -> "Ledger":
        """Track the player."""
        assert self.api.writer.put(f"/v1/players/{self.player}").is_success
        return self

    def view(self) -> PlayerView:
        """Return the player as a client sees it."""
        answer = self.api.reader.get(f"/v1/players/{self.player}")
        assert answer.is_success, answer.text
        return PlayerView.model_validate(answer.json())

    def claim(self, fence: int = 1) -> FetchAnswer:
        """Ask what to fetch."""
        return self.api.worker.claim_fetch(FetchClaim(player=self.player, fence=fence))

    def plan(self, fence: int = 1) -> FetchPlan:
        """Ask what to fetch, there being something."""
        plan = self.claim(fence).plan
        assert plan is not None
        return plan

    def see(self, run_id: int, games: Sequence[Game], first_line: int = 1) -> None:
        """Report lines of a run as seen."""
        entries = [
            SeenGame(id=game["id"], created_at_ms=game["createdAt"], line=line)
            for line, game in enumerate(games, first_line)
        ]
        self.api.worker.report_seen(run_id, SeenGames(games=entries))

    def store(self, run_id: int, games: Sequence[Game], first_line: int = 1) -> StoreAnswer:
        """Store lines of a run."""
        return self.report(
            observe(game, run_id, line, player=self.player) for line, game in enumerate(games, first_line)
        )

    def refuse(self, run_id: int, game: Game, line: int = 1) -> StoreAnswer:
        """Refuse a line of a run."""
        return self.report([observe(game, run_id, line, refused=True, player=self.player)])

    def report(self, observations: Iterable[Observation]) -> StoreAnswer:
        """Send observations in one request."""
        return self.api.worker.store(Observations(observations=list(observations)))

    def garbled(self, run_id: int, line: int = 1, digest: str = "ab" * 32) -> GarbledVerdict:
        """Report a line that names no game."""
        report = GarbledLine(line=line, reason="not JSON", raw='{"half', digest=digest)
        return self.api.worker.report_garbled(run_id, report).verdict

    def finish(
        self,
        run_id: int,
        lines: int = 0,
        outcome: FetchOutcome = FetchOutcome.COMPLETE,
        detail: str | None = None,
    ) -> FetchVerdict:
        """Close a run."""
        report = FetchReport(outcome=outcome, lines=lines, detail=detail)
        return self.api.worker.finish_fetch(run_id, report)

    def stream(self, games: Sequence[Game]) -> FetchPlan:
        """Fetch and store some games in one run, and end it well."""
        plan = self.plan()
        if games:
            self.see(plan.run_id, games)
            self.store(plan.run_id, games)
        self.finish(plan.run_id, len(games))
        return plan

    def make_due(self) -> None:
        """Let the interval between two looks pass."""
        self.api.execute("UPDATE players SET next_sync_at = now() WHERE user_id = %s", self.player.lower())

    def make_holes_due(self) -> None:
        """Let the time pass after which what is pending counts as a hole."""
        self.api.execute("UPDATE seen_games SET retry_at = now() WHERE state = 'pending'")

    def manifest(self) -> dict[str, str]:
        """Return the state of each game that was seen."""
        return dict(
            self.api.rows(
                "SELECT source_id, seen_games.state FROM seen_games JOIN players ON players.id = player_id"
                " WHERE user_id = %s ORDER BY source_id",
                self.player.lower(),
            )
        )


ENGINE: Final = EngineIdentity(name="Stockfish 17", net="nn.nnue", hash_mb=16)
ACCURACY: Final = PluginId(name="accuracy", version=1)
SWING: Final = PluginId(name="largest_swing", version=1)
NODES: Final = 10_000


class Analyst:
    """Acts as an analysis worker, with a client of its own so that several can work at the same time."""

    def __init__(self, api: Api, plugins: Sequence[PluginId] = (ACCURACY,), name: str = "worker") -> None:
        self.client: ApiClient = api.new_worker()
        self.plugins = list(plugins)
        self.name = name

    def pending(self, limit: int = 100) -> list[str]:
        """Return the games that wait."""
        return self.client.pending_games(PendingRequest(plugins=self.plugins, limit=limit)).games

    def claim(self, game: str, *, earlier_games_for: Sequence[PluginId] = ()) -> AnalysisClaim:
        """Take the lease on a game."""
        request = AnalysisClaimRequest(
            worker=self.name,
            plugins=self.plugins,
            earlier_games_for=list(earlier_games_for),
            engine=ENGINE,
            min_nodes=NODES,
        )
        return self.client.claim_analysis(game, request)

    def results(
        self,
        claim: AnalysisClaim,
        errors: Mapping[str, str] | None = None,
        **provenance: Any,
    ) -> AnalysisResults:
        """Make the report on a lease: a result of each plugin, or the error given for it."""
        return AnalysisResults(
            fence=claim.fence,
            provenance=Provenance.model_validate(
                {
                    "source": EvaluationSource.ENGINE,
                    "engine": ENGINE,
                    "nodes": NODES,
                    "mode": BudgetMode.FIXED,
                    "position_nodes": [NODES] * (len(claim.uci) + 1),
                    "searched_positions": 0,
                    "searched_nodes": 0,
                    **provenance,
                }
            ),
            results=[
                PluginResult(plugin=plugin, error=errors[plugin.name])
                if errors and plugin.name in errors
                else PluginResult(plugin=plugin, result={"version": plugin.version, "of": claim.id})
                for plugin in claim.plugins
            ],
        )

    def finish(self, claim: AnalysisClaim, evaluations: Sequence[Evaluation] = ()) -> AnalysisOutcome:
        """Store evaluations and report that all went well."""
        self.client.store_evaluations(ENGINE, evaluations)
        return self.client.post_results(claim.id, self.results(claim))

    def fail(
        self, claim: AnalysisClaim, code: str = "engine_died", *, permanent: bool = False
    ) -> AnalysisOutcome:
        """Report that a pass failed."""
        failure = AnalysisFailure(fence=claim.fence, code=code, detail="it died", permanent=permanent)
        return self.client.report_failure(claim.id, failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()


def evaluation(position_key: int, cp: int = 20, halfmove_clock: int = 0) -> Evaluation:
    """Make an evaluation of a position."""
    return Evaluation(
        position_key=position_key,
        halfmove_clock=halfmove_clock,
        budget_nodes=NODES,
        score=Score(cp=cp),
        depth=12,
        nodes=NODES + 17,
        pv=["e2e4", "e7e5"],
    )
