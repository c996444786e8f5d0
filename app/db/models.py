"""Which tables are there? (All of them: a domain's repository imports its own from here.)"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.contract.analyses import AnalysisPriority, AnalysisState, BudgetMode
from app.contract.games import Color
from app.contract.ingestion import FetchKind
from app.contract.players import PlayerState
from app.contract.positions import EvaluationSource
from app.db.base import Base, text_enum

_TIMESTAMP = DateTime(timezone=True)
_NOW = func.now()


class RunState(StrEnum):
    """How a run stands; the closed states are those of FetchOutcome, and one more."""

    RUNNING = "running"
    COMPLETE = "complete"
    CUT = "cut"
    UNORDERED = "unordered"
    STOPPED = "stopped"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
    UNAUTHORISED = "unauthorised"
    ABANDONED = "abandoned"
    """Its producer never reported: a newer run took its place."""


class SeenState(StrEnum):
    """What became of a line that was seen."""

    PENDING = "pending"
    STORED = "stored"
    REFUSED = "refused"


class Player(Base):
    """An account that is, or was, tracked."""

    __tablename__ = "players"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, unique=True)
    """Lichess's id: the username in lower case."""
    username: Mapped[str] = mapped_column(Text)
    """As the owner wrote it."""
    tracked: Mapped[bool] = mapped_column(server_default=text("true"))
    state: Mapped[PlayerState] = mapped_column(
        text_enum(PlayerState), server_default=PlayerState.ACTIVE.value
    )
    state_detail: Mapped[str | None] = mapped_column(Text)
    seen_until: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """Every game created before this is in the manifest."""
    slice_games: Mapped[int | None] = mapped_column(Integer)
    """Size of the next slice where the usual one cannot get past one moment; None for the usual."""
    backfilling: Mapped[bool] = mapped_column(server_default=text("true"))
    """The last slice was full: there is more behind `seen_until`."""
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Requests in a row that ended badly without a new game."""
    not_found_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    next_sync_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)
    synced_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """When the last stream came to its end with nothing left to fetch."""
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)

    __table_args__ = (Index("ix_players_next_sync_at", "next_sync_at", postgresql_where=text("tracked")),)


class SourceGate(Base):
    """What all requests to one source share: one row a source."""

    __tablename__ = "source_gates"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The newest fence of the global gate that claimed."""
    not_before: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """No request before this moment: the back-off after 429."""
    rate_limits: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """429s in a row."""


class IngestionRun(Base):
    """One request to the source; its id grows with time over all players."""

    __tablename__ = "ingestion_runs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    player_id: Mapped[int] = mapped_column(ForeignKey("players.id"))
    kind: Mapped[FetchKind] = mapped_column(text_enum(FetchKind))
    state: Mapped[RunState] = mapped_column(text_enum(RunState), server_default=RunState.RUNNING.value)
    since: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    max_games: Mapped[int] = mapped_column(Integer)
    asked_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Of an IDS run."""
    lines: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    new_games: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Lines whose game was not in the manifest before; counted as they are entered."""
    detail: Mapped[str | None] = mapped_column(Text)
    last_created_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """createdAt of the last line entered in the manifest."""
    started_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)
    finished_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)

    __table_args__ = (
        Index("ix_ingestion_runs_player_id_id", "player_id", "id"),
        Index("ix_ingestion_runs_running", "id", postgresql_where=text("state = 'running'")),
    )


class SeenGame(Base):
    """The manifest: every game that the source ever showed for a player, and what became of it."""

    __tablename__ = "seen_games"

    player_id: Mapped[int] = mapped_column(ForeignKey("players.id"), primary_key=True)
    source_id: Mapped[str] = mapped_column(Text, primary_key=True)
    """The game's id; "line:" and a digest for a line that names no game."""
    state: Mapped[SeenState] = mapped_column(text_enum(SeenState))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP)
    """createdAt of the game."""
    run_id: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Times that a hole was fetched again."""
    retry_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """When a pending entry counts as a hole."""
    refusal_code: Mapped[str | None] = mapped_column(Text)
    refusal_detail: Mapped[str | None] = mapped_column(Text)
    raw: Mapped[str | None] = mapped_column(Text)
    """The refused line."""
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)

    __table_args__ = (
        Index("ix_seen_games_pending", "player_id", "created_at", postgresql_where=text("state = 'pending'")),
        Index("ix_seen_games_refused", "player_id", "source_id", postgresql_where=text("state = 'refused'")),
        Index("ix_seen_games_player_id_state", "player_id", "state"),
    )


class GarbledLine(Base):
    """A line that names no game, met in a stream: met again and again, it is refused for good."""

    __tablename__ = "garbled_lines"

    player_id: Mapped[int] = mapped_column(ForeignKey("players.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)
    times: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    """Runs that met it."""
    last_run_id: Mapped[int] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)


class Game(Base):
    """A game; its natural key is the source and the source's id."""

    __tablename__ = "games"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    source: Mapped[str] = mapped_column(Text, server_default=text("'lichess'"))
    source_id: Mapped[str] = mapped_column(Text)
    run_id: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int] = mapped_column(BigInteger)
    """With run_id: the observation that this row shows; only a later one may change it."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    rated: Mapped[bool]
    variant: Mapped[str] = mapped_column(Text)
    speed: Mapped[str] = mapped_column(Text)
    perf: Mapped[str] = mapped_column(Text)
    origin: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP)
    last_move_at: Mapped[datetime] = mapped_column(_TIMESTAMP)
    status: Mapped[str] = mapped_column(Text)
    finished: Mapped[bool]
    winner: Mapped[Color | None] = mapped_column(text_enum(Color))
    white_id: Mapped[str | None] = mapped_column(Text)
    black_id: Mapped[str | None] = mapped_column(Text)
    white_rating: Mapped[int | None] = mapped_column(Integer)
    black_rating: Mapped[int | None] = mapped_column(Integer)
    white: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """PlayerSide, as it is shown."""
    black: Mapped[dict[str, Any]] = mapped_column(JSONB)
    eco: Mapped[str | None] = mapped_column(Text)
    opening_name: Mapped[str | None] = mapped_column(Text)
    opening_ply: Mapped[int | None] = mapped_column(SmallInteger)
    opening_is_ours: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether Scoresheet named the opening, and not Lichess."""
    initial_seconds: Mapped[int | None] = mapped_column(Integer)
    increment_seconds: Mapped[int | None] = mapped_column(Integer)
    days_per_turn: Mapped[int | None] = mapped_column(SmallInteger)
    tournament: Mapped[str | None] = mapped_column(Text)
    tournament_name: Mapped[str | None] = mapped_column(Text)
    swiss: Mapped[str | None] = mapped_column(Text)
    initial_fen: Mapped[str | None] = mapped_column(Text)
    middlegame_ply: Mapped[int | None] = mapped_column(SmallInteger)
    endgame_ply: Mapped[int | None] = mapped_column(SmallInteger)
    plies: Mapped[int] = mapped_column(SmallInteger)
    analysed_by_source: Mapped[bool]
    flags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    extra: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    revisit_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """When to fetch the game again by its id; None for never."""
    revisits: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    stored_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)

    __table_args__ = (
        UniqueConstraint("source", "source_id"),
        CheckConstraint("plies >= 0", name="plies"),
        Index("ix_games_created_at_id", text("created_at DESC"), text("id DESC")),
        Index("ix_games_white_id_created_at", "white_id", text("created_at DESC"), text("id DESC")),
        Index("ix_games_black_id_created_at", "black_id", text("created_at DESC"), text("id DESC")),
        Index("ix_games_last_move_at_id", text("last_move_at DESC"), text("id DESC")),
        Index("ix_games_white_id_last_move_at", "white_id", text("last_move_at DESC"), text("id DESC")),
        Index("ix_games_black_id_last_move_at", "black_id", text("last_move_at DESC"), text("id DESC")),
        Index("ix_games_revisit_at", "revisit_at", postgresql_where=text("revisit_at IS NOT NULL")),
    )


class GameMoves(Base):
    """What happened on the board, one array element a ply; apart from `games`, so that lists stay light."""

    __tablename__ = "game_moves"

    game_id: Mapped[int] = mapped_column(ForeignKey("games.id", ondelete="CASCADE"), primary_key=True)
    san: Mapped[list[str]] = mapped_column(ARRAY(Text))
    uci: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """As far as the moves could be replayed; NULL, as `position_keys`, where not even the initial position
    could be set up."""
    position_keys: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    """Initial position first: one more than `uci`."""
    clocks_cs: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    source_evaluations: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """Lichess's own, as LichessEvaluation."""


class Engine(Base):
    """An engine with everything but the budget that could change its evaluations."""

    __tablename__ = "engines"

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    net: Mapped[str] = mapped_column(Text)
    hash_mb: Mapped[int] = mapped_column(Integer)
    threads: Mapped[int] = mapped_column(Integer)

    __table_args__ = (UniqueConstraint("name", "net", "hash_mb", "threads"),)


class Evaluation(Base):
    """One position, searched once by one engine with one budget for some lines; scores from White's view."""

    __tablename__ = "evaluations"

    position_key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    halfmove_clock: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    engine_id: Mapped[int] = mapped_column(ForeignKey("engines.id"), primary_key=True)
    budget_nodes: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    lines: Mapped[int] = mapped_column(
        SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")
    )
    cp: Mapped[int | None] = mapped_column(Integer)
    mate: Mapped[int | None] = mapped_column(SmallInteger)
    depth: Mapped[int] = mapped_column(SmallInteger)
    nodes: Mapped[int] = mapped_column(BigInteger)
    pv: Mapped[str] = mapped_column(Text)
    """UCI moves, space separated."""
    further: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """The lines after the first, as FurtherLine."""

    __table_args__ = (CheckConstraint("(cp IS NULL) <> (mate IS NULL)", name="one_score"),)


class GameAnalysis(Base):
    """Where the analysis of a game stands; one row a finished game."""

    __tablename__ = "game_analyses"

    game_id: Mapped[int] = mapped_column(ForeignKey("games.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP)
    """The game's: the newest go first."""
    state: Mapped[AnalysisState] = mapped_column(text_enum(AnalysisState))
    priority: Mapped[AnalysisPriority] = mapped_column(
        text_enum(AnalysisPriority), server_default=AnalysisPriority.ROUTINE.value
    )
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    not_before: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    """Back-off after a failed attempt."""
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Grows with every lease, and when the game changes."""
    lease_until: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    worker: Mapped[str | None] = mapped_column(Text)
    engine_id: Mapped[int | None] = mapped_column(ForeignKey("engines.id"))
    budget_nodes: Mapped[int | None] = mapped_column(BigInteger)
    """The reference, in the adaptive mode. With engine_id, source, mode and position_nodes: what the scores
    rest on that are shown with the game. Each result has a provenance of its own."""
    source: Mapped[EvaluationSource | None] = mapped_column(text_enum(EvaluationSource))
    mode: Mapped[BudgetMode | None] = mapped_column(text_enum(BudgetMode))
    position_nodes: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    """The budget that each position's score rests on, the initial position first, 0 where it is exact; None
    where all rest on `budget_nodes`."""
    searched_positions: Mapped[int | None] = mapped_column(Integer)
    """Searches that the last analysis made …"""
    searched_nodes: Mapped[int | None] = mapped_column(BigInteger)
    """… and their nodes."""
    error_code: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    analysed_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
    plugin_set: Mapped[str | None] = mapped_column(Text)
    """Digest of the plugins that the last claim was for. A game that is done has a result of each, and at one
    that a plugin failed each had its turn: neither need be looked at again until the set changes."""

    __table_args__ = (
        Index(
            "ix_game_analyses_open",
            "priority",
            text("created_at DESC"),
            postgresql_where=text("state IN ('pending', 'running')"),
        ),
        Index("ix_game_analyses_state_created_at", "state", text("created_at DESC"), text("game_id DESC")),
    )


class PluginResult(Base):
    """What one version of a plugin found in a game, or why it failed."""

    __tablename__ = "plugin_results"

    game_id: Mapped[int] = mapped_column(ForeignKey("games.id", ondelete="CASCADE"), primary_key=True)
    plugin: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    engine_id: Mapped[int | None] = mapped_column(ForeignKey("engines.id"))
    budget_nodes: Mapped[int | None] = mapped_column(BigInteger)
    """As of an analysis: the reference. Both None where the evaluations are Lichess's; 0, and no engine,
    where the plugin had none: in a game without moves, or where no plugin of the pass needed any."""
    mode: Mapped[BudgetMode | None] = mapped_column(text_enum(BudgetMode))
    """None where engine_id is, and where a release stored the result that did not tell."""
    computed_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)

    __table_args__ = (CheckConstraint("(result IS NULL) <> (error IS NULL)", name="result_or_error"),)


class ApiToken(Base):
    """A bearer token; only its hash is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    """SHA-256 of the token: 256 random bits need no slow hash."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(_TIMESTAMP, server_default=_NOW)
    expires_at: Mapped[datetime | None] = mapped_column(_TIMESTAMP)
