"""How does BestMoveMatch weigh matches?"""

import dataclasses
from collections.abc import Mapping

import pytest

from plugins.api import AnalysedGame, Line
from plugins.best_move_match import SAMPLE, BestMoveMatch
from tests.unit.plugins.games import cp, fools_mate, game, mate, needs_data, real_games

MOVES = (
    *("g1f3", "g8f6", "b1c3", "b8c6", "e2e3", "e7e6", "d2d3", "d7d6", "f1e2", "f8e7", "e1g1", "e8g8"),
    *("c1d2", "c8d7", "d1c1", "d8c8", "a2a3", "a7a6", "h2h3", "h7h6", "b2b3", "b7b6", "g1h1", "g8h8"),
    *("h1g1", "h8g8"),
)


def quiet(best: Mapping[int, str] | None = None) -> AnalysedGame:
    return game(MOVES, [20] * (len(MOVES) + 1), best=best)


def with_lines(played: AnalysedGame, lines: Mapping[int, tuple[Line, ...]]) -> AnalysedGame:
    """Fulfil wishes."""
    evaluations = [
        dataclasses.replace(evaluation, lines=lines.get(ply, ()))
        for ply, evaluation in enumerate(played.evaluations)
    ]
    return dataclasses.replace(played, evaluations=tuple(evaluations))


def with_best_moves(played: AnalysedGame) -> AnalysedGame:
    """Name a best move in every position, the first legal one where none is known."""
    evaluations = [
        dataclasses.replace(item, pv=item.pv or tuple(move.uci() for move in board.legal_moves)[:1])
        for item, board in zip(played.evaluations, played.boards(), strict=True)
    ]
    return dataclasses.replace(played, evaluations=tuple(evaluations))


def test_matches_are_set_against_blind_choice() -> None:
    result = BestMoveMatch().analyse(quiet(best={8: "f1e2", 10: "e1g1"}))
    white = result.white.all
    assert (white.decisions, white.matches) == (9, 2)
    # Some 30 legal moves each: a third of a match in nine.
    assert 0.2 < white.by_luck < 0.4
    assert white.sigmas is not None
    assert 2 < white.sigmas < 4
    black = result.black.all
    assert (black.decisions, black.matches) == (9, 0)
    assert black.sigmas is not None
    assert black.sigmas < 0


def test_hard_decisions_weigh_more() -> None:
    hard = (Line(cp(20), ("f1e2",)), Line(cp(-300), ("a2a3",)))
    easy = (Line(cp(20), ("h2h4",)), Line(cp(10), ("a2a4",)))
    result = BestMoveMatch().analyse(with_lines(quiet(best={8: "f1e2"}), {8: hard, 10: easy}))
    white = result.white
    assert (white.sampled.decisions, white.sampled.matches) == (2, 1)
    assert (white.hard.decisions, white.hard.matches) == (1, 1)
    assert white.weighted_rate == pytest.approx(0.97, abs=0.01)
    assert white.mean_hardness == pytest.approx(14.1, abs=0.5)
    assert (result.black.sampled.decisions, result.black.weighted_rate) == (0, None)


def test_matches_are_the_same_whether_a_wish_was_met_or_not() -> None:
    lines = (Line(cp(20), ("a2a3",)), Line(cp(-300), ("f1e2",)))
    alone, wished = (
        BestMoveMatch().analyse(with_lines(quiet(best={8: "f1e2"}), found)).white
        for found in ({}, {8: lines})
    )
    assert wished.all == alone.all
    assert (wished.hard.decisions, wished.hard.matches, wished.weighted_rate) == (1, 1, 1.0)


def test_hardness_is_seen_from_the_mover() -> None:
    lines = (Line(cp(20), ("f8e7",)), Line(mate(3), ("a7a6",)))
    black = BestMoveMatch().analyse(with_lines(quiet(best={9: "f8e7"}), {9: lines})).black
    assert (black.hard.decisions, black.hard.matches) == (1, 1)


def test_of_many_decisions_an_even_sample_is_wished_for() -> None:
    wishes = BestMoveMatch().wishes(quiet())
    assert len(wishes) == 2 * SAMPLE
    assert all(wish.lines == 2 and not wish.full_budget for wish in wishes.values())
    for color in range(2):
        plies = sorted(ply for ply in wishes if ply % 2 == color)
        assert len(plies) == SAMPLE
        assert plies[0] < 12
        assert plies[-1] > 20
    assert min(wishes) >= 8


def test_neither_openings_nor_decided_positions_nor_recaptures_count() -> None:
    assert BestMoveMatch().wishes(fools_mate()) == {}
    decided = game(MOVES, [900] * (len(MOVES) + 1))
    assert BestMoveMatch().wishes(decided) == {}
    exchange = (*MOVES[:8], "f3d4", "c6d4", "e3d4")
    played = game(exchange, [20] * (len(exchange) + 1), best={10: "e3d4"})
    assert set(BestMoveMatch().wishes(played)) == {8, 9}


def test_an_only_move_is_no_decision() -> None:
    # The black king has one square and nothing else to move; White has many moves.
    fen = "k7/2Q5/8/8/8/8/8/K7 w - - 0 1"
    moves = (
        *("c7d7", "a8b8", "d7c6", "b8a7", "c6c7", "a7a8"),
        *("c7d7", "a8b8", "d7c6", "b8a7", "c6c7", "a7a8"),
    )
    lone = game(moves, [0] * 13, fen=fen, best=dict(enumerate(moves)))
    boards = list(lone.boards())
    forced = {ply for ply in range(8, 12) if boards[ply].legal_moves.count() == 1}
    assert forced
    assert not forced & set(BestMoveMatch().wishes(lone))


def test_a_game_without_moves_has_no_decisions() -> None:
    result = BestMoveMatch().analyse(game((), []))
    assert (result.white.all.decisions, result.white.all.sigmas) == (0, None)


def test_where_better_moves_are_known_of_misplayed_ones_alone_nothing_is_said() -> None:
    played = quiet(best={8: "f1e2", 10: "e1g1"})
    lines = [item.pv if ply not in (8, 10) else () for ply, item in enumerate(played.evaluations)]
    evaluations = [
        dataclasses.replace(item, pv=line) for item, line in zip(played.evaluations, lines, strict=True)
    ]
    of_lichess = dataclasses.replace(played, evaluations=tuple(evaluations))
    assert BestMoveMatch().analyse(played).white.all.decisions == 9
    assert BestMoveMatch().wishes(of_lichess) == {}
    result = BestMoveMatch().analyse(of_lichess)
    for side in (result.white, result.black):
        assert (side.all.decisions, side.all.matches, side.all.sigmas) == (0, 0, None)
        assert (side.sampled.decisions, side.weighted_rate, side.mean_hardness) == (0, None, None)


@needs_data
def test_a_game_with_lichesss_evaluations_has_no_decisions() -> None:
    for played in real_games(50):
        result = BestMoveMatch().analyse(played)
        assert result.white.all.decisions == result.black.all.decisions == 0


@needs_data
def test_wishes_of_real_games_are_bounded_and_the_same_each_time() -> None:
    wished = 0
    for played in map(with_best_moves, real_games(50)):
        wishes = BestMoveMatch().wishes(played)
        assert len(wishes) <= 2 * SAMPLE
        assert wishes == BestMoveMatch().wishes(dataclasses.replace(played))
        wished += len(wishes)
    assert wished > 500
