"""Does the confidence of a label say what was measured?"""

import pytest

from plugins.confidence import label_confidence


@pytest.mark.parametrize(
    ("nodes", "distance", "survived"),
    [
        (1_562, 0.005, 0.24),
        (1_562, 0.015, 0.33),
        (1_562, 0.04, 0.34),
        (6_250, 0.005, 0.28),
        (6_250, 0.015, 0.33),
        (6_250, 0.025, 0.37),
        (6_250, 0.04, 0.41),
        (6_250, 0.15, 0.67),
    ],
)
def test_as_many_labels_survive_as_it_says(nodes: int, distance: float, survived: float) -> None:
    """Shares measured at these distances (docs/analysis.md)."""
    assert label_confidence(nodes, distance) == pytest.approx(survived, abs=0.06)


def test_it_grows_with_the_nodes_and_with_the_distance() -> None:
    assert label_confidence(25_000, 0.05) < label_confidence(100_000, 0.05) < label_confidence(100_000, 0.1)
    assert label_confidence(1, 0) == label_confidence(10**9, 0) == 0.25
    assert label_confidence(100_000, 2.0) == 1
