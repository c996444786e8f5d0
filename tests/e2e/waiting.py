"""How does a test wait for what it expects, and what does it say when that does not come about?"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["LIMIT_SECONDS", "POLL_SECONDS", "wait_until"]

T = TypeVar("T")

POLL_SECONDS: Final = 0.1
_PAUSE_PER_LOOK: Final = 9
"""On a busy machine a look at the API takes long, and takes from those that are waited for."""
LIMIT_SECONDS: Final = 120.0
"""What recovery may take on a busy machine; a test that passes does not wait that long."""


def wait_until(
    condition: Callable[[], T],
    what: str,
    timeout_seconds: float = LIMIT_SECONDS,
    explain: Callable[[], str] = str,
) -> T:
    """Return the condition's first true value.

    Fails after the time with `what` was waited for and with what `explain` has to say.
    """
    deadline = time.monotonic() + timeout_seconds
    looked = time.monotonic()
    while not (value := condition()):
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"after {timeout_seconds:.0f} s in vain: {what}\n{explain()}")
        time.sleep(max(POLL_SECONDS, _PAUSE_PER_LOOK * (now - looked)))
        looked = time.monotonic()
    return value
