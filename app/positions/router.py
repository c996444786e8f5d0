"""HTTP: evaluations, for the analysis workers."""

from fastapi import APIRouter, Depends, status

from app.access.dependencies import require
from app.access.service import Scope
from app.contract.positions import EvaluationBatch
from app.dependencies import SessionDependency
from app.json_route import StrictJsonRoute
from app.positions import repository

worker_router = APIRouter(
    prefix="/v1/evaluations",
    tags=["workers"],
    dependencies=[Depends(require(Scope.WORKER))],
    route_class=StrictJsonRoute,
)


@worker_router.post("", status_code=status.HTTP_204_NO_CONTENT)
async def store(session: SessionDependency, body: EvaluationBatch) -> None:
    """Store what an engine found. Idempotent, and bound to no lease: a search is a fact, whoever made it."""
    engine_id = await repository.engine_id(session, body.engine)
    await repository.add(session, body.evaluations, engine_id)
