"""Which JSON is beyond doubt? (RFC 8259 in UTF-8, and each key of an object once.)"""

import json
from typing import Any, NoReturn


def loads(body: bytes) -> Any:
    """Return the value; raises JSONDecodeError for what Python would let pass or raise otherwise.

    That is NaN and infinities, a key that an object has twice (which of them was meant?), another encoding,
    a depth or a number that would exhaust the parser.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_each_key_once, parse_constant=_refuse_constant)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deeply", "", 0) from error
    except ValueError as error:  # not UTF-8, a number of thousands of digits, or one of the two below
        raise json.JSONDecodeError(str(error), "", 0) from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"duplicate key {name[:100]!r}")
            seen.add(name)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
