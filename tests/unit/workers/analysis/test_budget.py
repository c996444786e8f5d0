"""Does the adaptive mode spend its nodes where something is at stake, and there alone?"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.analyses import BudgetMode
from app.contract.games import Color
from app.contract.positions import Score
from workers.analysis.budget import Budget, Found, deepen, scan_nodes, steps

FIXED = Budget(100_000, BudgetMode.FIXED)
ADAPTIVE = Budget(100_000, BudgetMode.ADAPTIVE)
SCAN = scan_nodes(ADAPTIVE)
QUIET = 81
"""Positions at the beginning of a game, so many that no single score weighs much in the accuracy. The moves
that lead to the positions after them are White's, Black's, White's, …"""

scores = st.one_of(
    st.integers(-3_000, 3_000).map(lambda cp: Score(cp=cp)),
    st.integers(-9, 9).filter(bool).map(lambda mate: Score(mate=mate)),
)


def chances(value: float) -> Score:
    """Return the score that stands for White's winning chances."""
    return Score(cp=round(math.log((1 + value) / (1 - value)) / 0.00368208))


def game(*worth: Score, nodes: int = SCAN) -> list[Found]:
    """Return a game of which every position has had the scan: `QUIET` ones, then these."""
    return [Found(score, nodes, "e2e4", "a2a3") for score in (*[chances(0.03)] * QUIET, *worth)]


def asked(found: list[Found], budget: Budget = ADAPTIVE) -> dict[int, int]:
    """Return what is asked for, by the position's place after the quiet ones."""
    return {ply - QUIET: nodes for ply, nodes in deepen(Color.WHITE, found, budget).items()}


def played_out(found: list[Found], budget: Budget = ADAPTIVE) -> list[int]:
    """Return the nodes of each position after the quiet ones in the end, where no search changes a score."""
    found = [*found]
    while wanted := deepen(Color.WHITE, found, budget):
        for ply, nodes in wanted.items():
            assert nodes > found[ply].nodes
            found[ply] = Found(found[ply].score, nodes, found[ply].best, found[ply].played)
    assert {item.nodes for item in found[: QUIET - 1]} == {SCAN}
    return [item.nodes for item in found[QUIET:]]


def test_the_fixed_mode_scans_with_the_reference_and_deepens_nothing() -> None:
    assert steps(FIXED) == (100_000,)
    assert scan_nodes(FIXED) == 100_000
    assert deepen(Color.WHITE, game(chances(0.2), chances(0.05), nodes=100_000), FIXED) == {}


def test_a_small_reference_is_scanned_with_nodes_that_say_something() -> None:
    # Of 5,999, a scan would take more than a quarter.
    references = (500, 5_999, 6_000, 160_000)
    scans = [scan_nodes(Budget(nodes, BudgetMode.ADAPTIVE)) for nodes in references]
    assert scans == [500, 5_999, 1_500, 5_000]


def test_a_quiet_game_gets_no_more_than_the_scan() -> None:
    """One move, White's, wins much: so it is clear which is the largest swing, and nobody lost anything."""
    quiet = (chances(value) for value in (0.03, 0.03, 0.4, 0.41, 0.4, 0.4))
    assert played_out(game(*quiet)) == [SCAN] * 6


def test_a_loss_at_a_threshold_brings_both_its_positions_to_the_reference() -> None:
    worth = (chances(value) for value in (0.03, 0.03, -0.075, -0.075, -0.075, 0.4, 0.4))
    assert played_out(game(*worth)) == [SCAN, 100_000, 100_000, SCAN, SCAN, SCAN, SCAN]


@pytest.mark.parametrize(
    ("loss", "at_stake"), [(0.101, True), (0.15, False), (0.201, True), (0.25, False), (0.301, True)]
)
def test_a_label_is_at_stake_at_each_threshold_and_not_between(loss: float, at_stake: bool) -> None:
    worth = (chances(value) for value in (0.03, 0.03 + loss, 0.03 + loss, 0.97, 0.97))
    assert bool({0, 1} & asked(game(*worth, nodes=25_000)).keys()) == at_stake


def test_a_label_is_sooner_lost_than_gained() -> None:
    """So far from a threshold a labelled move is at stake, and one that just escaped the label is not."""
    labelled, escaped = ((chances(value) for value in (0.03, 0.03, 0.03 - loss)) for loss in (0.111, 0.089))
    rest = [chances(-0.07), chances(-0.07), chances(0.5)]
    assert {1, 2} & asked(game(*labelled, *rest, nodes=25_000)).keys()
    assert not {1, 2} & asked(game(*escaped, *rest, nodes=25_000)).keys()


def test_a_move_that_the_engine_prefers_itself_is_unlabelled() -> None:
    found = game(*(chances(value) for value in (0.03, 0.03, -0.085, -0.085, -0.085, 0.5)))
    assert {1, 2} & asked(found).keys()
    found[QUIET + 1] = Found(found[QUIET + 1].score, SCAN, "a2a3", "a2a3")
    assert not {1, 2} & asked(found).keys()


def test_neighbours_are_not_deepened_at_once() -> None:
    """What the first search shows may settle the label: here it does."""
    found = game(*(chances(value) for value in (0.03, 0.03, -0.085, -0.085, -0.085, 0.4, 0.4)))
    first = asked(found)
    assert [*first] in ([1], [2])
    at, nodes = first.popitem()
    found[QUIET + at] = Found(chances(-0.02), nodes, "e2e4", "a2a3")
    assert asked(found) == {}


def test_rivals_for_the_largest_swing_are_deepened() -> None:
    lone, rivals = (
        (chances(value) for value in (0.03, 0.03, 0.48, 0.48, 0.48, other, other)) for other in (0.6, 0.93)
    )
    assert played_out(game(*lone))[1:3] == [SCAN, SCAN]
    assert played_out(game(*rivals))[1:3] == [100_000, 100_000]


def test_in_a_decided_game_less_is_in_doubt() -> None:
    """Two moves on end lose a little more than an inaccuracy does: White's, then Black's."""
    near, far = (
        [chances(value) for value in (base, base, base - 0.15, base, base, last)]
        for base, last in ((0.03, 0.93), (0.97, 0.03))  # the last move is the largest swing
    )
    assert 2 in asked(game(*near))
    assert 2 not in asked(game(*far))


def test_a_mate_that_was_allowed_asks_whether_it_was_there_before() -> None:
    found = game(chances(0.9), Score(mate=3), Score(mate=3))  # White was winning anyway when Black allowed it
    assert asked(found) == {0: 12_500}


def test_how_bad_the_worst_move_was_must_be_known_well() -> None:
    """It outweighs the others in the accuracy of its side, though its label and rank are sure."""
    worth = (chances(value) for value in (0.4, 0.4, -0.4, -0.4, -0.4))
    assert asked(game(*worth))


def test_the_initial_position_is_never_deepened_for_a_verdict() -> None:
    """Lichess counts it as 15 centipawns, whatever it is worth."""
    found = [Found(chances(-0.0735), SCAN, "e2e4", "a2a3")] * QUIET
    while wanted := deepen(Color.WHITE, found, ADAPTIVE):
        found = [
            Found(item.score, wanted.get(ply, item.nodes), item.best, item.played)
            for ply, item in enumerate(found)
        ]
    assert [item.nodes for item in found[:2]] == [SCAN, 100_000]


def test_what_a_neighbour_tells_is_not_searched_again() -> None:
    """Across the best move the deeper of two searches counts for both positions."""
    found = game(*(chances(value) for value in (0.03, 0.03, -0.075, -0.075, -0.075, 0.4, 0.4)))
    assert 2 in asked(found) or 1 in asked(found)
    for ply in (QUIET + 1, QUIET + 3):
        found[ply] = Found(found[ply].score, 100_000, "e2e4", "a2a3")
    found[QUIET + 2] = Found(found[QUIET + 2].score, SCAN, "a2a3", "a2a3")
    assert not {1, 2, 3} & asked(found).keys()
    found[QUIET + 2] = Found(found[QUIET + 2].score, SCAN, "e2e4", "a2a3")
    assert 2 in asked(found)


def test_a_wish_is_met_in_every_mode_but_where_the_game_is_over() -> None:
    found = [*game(chances(0.03)), Found(Score(mate=0), 0, None, None)]
    over = len(found) - 1
    assert deepen(Color.WHITE, found, ADAPTIVE, full={0, over}) == {0: 100_000}
    assert deepen(Color.WHITE, found, FIXED, full={1, over}) == {1: 100_000}


def test_a_final_mate_is_no_loss_of_the_side_that_gives_it() -> None:
    won = chances(0.99)
    found = [*game(won, won), Found(Score(mate=0), 0, None, None)]
    assert asked(found) == {}


def test_a_game_without_moves_has_nothing_at_stake() -> None:
    assert deepen(Color.WHITE, [Found(chances(0), SCAN, "e2e4", None)], ADAPTIVE) == {}


def test_a_richer_evaluation_from_the_store_is_left_alone() -> None:
    worth = (chances(value) for value in (0.03, 0.03, -0.07, -0.07, -0.07, 0.4, 0.4))
    assert asked(game(*worth, nodes=400_000)) == {}


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
