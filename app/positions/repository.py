"""Where are engines and evaluations kept?"""

from collections.abc import Sequence

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.positions import EngineIdentity, FurtherLine, Score
from app.contract.positions import Evaluation as EvaluationMessage
from app.db.models import Engine, Evaluation

_LOG = structlog.get_logger(__name__)

_ROWS_A_STATEMENT = 1_000
"""Far below what the 65,535 parameters of one statement allow."""


async def engine_id(session: AsyncSession, identity: EngineIdentity) -> int:
    """Return the id of an engine; it is entered where it is new."""
    query = select(Engine.id).filter_by(**identity.model_dump())
    found = (await session.execute(query)).scalar_one_or_none()
    if found is not None:
        return found
    await session.execute(insert(Engine).values(**identity.model_dump()).on_conflict_do_nothing())
    # Its searches start from nothing: what other engines or versions found is of no use to it.
    _LOG.warning("engine_new", **identity.model_dump())
    return (await session.execute(query)).scalar_one()


async def engine(session: AsyncSession, id_: int) -> EngineIdentity:
    """Return the engine of an id."""
    row = await session.get_one(Engine, id_)
    return EngineIdentity(name=row.name, net=row.net, hash_mb=row.hash_mb, threads=row.threads)


async def known(
    session: AsyncSession, keys: Sequence[int], engine: int, min_nodes: int
) -> list[EvaluationMessage]:
    """Return what this engine found for these positions with at least so many nodes.

    At any halfmove clock and for any count of lines, in the order of the primary key.
    """
    query = (
        select(Evaluation)
        .where(
            Evaluation.position_key.in_(keys),
            Evaluation.engine_id == engine,
            Evaluation.budget_nodes >= min_nodes,
        )
        .order_by(
            Evaluation.position_key, Evaluation.halfmove_clock, Evaluation.budget_nodes, Evaluation.lines
        )
    )
    return [_message(row) for row in (await session.execute(query)).scalars()]


async def add(session: AsyncSession, evaluations: Sequence[EvaluationMessage], engine: int) -> None:
    """Store evaluations; one that is there already stays, since the same search finds the same."""
    rows = [
        {
            "position_key": item.position_key,
            "halfmove_clock": item.halfmove_clock,
            "engine_id": engine,
            "budget_nodes": item.budget_nodes,
            "lines": item.lines,
            "cp": item.score.cp,
            "mate": item.score.mate,
            "depth": item.depth,
            "nodes": item.nodes,
            "pv": " ".join(item.pv),
            "further": [line.model_dump(mode="json") for line in item.further] or None,
        }
        # Sorted: two games that share positions are often stored at the same time.
        for item in sorted(evaluations, key=_key)
    ]
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        chunk = rows[start : start + _ROWS_A_STATEMENT]
        await session.execute(insert(Evaluation).values(chunk).on_conflict_do_nothing())


def _key(item: EvaluationMessage) -> tuple[int, ...]:
    return (item.position_key, item.halfmove_clock, item.budget_nodes, item.lines)


def _message(row: Evaluation) -> EvaluationMessage:
    return EvaluationMessage(
        position_key=row.position_key,
        halfmove_clock=row.halfmove_clock,
        budget_nodes=row.budget_nodes,
        lines=row.lines,
        score=Score(cp=row.cp, mate=row.mate),
        depth=row.depth,
        nodes=row.nodes,
        pv=row.pv.split(),
        further=[FurtherLine.model_validate(line) for line in row.further or []],
    )
