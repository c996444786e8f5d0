"""Are Lichess's numbers ours, in the whole game and in its phases?"""

from app.contract.games import Color
from plugins.accuracy import Accuracy, AccuracyResult, rate
from plugins.api import Division
from plugins.phases import Phase
from tests.unit.plugins.games import BLACK_STARTS, cp, fools_mate, game, needs_data, real_games


def labels(result: AccuracyResult, side: Color) -> tuple[int, int, int]:
    numbers = result.white if side is Color.WHITE else result.black
    return numbers.inaccuracies, numbers.mistakes, numbers.blunders


def test_a_game_without_moves_has_no_numbers() -> None:
    result = Accuracy().analyse(game((), []))
    for side in (result.white, result.black):
        assert (side.accuracy, side.acpl, side.phases) == (None, None, {})
    assert labels(result, Color.WHITE) == labels(result, Color.BLACK) == (0, 0, 0)


def test_accuracy_leaves_out_the_move_that_mates() -> None:
    result = Accuracy().analyse(fools_mate())
    # White lost 75 and 930 centipawns, the first from +15; Black 0 in one move, the mate not counted.
    assert result.white.acpl == round((75 + 930) / 2 + 0.01)
    assert result.black.acpl == 0
    assert labels(result, Color.WHITE) == (1, 0, 1)
    assert result.black.accuracy == 100


def test_the_move_that_the_engine_prefers_is_not_judged() -> None:
    result = Accuracy().analyse(fools_mate(best={0: "f2f3", 2: "g2g4"}))
    assert labels(result, Color.WHITE) == (0, 0, 0)


def test_sides_follow_who_moves_first() -> None:
    result = Accuracy().analyse(game(("f7f6", "d2d4"), [20, 115, 115], fen=BLACK_STARTS))
    assert (result.black.acpl, result.white.acpl) == (100, 0)


def test_each_phase_has_the_moves_that_were_made_in_it() -> None:
    # Ply 1 and 2 in the opening, 3 and 4 in the middlegame, 5 in the endgame.
    line = [cp(15), cp(15), cp(-400), cp(-400), cp(-400)]
    result = rate(line, [True] * 5, Color.WHITE, Division(middlegame_ply=2, endgame_ply=4))
    phases = result.white.phases
    assert {phase: numbers.moves for phase, numbers in phases.items()} == dict.fromkeys(Phase, 1)
    assert [numbers.acpl for numbers in phases.values()] == [0, 415, 0]
    assert [numbers.blunders for numbers in phases.values()] == [0, 1, 0]
    assert phases[Phase.OPENING].accuracy == phases[Phase.ENDGAME].accuracy == 100
    middlegame = phases[Phase.MIDDLEGAME].accuracy
    assert middlegame is not None
    assert middlegame < 50
    assert set(result.black.phases) == {Phase.OPENING, Phase.MIDDLEGAME}
    assert (result.middlegame_ply, result.endgame_ply) == (2, 4)


def test_a_game_of_one_phase_has_the_same_numbers_there() -> None:
    line = [cp(20), cp(90), cp(-20), cp(-10), cp(-300), cp(15)]
    result = rate(line, [True] * 6, Color.WHITE, Division(None, None))
    for side in (result.white, result.black):
        opening = side.phases[Phase.OPENING]
        assert opening.moves == 3
        assert opening.model_dump(exclude={"moves"}) == side.model_dump(exclude={"phases"})


@needs_data
def test_the_phases_of_real_games_add_up_to_the_whole() -> None:
    phases_seen = set()
    for played in real_games(100):
        result = Accuracy().analyse(played)
        for side in (result.white, result.black):
            phases_seen |= set(side.phases)
            for label in ("inaccuracies", "mistakes", "blunders"):
                assert sum(getattr(phase, label) for phase in side.phases.values()) == getattr(side, label)
            assert all((phase.accuracy is None) == (side.accuracy is None) for phase in side.phases.values())
    assert phases_seen == set(Phase)
