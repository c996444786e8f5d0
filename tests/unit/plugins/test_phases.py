"""Where do the phases of a game begin?"""

import json

import chess
import pytest

from plugins.api import Division
from plugins.phases import Phase, divide, division_of, phase_of, phases
from tests.unit.plugins.games import ONE_GAME, as_analysed, fools_mate, game, needs_data

OPENING, MIDDLEGAME, ENDGAME = Phase.OPENING, Phase.MIDDLEGAME, Phase.ENDGAME


def divided(*fens: str) -> Division:
    return divide(chess.Board(fen) for fen in fens)


START = chess.STARTING_FEN
TEN_PIECES = "r1bqk1nr/pppppppp/8/8/8/8/PPPPPPPP/R1BQK1NR w - - 0 1"
SEVEN_PIECES = "r1bqk1nr/pppppppp/8/8/8/8/PPPPPPPP/R1BK4 w - - 0 1"
SIX_PIECES = "r1bqk3/pppppppp/8/8/8/8/PPPPPPPP/R1BQK3 w - - 0 1"
BARE_BACK_RANK = "rnbqkbnr/pppppppp/8/8/4N3/2NBB3/PPPQPPPP/R3K2R w KQkq - 0 1"


@pytest.mark.parametrize(
    ("fens", "division"),
    [
        ((START,), Division(None, None)),
        ((START, TEN_PIECES, SIX_PIECES), Division(1, 2)),
        ((START, TEN_PIECES, SEVEN_PIECES), Division(1, None)),
        ((START, SIX_PIECES), Division(None, 1)),
        ((START, START, BARE_BACK_RANK), Division(2, None)),
    ],
)
def test_phases_begin_where_pieces_leave_the_board_or_the_back_rank(
    fens: tuple[str, ...], division: Division
) -> None:
    assert divided(*fens) == division


def test_a_middlegame_begins_where_the_armies_have_met() -> None:
    met = "r1bq1rk1/1p1n1ppp/pQ1bpn2/2ppN3/1PnPP1P1/p1PB1Nb1/PP2q1PP/R1BQ1R1K w - - 0 1"
    apart = "r1bqkbnr/pppp1ppp/2n5/4p3/4P3/5N2/PPPP1PPP/RNBQKB1R w KQkq - 0 1"
    assert divided(apart) == Division(None, None)
    assert divided(met) == Division(0, None)


def test_every_ply_has_a_phase() -> None:
    division = Division(middlegame_ply=2, endgame_ply=4)
    found = [phase_of(division, ply) for ply in range(6)]
    assert found == [OPENING, OPENING, MIDDLEGAME, MIDDLEGAME, ENDGAME, ENDGAME]
    assert [phase_of(Division(None, 1), ply) for ply in range(2)] == [OPENING, ENDGAME]
    assert phases(game((), [])) == (OPENING,)


def test_the_division_of_the_export_is_preferred() -> None:
    assert division_of(fools_mate()) == Division(None, None)
    given = Division(middlegame_ply=2, endgame_ply=None)
    assert division_of(fools_mate(division=given)) == given
    assert phases(fools_mate(division=given)) == (OPENING, OPENING, MIDDLEGAME, MIDDLEGAME, MIDDLEGAME)


@needs_data
def test_a_real_game_is_divided_as_lichess_divides_it() -> None:
    entry = json.loads(ONE_GAME.read_text())
    division = division_of(as_analysed(entry))
    assert entry["division"] == {"middle": division.middlegame_ply, "end": division.endgame_ply}
