"""Of two neighbours, does the deeper search count for both, where it can and only there?"""

from typing import Any

import pytest

from app.contract.borrowing import Searched, best_line, lenders

POOR, RICH = 3_000, 100_000
QUIET = Searched(POOR, mate=False, best="e2e4", played="a2a3")
"""Another move than the best was played."""
FOLLOWED = QUIET._replace(played="e2e4")


def game(*middle: Searched) -> list[Searched]:
    return [QUIET, *middle, QUIET._replace(played=None)]


def test_a_deeper_search_tells_the_score_after_its_best_move() -> None:
    assert lenders(game(FOLLOWED._replace(nodes=RICH), QUIET)) == [0, 1, 1, 3]


def test_a_deeper_search_after_the_best_move_tells_the_score_before_it() -> None:
    assert lenders(game(FOLLOWED, QUIET._replace(nodes=RICH))) == [0, 2, 2, 3]


def test_nothing_is_lent_across_a_move_that_was_not_the_best() -> None:
    assert lenders(game(QUIET, QUIET._replace(nodes=RICH), QUIET)) == [0, 1, 2, 3, 4]


def test_the_deeper_of_two_lenders_counts() -> None:
    rich, richer = FOLLOWED._replace(nodes=RICH), QUIET._replace(nodes=2 * RICH)
    assert lenders(game(rich, FOLLOWED, richer))[2] == 3
    assert lenders(game(FOLLOWED._replace(nodes=2 * RICH), FOLLOWED, rich._replace(played="a2a3")))[2] == 1


def test_nothing_is_lent_on() -> None:
    """Two moves on, the search is one of another position."""
    assert lenders(game(FOLLOWED._replace(nodes=RICH), FOLLOWED, QUIET)) == [0, 1, 1, 3, 4]


@pytest.mark.parametrize(
    ("lender", "borrower"),
    [
        ({"nodes": POOR}, {}),
        ({"nodes": 2 * POOR - 1}, {}),
        ({"mate": True}, {}),
        ({}, {"mate": True}),
        ({}, {"nodes": 0}),  # what is known needs no lender
    ],
)
def test_who_has_hardly_more_or_is_sure_neither_lends_nor_borrows(
    lender: dict[str, Any], borrower: dict[str, Any]
) -> None:
    rich = FOLLOWED._replace(nodes=RICH)
    assert lenders(game(rich, QUIET))[2] == 1
    assert lenders(game(rich._replace(**lender), QUIET._replace(**borrower)))[2] == 2


def test_the_line_goes_on_from_the_position_or_begins_with_the_move_to_the_lender() -> None:
    lent = ["e2e4", "e7e5", "g1f3"]
    assert best_line(["c7c5"], lent, "a7a6", from_before=True) == ["e7e5", "g1f3"]
    assert best_line(["c7c5"], ["e2e4"], "a7a6", from_before=True) == ["c7c5"]
    assert best_line(["e2e4"], ["e7e5", "g1f3"], "e2e4", from_before=False) == lent
