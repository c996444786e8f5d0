"""Does a bad plugin harm anything but its own result?"""

import dataclasses
import os
import signal

import pytest
from structlog.testing import capture_logs

from app.contract.analyses import PluginId, PluginResult
from app.contract.games import Color
from plugins.api import AnalysedGame, EarlierGames
from tests.unit.workers.analysis import bad_plugins as bad
from workers.analysis.plugin_runner import run_plugin, sendable

GAME = AnalysedGame(
    id="abcdefgh", variant="standard", initial_fen=None, status="resign", winner=None, uci=("e2e4", "e7e5")
)


def error_of(result: PluginResult) -> str:
    assert result.result is None
    assert result.error is not None
    return result.error


def test_a_good_result_is_stored_as_json() -> None:
    outcome = run_plugin(bad.Good(), GAME)
    assert outcome == PluginResult.model_validate(
        {"plugin": {"name": "good", "version": 1}, "result": {"value": 2.0, "text": ""}}
    )


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (bad.Throws, "LookupError: no ply 99 in abcdefgh"),
        (bad.Exits, "SystemExit: 2"),
        (bad.Interrupts, "KeyboardInterrupt: abcdefgh"),
        (bad.Unspeakable, "Mute: (no message)"),
        (bad.NotANumber, "value: "),
        (bad.WrongField, "value: "),
        (bad.WrongType, "analyse() returned dict, declared is Verdict"),
        (bad.Nul, "NUL"),
        (bad.Huge, "the limit is 1000000"),
        (bad.Deep, "BrokenContract: the result is nested 255 deep, the limit is 100"),
        (bad.Scribbles, "FrozenInstanceError"),
    ],
)
def test_a_bad_plugin_ends_as_an_error_of_its_own(plugin: type[bad.Good], words: str) -> None:
    with capture_logs() as logs:
        outcome = run_plugin(plugin(), GAME)
    assert words in error_of(outcome)
    assert [entry["event"] for entry in logs] == ["plugin_failed"]
    assert run_plugin(bad.Good(), GAME).result is not None


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (bad.Clears, "AttributeError"),
        (bad.Rewrites, "TypeError"),
        (bad.Bends, None),
        (bad.Scribbles, "Frozen"),
    ],
)
def test_a_plugin_that_changes_the_game_harms_no_other(plugin: type[bad.Good], words: str | None) -> None:
    earlier = {Color.WHITE: EarlierGames(games=3, reached=(3, 2, 0), complete=True)}
    game = dataclasses.replace(GAME, earlier_games=earlier)
    before = list(game.moves)
    outcome = run_plugin(plugin(), game)
    assert outcome.error is None if words is None else words in error_of(outcome)
    assert game.earlier_games == {Color.WHITE: EarlierGames(games=3, reached=(3, 2, 0), complete=True)}
    assert [move.uci() for move in before] == [move.uci() for move in game.moves] == list(GAME.uci)


def test_a_mapping_that_a_game_was_made_of_is_not_the_games() -> None:
    earlier = {Color.WHITE: EarlierGames(games=0, reached=(0,), complete=True)}
    game = dataclasses.replace(GAME, earlier_games=earlier)
    earlier.clear()
    assert set(game.earlier_games) == {Color.WHITE}


def test_the_deepest_result_that_is_allowed_is_read_back_from_its_message() -> None:
    outcome = run_plugin(bad.Shallower(), GAME)
    assert outcome.error is None
    assert PluginResult.model_validate_json(outcome.model_dump_json()) == outcome


def test_results_that_would_outgrow_one_message_fail_those_that_go_beyond() -> None:
    def result(name: str, size: int) -> PluginResult:
        return PluginResult(plugin=PluginId(name=name, version=1), result={"text": "é" * (size // 2)})

    failed = PluginResult(plugin=PluginId(name="e", version=1), error="its own")
    results = [result(*each) for each in (("a", 3_000_000), ("b", 2_900_000), ("c", 200_000), ("d", 50_000))]
    with capture_logs() as logs:
        a, b, c, d, e = sendable(iter([*results, failed]))
    assert [a, b, d, e] == [results[0], results[1], results[3], failed]
    assert (c.plugin, c.result) == (results[2].plugin, None)
    assert "it takes 200" in (c.error or "")
    assert [(entry["event"], entry["plugin"]) for entry in logs] == [("plugin_failed", "c")]


def test_an_exception_is_stored_with_the_place_where_it_arose() -> None:
    assert "bad_plugins.py" in error_of(run_plugin(bad.Throws(), GAME))


def test_a_plugin_that_never_returns_is_ended() -> None:
    outcome = run_plugin(bad.Loops(), GAME, time_limit_seconds=0.05)
    assert error_of(outcome) == "PluginTimeout: no result after 0.05 s"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_a_plugin_prints_goes_to_the_log_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    with capture_logs() as logs:
        outcome = run_plugin(bad.Prints(), GAME)
    assert outcome.result is not None
    assert capsys.readouterr().out == ""
    [entry] = logs
    assert entry["event"] == "plugin_printed"
    assert entry["text"].startswith("chatter chatter")
    assert len(entry["text"]) == 2_000


def test_a_copy_that_a_plugin_forks_does_not_work_on() -> None:
    process = os.getpid()
    outcome = run_plugin(bad.Forks(), GAME)
    assert os.getpid() == process
    assert outcome.result == {"value": float(os.EX_SOFTWARE), "text": "abcdefgh"}
