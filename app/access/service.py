"""Is this token valid, and what may its bearer do?"""

import hashlib
import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.access import repository
from app.db.models import ApiToken
from app.errors import NotFound

TOKEN_PREFIX = "sst_"  # noqa: S105  makes a leaked token recognisable, is none itself
CACHE_SECONDS = 10
"""How long a revoked token may live on in a process that knows it."""
MIN_SECRET_LENGTH = 32


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"
    """See players, games and results."""
    WRITE = "write"
    """Track players, ask for syncs and analyses; includes nothing else."""
    WORKER = "worker"
    """The endpoints of Scoresheet's own workers."""


class TokenCache:
    """Remembers for some seconds what the database said of a token: not every request asks it."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, frozenset[Scope]]] = {}

    async def scopes_of(
        self, sessions: async_sessionmaker[AsyncSession], token: str
    ) -> frozenset[Scope] | None:
        """Return what the token allows, or None where it is unknown or has expired.

        In a session of its own, so that a request holds no connection before it needs one.
        """
        digest = token_hash(token)
        now = time.monotonic()
        cached = self._known.get(digest)
        if cached is not None and cached[0] > now:
            return cached[1]
        async with sessions() as session:
            found = await repository.scopes_of(session, digest)
        if found is None:
            self._known.pop(digest, None)
            return None
        scopes = frozenset(Scope(scope) for scope in found)
        self._known[digest] = (now + CACHE_SECONDS, scopes)
        return scopes


def token_hash(token: str) -> bytes:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_secret() -> SecretStr:
    """Return a fresh token of 256 random bits."""
    return SecretStr(TOKEN_PREFIX + secrets.token_urlsafe(32))


async def put_token(
    session: AsyncSession,
    name: str,
    secret: SecretStr,
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
) -> None:
    """Let the bearer of `secret` in; a token of the same name is replaced. Idempotent."""
    value = secret.get_secret_value()
    if len(value) < MIN_SECRET_LENGTH:
        raise ValueError(f"a token needs at least {MIN_SECRET_LENGTH} characters")
    token = ApiToken(name=name, hash=token_hash(value), scopes=sorted(scopes), expires_at=expires_at)
    await repository.put(session, token)


async def revoke_token(session: AsyncSession, name: str) -> None:
    """Delete a token; raises NotFound."""
    if not await repository.remove(session, name):
        raise NotFound(f"there is no token {name!r}")
