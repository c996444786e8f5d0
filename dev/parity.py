"""Given Lichess's own evaluations, do Lichess's own numbers come out?

    python -m dev.parity FILE...        NDJSON or JSON exports, gzipped or not, with `evals=true`

Recomputes inaccuracies, mistakes, blunders, average centipawn loss and, where it was exported, accuracy of
each side, and shows every difference with its class. docs/parity.md explains the classes.

A game goes the way that it goes with EVALUATIONS_FROM=lichess: parser, evaluations, plugins. Where Lichess's
evaluations would not serve there (workers/analysis/lichess_evaluations.py), the formulas alone are compared.
"""

import argparse
import functools
import gzip
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from app.contract.analyses import AnalysisClaim
from app.contract.games import Color, GameRecord
from app.contract.positions import Score
from app.contract.rules import ANALYSABLE_VARIANTS
from plugins.api import AnalysedGame
from plugins.lichess import (
    INITIAL,
    Judgement,
    MoveScores,
    centipawn_loss,
    game_accuracies,
    judge,
    winning_chances,
)
from workers.analysis.evaluator import analysed_game, replay
from workers.analysis.lichess_evaluations import over_lichess_evaluations
from workers.analysis.plugin_registry import PluginRegistry, load_plugins
from workers.analysis.plugin_runner import run_plugin
from workers.analysis.position import InvalidPosition
from workers.ingestion.parsing import parse

Numbers = dict[str, int]
"""What Lichess exports of a side: inaccuracy, mistake, blunder, acpl and perhaps accuracy."""
_JUDGEMENTS = ("inaccuracy", "mistake", "blunder")


class Formulas(StrEnum):
    """Which version of lila computed the numbers of a game; they are computed when a game is exported."""

    PRESENT = "present"
    """Those of the plugins."""
    OLDER = "older"
    """lila before July 2022 (lila#11148): winning chances with the multiplier 0.004, of centipawns within
    ±1,000, and means cut off at the point (Advice @ 00d02fc, Accuracy @ 1b3e61b)."""
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class ExportedGame:
    """What an export says of an analysed game."""

    id: str
    starts: Color
    line: list[Score | None]
    """As `plugins.lichess` defines it."""
    better_known: list[bool]
    labels: list[str | None]
    """Lichess's judgement of each move, in lower case."""
    sides: dict[Color, Numbers]
    analysed: AnalysedGame | None
    """What plugins get over Lichess's evaluations; None where these don't serve."""


class Difference(NamedTuple):
    """A number of Lichess's that the present formulas don't give."""

    game: str
    side: Color
    number: str
    theirs: int
    ours: int | None
    formulas: Formulas
    """Those that give it, with all other numbers of the game."""


@dataclass(slots=True)
class Tally:
    """Compared sides, and how many of their numbers agree."""

    sides: int = 0
    judgements: int = 0
    acpl: int = 0
    rated: int = 0
    accuracy: int = 0
    games: Counter[Formulas] = field(default_factory=Counter)
    by_plugins: int = 0
    """Games that went through the plugins."""
    differences: list[Difference] = field(default_factory=list)

    def add(self, game: ExportedGame, formulas: Formulas, ours: Mapping[Color, Numbers]) -> None:
        """Compare one game's sides with the numbers that its formulas give."""
        self.games[formulas] += 1
        self.by_plugins += game.analysed is not None
        for side, theirs in game.sides.items():
            self.sides += 1
            self.judgements += sum(ours[side][name] == theirs[name] for name in _JUDGEMENTS)
            self.acpl += ours[side]["acpl"] == theirs["acpl"]
            self.rated += "accuracy" in theirs
            self.accuracy += "accuracy" in theirs and ours[side].get("accuracy") == theirs["accuracy"]


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the games of the files; return 0 if there was one to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    files: list[Path] = parser.parse_args(argv).files
    present, detected = Tally(), Tally()
    try:
        for file in files:
            for game in exported_games(file):
                compare(game, present, detected)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"parity: {file}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if not present.sides:
        print("parity: no game with Lichess's evaluations and numbers", file=sys.stderr)
        return 1
    show(present, detected)
    return 0


def compare(game: ExportedGame, present: Tally, detected: Tally) -> None:
    """Count a game twice: by the present formulas, and by those that it was exported with."""
    by_formulas = {Formulas.PRESENT: recompute(game), Formulas.OLDER: recompute(game, older=True)}
    found = next((name for name, ours in by_formulas.items() if reproduces(game, *ours)), Formulas.NEITHER)
    numbers, labels = by_formulas[Formulas.PRESENT] if game.analysed is None else run_plugins(game.analysed)
    # A fault on the way through the plugins is none of lila's version, even if the older one fits as well.
    if found is Formulas.PRESENT and not reproduces(game, numbers, labels):
        found = Formulas.NEITHER
    present.add(game, found, numbers)
    detected.add(game, found, by_formulas[Formulas.OLDER][0] if found is Formulas.OLDER else numbers)
    present.differences += [
        Difference(game.id, side, name, value, numbers[side].get(name), found)
        for side, theirs in game.sides.items()
        for name, value in theirs.items()
        if numbers[side].get(name) != value
    ]


def exported_games(file: Path) -> Iterator[ExportedGame]:
    """Yield the games of an export that can be compared; raises what reading and parsing raise."""
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for entry in _entries(lines):
            sides = {
                side: entry["players"][side]["analysis"]
                for side in Color
                if "analysis" in entry["players"][side]
            }
            if entry["variant"] in ANALYSABLE_VARIANTS and entry.get("analysis") and sides:
                yield _exported(entry, sides)


def _entries(lines: TextIO) -> Iterator[dict[str, Any]]:
    text = lines.readline()
    try:
        yield json.loads(text)
    except json.JSONDecodeError:  # one object over several lines
        yield json.loads(text + lines.read())
    yield from (json.loads(line) for line in lines if line.strip())


def _exported(entry: Mapping[str, Any], sides: dict[Color, Numbers]) -> ExportedGame:
    analysis = entry["analysis"]
    fen = entry.get("initialFen", "").split()
    return ExportedGame(
        id=entry["id"],
        starts=Color.BLACK if fen[1:2] == ["b"] else Color.WHITE,
        line=[_score(item) for item in analysis],
        better_known=["best" in item for item in analysis],
        labels=[item["judgment"]["name"].lower() if "judgment" in item else None for item in analysis],
        sides=sides,
        analysed=_analysed(entry),
    )


def _analysed(entry: Mapping[str, Any]) -> AnalysedGame | None:
    record = parse(entry, json.dumps(entry))
    if not isinstance(record, GameRecord):
        return None
    claim = _claim(record)
    try:
        boards = replay(claim)
    except InvalidPosition:
        return None
    return over_lichess_evaluations(analysed_game(claim), boards)


def _claim(record: GameRecord) -> AnalysisClaim:
    """Return what the API tells an analysis worker of a game, as far as the plugins see it."""
    return AnalysisClaim(
        id=record.id,
        fence=1,
        lease_seconds=1,
        attempt=1,
        variant=record.variant,
        initial_fen=record.initial_fen,
        status=record.status,
        winner=record.winner,
        uci=record.moves.uci or [],
        clocks_cs=record.moves.clocks_cs,
        lichess_evaluations=record.evaluations,
        speed=record.speed,
        clock=record.clock,
        days_per_turn=record.days_per_turn,
        middlegame_ply=record.middlegame_ply,
        endgame_ply=record.endgame_ply,
        plugins=[],
        evaluations=[],
    )


def _score(item: Mapping[str, Any]) -> Score | None:
    try:
        return Score(cp=item.get("eval"), mate=item.get("mate"))
    except ValidationError:
        return None


@functools.cache
def _plugins() -> PluginRegistry:
    return load_plugins(["accuracy", "move_judgements"])


def run_plugins(game: AnalysedGame) -> tuple[dict[Color, Numbers], list[str | None]]:
    """Return the numbers of both sides and the label of each move, as the plugins have them."""
    found = {plugin.name: run_plugin(plugin, game) for plugin in _plugins()}
    for name, result in found.items():
        if result.result is None:
            raise ValueError(f"{game.id}: {name}: {result.error}")
    accuracy: Any = found["accuracy"].result
    judged: Any = found["move_judgements"].result
    labels = {move["ply"]: move["judgement"] for move in judged["moves"]}
    rated = max([len(game.lichess_evaluations or ()), *labels])
    return {side: _exported_names(accuracy[side]) for side in Color}, [
        labels.get(ply) for ply in range(1, rated + 1)
    ]


def _exported_names(side: Mapping[str, int | None]) -> Numbers:
    names = {"inaccuracies": "inaccuracy", "mistakes": "mistake", "blunders": "blunder"}
    named = {names.get(key, key): side[key] for key in (*names, "acpl", "accuracy")}
    return {key: value for key, value in named.items() if value is not None}


def recompute(game: ExportedGame, *, older: bool = False) -> tuple[dict[Color, Numbers], list[str | None]]:
    """Return the numbers of both sides and the label of each move by the formulas alone."""
    other = Color.BLACK if game.starts is Color.WHITE else Color.WHITE
    moves = [
        MoveScores(game.starts if index % 2 == 0 else other, before, after, known)
        for index, (before, after, known) in enumerate(
            zip([INITIAL, *game.line], game.line, game.better_known, strict=False)
        )
    ]
    labels = [judge(move, _older_chances if older else winning_chances) for move in moves]
    accuracies = game_accuracies(game.line, game.starts)
    numbers = {}
    for side in Color:
        of_side = Counter(label for move, label in zip(moves, labels, strict=True) if move.mover is side)
        losses = [loss for move in moves if move.mover is side and (loss := centipawn_loss(move)) is not None]
        numbers[side] = {judgement.value: of_side[judgement] for judgement in Judgement}
        if losses:
            mean = sum(losses) / len(losses)
            numbers[side]["acpl"] = math.floor(mean if older else mean + 0.5)
        if accuracies is not None:
            numbers[side]["accuracy"] = accuracies[side]
    return numbers, [label and label.value for label in labels]


def _older_chances(cp: float) -> float:
    return 2 / (1 + math.exp(-0.004 * max(-1_000, min(1_000, cp)))) - 1


def reproduces(game: ExportedGame, ours: Mapping[Color, Numbers], labels: Sequence[str | None]) -> bool:
    """Tell whether every number of both sides and the label of every move come out."""
    same = all(
        ours[side].get(name) == value for side, theirs in game.sides.items() for name, value in theirs.items()
    )
    return same and labels == game.labels


def show(present: Tally, detected: Tally) -> None:
    """Print the differences by class, and the last line that says it all."""
    table = Table("game", "side", "number", "Lichess", "ours", "formulas", title="Differences")
    for difference in present.differences:
        table.add_row(*map(str, difference))
    if present.differences:
        Console().print(table)
    games = " ".join(f"{formulas.value}={detected.games[formulas]}" for formulas in Formulas)
    played = sum(detected.games.values())
    print(f"games through the plugins: {detected.by_plugins} of {played}; the others by the formulas alone")
    print(f"games by the version of lila that reproduces every number of theirs: {games}")
    print(f"by the present formulas alone: {line_of(present)}")
    print(f"parity: {line_of(detected)}")


def line_of(tally: Tally) -> str:
    """Return the shares of what agrees, cut off rather than rounded up."""
    accuracy = percent(tally.accuracy, tally.rated) if tally.rated else "-"
    return (
        f"sides={tally.sides} judgements={percent(tally.judgements, 3 * tally.sides)}"
        f" acpl={percent(tally.acpl, tally.sides)} accuracy={accuracy}"
    )


def percent(part: int, whole: int) -> str:
    """Return a share in percent with two decimals, 100.00 only where nothing is missing."""
    return f"{math.floor(10_000 * part / whole) / 100:.2f}%"


if __name__ == "__main__":
    sys.exit(main())
