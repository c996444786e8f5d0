"""Has every real game the numbers of one version of lila, by the way that users get them?

The unit tests look at some; all of them take a minute and a half of a processor.
"""

from dev.parity import Formulas, Tally, compare, exported_games
from tests.unit.plugins.games import RAPID, RARITIES, needs_data


@needs_data
def test_every_real_game_has_the_numbers_of_one_version_of_lila() -> None:
    present, detected = Tally(), Tally()
    for file in (RAPID, RARITIES):
        for game in exported_games(file):
            compare(game, present, detected)
    assert present.sides > 6_000
    assert present.judgements / (3 * present.sides) >= 0.999
    assert present.acpl / present.sides >= 0.998
    assert detected.games[Formulas.NEITHER] == 0
    assert detected.games[Formulas.OLDER] < 20
    assert detected.acpl == detected.sides == detected.judgements / 3
