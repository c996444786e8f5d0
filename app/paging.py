"""How does a list endpoint take its page size and cursor?"""

from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import TypeAdapter

from app.errors import InvalidInput
from app.kit.pagination import PAGE_DEFAULT, PAGE_MAX, InvalidCursor, decode_cursor

KeyT = TypeVar("KeyT")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Items on a page.")]
After = Annotated[str | None, Query(max_length=500, description="The `next` of the page before.")]
DEFAULT_LIMIT = PAGE_DEFAULT


def key_of(adapter: TypeAdapter[KeyT], cursor: str | None) -> KeyT | None:
    """Return the sort key that a cursor stands for; raises InvalidInput for one that no list gave out."""
    if cursor is None:
        return None
    try:
        return decode_cursor(adapter, cursor)
    except InvalidCursor as error:
        raise InvalidInput(f"after: {error}") from error
