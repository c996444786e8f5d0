"""Which revisions of the schema are there? Their files tell; Alembic, which reads them, is slow to load."""

import functools
from pathlib import Path
from typing import Final

_VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"


@functools.cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this code knows, the oldest first."""
    return tuple(sorted(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*.py")))


def head_revision() -> str:
    """Return the revision that this code needs."""
    return known_revisions()[-1]


def is_current(revision: str) -> bool:
    """Tell whether this code works with a schema: its own newest, or one that it has never heard of.

    The latter is of a later release, before a rollback to this one: migrations work with the release before.
    """
    return revision == head_revision() or revision not in known_revisions()
