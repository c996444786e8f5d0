"""Which rules hold for every value that crosses the wire?"""

import math
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

BIGINT_MAX = 2**63 - 1
BIGINT_MIN = -(2**63)


class WireModel(BaseModel):
    """Base of all messages: unknown fields are refused, values never change after validation.

    In an answer, unknown fields are passed over (workers/api_client.py): the API may be a release ahead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _refuse_nul(value: str) -> str:
    # PostgreSQL's text holds every character but this one.
    if "\x00" in value:
        raise ValueError("NUL characters cannot be stored")
    return value


def _storable_text(value: str) -> None:
    _refuse_nul(value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # In a str field pydantic sees to it.
        raise ValueError("lone surrogates cannot be stored") from error


def _storable_json(value: Any) -> Any:
    if isinstance(value, str):
        _storable_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has no NaN and no infinity")
    elif isinstance(value, dict):
        for key, item in value.items():
            _storable_text(key)
            _storable_json(item)
    elif isinstance(value, list):
        for item in value:
            _storable_json(item)
    return value


def _refuse_numbers(value: Any) -> Any:
    # Pydantic would take one for seconds or milliseconds by its size.
    if _is_number(value):
        raise ValueError("must be a date and time with its offset, like 2024-01-31T12:00:00Z")
    return value


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return isinstance(value, int)
    return True


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the calendar does not hold this moment in UTC") from error


Text = Annotated[str, Field(max_length=2_000), AfterValidator(_refuse_nul)]
"""A short text that PostgreSQL can hold."""
LongText = Annotated[str, Field(max_length=65_536), AfterValidator(_refuse_nul)]
"""A text of up to 64 Ki characters: a raw line, a traceback."""
Json = Annotated[JsonValue, AfterValidator(_storable_json)]
"""Any JSON value that jsonb can hold."""
UtcDatetime = Annotated[AwareDatetime, BeforeValidator(_refuse_numbers), AfterValidator(_in_utc)]
"""A moment; an offset is required on the way in, UTC on the way out."""
BigInt = Annotated[int, Field(ge=BIGINT_MIN, le=BIGINT_MAX)]
"""What PostgreSQL's bigint holds."""
PositiveBigInt = Annotated[int, Field(ge=0, le=BIGINT_MAX)]
Ply = Annotated[int, Field(ge=0, le=32_767)]
"""Count of single moves: ply 0 is the initial position, ply 1 the position after White's first move."""
Username = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,29}$")]
"""A Lichess username in any case; its lower-case form is Lichess's user id."""
GameId = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{8}$")]
"""Lichess's id of a game."""
