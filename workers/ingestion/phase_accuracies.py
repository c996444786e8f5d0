"""Which members of a side's analysis are accuracies by phase?

Lila passes them to an export with `accuracy` and `division` (GameApiV2.scala @ 002fba6, lila#20842), under a
name that no export at hand shows. So they are known by what they are: percents, by themselves or by name.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from app.contract.games import PHASE_ACCURACIES_MAX

_NAME_MAX: Final = 100
_WORDS: Final = ("accurac", "phase", "opening", "middle", "endgame")


def phase_accuracies(analysis: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the members that are percents of phases, without those that are known by name.

    A number by itself has to say that it is one: any count might be taken for a percent.
    """
    found = {
        name: analysis[name]
        for name in sorted(analysis.keys() - known)
        if len(name) <= _NAME_MAX and (_is_told(name, analysis[name]) or _are_percents(analysis[name]))
    }
    return found if len(found) <= PHASE_ACCURACIES_MAX else {}


def _is_told(name: str, value: Any) -> bool:
    return _is_percent(value) and any(word in name.lower() for word in _WORDS)


def _is_percent(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= 100


def _are_percents(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= PHASE_ACCURACIES_MAX
        and all(
            len(name) <= _NAME_MAX and (item is None or _is_percent(item)) for name, item in value.items()
        )
    )
