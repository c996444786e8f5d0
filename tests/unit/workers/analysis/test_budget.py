"""Does the adaptive mode spend its nodes where something is at stake, and there alone?"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.analyses import BudgetMode
from app.contract.games import Color
from app.contract.positions import Score
from workers.analysis.budget import Budget, Found, deepen, scan_nodes

FIXED = Budget(100_000, BudgetMode.FIXED)
ADAPTIVE = Budget(100_000, BudgetMode.ADAPTIVE)
SCAN = scan_nodes(ADAPTIVE)

scores = st.one_of(
    st.integers(-3_000, 3_000).map(lambda cp: Score(cp=cp)),
    st.integers(-9, 9).filter(bool).map(lambda mate: Score(mate=mate)),
)


def chances(value: float) -> Score:
    """Return the score that stands for White's winning chances."""
    return Score(cp=round(math.log((1 + value) / (1 - value)) / 0.00368208))


def game(*worth: Score, nodes: int = SCAN) -> list[Found]:
    """Return a game of which every position has had the scan."""
    return [Found(score, nodes, "e2e4", "a2a3") for score in worth]


def played_out(found: list[Found], budget: Budget) -> list[int]:
    """Return the nodes of each position in the end, where no search changes a score."""
    found = [*found]
    while wanted := deepen(Color.WHITE, found, budget):
        for ply, nodes in wanted.items():
            assert nodes > found[ply].nodes
            found[ply] = Found(found[ply].score, nodes, found[ply].best, found[ply].played)
    return [item.nodes for item in found]


def test_the_fixed_mode_scans_with_the_reference_and_deepens_nothing() -> None:
    assert scan_nodes(FIXED) == 100_000
    assert deepen(Color.WHITE, game(chances(0), chances(0.2), chances(0.05), nodes=100_000), FIXED) == {}


def test_a_small_reference_is_scanned_with_nodes_that_say_something() -> None:
    assert [scan_nodes(Budget(nodes, BudgetMode.ADAPTIVE)) for nodes in (500, 4_000, 160_000)] == [
        500,
        1_000,
        10_000,
    ]


def test_a_quiet_game_gets_no_more_than_the_scan() -> None:
    # White alone gains, and slowly: no move loses anything, and one gains clearly most.
    quiet = [chances(value) for value in (0.03, 0.03, 0.04, 0.04, 0.04, 0.25, 0.26, 0.26)]
    assert played_out(game(*quiet), ADAPTIVE) == [SCAN] * 8


def test_a_loss_at_a_threshold_brings_both_its_positions_to_the_reference() -> None:
    # Move 3, White's, loses 0.1; move 6, Black's, is the largest swing by far.
    worth = [chances(value) for value in (0.03, 0.04, 0.04, -0.06, -0.06, -0.06, 0.7, 0.7)]
    assert played_out(game(*worth), ADAPTIVE) == [SCAN, SCAN, 100_000, 100_000, SCAN, SCAN, SCAN, SCAN]


@pytest.mark.parametrize("loss", [0.1, 0.2, 0.3])
def test_every_threshold_of_a_label_counts(loss: float) -> None:
    worth = [chances(value) for value in (0.03, 0.03, 0.03 - loss, 0.03 - loss, 0.03 - loss, 0.9, 0.9)]
    assert {*deepen(Color.BLACK, game(*worth), ADAPTIVE)} in ({1}, {2})


def test_neighbours_are_not_deepened_at_once() -> None:
    """What the first search shows may settle the label: here it does."""
    found = game(*(chances(value) for value in (0.03, 0.04, 0.04, -0.06, -0.06, -0.06, 0.7, 0.7)))
    first = deepen(Color.WHITE, found, ADAPTIVE)
    assert [*first] == [2]
    found[2] = Found(chances(-0.05), first[2], "e2e4", "a2a3")
    assert deepen(Color.WHITE, found, ADAPTIVE) == {}


def test_rivals_for_the_largest_swing_are_deepened() -> None:
    worth = [chances(value) for value in (0.0, 0.0, 0.0, -0.6, -0.6, -0.6, 0.0, 0.0)]
    assert played_out(game(*worth), ADAPTIVE)[2:7] == [100_000, 100_000, SCAN, 100_000, 100_000]


def test_a_mate_that_was_allowed_asks_whether_it_was_there_before() -> None:
    worth = [chances(0.03), chances(-0.1), Score(mate=-3), Score(mate=-3)]
    found = game(*worth)
    assert [*deepen(Color.BLACK, found, ADAPTIVE)] == [1]


def test_the_initial_position_is_never_deepened_for_a_label() -> None:
    """Lichess counts it as 15 centipawns, whatever it is worth."""
    assert 0 not in deepen(Color.WHITE, game(chances(0.5), chances(-0.08), chances(-0.08)), ADAPTIVE)


def test_a_wish_is_met_in_every_mode_but_where_the_game_is_over() -> None:
    found = [*game(chances(0), chances(0)), Found(Score(mate=0), 0, None, None)]
    assert deepen(Color.WHITE, found, ADAPTIVE, full={0, 2}) == {0: 100_000}
    assert deepen(Color.WHITE, found, FIXED, full={1}) == {1: 100_000}


def test_a_final_mate_has_no_doubt_and_a_game_without_moves_nothing_at_stake() -> None:
    over = [*game(chances(0), chances(0.9)), Found(Score(mate=0), 0, None, None)]
    assert 2 not in deepen(Color.BLACK, over, ADAPTIVE)
    assert deepen(Color.WHITE, game(chances(0)), ADAPTIVE) == {}


def test_a_richer_evaluation_from_the_store_is_left_alone() -> None:
    worth = [chances(value) for value in (0.03, 0.04, 0.04, -0.06, -0.06, -0.06, 0.7, 0.7)]
    assert deepen(Color.WHITE, game(*worth, nodes=400_000), ADAPTIVE) == {}


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
    found = game(*worth, nodes=scan_nodes(budget))
    for _ in range(3 * len(found) + 1):
        wanted = deepen(starts, found, budget)
        assert wanted == deepen(starts, [*found], budget)
        for ply, nodes in wanted.items():
            assert found[ply].nodes < nodes <= reference
            found[ply] = Found(others[(ply + nodes) % len(others)], nodes, "e2e4", "a2a3")
        if not wanted:
            return
    pytest.fail("still wants more when every position has the reference")
