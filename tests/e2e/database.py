"""How does a test look into PostgreSQL past the API, PgBouncer and the role's limits?"""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Final

import psycopg

from dev.postgres.cluster import DATABASE, PORT, SUPERUSER

__all__ = ["Database"]

_LIMIT_SECONDS: Final = 75
"""A statement may have to wait for a transaction of the product's role, which has a minute."""


class Database:
    """The stack's database, by one connection that is opened anew when the server has been away.

    Conditions ask many times a second: a connection for each question would cost more than the question.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._kept: psycopg.Connection | None = None

    def run(self, query: str, *values: object) -> psycopg.Cursor:
        """Run a statement and commit it, once: nothing is repeated.

        Raises psycopg.OperationalError while the server is away, if it does not answer in 75 s, and if it
        goes away meanwhile: then the statement may have been committed or not.
        """
        if self._kept is None or _has_ended(self._kept):
            self.close()
            self._kept = self._connect()
        with _limited(self._kept):
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


def _has_ended(connection: psycopg.Connection) -> bool:
    """Tell whether the server has closed an idle connection, on which it has nothing else to say."""
    return connection.closed or bool(select.select([connection], [], [], 0)[0])


@contextmanager
def _limited(connection: psycopg.Connection) -> Iterator[None]:
    """Cut the connection if the server takes too long: one that is frozen heeds no limit of its own."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = Timer(_LIMIT_SECONDS, line.shutdown, [socket.SHUT_RDWR])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
