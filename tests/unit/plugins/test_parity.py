"""Given Lichess's own evaluations, do Lichess's own numbers come out?

The files are real people's games and no part of the repository; without them these tests are skipped.
Measured over rapid_analysed_3000, edge_cases and accuracy_example: 228,581 moves, 6,132 sides.

All that differs are 12 games which were exported before lila took its present multiplier of winning chances
(lila#11148; then 0.004) and rounded means (then truncated): with those two, their ACPL and counts come out
as well, but for three labels.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.contract.games import Color
from app.contract.positions import Score
from plugins.accuracy import rate
from plugins.api import Division

DATA = Path(__file__).parents[4] / "shared" / "data" / "lichess"
RAPID, RARITIES, ONE_GAME = (
    DATA / name for name in ("rapid_analysed_3000.ndjson.gz", "edge_cases.ndjson", "accuracy_example.json")
)
needs_data = pytest.mark.skipif(not RAPID.exists(), reason=f"no {DATA}")


def analysed_games(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in [lines.read()] if path.suffix == ".json" else lines:
            game = json.loads(line)
            if game.get("analysis") and game["variant"] in {"standard", "chess960", "fromPosition"}:
                yield game


def score_of(entry: dict[str, Any]) -> Score | None:
    if "eval" in entry:
        return Score(cp=entry["eval"])
    return Score(mate=entry["mate"]) if "mate" in entry else None


def compare(paths: list[Path]) -> Counter[str]:
    """Count sides, and those of them whose numbers are Lichess's."""
    counts: Counter[str] = Counter()
    for path in paths:
        for game in analysed_games(path):
            entries = game["analysis"]
            fen = game.get("initialFen", "? w").split()
            starts = Color.BLACK if fen[1] == "b" else Color.WHITE
            result = rate(
                [score_of(item) for item in entries],
                ["best" in item for item in entries],
                starts,
                Division(None, None),
            )
            for color, ours in ((Color.WHITE, result.white), (Color.BLACK, result.black)):
                theirs = game["players"][color].get("analysis")
                if theirs is None:
                    continue
                counts["sides"] += 1
                counts["inaccuracies"] += ours.inaccuracies == theirs["inaccuracy"]
                counts["mistakes"] += ours.mistakes == theirs["mistake"]
                counts["blunders"] += ours.blunders == theirs["blunder"]
                counts["acpl"] += ours.acpl == theirs["acpl"]
                counts["rated"] += "accuracy" in theirs
                counts["accuracy"] += ours.accuracy == theirs.get("accuracy")
    return counts


@needs_data
def test_judgements_and_centipawn_loss_are_those_of_lichess() -> None:
    counts = compare([RAPID, RARITIES])
    sides = counts["sides"]
    assert sides > 6_000
    judgements = sum(counts[name] for name in ("inaccuracies", "mistakes", "blunders")) / (3 * sides)
    assert judgements >= 0.999, counts
    assert counts["acpl"] / sides >= 0.998, counts


@needs_data
def test_accuracy_is_that_of_lichess() -> None:
    counts = compare([ONE_GAME])
    assert counts["rated"] == counts["accuracy"] == 2
    assert counts["acpl"] == counts["inaccuracies"] == counts["mistakes"] == counts["blunders"] == 2
