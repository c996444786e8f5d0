"""Is the API alive, and can it serve?"""

from enum import StrEnum

from fastapi import APIRouter, Request, Response, status
from psycopg.errors import UndefinedTable
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.broker import Broker
from app.db.migrate import head_revision

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
    broker: Check = Field(description="down delays work, and hinders no request.")


@router.get("/healthz")
async def healthz() -> Health:
    """Tell that the process is alive."""
    return Health(status=Check.OK)


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, response: Response) -> Readiness:
    """Tell whether database, schema and broker are as they must be: 200, else 503."""
    database, schema = Check.OK, Check.OK
    try:
        async with request.app.state.engine.connect() as connection:
            revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        schema = Check.OK if revision == head_revision() else Check.OUTDATED
    except SQLAlchemyError as error:
        if isinstance(error, DBAPIError) and isinstance(error.orig, UndefinedTable):
            schema = Check.OUTDATED
        else:
            database = schema = Check.DOWN
    broker: Broker = request.app.state.broker
    broker_check = Check.OK if await broker.is_up() else Check.DOWN
    readiness = Readiness(database=database, schema_=schema, broker=broker_check)
    if any(check is not Check.OK for check in (database, schema, broker_check)):
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return readiness
