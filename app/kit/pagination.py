"""Where does the next page of a list begin? (Keyset pagination: never OFFSET.)"""

import base64
import binascii
from typing import Generic, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT")

PAGE_MAX = 200
PAGE_DEFAULT = 50


class Page(BaseModel, Generic[ItemT]):
    """A bounded part of a list."""

    items: list[ItemT]
    next: str | None = Field(description="Pass it as `after` to get the next page; null on the last one.")


class InvalidCursor(ValueError):
    """The cursor is not one that this list gave out."""


def encode_cursor(adapter: TypeAdapter[KeyT], key: KeyT) -> str:
    """Return an opaque cursor that stands for the sort key of a page's last item."""
    return base64.urlsafe_b64encode(adapter.dump_json(key)).rstrip(b"=").decode()


def decode_cursor(adapter: TypeAdapter[KeyT], cursor: str) -> KeyT:
    """Return the sort key that a cursor stands for; raises InvalidCursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = adapter.validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, ValidationError) as error:
        raise InvalidCursor("not a cursor of this list") from error
    if encode_cursor(adapter, key) != cursor:  # a number in quotes, say
        raise InvalidCursor("not a cursor of this list")
    return key
