"""Is a plugin fit to run: does it keep the contract on samples and on odd games?"""

import json
import time
import traceback
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from plugins.api import AnalysedGame, Needs, Wish
from plugins.contract import AnyPlugin, BrokenContract, check_class, fulfillable, stored_form
from plugins.testkit.samples import named_samples, odd_games
from plugins.testkit.side_effects import side_effects
from plugins.time_limit import TIME_LIMIT_SECONDS, PluginTimeout, time_limit

_SHOWN = 20
"""Problems that a report spells out; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a plugin is not fit."""

    check: str
    """"contract", "result", "round trip", "purity" or "side effects"."""
    game: str
    """In which game; empty where the plugin itself is at fault."""
    detail: str

    def __str__(self) -> str:
        where = f" in a game {self.game}" if self.game else ""
        return f"{self.check}{where}: {self.detail}"


@dataclass(slots=True)
class Report:
    """What the kit found."""

    plugin: str
    problems: list[Problem] = field(default_factory=list)
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Of the first run, by game."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Of the results as compact JSON, in bytes, by game."""
    wishes: dict[str, int] = field(default_factory=dict)
    """Positions that the plugin wishes more of, by game."""

    @property
    def fit(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        lines = [self.plugin]
        if self.milliseconds:
            games, slowest = len(self.milliseconds), max(self.milliseconds, key=self.milliseconds.__getitem__)
            mean = sum(self.milliseconds.values()) / games
            lines += [
                f"  games    {games}",
                f"  time     {mean:.1f} ms a game, at most {self.milliseconds[slowest]:.1f} ({slowest})",
            ]
        if self.sizes:
            largest = max(self.sizes, key=self.sizes.__getitem__)
            lines.append(f"  results  at most {self.sizes[largest]:,} bytes ({largest})")
        if any(self.wishes.values()):
            lines.append(f"  wishes   at most {max(self.wishes.values())} positions a game")
        lines += [f"  FAILED   {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"  FAILED   … and {len(self.problems) - _SHOWN} more")
        return "\n".join([*lines, "  fit" if self.fit else "  NOT FIT"])


def assert_fit(kind: Any) -> None:
    """Raise AssertionError, with the whole report, unless a plugin class keeps the contract."""
    report = check_plugin(kind)
    if not report.fit:
        raise AssertionError(str(report))


def check_plugin(kind: Any, *, time_limit_seconds: float = TIME_LIMIT_SECONDS) -> Report:
    """Run a plugin class twice on all samples and odd games; raises nothing that it raises."""
    report = Report(getattr(kind, "name", None) or repr(kind))
    try:
        check_class(kind)
        plugin, other = kind(), kind()
    except BaseException as error:  # noqa: BLE001 - an author's __init__ may raise anything
        report.problems.append(Problem("contract", "", _described(error)))
        return report
    report.plugin = f"{kind.name} {kind.version} ({kind.__module__}:{kind.__qualname__})"
    games = _games(plugin.needs)
    answers = {
        name: _first_run(report, plugin, name, game, time_limit_seconds) for name, game in games.items()
    }
    # Backwards and by another instance: what was computed before must not matter.
    for name, game in reversed(games.items()):
        if (first := answers[name]) is not None and (
            problem := _differs(other, game, first, time_limit_seconds)
        ):
            report.problems.append(Problem("purity", name, problem))
    return report


class _Answer(NamedTuple):
    """What a plugin says of a game."""

    wishes: dict[int, Wish]
    document: dict[str, Any]
    """The result as it would be stored."""


def _games(needs: Needs) -> dict[str, AnalysedGame]:
    return dict(named_samples()) | dict(odd_games(evaluated=needs.evaluations))


def _ask(plugin: AnyPlugin, game: AnalysedGame, limit: float) -> _Answer:
    # A copy each time, so that nothing can be left in the game.
    with time_limit(limit):
        wishes = fulfillable(plugin.wishes(replace(game)), game)
        return _Answer(wishes, stored_form(plugin, plugin.analyse(replace(game))))


def _first_run(
    report: Report, plugin: AnyPlugin, name: str, game: AnalysedGame, limit: float
) -> _Answer | None:
    """Return what the plugin says, None where that fails; enter it all in the report."""
    started = time.perf_counter()
    try:
        with side_effects() as effects:
            answer = _ask(plugin, game, limit)
    except BaseException as error:  # noqa: BLE001 - sys.exit() is the plugin's too
        report.problems.append(Problem("result", name, _described(error)))
        return None
    report.milliseconds[name] = 1_000 * (time.perf_counter() - started)
    report.wishes[name] = len(answer.wishes)
    report.problems += [Problem("side effects", name, effect) for effect in effects]
    text = json.dumps(answer.document, separators=(",", ":"), ensure_ascii=False)
    report.sizes[name] = len(text.encode())
    try:
        back = plugin.result_type.model_validate_json(text).model_dump(mode="json")
    except ValidationError as error:
        report.problems.append(Problem("round trip", name, f"its own JSON is refused: {_described(error)}"))
        return answer
    if back != answer.document:
        difference = _first_difference(answer.document, back)
        report.problems.append(Problem("round trip", name, f"comes back changed from JSON: {difference}"))
    return answer


def _differs(plugin: AnyPlugin, game: AnalysedGame, first: _Answer, limit: float) -> str | None:
    """Return how a second run differs from the first, None if it does not."""
    try:
        second = _ask(plugin, game, limit)
    except BaseException as error:  # noqa: BLE001 - the same
        return f"the second run fails: {_described(error)}"
    if second.document != first.document:
        return f"two runs differ: {_first_difference(first.document, second.document)}"
    return None if second.wishes == first.wishes else "two runs wish for different positions"


def _first_difference(one: Any, other: Any, path: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        key = next(key for key in one if one[key] != other[key])
        return _first_difference(one[key], other[key], f"{path}.{key}".lstrip("."))
    return f"{path or 'the result'} is {one!r:.60} and {other!r:.60}"


def _described(error: BaseException) -> str:
    if isinstance(error, BrokenContract | PluginTimeout):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"
