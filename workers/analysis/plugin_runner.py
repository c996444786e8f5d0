"""What happens when a plugin misbehaves?

Nothing but its own error: whatever it raises, prints, returns or forks, the other plugins and the worker
go on. Each gets a copy of the game: what it does to that (python-chess's moves can be changed), no other
sees. What no Python code can end, an endless loop in C for one, ends with the task's hard time limit.
"""

import contextlib
import io
import os
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import structlog

from app.contract.analyses import PluginId, PluginResult
from plugins.api import MAX_RESULTS_BYTES, AnalysedGame, Wish
from plugins.contract import AnyPlugin, BrokenContract, fulfillable, stored_form
from plugins.time_limit import TIME_LIMIT_SECONDS, PluginTimeout, time_limit

_LOG = structlog.get_logger(__name__)

_PRINTED_CHARACTERS = 2_000
_ERROR_CHARACTERS = 8_000

Answer = TypeVar("Answer")


class PluginFailed(Exception):
    """A plugin raised, took too long or broke its contract; the message says which, and where."""


def run_plugin(
    plugin: AnyPlugin, game: AnalysedGame, *, time_limit_seconds: float = TIME_LIMIT_SECONDS
) -> PluginResult:
    """Return what a plugin finds in a game, or its error; raises nothing that the plugin raised."""
    identity = PluginId(name=plugin.name, version=plugin.version)
    try:
        return _guarded(
            plugin,
            lambda: PluginResult(plugin=identity, result=stored_form(plugin, plugin.analyse(replace(game)))),
            time_limit_seconds,
        )
    except PluginFailed as failure:
        return PluginResult(plugin=identity, error=str(failure))


def sendable(results: Iterable[PluginResult]) -> list[PluginResult]:
    """Return the results of one game, each that goes beyond what can be sent together replaced by an error.

    The next attempt at the game runs only those, so they can have their turn.
    """
    found, left = [], MAX_RESULTS_BYTES
    for result in results:
        size = len(result.model_dump_json().encode())
        if result.result is not None and size > left:
            error = f"the results before this one leave {left} bytes of {MAX_RESULTS_BYTES}, it takes {size}"
            _LOG.warning(
                "plugin_failed", plugin=result.plugin.name, version=result.plugin.version, error=error
            )
            found.append(PluginResult(plugin=result.plugin, error=error))
            continue
        left -= size if result.result is not None else 0
        found.append(result)
    return found


def ask_wishes(
    plugin: AnyPlugin, game: AnalysedGame, *, time_limit_seconds: float = TIME_LIMIT_SECONDS
) -> dict[int, Wish]:
    """Return what a plugin wishes for, by ply; raises PluginFailed, and nothing that the plugin raised."""
    return _guarded(plugin, lambda: fulfillable(plugin.wishes(replace(game)), game), time_limit_seconds)


def _guarded(plugin: AnyPlugin, call: Callable[[], Answer], time_limit_seconds: float) -> Answer:
    process = os.getpid()
    printed = _Printed()
    try:
        with contextlib.redirect_stdout(printed), time_limit(time_limit_seconds):
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
    if isinstance(error, BrokenContract | PluginTimeout):
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
