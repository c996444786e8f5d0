"""Do the roles say in `systemctl status` what they do?"""

import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from tests.system.inside.host import UNITS, CheckFailedError, expect, short, show

_EVERY_SECONDS: Final = 6.0
_DURATION: Final = r"[\d,]+ (s|min|h|d)( \d+ (min|h))?"
_SAID: Final[Mapping[str, str]] = {
    "scoresheet-api.service": r"serving: [\d.]+ requests/s, \d+ under way",
    "scoresheet-beat.service": rf"next: \w+ in {_DURATION}",
    "scoresheet-producer.service": r"fetching scoresheet-demo: [\d,]+ games?, [\d.]+/s",
    "scoresheet-consumer.service": r"storing [\d.,]+ games/s, [\d,]+ waiting",
    "scoresheet-analysis-producer.service": r"\w.*",
    "scoresheet-analysis-consumer.service": rf"analysing \d games?, [\d,]+ waiting, {_DURATION} left",
}
"""What each must have said at some time while it worked."""


class StatusLines:
    """Collects the lines of all roles, from a thread of its own."""

    def __init__(self) -> None:
        self._seen: dict[str, list[str]] = defaultdict(list)
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def start(self) -> None:
        """Begin to collect."""
        self._thread.start()

    def check(self) -> str:
        """End, and return one line of each role; fails if a role never said what it should."""
        self._enough.set()
        self._thread.join()
        chosen = {}
        for unit, pattern in _SAID.items():
            fitting = [line for line in self._seen[unit] if re.fullmatch(pattern, line)]
            expect(fitting, f"{unit} never said /{pattern}/, but {self._seen[unit][-5:]}")
            chosen[unit] = fitting[len(fitting) // 2]
        return "; ".join(f"{short(unit)}: {line}" for unit, line in chosen.items())

    def _collect(self) -> None:
        while not self._enough.wait(_EVERY_SECONDS):
            try:
                shown = show(UNITS, "StatusText")
            except CheckFailedError:
                continue  # systemd is being reloaded; the next look tells
            for unit, properties in shown.items():
                line = properties["StatusText"]
                if line and line not in self._seen[unit]:
                    self._seen[unit].append(line)
