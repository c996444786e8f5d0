"""Does the fake Lichess serve real exports, and judge games as Lichess did?"""

import gzip
import json
from pathlib import Path
from typing import Any

import chess
import chess.engine
import pytest

from tests.fakes.lichess.pgn import game_to_pgn, replay
from tests.fakes.lichess.query import FieldSwitches
from tests.fakes.lichess.selfplay.judging import Evaluation, attach_analysis
from tests.fakes.lichess.world import World, load_games
from tests.unit.fakes.conftest import decode

# Real games carry the names of real people and stay out of the repository: they may lie beside it.
REAL_GAMES = Path(__file__).parents[4] / "shared" / "data" / "lichess"
FILES = {
    "whole_history_1341.ndjson.gz": 1341,
    "rapid_analysed_3000.ndjson.gz": 3000,
    "edge_cases.ndjson": 212,
}

pytestmark = [
    pytest.mark.skipif(
        not REAL_GAMES.is_dir(), reason=f"real games are not in the repository, and not at {REAL_GAMES}"
    ),
    pytest.mark.thorough,
]


@pytest.mark.parametrize(("name", "count"), FILES.items())
def test_every_line_of_the_file_is_loaded(name: str, count: int) -> None:
    assert len(World(load_games(REAL_GAMES / name))) == count


def test_the_whole_history_is_one_player_s() -> None:
    world = World(load_games(REAL_GAMES / "whole_history_1341.ndjson.gz"))
    assert len(world.select("Tazedurum07", since_ms=None, until_ms=None)) == 1341


def test_every_variant_and_status_can_be_written_as_pgn() -> None:
    switches = FieldSwitches(clocks=True, evals=True, opening=True)
    for stored in load_games(REAL_GAMES / "edge_cases.ndjson"):
        game = decode(stored.line)
        assert f'[GameId "{game["id"]}"]' in game_to_pgn(game, switches)


def with_our_judgement(game: dict[str, Any]) -> dict[str, Any]:
    """Judge a game anew from Lichess's own evaluations."""
    evaluations = [Evaluation(chess.engine.Cp(15), [])]
    for ply, entry in enumerate(game["analysis"]):
        if "best" in entry:
            evaluations[ply] = Evaluation(evaluations[ply].score, [chess.Move.from_uci(entry["best"])])
        score = chess.engine.Mate(entry["mate"]) if "mate" in entry else chess.engine.Cp(entry["eval"])
        evaluations.append(Evaluation(score, []))
    judged: dict[str, Any] = json.loads(json.dumps(game))
    attach_analysis(judged, replay(game), evaluations)
    return judged


def test_accuracy_is_lichess_s() -> None:
    game = json.loads((REAL_GAMES / "accuracy_example.json").read_text())
    assert with_our_judgement(game)["players"] == game["players"]


def test_judgements_are_lichess_s() -> None:
    agreed = judged = 0
    with gzip.open(REAL_GAMES / "rapid_analysed_3000.ndjson.gz") as lines:
        games = [json.loads(line) for _, line in zip(range(100), lines, strict=False)]
    for game in games:
        for real, ours in zip(game["analysis"], with_our_judgement(game)["analysis"], strict=True):
            if "judgment" in real or "judgment" in ours:
                judged += 1
                agreed += real.get("judgment") == ours.get("judgment")
    assert judged > 1000
    assert agreed > 0.99 * judged
