"""Does a plugin get what its contract promises?"""

import dataclasses

import chess
import pytest
from pydantic import ValidationError

from app.contract.games import Color
from app.contract.positions import Score
from plugins import api
from plugins.api import AnalysedGame, PluginOutput, PositionEvaluation

BLACK_STARTS = "4k3/4p3/8/8/8/8/4P3/4K3 b - - 0 1"


def game(*uci: str, variant: str = "standard", initial_fen: str | None = None) -> AnalysedGame:
    return AnalysedGame(
        id="abcdefgh", variant=variant, initial_fen=initial_fen, status="resign", winner=None, uci=uci
    )


def test_every_public_name_is_there_and_listed() -> None:
    assert all(hasattr(api, name) for name in api.__all__)


def test_boards_follow_the_plies_from_the_initial_position() -> None:
    boards = list(game("e2e4", "e7e5").boards())
    assert [board.ply() for board in boards] == [0, 1, 2]
    assert boards[0].fen() == chess.STARTING_FEN
    assert boards[2] == game("e2e4", "e7e5").board(2)


def test_a_board_is_the_callers_own() -> None:
    played = game("e2e4", "e7e5")
    for board in played.boards():
        board.clear()
    assert played.board(0).fen() == chess.STARTING_FEN
    assert played.board(2).piece_at(chess.E5) is not None


def test_the_mover_follows_the_initial_position() -> None:
    assert [game("e2e4").mover(ply) for ply in (1, 2, 3)] == [Color.WHITE, Color.BLACK, Color.WHITE]
    by_black = game("e7e5", variant="fromPosition", initial_fen=BLACK_STARTS)
    assert [by_black.mover(ply) for ply in (1, 2)] == [Color.BLACK, Color.WHITE]


def test_moves_are_named_in_san() -> None:
    assert game("e2e4", "e7e5", "g1f3").san(3) == "Nf3"
    for variant in ("chess960", "fromPosition"):
        unorthodox = game("b1f1", variant=variant, initial_fen="1k6/8/8/8/8/8/8/1K3R2 w F - 0 1")
        assert unorthodox.san(1) == "O-O"
        assert next(unorthodox.boards()).chess960


def test_best_moves_are_known_only_where_each_position_with_a_choice_has_one() -> None:
    def known(*lines: tuple[str, ...], fen: str | None = None) -> bool:
        evaluations = tuple(PositionEvaluation(score=Score(cp=0), depth=1, nodes=1, pv=pv) for pv in lines)
        uci, variant = (("e2e4",), "standard") if fen is None else (("e1e2",), "fromPosition")
        played = game(*uci, variant=variant, initial_fen=fen)
        return dataclasses.replace(played, evaluations=evaluations).best_moves_known

    assert known(("e2e4",), ())
    assert not known((), ("e7e5",))
    assert not known()
    assert known((), (), fen="4k3/8/8/8/8/8/8/4K3 w - - 0 1")


def test_a_game_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        game().status = "mate"  # type: ignore[misc]


def test_a_result_takes_no_infinity_and_no_unknown_field() -> None:
    class Output(PluginOutput):
        value: float

    for fields in ({"value": float("nan")}, {"value": float("inf")}, {"value": 1, "more": 2}):
        with pytest.raises(ValidationError):
            Output.model_validate(fields)
