"""What do the checks know of the machine, and leave to each other?"""

from dataclasses import dataclass, field

from tests.system.inside.host import Http
from tests.system.inside.lichess import Lichess


@dataclass
class Situation:
    """The machine, as far as it has come."""

    api: Http = field(default_factory=lambda: Http(8000))
    lichess: Lichess = field(init=False)
    secrets: list[str] = field(default_factory=list)
    """What must stand in no journal."""
    hung_pid: int = 0
    """The main process of the worker that was stopped for its watchdog to notice."""
    hung_since: float = 0.0
    """When, by `time.monotonic()`."""

    def __post_init__(self) -> None:
        self.lichess = Lichess(self.api)
