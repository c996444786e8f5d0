"""The first schema

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_tokens_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
    )
    op.create_table(
        "engines",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("net", sa.Text(), nullable=False),
        sa.Column("hash_mb", sa.Integer(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engines")),
        sa.UniqueConstraint(
            "name", "net", "hash_mb", "threads", name=op.f("uq_engines_name_net_hash_mb_threads")
        ),
    )
    op.create_table(
        "games",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), server_default=sa.text("'lichess'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("rated", sa.Boolean(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("speed", sa.Text(), nullable=False),
        sa.Column("perf", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_move_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column(
            "winner",
            sa.Enum("white", "black", name="color", native_enum=False, create_constraint=True, length=32),
            nullable=True,
        ),
        sa.Column("white_id", sa.Text(), nullable=True),
        sa.Column("black_id", sa.Text(), nullable=True),
        sa.Column("white_rating", sa.Integer(), nullable=True),
        sa.Column("black_rating", sa.Integer(), nullable=True),
        sa.Column("white", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("black", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("eco", sa.Text(), nullable=True),
        sa.Column("opening_name", sa.Text(), nullable=True),
        sa.Column("opening_ply", sa.SmallInteger(), nullable=True),
        sa.Column("initial_seconds", sa.Integer(), nullable=True),
        sa.Column("increment_seconds", sa.Integer(), nullable=True),
        sa.Column("days_per_turn", sa.SmallInteger(), nullable=True),
        sa.Column("tournament", sa.Text(), nullable=True),
        sa.Column("swiss", sa.Text(), nullable=True),
        sa.Column("initial_fen", sa.Text(), nullable=True),
        sa.Column("middlegame_ply", sa.SmallInteger(), nullable=True),
        sa.Column("endgame_ply", sa.SmallInteger(), nullable=True),
        sa.Column("plies", sa.SmallInteger(), nullable=False),
        sa.Column("analysed_by_source", sa.Boolean(), nullable=False),
        sa.Column("flags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "extra", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("revisit_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revisits", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("plies >= 0", name=op.f("ck_games_plies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_games")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_games_source_source_id")),
    )
    op.create_index(
        "ix_games_black_id_created_at",
        "games",
        ["black_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_games_created_at_id",
        "games",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_games_revisit_at",
        "games",
        ["revisit_at"],
        unique=False,
        postgresql_where=sa.text("revisit_at IS NOT NULL"),
    )
    op.create_index(
        "ix_games_white_id_created_at",
        "games",
        ["white_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "players",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("tracked", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "active",
                "not_found",
                "gone",
                "unauthorised",
                name="playerstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="active",
            nullable=False,
        ),
        sa.Column("state_detail", sa.Text(), nullable=True),
        sa.Column("seen_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("slice_games", sa.Integer(), nullable=True),
        sa.Column("backfilling", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_found_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "next_sync_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_players")),
        sa.UniqueConstraint("user_id", name=op.f("uq_players_user_id")),
    )
    op.create_index(
        "ix_players_next_sync_at",
        "players",
        ["next_sync_at"],
        unique=False,
        postgresql_where=sa.text("tracked"),
    )
    op.create_table(
        "source_gates",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rate_limits", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_gates")),
    )
    op.create_table(
        "evaluations",
        sa.Column("position_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("halfmove_clock", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("engine_id", sa.Integer(), nullable=False),
        sa.Column("budget_nodes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cp", sa.Integer(), nullable=True),
        sa.Column("mate", sa.SmallInteger(), nullable=True),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("nodes", sa.BigInteger(), nullable=False),
        sa.Column("pv", sa.Text(), nullable=False),
        sa.CheckConstraint("(cp IS NULL) <> (mate IS NULL)", name=op.f("ck_evaluations_one_score")),
        sa.ForeignKeyConstraint(["engine_id"], ["engines.id"], name=op.f("fk_evaluations_engine_id")),
        sa.PrimaryKeyConstraint(
            "position_key", "halfmove_clock", "engine_id", "budget_nodes", name=op.f("pk_evaluations")
        ),
    )
    op.create_table(
        "game_analyses",
        sa.Column("game_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "running",
                "done",
                "failed",
                "unsupported",
                name="analysisstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "priority",
            sa.Enum(
                "routine",
                "requested",
                name="analysispriority",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="routine",
            nullable=False,
        ),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("engine_id", sa.Integer(), nullable=True),
        sa.Column("budget_nodes", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("analysed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["engine_id"], ["engines.id"], name=op.f("fk_game_analyses_engine_id")),
        sa.ForeignKeyConstraint(
            ["game_id"], ["games.id"], name=op.f("fk_game_analyses_game_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("game_id", name=op.f("pk_game_analyses")),
    )
    op.create_index(
        "ix_game_analyses_open",
        "game_analyses",
        ["priority", sa.literal_column("created_at DESC")],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'running')"),
    )
    op.create_index(
        "ix_game_analyses_state_created_at",
        "game_analyses",
        ["state", sa.literal_column("created_at DESC"), sa.literal_column("game_id DESC")],
        unique=False,
    )
    op.create_table(
        "game_moves",
        sa.Column("game_id", sa.BigInteger(), nullable=False),
        sa.Column("san", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("uci", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("position_keys", sa.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("clocks_cs", sa.ARRAY(sa.Integer()), nullable=True),
        sa.Column(
            "source_evaluations", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["game_id"], ["games.id"], name=op.f("fk_game_moves_game_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("game_id", name=op.f("pk_game_moves")),
    )
    op.create_table(
        "garbled_lines",
        sa.Column("player_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("last_run_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["player_id"], ["players.id"], name=op.f("fk_garbled_lines_player_id")),
        sa.PrimaryKeyConstraint("player_id", "digest", name=op.f("pk_garbled_lines")),
    )
    op.create_table(
        "ingestion_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("player_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("stream", "ids", name="fetchkind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "running",
                "complete",
                "cut",
                "unordered",
                "stopped",
                "rate_limited",
                "unavailable",
                "not_found",
                "unauthorised",
                "abandoned",
                name="runstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="running",
            nullable=False,
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_games", sa.Integer(), nullable=False),
        sa.Column("asked_ids", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("lines", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("new_games", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("last_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["player_id"], ["players.id"], name=op.f("fk_ingestion_runs_player_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingestion_runs")),
    )
    op.create_index("ix_ingestion_runs_player_id_id", "ingestion_runs", ["player_id", "id"], unique=False)
    op.create_index(
        "ix_ingestion_runs_running",
        "ingestion_runs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "plugin_results",
        sa.Column("game_id", sa.BigInteger(), nullable=False),
        sa.Column("plugin", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("engine_id", sa.Integer(), nullable=False),
        sa.Column("budget_nodes", sa.BigInteger(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(result IS NULL) <> (error IS NULL)", name=op.f("ck_plugin_results_result_or_error")
        ),
        sa.ForeignKeyConstraint(["engine_id"], ["engines.id"], name=op.f("fk_plugin_results_engine_id")),
        sa.ForeignKeyConstraint(
            ["game_id"], ["games.id"], name=op.f("fk_plugin_results_game_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("game_id", "plugin", "version", name=op.f("pk_plugin_results")),
    )
    op.create_table(
        "seen_games",
        sa.Column("player_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "stored",
                "refused",
                name="seenstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal_code", sa.Text(), nullable=True),
        sa.Column("refusal_detail", sa.Text(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["player_id"], ["players.id"], name=op.f("fk_seen_games_player_id")),
        sa.PrimaryKeyConstraint("player_id", "source_id", name=op.f("pk_seen_games")),
    )
    op.create_index(
        "ix_seen_games_pending",
        "seen_games",
        ["player_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_seen_games_player_id_state", "seen_games", ["player_id", "state"], unique=False)
    op.create_index(
        "ix_seen_games_refused",
        "seen_games",
        ["player_id", "source_id"],
        unique=False,
        postgresql_where=sa.text("state = 'refused'"),
    )

    # Rows of these change in place within seconds of their birth: leave room on the page for it.
    op.execute("ALTER TABLE seen_games SET (fillfactor = 80)")
    op.execute("ALTER TABLE game_analyses SET (fillfactor = 80)")


def downgrade() -> None:
    """Undo."""
    op.drop_index(
        "ix_seen_games_refused", table_name="seen_games", postgresql_where=sa.text("state = 'refused'")
    )
    op.drop_index("ix_seen_games_player_id_state", table_name="seen_games")
    op.drop_index(
        "ix_seen_games_pending", table_name="seen_games", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_table("seen_games")
    op.drop_table("plugin_results")
    op.drop_index(
        "ix_ingestion_runs_running",
        table_name="ingestion_runs",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_index("ix_ingestion_runs_player_id_id", table_name="ingestion_runs")
    op.drop_table("ingestion_runs")
    op.drop_table("garbled_lines")
    op.drop_table("game_moves")
    op.drop_index("ix_game_analyses_state_created_at", table_name="game_analyses")
    op.drop_index(
        "ix_game_analyses_open",
        table_name="game_analyses",
        postgresql_where=sa.text("state IN ('pending', 'running')"),
    )
    op.drop_table("game_analyses")
    op.drop_table("evaluations")
    op.drop_table("source_gates")
    op.drop_index("ix_players_next_sync_at", table_name="players", postgresql_where=sa.text("tracked"))
    op.drop_table("players")
    op.drop_index("ix_games_white_id_created_at", table_name="games")
    op.drop_index(
        "ix_games_revisit_at", table_name="games", postgresql_where=sa.text("revisit_at IS NOT NULL")
    )
    op.drop_index("ix_games_created_at_id", table_name="games")
    op.drop_index("ix_games_black_id_created_at", table_name="games")
    op.drop_table("games")
    op.drop_table("engines")
    op.drop_table("api_tokens")
