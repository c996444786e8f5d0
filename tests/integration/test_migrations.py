"""Does a database with data reach the newest schema, while the release before goes on with its work?"""

from collections.abc import Iterator
from pathlib import Path

import chess
import psycopg
import pytest
import sqlalchemy
from alembic import command

from app.db import migrate as migrations
from app.settings import Settings
from dev.postgres.cluster import DATABASE, MIGRATION_ROLE, PORT
from dev.services import Services, running_services
from tests.integration.template import settings_of
from workers.ingestion.replay import replay

# What the first release writes, word for word.
_OLD_EVALUATION = """
    INSERT INTO evaluations (position_key, halfmove_clock, engine_id, budget_nodes, cp, depth, nodes, pv)
    VALUES (%s, 0, 1, 100000, %s, 20, 100017, 'e2e4 e7e5') ON CONFLICT DO NOTHING
"""
_OLD_RESULT = """
    INSERT INTO plugin_results (game_id, plugin, version, result, engine_id, budget_nodes)
    VALUES (2, 'accuracy', 1, '{}', 1, 100000)
"""
_NAMELESS = """
    WITH stored AS (
        INSERT INTO games (source_id, run_id, line, digest, rated, variant, speed, perf, created_at,
                           last_move_at, status, finished, white, black, plies, analysed_by_source, extra)
        SELECT gen_random_uuid(), 1, number, '', true, %(variant)s, 'blitz', 'blitz', now(),
               now(), 'resign', true, '{"a": 1}', '{}', cardinality(%(san)s::text[]), false, '{"new": [null]}'
        FROM generate_series(1, %(count)s) AS number
        RETURNING id
    )
    INSERT INTO game_moves (game_id, san, position_keys) SELECT id, %(san)s, %(keys)s FROM stored
"""
_OTHERWISE = """
    SELECT md5(string_agg((to_jsonb(games) - %(openings)s::text[])::text, '' ORDER BY id)),
           (SELECT md5(string_agg(game_moves::text, '' ORDER BY game_id)) FROM game_moves),
           (SELECT md5(string_agg(game_analyses::text, '' ORDER BY game_id)) FROM game_analyses),
           (SELECT md5(string_agg(plugin_results::text, '' ORDER BY game_id)) FROM plugin_results)
    FROM games
"""
"""All but the openings of games."""
_OPENING = {"openings": ["eco", "opening_name", "opening_ply", "opening_is_ours"]}
_OPENINGS = """
    SELECT variant, eco, opening_name, opening_ply, count(*) FROM games
    WHERE eco IS NOT NULL OR opening_name IS NOT NULL OR opening_ply IS NOT NULL
    GROUP BY 1, 2, 3, 4 ORDER BY variant, opening_name
"""
_DATA = """
    INSERT INTO engines (name, net, hash_mb, threads) VALUES ('Stockfish 15.1', 'nn', 16, 1);
    INSERT INTO games (source_id, run_id, line, digest, rated, variant, speed, perf, created_at, last_move_at,
                       status, finished, white, black, plies, analysed_by_source)
    VALUES ('game0001', 1, 1, '', true, 'standard', 'blitz', 'blitz', now(), now(),
            'resign', true, '{}', '{}', 2, false),
           ('game0002', 1, 2, '', true, 'standard', 'blitz', 'blitz', now(), now(),
            'resign', true, '{}', '{}', 2, false);
    INSERT INTO game_analyses (game_id, created_at, state, engine_id, budget_nodes)
    VALUES (1, now(), 'done', 1, 100000), (2, now(), 'pending', NULL, NULL);
    INSERT INTO plugin_results (game_id, plugin, version, result, engine_id, budget_nodes)
    VALUES (1, 'accuracy', 1, '{}', 1, 100000);
    INSERT INTO players (user_id, username) VALUES ('alice', 'Alice'), ('bob', 'Bob');
    INSERT INTO seen_games (player_id, source_id, state, created_at, run_id, line, attempts, retry_at,
                            refusal_code, refusal_detail, raw)
    VALUES (1, 'game0001', 'stored', now(), 1, 1, 0, NULL, NULL, NULL, NULL),
           (1, 'game0003', 'refused', now(), 1, 3, 2, NULL, 'illegal_move', 'ply 9', '{"id":"game0003"}'),
           (1, 'game0004', 'refused', now(), 1, 4, 0, NULL, 'invalid_fen', 'blah', '{"id":"game0004"}'),
           (1, 'game0005', 'refused', now(), 1, 5, 3, NULL, 'invalid_field', 'status', '{"id":"game0005"}'),
           (1, 'line:ab', 'refused', now(), 1, 6, 0, NULL, 'garbled', 'no id', '{'),
           (1, 'game0007', 'pending', now(), 1, 7, 4, 'infinity', NULL, NULL, NULL),
           (2, 'game0003', 'refused', now(), 2, 1, 0, NULL, 'illegal_move', 'ply 9', '{"id":"game0003"}');
"""
_MANIFEST = """
    SELECT player_id, source_id, state, attempts, coalesce(retry_at <= now(), false), refusal_code, raw
    FROM seen_games ORDER BY 1, 2
"""


class Database:
    """An empty database of its own."""

    def __init__(self, settings: Settings, run: Path) -> None:
        self.settings = settings
        self._run = run

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._run), port=PORT, user=MIGRATION_ROLE, dbname=DATABASE, autocommit=True
        )

    def go_to(self, revision: str) -> None:
        url = self.settings.migration_database_url
        assert url is not None
        engine = sqlalchemy.create_engine(url.get_secret_value(), poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            configuration = migrations._config(connection)
            current = connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL").scalar()
            down = current and connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            connection.commit()
            (command.downgrade if down and down > revision else command.upgrade)(configuration, revision)
            connection.commit()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with running_services(tmp_path_factory.mktemp("server")) as (_, services):
        yield services


@pytest.fixture
def database(server: Services) -> Database:
    database = Database(settings_of(server), server.state.run)
    with database.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return database


def nameless_games(connection: psycopg.Connection, standard: int) -> None:
    """Store so many standard games, and others, as the first releases did; Lichess named one, the third."""
    kinds = {
        "standard": ("e4 e5 Nf3 Nc6", None),
        "threeCheck": ("e4 e5 Bc4", None),
        "crazyhouse": ("e4 d5 exd5 Qxd5 P@e4", None),
        "atomic": ("e4 e5", None),
        "chess960": ("e4 e5", chess.STARTING_FEN),
        "fogOfWar": ("e4 ??", None),
    }
    for variant, (moves, initial_fen) in kinds.items():
        san = moves.split()
        keys = replay(variant, initial_fen, san).position_keys
        count = standard if variant == "standard" else 2
        connection.execute(_NAMELESS, {"variant": variant, "san": san, "keys": keys, "count": count})
    connection.execute(_NAMELESS, {"variant": "standard", "san": [], "keys": [0], "count": 1})
    connection.execute(
        "UPDATE games SET eco = 'C44', opening_name = 'By Lichess', opening_ply = 3 WHERE id = 3"
    )


@pytest.mark.smoke
def test_data_of_the_first_release_survives_and_it_can_go_on_writing(database: Database) -> None:
    database.go_to("0001")
    with database.connect() as connection:
        connection.execute(_DATA.encode())
        connection.execute(_OLD_EVALUATION, (1, 17))
        # A migration that was broken off half-way leaves this behind.
        connection.execute("ALTER TABLE evaluations ADD COLUMN lines smallint NOT NULL DEFAULT 1")
        connection.execute("CREATE INDEX pk_evaluations_new ON evaluations (position_key)")
        connection.execute("ALTER TABLE games ADD COLUMN tournament_name text")
        connection.execute("CREATE INDEX ix_games_last_move_at_id ON games (source_id)")

        migrations.migrate(database.settings)
        assert migrations.differences(database.settings) == []
        connection.execute(_OLD_EVALUATION, (1, 99))
        connection.execute(_OLD_EVALUATION, (2, 18))
        stored = connection.execute(
            "SELECT position_key, budget_nodes, lines, cp, further FROM evaluations ORDER BY 1"
        ).fetchall()
        assert stored == [(1, 100_000, 1, 17, None), (2, 100_000, 1, 18, None)]
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO evaluations SELECT * FROM evaluations")
        connection.execute(
            "INSERT INTO evaluations SELECT position_key, halfmove_clock, engine_id, budget_nodes, cp, mate,"
            " depth, nodes, pv, 3, '[]' FROM evaluations"
        )
        analyses = connection.execute(
            "SELECT game_id, source, mode, position_nodes, searched_nodes FROM game_analyses ORDER BY 1"
        ).fetchall()
        assert analyses == [(1, "engine", "fixed", None, None), (2, None, None, None, None)]
        assert connection.execute(_MANIFEST.encode()).fetchall() == [
            (1, "game0001", "stored", 0, False, None, None),
            (1, "game0003", "pending", 0, True, None, '{"id":"game0003"}'),
            (1, "game0004", "pending", 0, True, None, '{"id":"game0004"}'),
            (1, "game0005", "refused", 3, False, "invalid_field", '{"id":"game0005"}'),
            (1, "game0007", "pending", 4, False, None, None),
            (1, "line:ab", "refused", 0, False, "garbled", "{"),
            (2, "game0003", "pending", 0, True, None, '{"id":"game0003"}'),
        ]
        connection.execute(_OLD_RESULT)
        results = connection.execute("SELECT game_id, budget_nodes, mode FROM plugin_results ORDER BY 1")
        assert results.fetchall() == [(1, 100_000, None), (2, 100_000, None)]

        database.go_to("0001")
        assert connection.execute("SELECT count(*), sum(cp) FROM evaluations").fetchall() == [(2, 35)]
        connection.execute(_OLD_EVALUATION, (1, 99))
        migrations.migrate(database.settings)
        assert migrations.differences(database.settings) == []
        assert connection.execute("SELECT count(*) FROM evaluations").fetchone() == (2,)


def test_openings_that_nobody_named_are_named_and_nothing_else_changes(database: Database) -> None:
    several_batches = 2_500
    database.go_to("0004")
    with database.connect() as connection:
        connection.execute(_DATA.encode())
        nameless_games(connection, several_batches)
        # A migration that was broken off half-way leaves this behind.
        connection.execute("ALTER TABLE games ADD COLUMN opening_is_ours boolean NOT NULL DEFAULT false")
        connection.execute(
            "UPDATE games SET eco = 'C44', opening_name = 'King''s Knight Opening: Normal Variation',"
            " opening_ply = 4, opening_is_ours = true WHERE id BETWEEN 4 AND 1000"
        )
        before = connection.execute(_OTHERWISE, _OPENING).fetchall()

        database.go_to("0006")
        assert connection.execute(_OTHERWISE, _OPENING).fetchall() == before
        assert connection.execute(_OPENINGS).fetchall() == [
            ("crazyhouse", "B01", "Scandinavian Defense: Mieses-Kotroc Variation", 4, 2),
            ("standard", "C44", "By Lichess", 3, 1),
            ("standard", "C44", "King's Knight Opening: Normal Variation", 4, several_batches - 1),
            ("threeCheck", "C23", "Bishop's Opening", 3, 2),
        ]
        theirs = connection.execute("SELECT id FROM games WHERE eco IS NOT NULL AND NOT opening_is_ours")
        assert theirs.fetchall() == [(3,)]

        database.go_to("0004")
        assert connection.execute(_OTHERWISE, _OPENING).fetchall() == before
        assert connection.execute(_OPENINGS).fetchall() == [("standard", "C44", "By Lichess", 3, 1)]
