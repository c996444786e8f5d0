"""How do the analysis workers and the API talk about games to analyse and their results?"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.contract.games import MAX_PLIES, Clock, Color, LichessEvaluation
from app.contract.positions import EngineIdentity, Evaluation, EvaluationSource, Nodes
from app.contract.wire import GameId, Json, LongText, Ply, PositiveBigInt, Text, WireModel

PENDING_MAX = 1_000
EARLIER_PLIES = 40
"""How far into a game the positions are looked up in its players' earlier games."""


class AnalysisState(StrEnum):
    """Where the analysis of a game stands."""

    PENDING = "pending"
    """Waits, or waits again after a failed attempt."""
    RUNNING = "running"
    """Leased to a worker."""
    DONE = "done"
    FAILED = "failed"
    """Attempts are used up, or the fault is permanent; see its error. Can be retried."""
    UNSUPPORTED = "unsupported"
    """A variant that Stockfish does not play, or a game that can't be replayed to its end."""


class AnalysisPriority(StrEnum):
    """Which games go first."""

    ROUTINE = "routine"
    REQUESTED = "requested"
    """A user asked: goes before the rest."""


class BudgetMode(StrEnum):
    """How the nodes of a game are spent."""

    FIXED = "fixed"
    """The reference on every position."""
    ADAPTIVE = "adaptive"
    """A fraction of it on every position, and more where a judgement is at stake."""


class PluginId(WireModel):
    """A plugin at a version; another version is another computation."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]


class PendingRequest(WireModel):
    """Which games lack a result of one of these plugins?"""

    plugins: Annotated[list[PluginId], Field(max_length=100)]
    limit: Annotated[int, Field(ge=1, le=PENDING_MAX)] = 100


class PendingGames(WireModel):
    """Requested games first, then the newest."""

    games: list[GameId]


class BacklogRequest(WireModel):
    """How many games lack a result of one of these plugins?"""

    plugins: Annotated[list[PluginId], Field(max_length=100)]


class Backlog(WireModel):
    """What is still to do, games under way and those that wait after a failed attempt included."""

    games: Annotated[int, Field(ge=0)]


class EarlierGames(WireModel):
    """What one side of a game had played before: its account's games with the same colour.

    Earlier are games that were created before this one. Only those count that were stored when the worker
    claimed the game: `complete` tells whether there can be others.
    """

    games: Annotated[int, Field(ge=0)]
    """How many there are."""
    reached: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=EARLIER_PLIES + 1)]
    """Entry n: how many of them came to the position after ply n of this game in as many plies, by whichever
    moves. Entry 0: how many began from its initial position; at most to `EARLIER_PLIES`."""
    complete: bool
    """Whether all that the account played before this game had been fetched and stored."""


class AnalysisClaimRequest(WireModel):
    """A worker asks for the lease on one game."""

    worker: Text
    """Who holds the lease, one game at a time: who claims it again has not heard of it, and gets it anew."""
    plugins: Annotated[list[PluginId], Field(max_length=100)]
    earlier_games_for: Annotated[list[PluginId], Field(max_length=100)] = Field(default_factory=list)
    """Those of the plugins that need the players' earlier games, which cost the API a look at them all."""
    engine: EngineIdentity
    min_nodes: Nodes
    """Evaluations that rest on less are of no use to it."""


class AnalysisClaim(WireModel):
    """The lease on a game and all that its analysis needs."""

    id: GameId
    fence: PositiveBigInt
    """Goes with every later message on this lease; an older one is refused (409 stale_fence)."""
    lease_seconds: Annotated[int, Field(ge=1)]
    """Renew well before it ends: each worker renews at a third."""
    attempt: Annotated[int, Field(ge=1)]
    variant: Text
    initial_fen: Text | None
    status: Text
    winner: Color | None
    uci: list[Text]
    """Moves, one a ply."""
    clocks_cs: list[int] | None
    lichess_evaluations: list[LichessEvaluation] | None
    speed: Text = ""
    clock: Clock | None = None
    days_per_turn: int | None = None
    middlegame_ply: Ply | None = None
    endgame_ply: Ply | None = None
    """With `middlegame_ply` Lichess's division, where the export carried one."""
    earlier_games: dict[Color, EarlierGames] = Field(default_factory=dict)
    """By the side that had played them; of tracked accounts, and where one of `plugins` needs them."""
    plugins: list[PluginId]
    """Those that lack a result for this game: the ones to run."""
    evaluations: list[Evaluation]
    """What this engine found before at the game's positions, at any halfmove clock, with any budget from
    `min_nodes` and any count of lines."""


class PluginResult(WireModel):
    """What a plugin found in a game, or why it failed."""

    plugin: PluginId
    result: dict[Text, Json] | None = None
    error: LongText | None = None
    """Set where `result` is not: the exception and where it arose."""


class Provenance(WireModel):
    """What the results of one pass over a game rest on, and what the pass cost."""

    source: EvaluationSource
    engine: EngineIdentity | None
    """None where the evaluations are Lichess's."""
    nodes: Nodes | None
    """The reference: what a position is searched with where it matters. None where `engine` is."""
    mode: BudgetMode | None
    position_nodes: Annotated[list[PositiveBigInt], Field(max_length=MAX_PLIES + 1)]
    """The budget that the score of each position rests on, ply 0 first; 0 where it is exact. Empty where the
    pass needed no evaluations, and where they are Lichess's."""
    searched_positions: PositiveBigInt
    """Searches made in this pass; 0 where everything was known."""
    searched_nodes: PositiveBigInt
    """Nodes that they took."""

    @property
    def of_lichess(self) -> bool:
        """Whether the plugins had Lichess's evaluations."""
        return self.source is EvaluationSource.LICHESS

    @property
    def of_engine(self) -> bool:
        """Whether the plugins had an engine's evaluations, rather than none."""
        return bool(self.position_nodes)

    @model_validator(mode="after")
    def _engine_or_lichess(self) -> Self:
        of_engine = self.source is EvaluationSource.ENGINE
        if any((item is not None) != of_engine for item in (self.engine, self.nodes, self.mode)):
            raise ValueError("engine, nodes and mode go with the source engine, and with no other")
        return self


class AnalysisResults(WireModel):
    """What the plugins made of a game, stored in one transaction. New evaluations are sent before it."""

    fence: PositiveBigInt
    provenance: Provenance
    results: Annotated[list[PluginResult], Field(max_length=100)]


class AnalysisFailure(WireModel):
    """Why a pass over a game ended without results."""

    fence: PositiveBigInt
    code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    """Stable and searchable: "engine_died", "engine_timeout", "invalid_position", …"""
    detail: LongText
    permanent: bool = False
    """Another attempt cannot help: a position that no engine may see."""


class LeaseRenewal(WireModel):
    """A worker is still at it: the lease starts anew."""

    fence: PositiveBigInt


class AnalysisHandback(WireModel):
    """A worker that stops gives a game back untouched: no attempt is counted."""

    fence: PositiveBigInt


class AnalysisOutcome(WireModel):
    """The state that a report led to."""

    state: AnalysisState
