"""HTTP: summaries."""

from fastapi import APIRouter, Depends

from app.access.dependencies import require
from app.access.service import Scope
from app.contract.wire import Username
from app.dependencies import SessionDependency
from app.stats import service

router = APIRouter(prefix="/v1/players", tags=["players"], dependencies=[Depends(require(Scope.READ))])


@router.get("/{username}/summary")
async def get_summary(session: SessionDependency, username: Username) -> service.PlayerSummary:
    """Add up a player's games: results by colour and speed, accuracy, the largest swings."""
    return await service.summary(session, username)
