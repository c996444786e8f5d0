"""Do the costs of a history hold what plugins wish for?"""

from pathlib import Path

import pytest

from app.contract.analyses import BudgetMode
from tests.bench.analysis.costs import history, stored_and_again
from workers.analysis.budget import Budget

BUNDLED = Path(__file__).parents[2] / "fakes/lichess/games/selfplay.ndjson"


@pytest.mark.parametrize("mode", [*BudgetMode])
def test_wishes_are_searched_once_and_a_backfill_searches_nothing(mode: BudgetMode) -> None:
    claims = history(BUNDLED, 6)
    reuse, backfill = stored_and_again([*claims, claims[-1]], Budget(100_000, mode))
    assert (reuse.games, backfill.games) == (7, 7)
    assert 0 < reuse.searched < reuse.positions
    assert 16 <= reuse.wishes_searched < reuse.wished <= 7 * 16
    assert backfill.searched == 0
