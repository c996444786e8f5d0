"""What happens when a plugin misbehaves?

Nothing but its own error: whatever it raises, prints, returns or forks, the other plugins and the worker
go on. What no Python code can end, an endless loop in C for one, ends with the task's hard time limit.
"""

import contextlib
import io
import json
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from app.contract.analyses import PluginId, PluginResult
from plugins.api import MAX_LINES, MAX_RESULT_BYTES, AnalysedGame, PluginOutput, Wish
from workers.analysis.plugin_registry import AnyPlugin

_LOG = structlog.get_logger(__name__)

TIME_LIMIT_SECONDS = 30.0
"""Longest that one plugin may take over one game; the built-in ones take milliseconds."""
_PRINTED_CHARACTERS = 2_000
_ERROR_CHARACTERS = 8_000

Answer = TypeVar("Answer")


class PluginTimeout(BaseException):
    """A plugin took too long. No Exception, so that `except Exception` in a plugin does not swallow it."""


class PluginRejected(Exception):
    """A plugin returned what can't be stored or fulfilled."""


class PluginFailed(Exception):
    """A plugin raised, took too long or was rejected; the message says which, and where."""


def run_plugin(
    plugin: AnyPlugin, game: AnalysedGame, *, time_limit_seconds: float = TIME_LIMIT_SECONDS
) -> PluginResult:
    """Return what a plugin finds in a game, or its error; raises nothing that the plugin raised."""
    identity = PluginId(name=plugin.name, version=plugin.version)
    try:
        return _guarded(
            plugin,
            lambda: PluginResult(plugin=identity, result=_storable(plugin, plugin.analyse(game))),
            time_limit_seconds,
        )
    except PluginFailed as failure:
        return PluginResult(plugin=identity, error=str(failure))


def ask_wishes(
    plugin: AnyPlugin, game: AnalysedGame, *, time_limit_seconds: float = TIME_LIMIT_SECONDS
) -> dict[int, Wish]:
    """Return what a plugin wishes for, by ply; raises PluginFailed, and nothing that the plugin raised."""
    return _guarded(plugin, lambda: _fulfillable(plugin.wishes(game), game), time_limit_seconds)


def _guarded(plugin: AnyPlugin, call: Callable[[], Answer], time_limit_seconds: float) -> Answer:
    process = os.getpid()
    printed = _Printed()
    try:
        with contextlib.redirect_stdout(printed), _alarm(time_limit_seconds):
            answer = call()
    except BaseException as error:  # noqa: BLE001 - sys.exit() and KeyboardInterrupt are the plugin's too
        _LOG.warning("plugin_failed", plugin=plugin.name, version=plugin.version, error=_headline(error))
        raise PluginFailed(_described(error)) from None
    finally:
        if os.getpid() != process:  # the plugin forked, and this is the copy: it must not work on as a worker
            os._exit(os.EX_SOFTWARE)
    if printed.text:
        _LOG.info("plugin_printed", plugin=plugin.name, text=printed.text)
    return answer


def _fulfillable(wishes: Any, game: AnalysedGame) -> dict[int, Wish]:
    if not isinstance(wishes, Mapping):
        raise PluginRejected(f"wishes() returned {type(wishes).__name__}, declared is a mapping")
    for ply, wish in wishes.items():
        if type(ply) is not int or not 0 <= ply <= game.plies:
            raise PluginRejected(f"a wish for ply {ply!r} of {game.plies}")
        if not isinstance(wish, Wish) or type(wish.lines) is not int or not 1 <= wish.lines <= MAX_LINES:
            raise PluginRejected(f"ply {ply}: {wish!r} can't be fulfilled")
    return dict(wishes)


def _storable(plugin: AnyPlugin, output: Any) -> dict[str, Any]:
    """Return the result as JSON values, after the checks that its author may have got around."""
    if not isinstance(output, plugin.result_type):
        expected = plugin.result_type.__name__
        raise PluginRejected(f"analyse() returned {type(output).__name__}, declared is {expected}")
    document = _document(output)
    try:
        size = len(json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode())
    except ValueError as error:  # NaN, infinities, lone surrogates, circles
        raise PluginRejected(f"the result is no JSON: {error}") from error
    if size > MAX_RESULT_BYTES:
        raise PluginRejected(f"the result takes {size} bytes, the limit is {MAX_RESULT_BYTES}")
    return document


def _document(output: PluginOutput) -> dict[str, Any]:
    # Validated once more: model_construct() and assignments to __dict__ skip every check.
    try:
        checked = type(output).model_validate(output.model_dump(mode="python", warnings=False))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise PluginRejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return checked.model_dump(mode="json")


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise PluginTimeout in this thread after a while, and again each second if that was swallowed."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise PluginTimeout(f"no result after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Printed(io.TextIOBase):
    """Keeps the beginning of what is printed."""

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Keep what still fits."""
        self.text += text[: _PRINTED_CHARACTERS - len(self.text)]
        return len(text)


def _headline(error: BaseException) -> str:
    return _clean(f"{type(error).__name__}: {_text(error)}")[:500]


def _described(error: BaseException) -> str:
    """Return the error and where it arose, the innermost lines last and kept."""
    if isinstance(error, PluginRejected | PluginTimeout):
        return _headline(error)
    places = "".join(traceback.format_tb(error.__traceback__, limit=-20))
    return f"{_headline(error)}\n{_clean(places)[-_ERROR_CHARACTERS:]}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an author's __str__
        return "(no message)"


def _clean(text: str) -> str:
    # Neither NUL nor half a surrogate pair can be stored.
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()
