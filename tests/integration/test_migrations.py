"""Does a database with data reach the newest schema, while the release before goes on with its work?"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from alembic import command

from app.db import migrate as migrations
from app.settings import Settings
from dev.postgres.cluster import DATABASE, MIGRATION_ROLE, PORT
from dev.services import running_services
from tests.integration.template import settings_of

# What the first release writes, word for word.
_OLD_EVALUATION = """
    INSERT INTO evaluations (position_key, halfmove_clock, engine_id, budget_nodes, cp, depth, nodes, pv)
    VALUES (%s, 0, 1, 100000, %s, 20, 100017, 'e2e4 e7e5') ON CONFLICT DO NOTHING
"""
_OLD_RESULT = """
    INSERT INTO plugin_results (game_id, plugin, version, result, engine_id, budget_nodes)
    VALUES (2, 'accuracy', 1, '{}', 1, 100000)
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


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with running_services(tmp_path) as (_, services):
        yield Database(settings_of(services), services.state.run)


@pytest.mark.smoke
def test_data_of_the_first_release_survives_and_it_can_go_on_writing(database: Database) -> None:
    database.go_to("0001")
    with database.connect() as connection:
        connection.execute(_DATA.encode())
        connection.execute(_OLD_EVALUATION, (1, 17))
        # A migration that was broken off half-way leaves this behind.
        connection.execute("ALTER TABLE evaluations ADD COLUMN lines smallint NOT NULL DEFAULT 1")
        connection.execute("CREATE INDEX pk_evaluations_new ON evaluations (position_key)")

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
        connection.execute(_OLD_RESULT)
        results = connection.execute("SELECT game_id, budget_nodes, mode FROM plugin_results ORDER BY 1")
        assert results.fetchall() == [(1, 100_000, None), (2, 100_000, None)]

        database.go_to("0001")
        assert connection.execute("SELECT count(*), sum(cp) FROM evaluations").fetchall() == [(2, 35)]
        connection.execute(_OLD_EVALUATION, (1, 99))
        migrations.migrate(database.settings)
        assert migrations.differences(database.settings) == []
        assert connection.execute("SELECT count(*) FROM evaluations").fetchone() == (2,)
