"""Does a plugin keep to its contract, and do its results and wishes?"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from plugins.api import (
    API_VERSION,
    MAX_LINES,
    MAX_RESULT_BYTES,
    MAX_RESULT_DEPTH,
    AnalysedGame,
    Needs,
    Plugin,
    PluginOutput,
    Wish,
)

AnyPlugin = Plugin[PluginOutput]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class BrokenContract(Exception):
    """What a plugin is or returned is not as `plugins.api` demands; the message says in one line what."""


def check_class(kind: Any) -> None:
    """Raise BrokenContract unless this is a plugin that can be made and run here."""
    if not isinstance(kind, type) or not issubclass(kind, Plugin):
        raise BrokenContract("is no subclass of plugins.api.Plugin")
    written_for = getattr(kind, "api_version", None)
    if written_for != API_VERSION:
        raise BrokenContract(f"is written for plugin API {written_for}, this is {API_VERSION}")
    if kind.__abstractmethods__:
        raise BrokenContract(f"does not define {', '.join(sorted(kind.__abstractmethods__))}")
    for attribute, is_valid in _DECLARED.items():
        value = getattr(kind, attribute, None)
        if not is_valid(value):
            raise BrokenContract(f"has no valid {attribute}: {value!r}"[:500])


def stored_form(plugin: AnyPlugin, output: Any) -> dict[str, Any]:
    """Return a result as JSON values, after the checks that its author may have got around.

    Raises BrokenContract for what can't be stored.
    """
    if not isinstance(output, plugin.result_type):
        expected = plugin.result_type.__name__
        raise BrokenContract(f"analyse() returned {type(output).__name__}, declared is {expected}")
    document = _document(output)
    try:
        size = len(json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode())
    except ValueError as error:  # NaN, infinities, lone surrogates, circles
        raise BrokenContract(f"the result is no JSON: {error}") from error
    if size > MAX_RESULT_BYTES:
        raise BrokenContract(f"the result takes {size} bytes, the limit is {MAX_RESULT_BYTES}")
    if (depth := _depth(document)) > MAX_RESULT_DEPTH:
        raise BrokenContract(f"the result is nested {depth} deep, the limit is {MAX_RESULT_DEPTH}")
    return document


def fulfillable(wishes: Any, game: AnalysedGame) -> dict[int, Wish]:
    """Return the wishes for a game, checked; raises BrokenContract."""
    if not isinstance(wishes, Mapping):
        raise BrokenContract(f"wishes() returned {type(wishes).__name__}, declared is a mapping")
    for ply, wish in wishes.items():
        if type(ply) is not int or not 0 <= ply <= game.plies:
            raise BrokenContract(f"a wish for ply {ply!r} of {game.plies}")
        if not isinstance(wish, Wish) or type(wish.lines) is not int or not 1 <= wish.lines <= MAX_LINES:
            raise BrokenContract(f"ply {ply}: {wish!r} can't be fulfilled")
    return dict(wishes)


def _document(output: PluginOutput) -> dict[str, Any]:
    # Validated once more: model_construct() and assignments to __dict__ skip every check.
    try:
        checked = type(output).model_validate(output.model_dump(mode="python", warnings=False))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise BrokenContract(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return checked.model_dump(mode="json")


def _depth(value: Any) -> int:
    # What pydantic could dump is never so deep that Python could not follow.
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_DECLARED: Mapping[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and _NAME.fullmatch(value) is not None,
    "version": lambda value: type(value) is int and 1 <= value < 2**31,
    "title": _is_text,
    "description": _is_text,
    "result_type": lambda value: isinstance(value, type) and issubclass(value, PluginOutput),
    "needs": lambda value: isinstance(value, Needs),
}
"""What each plugin declares, and what is valid there."""
