"""Do the roles say in `systemctl status` what they do?"""

import re
from collections.abc import Mapping
from typing import Final

from tests.system.inside import work
from tests.system.inside.host import UNITS, expect, short, show, wait_until
from tests.system.inside.situation import Situation

_LISTEN_SECONDS: Final = 2.0
_DURATION: Final = r"[\d,]+ (s|min|h|d)( \d+ (min|h))?"
_SAID: Final[Mapping[str, str]] = {
    "scoresheet-api.service": r"serving: [\d.]+ requests/s, \d+ under way",
    "scoresheet-beat.service": rf"next: \w+ in {_DURATION}",
    "scoresheet-producer.service": r"fetching \w+: [\d,]+ games?, [\d.]+/s",
    "scoresheet-consumer.service": r"storing [\d.,]+ games/s, [\d,]+ waiting",
    "scoresheet-analysis-producer.service": r"\w.*",
    "scoresheet-analysis-consumer.service": rf"analysing \d games?, [\d,]+ waiting, {_DURATION} left",
}
"""What each has to say at some time while it works."""
_ROUNDS: Final = ((0.5, 1), (0.1, 60), (0.05, 100))
"""How many games a second come, and how many plies they have at least. A worker speaks every 5 s, and to
listen takes time: who was not heard in one round has more to do in the next."""


def said(situation: Situation) -> str:
    """Give all roles something to do until each has said what it does."""
    work.let_end()
    seen: dict[str, list[str]] = {unit: [] for unit in UNITS}
    for number, (games_a_second, plies) in enumerate(_ROUNDS):
        player = f"stat{number}"
        situation.lichess.send_games(games_a_second)
        situation.lichess.add(player, plies=plies)
        if _all_heard(situation, player, seen):
            break
    situation.lichess.send_games(0)
    for unit, pattern in _SAID.items():
        expect(_fitting(seen, unit), f"{unit} never said /{pattern}/, but {seen[unit][-5:]}")
    return "; ".join(f"{short(unit)}: {_fitting(seen, unit)[-1]}" for unit in _SAID)


def _all_heard(situation: Situation, player: str, seen: dict[str, list[str]]) -> bool:
    """Listen until all roles have said what they should, or nothing is left to do for the player."""

    def heard() -> bool:
        for unit, of in show(UNITS, "StatusText").items():
            seen[unit].append(of["StatusText"])
        return all(_fitting(seen, unit) for unit in _SAID)

    def is_done() -> bool:
        return situation.lichess.is_whole(player) and situation.lichess.nothing_open(player)

    wait_until(lambda: heard() or is_done(), "each role says what it does", poll_seconds=_LISTEN_SECONDS)
    return all(_fitting(seen, unit) for unit in _SAID)


def _fitting(seen: Mapping[str, list[str]], unit: str) -> list[str]:
    return [line for line in seen[unit] if re.fullmatch(_SAID[unit], line)]
