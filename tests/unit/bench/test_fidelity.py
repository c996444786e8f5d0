"""Does the benchmark judge games as the plugins do, and count nodes as the worker spends them?"""

import asyncio
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import chess
import pytest

from app.contract.analyses import BudgetMode
from app.contract.games import Color
from app.contract.positions import Score
from plugins.accuracy import Accuracy
from plugins.api import AnalysedGame, PositionEvaluation
from plugins.largest_swing import LargestSwing
from plugins.lichess import Judgement
from tests.bench.analysis.fidelity import Fidelity, compare, differences, verdict
from tests.bench.analysis.games import Game, sample
from tests.bench.analysis.schedules import analyse
from tests.bench.analysis.wishes import wishes_of
from tests.bench.bare_engine import Search
from tests.unit.workers.analysis.test_evaluator import ENGINE, PureEvaluator, claim
from workers.analysis.budget import Budget, steps
from workers.analysis.evaluator import GameSearch, analysed_game, replay

BUNDLED = Path(__file__).parents[2] / "fakes/lichess/games/selfplay.ndjson"
GAMES = [game for game in sample(BUNDLED, 1_000) if game.fens[0] == chess.STARTING_FEN]
ADAPTIVE = Budget(16_000, BudgetMode.ADAPTIVE)


def scored(game: Game, ply: int, nodes: int) -> Search:
    """Return a made-up search: the engine likes every second move, and sees a mate now and then."""
    chance = zlib.crc32(f"{game.fens[ply]} {nodes}".encode())
    played = game.uci[ply] if ply < len(game.uci) else "a1a2"
    score = Score(mate=chance % 9 - 4 or 5) if chance % 13 == 0 else Score(cp=chance % 801 - 400)
    return Search(score, played if chance % 2 else "a1a8", 1, nodes)


def as_plugins_see_it(game: Game, line: list[Search]) -> AnalysedGame:
    """Return the same game for plugins."""
    evaluations = [PositionEvaluation(item.score, 1, item.nodes, (item.best,)) for item in line]
    if game.over:
        evaluations.append(PositionEvaluation(Score(mate=0) if game.mated else Score(cp=0), 0, 0, ()))
    return AnalysedGame(
        id=game.id,
        variant="standard",
        initial_fen=None,
        status="mate" if game.mated else "resign",
        winner=None,
        uci=game.uci,
        evaluations=tuple(evaluations),
    )


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.id)
def test_the_verdict_is_that_of_the_plugins(game: Game) -> None:
    line = [scored(game, ply, 1_000) for ply in range(len(game.searched))]
    seen = verdict(game, line)
    plugged = as_plugins_see_it(game, line)
    swing = LargestSwing().analyse(plugged).swing
    assert swing is not None
    assert seen.largest_swing == swing.ply
    result = Accuracy().analyse(plugged)
    counts = Counter((plugged.mover(ply), label) for ply, label in enumerate(seen.labels, start=1))
    for color, side in ((Color.WHITE, result.white), (Color.BLACK, result.black)):
        assert counts[color, Judgement.INACCURACY] == side.inaccuracies
        assert counts[color, Judgement.MISTAKE] == side.mistakes
        assert counts[color, Judgement.BLUNDER] == side.blunders
    assert {*seen.accuracies} == {result.white.accuracy, result.black.accuracy}


def test_the_first_move_is_judged_from_fifteen_centipawns() -> None:
    """An inaccuracy from there, and none from what the engine makes of the initial position."""
    game = next(game for game in GAMES if not game.over)
    line = [Search(Score(cp=-41 if ply else 0), "a1a8", 1, 1) for ply in range(len(game.searched))]
    assert verdict(game, line).labels[0] is Judgement.INACCURACY


def test_finished_games_are_among_them() -> None:
    assert any(game.mated for game in GAMES)
    assert any(not game.over for game in GAMES)


def test_a_game_agrees_with_itself_and_less_with_others() -> None:
    game = GAMES[0]
    one, other = (
        verdict(game, [scored(game, ply, nodes) for ply in range(len(game.searched))]) for nodes in (1, 2)
    )
    assert compare([one], [one]) == Fidelity(1.0, 1.0, 1.0, 0.0)
    worse = compare([one, one], [one, other])
    assert 0.5 < worse.labels < 1
    assert 0.5 <= worse.blunders < 1


def test_differences_are_those_of_the_measures_and_hold_for_most_draws() -> None:
    one, other = (
        [verdict(game, [scored(game, ply, nodes) for ply in range(len(game.searched))]) for game in GAMES]
        for nodes in (1, 2)
    )
    less = compare(one, other)
    found = differences((one, other), (one, one), draws=200)
    assert found["labels"].value == less.labels - 1
    assert found["blunders"].value == less.blunders - 1
    assert found["swings"].value == less.swings - 1
    assert found["accuracy_error"].value == less.accuracy_error
    assert all(interval.low <= interval.value <= interval.high for interval in found.values())
    assert found["labels"].high < 0 < found["accuracy_error"].low
    assert found == differences((one, other), (one, one), draws=200)


def test_nodes_are_counted_for_every_search_of_a_position() -> None:
    game = GAMES[0]
    asked: set[tuple[str, int]] = set()

    def lookup(ply: int, nodes: int) -> Search:
        asked.add((game.fens[ply], nodes))
        return scored(game, ply, nodes)

    analysis = analyse(game, ADAPTIVE, lookup)
    assert analysis.spent == sum(nodes for _, nodes in asked)
    assert {*steps(ADAPTIVE)} >= {*analysis.budgets} > {steps(ADAPTIVE)[0]}
    fixed = analyse(game, Budget(16_000, BudgetMode.FIXED), lookup)
    assert fixed.spent == 16_000 * len({*game.searched})


@pytest.mark.parametrize("mode", [*BudgetMode])
@pytest.mark.parametrize("game", GAMES[:4], ids=lambda game: game.id)
def test_nodes_are_those_that_the_worker_spends_wishes_included(game: Game, mode: BudgetMode) -> None:
    budget, evaluator = Budget(64_000, mode), PureEvaluator()
    boards = replay(claim(uci=list(game.uci)))
    search = GameSearch(evaluator, ENGINE, budget, boards, game.uci, known=[])
    with asyncio.Runner() as runner:
        runner.run(search.search())
        wishes = wishes_of(
            replace(analysed_game(claim(uci=list(game.uci))), evaluations=search.evaluations())
        )
        runner.run(search.fulfil(wishes))
        spent, wished = (
            sum(item.budget_nodes for item in search.new if (item.lines > 1) is several)
            for several in (False, True)
        )

        def lookup(ply: int, nodes: int) -> Search:
            found = runner.run(PureEvaluator().evaluate(boards[ply], nodes, ENGINE))
            return Search(found.score, found.pv[0], found.depth, found.nodes)

        analysis = analyse(game, budget, lookup)
    assert (analysis.spent, analysis.wished) == (spent, wished)
    assert wished >= 16 * (4_000 if mode is BudgetMode.ADAPTIVE else 64_000)
