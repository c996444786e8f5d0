"""How is a plugin stopped that takes too long?"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

TIME_LIMIT_SECONDS = 30.0
"""Longest that one plugin may take over one game; the built-in ones take milliseconds."""


class PluginTimeout(BaseException):
    """A plugin took too long. No Exception, so that `except Exception` in a plugin does not swallow it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
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
