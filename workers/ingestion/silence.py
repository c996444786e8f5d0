"""For how long must Lichess be left alone?"""

import time
from collections.abc import Callable
from pathlib import Path


def since_boot() -> float:
    """Return the seconds since this host's boot, those that it slept through included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Silence:
    """A file that says until when to wait: it outlives whoever wrote it, up to the next boot.

    It counts from the boot, so setting the host's clock, forward or back, ends no wait and prolongs none.
    To be used by one process at a time.
    """

    def __init__(self, path: Path, boot_id: str, *, clock: Callable[[], float] = since_boot) -> None:
        self._path = path
        self._boot_id = boot_id
        self._clock = clock

    def seconds_left(self) -> float:
        """Return how long to wait still; 0 where nothing says so, or nothing that can be read."""
        try:
            boot_id, until = self._path.read_text(encoding="ascii").split()
            seconds = float(until) - self._clock()
        except (FileNotFoundError, ValueError):
            return 0.0
        return max(0.0, seconds) if boot_id == self._boot_id else 0.0

    def keep(self, seconds: float) -> None:
        """Wait for so long from now; never shortens an earlier wait. Raises OSError."""
        if seconds > self.seconds_left():
            # In two steps: on a full disk the earlier wait stays.
            new = self._path.with_suffix(".new")
            new.write_text(f"{self._boot_id} {self._clock() + seconds:.3f}\n", encoding="ascii")
            new.replace(self._path)
