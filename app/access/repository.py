"""Where are tokens kept?"""

from collections.abc import Sequence

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from app.db.models import ApiToken


async def scopes_of(session: AsyncSession, token_hash: bytes) -> list[str] | None:
    """Return the scopes of a token that has not expired, or None."""
    alive = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.now())
    query = select(ApiToken.scopes).where(ApiToken.hash == token_hash, alive)
    return (await session.execute(query)).scalar_one_or_none()


async def put(session: AsyncSession, token: ApiToken) -> None:
    """Store a token under its name, in place of one of the same name."""
    values = {
        "name": token.name,
        "hash": token.hash,
        "scopes": token.scopes,
        "expires_at": token.expires_at,
    }
    statement = insert(ApiToken).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


async def list_all(session: AsyncSession) -> Sequence[ApiToken]:
    """Return all tokens by name."""
    return (await session.execute(select(ApiToken).order_by(ApiToken.name))).scalars().all()


async def remove(session: AsyncSession, name: str) -> bool:
    """Delete a token; tell whether there was one."""
    found = await session.execute(delete(ApiToken).where(ApiToken.name == name).returning(ApiToken.id))
    return found.scalar_one_or_none() is not None
