"""Where are engines and evaluations kept?"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.positions import EngineIdentity, Score
from app.contract.positions import Evaluation as EvaluationMessage
from app.db.models import Engine, Evaluation

_ROWS_A_STATEMENT = 1_000
"""Far below the 65,535 parameters that one statement may have."""


async def engine_id(session: AsyncSession, identity: EngineIdentity) -> int:
    """Return the id of an engine; it is entered where it is new."""
    query = select(Engine.id).filter_by(**identity.model_dump())
    found = (await session.execute(query)).scalar_one_or_none()
    if found is not None:
        return found
    await session.execute(insert(Engine).values(**identity.model_dump()).on_conflict_do_nothing())
    return (await session.execute(query)).scalar_one()


async def engine(session: AsyncSession, id_: int) -> EngineIdentity:
    """Return the engine of an id."""
    row = await session.get_one(Engine, id_)
    return EngineIdentity(name=row.name, net=row.net, hash_mb=row.hash_mb, threads=row.threads)


async def known(
    session: AsyncSession, keys: Sequence[int], engine: int, budget_nodes: int
) -> list[EvaluationMessage]:
    """Return what this engine with this budget found for these positions, at any halfmove clock."""
    query = select(Evaluation).where(
        Evaluation.position_key.in_(keys),
        Evaluation.engine_id == engine,
        Evaluation.budget_nodes == budget_nodes,
    )
    return [_message(row) for row in (await session.execute(query)).scalars()]


async def add(
    session: AsyncSession, evaluations: Sequence[EvaluationMessage], engine: int, budget_nodes: int
) -> None:
    """Store evaluations; one that is there already stays, since the same search finds the same."""
    rows = [
        {
            "position_key": item.position_key,
            "halfmove_clock": item.halfmove_clock,
            "engine_id": engine,
            "budget_nodes": budget_nodes,
            "cp": item.score.cp,
            "mate": item.score.mate,
            "depth": item.depth,
            "nodes": item.nodes,
            "pv": " ".join(item.pv),
        }
        # Sorted: two games that share positions are often stored at the same time.
        for item in sorted(evaluations, key=lambda item: (item.position_key, item.halfmove_clock))
    ]
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        chunk = rows[start : start + _ROWS_A_STATEMENT]
        await session.execute(insert(Evaluation).values(chunk).on_conflict_do_nothing())


def _message(row: Evaluation) -> EvaluationMessage:
    return EvaluationMessage(
        position_key=row.position_key,
        halfmove_clock=row.halfmove_clock,
        score=Score(cp=row.cp, mate=row.mate),
        depth=row.depth,
        nodes=row.nodes,
        pv=row.pv.split(),
    )
