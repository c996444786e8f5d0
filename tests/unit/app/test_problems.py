"""Which errors pass by themselves, and does each class of error have its own code?"""

import inspect
import json

import psycopg.errors
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import errors
from app.problems import is_passing, problem


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OperationalError("", {}, psycopg.OperationalError("connection refused")), True),
        (OperationalError("", {}, psycopg.errors.AdminShutdown()), True),
        (OperationalError("", {}, psycopg.errors.QueryCanceled()), True),
        (OperationalError("", {}, psycopg.errors.DeadlockDetected()), True),
        (OperationalError("", {}, psycopg.errors.SerializationFailure()), True),
        (OperationalError("", {}, psycopg.errors.LockNotAvailable()), True),
        (OperationalError("", {}, psycopg.errors.DiskFull()), True),
        (OperationalError("", {}, psycopg.errors.TooManyConnections()), True),
        (OperationalError("", {}, psycopg.errors.ProtocolViolation()), True),
        (DBAPIError("", {}, psycopg.errors.IdleInTransactionSessionTimeout()), True),
        (PoolTimeout("all connections are taken"), True),
        (InterfaceError("", {}, psycopg.InterfaceError(), connection_invalidated=True), True),
        (InterfaceError("", {}, psycopg.InterfaceError()), False),
        (ProgrammingError("", {}, psycopg.errors.UndefinedTable()), False),
        (ProgrammingError("", {}, psycopg.errors.SyntaxError()), False),
        (IntegrityError("", {}, psycopg.errors.UniqueViolation()), False),
        (DBAPIError("", {}, psycopg.errors.NumericValueOutOfRange()), False),
        (ValueError("no error of a database"), False),
    ],
    ids=lambda value: type(getattr(value, "orig", None) or value).__name__,
)
def test_only_what_may_be_over_soon_is_worth_another_try(error: BaseException, passing: bool) -> None:
    assert is_passing(error) is passing


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    classes = [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, errors.AppError) and member is not errors.AppError
    ]
    assert all(400 <= member.status < 600 for member in classes)
    assert len({member.code for member in classes}) == len(classes)
    assert errors.__doc__ is not None
    for member in classes:
        assert member.__name__ in errors.__doc__


def test_a_problem_can_quote_anything() -> None:
    answer = problem(422, "invalid_input", "a\ud800\x00é", {"floor": 7})
    document = json.loads(bytes(answer.body))
    assert (document["detail"], document["floor"], document["title"]) == (
        "a\ud800\x00é",
        7,
        "Invalid input",
    )
