"""Is the API alive, and can it serve?"""

from dataclasses import dataclass, field
from enum import StrEnum

from fastapi import APIRouter, Request, Response, status
from psycopg.errors import UndefinedTable
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.broker import Broker
from app.db.revisions import head_revision, is_current

router = APIRouter(tags=["health"])


class Check(StrEnum):
    """How one dependency does."""

    OK = "ok"
    DOWN = "down"
    OUTDATED = "outdated"


class Health(BaseModel):
    """The process answers."""

    status: Check


class Readiness(BaseModel):
    """Whether requests can be served."""

    database: Check
    schema_: Check = Field(serialization_alias="schema", description="outdated: run `scoresheet migrate`.")
    broker: Check = Field(
        description="down: it does not answer, or takes no messages (full, a read-only replica, a disk that"
        " fails). That delays work, and hinders no request."
    )


@dataclass(frozen=True)
class Schema:
    """Where the database's schema stands."""

    check: Check
    """down: nobody knows, the database does not answer."""
    revision: str | None = None
    """None where there is none."""
    needed: str = field(default_factory=head_revision)


async def look_at_schema(engine: AsyncEngine) -> Schema:
    """Return where the schema stands, after some seconds at most."""
    try:
        async with engine.connect() as connection:
            revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError as error:
        missing = isinstance(error, DBAPIError) and isinstance(error.orig, UndefinedTable)
        return Schema(Check.OUTDATED if missing else Check.DOWN)
    current = revision is not None and is_current(revision)
    return Schema(Check.OK if current else Check.OUTDATED, revision)


@router.get("/healthz")
async def healthz() -> Health:
    """Tell that the process is alive."""
    return Health(status=Check.OK)


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """Tell whether database, schema and broker are as they must be: 200, else 503."""
    schema = (await look_at_schema(request.app.state.engine)).check
    database = Check.DOWN if schema is Check.DOWN else Check.OK
    broker: Broker = request.app.state.broker
    broker_check = Check.OK if await broker.is_up() else Check.DOWN
    readiness = Readiness(database=database, schema_=schema, broker=broker_check)
    if any(check is not Check.OK for check in (database, schema, broker_check)):
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return readiness
