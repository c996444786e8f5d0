"""Does the adaptive mode spend its nodes where something is at stake, and there alone?"""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.analyses import BudgetMode
from app.contract.games import Color
from app.contract.positions import Score
from workers.analysis.budget import Budget, Found, _doubts, _loss, _stakes, deepen, scan_nodes, steps

FIXED = Budget(100_000, BudgetMode.FIXED)
ADAPTIVE = Budget(100_000, BudgetMode.ADAPTIVE)
SCAN, STEP, _ = steps(ADAPTIVE)
LEAD = 3
"""Positions before those that a test gives. The moves that lead to these are White's, Black's, White's, …"""
TAIL = 80
"""Positions after them, all worth what the last one is: so no single score weighs much in the accuracy."""

scores = st.one_of(
    st.integers(-3_000, 3_000).map(lambda cp: Score(cp=cp)),
    st.integers(-9, 9).filter(bool).map(lambda mate: Score(mate=mate)),
)


def chances(value: float) -> Score:
    """Return the score that stands for White's winning chances."""
    return Score(cp=round(math.log((1 + value) / (1 - value)) / 0.00368208))


def game(*worth: float | Score, nodes: int = SCAN) -> list[Found]:
    """Return a game of which every position has had the scan: these and quiet ones around them."""
    scores = [item if isinstance(item, Score) else chances(item) for item in worth]
    return [
        Found(score, nodes, "e2e4", "a2a3")
        for score in (*[chances(0.03)] * LEAD, *scores, *[scores[-1]] * TAIL)
    ]


def stake_of_loss(loss: float) -> float:
    """Return the larger stake of the two positions at a loss of Black's, as the step left them."""
    return max(_stakes(Color.WHITE, game(0.03, 0.03 + loss, nodes=STEP), 100_000)[LEAD : LEAD + 2])


def best_played(found: list[Found], place: int) -> list[Found]:
    """Return the game with the best move, by its own search, played in one of the positions given."""
    return [replace(item, best="a2a3") if ply == LEAD + place else item for ply, item in enumerate(found)]


def asked(found: list[Found], budget: Budget = ADAPTIVE) -> dict[int, int]:
    """Return what is asked for, by the position's place after the leading ones."""
    return {ply - LEAD: nodes for ply, nodes in deepen(Color.WHITE, found, budget).items()}


def played_out(found: list[Found], budget: Budget = ADAPTIVE) -> list[int]:
    """Return the nodes of each position but the leading ones in the end, where no search changes a score."""
    found = [*found]
    while wanted := deepen(Color.WHITE, found, budget):
        for ply, nodes in wanted.items():
            assert nodes > found[ply].nodes
            found[ply] = replace(found[ply], nodes=nodes)
    return [item.nodes for item in found[LEAD:]]


def test_the_fixed_mode_scans_with_the_reference_and_deepens_nothing() -> None:
    assert steps(FIXED) == (100_000,)
    assert scan_nodes(FIXED) == 100_000
    assert deepen(Color.WHITE, game(0.03, 0.13, nodes=100_000), FIXED) == {}


def test_a_small_reference_is_scanned_with_nodes_that_say_something() -> None:
    # Of 5,999, a scan would take more than a quarter.
    references = (500, 5_999, 6_000, 160_000)
    scans = [scan_nodes(Budget(nodes, BudgetMode.ADAPTIVE)) for nodes in references]
    assert scans == [500, 5_999, 1_500, 5_000]


def test_a_game_with_one_clear_mistake_gets_no_more_than_the_scan() -> None:
    """Its label is far from any other, and it is by far the largest swing."""
    assert {*played_out(game(0.03, 0.18))} == {SCAN}


def test_a_loss_at_a_threshold_brings_its_positions_to_the_reference() -> None:
    assert played_out(game(0.03, 0.331))[:3] == [100_000, 100_000, SCAN]


@pytest.mark.parametrize(
    ("edge", "between"), [(0.1, 0.05), (0.1, 0.15), (0.2, 0.15), (0.2, 0.25), (0.3, 0.35)]
)
def test_a_label_is_at_stake_at_each_threshold_and_less_between(edge: float, between: float) -> None:
    assert stake_of_loss(edge) > 2 * stake_of_loss(between)


def test_a_label_is_sooner_lost_than_gained() -> None:
    """So far from a threshold a labelled move is at stake, and one that just escaped the label is not."""
    assert {0, 1} & asked(game(0.03, 0.03 + 0.111)).keys()
    assert not {0, 1} & asked(game(0.03, 0.03 + 0.089)).keys()


def test_whether_a_move_is_a_blunder_counts_for_more() -> None:
    assert stake_of_loss(0.3) > 1.3 * stake_of_loss(0.2)


def test_a_move_that_the_engine_prefers_itself_is_unlabelled() -> None:
    found = game(0.03, 0.131)
    assert {0, 1} & asked(found).keys()
    assert not {0, 1} & asked(best_played(found, 0)).keys()


def test_a_best_move_that_loses_much_contradicts_itself() -> None:
    """One of the two searches is wrong, so both positions are in doubt."""
    found = game(0.03, 0.25, 0.25, -0.4)
    doubts, contradicted = (
        _doubts(Color.WHITE, each, 100_000)[LEAD : LEAD + 2] for each in (found, best_played(found, 0))
    )
    assert all(more > 1.5 * less for less, more in zip(doubts, contradicted, strict=True))


def test_a_move_that_gains_contradicts_the_search_before_it() -> None:
    """White's move leads from 0.03 to 0.35: either it was worth that, or it is not now."""
    gained, lost = (
        _doubts(Color.WHITE, game(*worth), 100_000)[LEAD + 1 : LEAD + 3]
        for worth in ((0.03, 0.03, 0.35, 0.35), (0.03, 0.35, 0.35, 0.35))
    )
    assert min(gained) > max(lost)


def test_what_lies_deeper_in_the_game_is_more_in_doubt() -> None:
    doubts = _doubts(Color.WHITE, game(0.03), 100_000)
    assert doubts[-1] > 1.5 * doubts[1]


def test_neighbours_are_not_deepened_at_once() -> None:
    """What the first search shows may settle the label: here it does."""
    found = game(0.03, 0.13)
    assert asked(found) == {1: STEP}
    found[LEAD + 1] = replace(found[LEAD + 1], score=chances(0.18), nodes=STEP)
    assert not {0, 1} & asked(found).keys()


def test_rivals_for_the_largest_swing_are_deepened() -> None:
    """Black and then White lose as much, or White less."""
    assert not {*range(4)} & asked(game(0.03, 0.28, 0.28, 0.13, nodes=STEP)).keys()
    assert {*range(4)} & asked(game(0.03, 0.28, 0.28, 0.03, nodes=STEP)).keys()


def test_in_a_decided_game_less_is_in_doubt() -> None:
    even, uneven, decided = (_doubts(Color.WHITE, game(worth), 100_000)[-1] for worth in (0.03, 0.5, 0.97))
    assert uneven > even > decided > 0


def test_a_mate_that_was_allowed_asks_whether_it_was_there_before() -> None:
    found = game(0.9, Score(mate=3))  # White was winning anyway when Black allowed it
    assert asked(found)[0] == STEP
    assert not {*range(1, TAIL + 2)} & asked(found).keys()


def test_how_bad_the_worst_move_was_must_be_known_well() -> None:
    """It outweighs the others in the accuracy of its side, though its label and rank are sure."""
    assert {0, 1} & asked(game(0.03, 0.93)).keys()


def test_the_initial_position_is_never_deepened_for_a_verdict() -> None:
    """Lichess counts it as 15 centipawns, whatever it is worth."""
    found = [Found(chances(-0.0735), SCAN, "e2e4", "a2a3")] * TAIL
    while wanted := deepen(Color.WHITE, found, ADAPTIVE):
        found = [replace(item, nodes=wanted.get(ply, item.nodes)) for ply, item in enumerate(found)]
    assert found[0].nodes == SCAN < found[1].nodes


def test_a_wish_is_met_in_every_mode_but_where_the_game_is_over() -> None:
    found = [*game(0.03, 0.28), Found(Score(mate=0), 0, None, None)]
    over = len(found) - 1
    assert deepen(Color.WHITE, found, ADAPTIVE, full={0, over})[0] == 100_000
    assert over not in deepen(Color.WHITE, found, ADAPTIVE, full={0, over})
    assert deepen(Color.WHITE, found, FIXED, full={1, over}) == {1: 100_000}


@pytest.mark.parametrize(("starts", "worth"), [(Color.WHITE, 0.99), (Color.BLACK, -0.99)])
def test_a_final_mate_is_no_loss_of_the_side_that_gives_it(starts: Color, worth: float) -> None:
    assert _loss(starts, 1, chances(worth), Score(mate=0)) == pytest.approx(-0.05, abs=0.01)  # of the cap


def test_a_game_without_moves_has_nothing_at_stake() -> None:
    assert deepen(Color.WHITE, [Found(chances(0), SCAN, "e2e4", None)], ADAPTIVE) == {}


def test_a_richer_evaluation_from_the_store_is_left_alone() -> None:
    assert asked(game(0.03, 0.13, nodes=400_000_000)) == {}


@given(
    st.lists(scores, max_size=12),
    st.sampled_from(Color),
    st.integers(1, 10_000_000),
    st.lists(scores, min_size=1),
)
def test_it_comes_to_an_end_within_the_reference(
    worth: list[Score], starts: Color, reference: int, others: list[Score]
) -> None:
    """Whatever deeper searches find: each asks for more than there was, and at most for the reference."""
    budget = Budget(reference, BudgetMode.ADAPTIVE)
    found = [Found(score, scan_nodes(budget), "e2e4", "a2a3") for score in worth]
    for _ in range(3 * len(found) + 1):
        wanted = deepen(starts, found, budget)
        assert wanted == deepen(starts, [*found], budget)
        for ply, nodes in wanted.items():
            assert found[ply].nodes < nodes <= reference
            found[ply] = Found(others[(ply + nodes) % len(others)], nodes, "e2e4", "a2a3")
        if not wanted:
            return
    pytest.fail("still wants more when every position has the reference")
