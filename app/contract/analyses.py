"""How do the analysis workers and the API talk about games to analyse and their results?"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from app.contract.games import MAX_PLIES, Color, LichessEvaluation
from app.contract.positions import EngineIdentity, Evaluation
from app.contract.wire import GameId, Json, LongText, PositiveBigInt, Text, WireModel

PENDING_MAX = 1_000
Nodes = Annotated[int, Field(ge=1, le=10**12)]
"""Budget of one position, in nodes searched."""


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
    """A variant that Stockfish does not play."""


class AnalysisPriority(StrEnum):
    """Which games go first."""

    ROUTINE = "routine"
    REQUESTED = "requested"
    """A user asked: goes before the rest."""


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


class AnalysisClaimRequest(WireModel):
    """A worker asks for the lease on one game."""

    worker: Text
    """Who holds the lease, for the human who reads the table."""
    plugins: Annotated[list[PluginId], Field(max_length=100)]
    engine: EngineIdentity
    nodes: Nodes


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
    plugins: list[PluginId]
    """Those that lack a result for this game: the ones to run."""
    evaluations: list[Evaluation]
    """Already known for this engine and budget: not to be searched again."""


class PluginResult(WireModel):
    """What a plugin found in a game, or why it failed."""

    plugin: PluginId
    result: dict[Text, Json] | None = None
    error: LongText | None = None
    """Set where `result` is not: the exception and where it arose."""


class AnalysisResults(WireModel):
    """Everything one pass over a game found, stored in one transaction."""

    fence: PositiveBigInt
    engine: EngineIdentity
    nodes: Nodes
    evaluations: Annotated[list[Evaluation], Field(max_length=MAX_PLIES + 1)]
    """New ones only."""
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
