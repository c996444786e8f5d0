"""How is a value taken out of Lichess's JSON so that nothing odd or new is lost?"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_MAX: Final = 2_000
_NAME_MAX: Final = 100
_EXTRAS_MAX: Final = 80
"""Unknown fields that are kept by name; the contract admits 100 flags, some of which are of other kinds."""


class InvalidFieldError(ValueError):
    """A field without which a game cannot be stored is missing or makes no sense."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")


class Fields:
    """Reads the fields of a game and notes what it did not understand, as flags and as extra values."""

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.extra: dict[str, Any] = {}

    def keep(self, flag: str, name: str, value: Any) -> None:
        """Flag a field and keep its value as it came."""
        name = name[:_NAME_MAX]
        if len(self.extra) >= _EXTRAS_MAX and name not in self.extra:
            self.flags.add("too_many_odd_fields")
            return
        self.flags.add(f"{flag}:{name}")
        self.extra[name] = value

    def keep_unknown(self, source: Mapping[str, Any], known: Collection[str], prefix: str = "") -> None:
        """Keep the members of an object that nobody here knows yet."""
        for key in source.keys() - known:
            self.keep("unknown_field", prefix + key, source[key])

    def text(self, source: Mapping[str, Any], key: str, prefix: str = "") -> str | None:
        """Return a text, or None if it is missing or odd."""
        value = source.get(key)
        if value is None or (isinstance(value, str) and len(value) <= _TEXT_MAX):
            return value
        self.keep("odd_value", prefix + key, value)
        return None

    def required_text(self, source: Mapping[str, Any], key: str) -> str:
        """Return a text; raises InvalidFieldError."""
        value = source.get(key)
        if not isinstance(value, str) or not value or len(value) > _TEXT_MAX:
            raise InvalidFieldError(key, "must be a text")
        return value

    def number(
        self, source: Mapping[str, Any], key: str, lowest: int, highest: int, prefix: str = ""
    ) -> int | None:
        """Return an integer within bounds, or None if it is missing or odd."""
        value = source.get(key)
        if value is None or (type(value) is int and lowest <= value <= highest):
            return value
        self.keep("odd_value", prefix + key, value)
        return None

    def flag(self, source: Mapping[str, Any], key: str, prefix: str = "") -> bool:
        """Return a truth value, False if it is missing or odd."""
        value = source.get(key, False)
        if isinstance(value, bool):
            return value
        self.keep("odd_value", prefix + key, value)
        return False

    def object(self, source: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, Any] | None:
        """Return an object, or None if it is missing or odd."""
        value = source.get(key)
        if value is None or isinstance(value, dict):
            return value
        self.keep("odd_value", prefix + key, value)
        return None

    def array(self, source: Mapping[str, Any], key: str, longest: int) -> list[Any] | None:
        """Return a list, or None if it is missing or odd."""
        value = source.get(key)
        if value is None or (isinstance(value, list) and len(value) <= longest):
            return value
        self.keep("odd_value", key, value)
        return None


def moment(value_ms: int) -> datetime:
    """Return the moment of epoch milliseconds, exactly; raises OverflowError beyond the calendar."""
    return _EPOCH + timedelta(milliseconds=value_ms)
