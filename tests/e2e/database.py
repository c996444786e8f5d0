"""How does a test look into PostgreSQL past the API, PgBouncer and the role's limits?"""

from pathlib import Path

import psycopg

from dev.postgres.cluster import DATABASE, PORT, SUPERUSER

__all__ = ["Database"]


class Database:
    """The stack's database, by one connection that is opened anew when the server has been away.

    Conditions ask many times a second: a connection for each question would cost more than the question.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._kept: psycopg.Connection | None = None

    def run(self, query: str, *values: object) -> psycopg.Cursor:
        """Run a statement and commit it.

        Raises psycopg.OperationalError while the server is away, and if it goes away meanwhile.
        """
        if self._kept is not None:
            try:
                return self._kept.execute(query.encode(), values)
            except psycopg.OperationalError:
                if not self._kept.closed:
                    raise  # the server answers: it's the statement that failed
                self.close()
        self._kept = self._connect()
        return self._kept.execute(query.encode(), values)

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._run),
            port=PORT,
            user=SUPERUSER,
            dbname=DATABASE,
            autocommit=True,
            connect_timeout=5,
            prepare_threshold=None,  # a migration may come between two questions
        )
