"""Does the test kit find what is wrong with a plugin, and nothing that is not?"""

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.contract.rules import ANALYSABLE_VARIANTS
from plugins.api import AnalysedGame, Needs, Plugin, PluginOutput, Wish
from plugins.testkit import assert_fit, check_plugin, load_samples, odd_games
from plugins.testkit.template import write_package
from workers.analysis.plugin_registry import load_plugins


class Output(PluginOutput):
    value: float
    text: str = ""


class Counts(Plugin[Output]):
    """Is fit: counts the plies."""

    api_version: ClassVar[int] = 1
    name: ClassVar[str] = "counts"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Counts"
    description: ClassVar[str] = "How many plies there are."
    result_type: ClassVar[type[PluginOutput]] = Output

    def analyse(self, game: AnalysedGame) -> Output:
        return Output(value=game.plies)


def variant(analyse: Callable[[AnalysedGame], Any], **attributes: Any) -> type[Counts]:
    """Make a plugin that is Counts but for this."""
    return type("Variant", (Counts,), {"analyse": lambda _self, game: analyse(game), **attributes})


def problems(kind: Any, **options: Any) -> set[str]:
    return {str(problem) for problem in check_plugin(kind, **options).problems}


@pytest.mark.parametrize("plugin", list(load_plugins()), ids=lambda plugin: plugin.name)
def test_every_installed_plugin_is_fit(plugin: Plugin[PluginOutput]) -> None:
    assert_fit(type(plugin))


def test_the_samples_are_of_every_kind() -> None:
    games = load_samples().values()
    assert {0, 1, 2} <= {game.plies for game in games}
    assert max(game.plies for game in games) > 200
    assert {game.variant for game in games} == ANALYSABLE_VARIANTS
    assert {"mate", "stalemate", "resign", "outoftime", "noStart", "aborted"} <= {
        game.status for game in games
    }
    assert any(game.clocks_cs is None for game in games)
    assert any(game.starts == "black" for game in games)
    assert any(item.score.mate is not None for game in games for item in game.evaluations)
    for game in games:
        assert len(game.evaluations) == (game.plies + 1 if game.plies else 0)
        boards = list(game.boards())
        for board, evaluation in zip(boards, game.evaluations, strict=False):
            assert bool(evaluation.pv) == any(board.legal_moves)
            assert evaluation.score.mate != 0 or board.is_checkmate()
            if evaluation.pv:
                assert board.parse_uci(evaluation.pv[0])


def test_odd_games_have_evaluations_only_where_that_is_promised() -> None:
    evaluated = dict(odd_games())
    assert all(bool(game.evaluations) == bool(game.plies) for game in evaluated.values())
    free = dict(odd_games(evaluated=False))
    assert set(free) - set(evaluated) == {"without evaluations"}
    lines = [item.lines for item in evaluated["with several lines"].evaluations]
    assert any(len(found) == 2 for found in lines)


def test_a_report_can_be_read() -> None:
    text = str(check_plugin(Counts))
    assert text.startswith("counts 1 (")
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["games", "time", "results", "fit"]


@pytest.mark.mutation("contract of plugins")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (object, "contract: is no subclass of plugins.api.Plugin"),
        (Plugin, "contract: is written for plugin API None, this is 1"),
        (variant(lambda _: None, version=0), "contract: has no valid version: 0"),
        (variant(lambda _: None, name="No Name"), "contract: has no valid name: 'No Name'"),
    ],
)
def test_a_class_that_is_no_plugin_is_not_run(kind: Any, expected: str) -> None:
    assert problems(kind) == {expected}


@pytest.mark.mutation("contract of plugins")
def test_an_exception_is_shown_with_its_place() -> None:
    found = problems(variant(lambda game: Output(value=game.evaluations[0].score.cp or 0)))
    assert {problem.partition(":")[0] for problem in found} == {
        "result in a game without moves",
        *(["result in a game without moves but with clocks"]),
    }
    assert all("IndexError" in problem and "test_testkit.py" in problem for problem in found)


@pytest.mark.mutation("contract of plugins")
@pytest.mark.parametrize(
    ("analyse", "expected"),
    [
        (lambda _: {"value": 1}, "analyse() returned dict, declared is Output"),
        (lambda _: Output.model_construct(value=float("nan")), "value: Input should be a finite number"),
        (lambda _: Output(value=1, text="x" * 1_000_001), "the limit is 1000000"),
        (lambda _: Output.model_construct(value=1, text="\ud800"), "the result is no JSON"),
        (lambda _: sys.exit(3), "SystemExit: 3"),
    ],
)
def test_a_result_that_cannot_be_stored_is_found(
    analyse: Callable[[AnalysedGame], Any], expected: str
) -> None:
    found = problems(variant(analyse))
    assert len(found) > 30
    assert all(problem.startswith("result in a game ") and expected in problem for problem in found)


@pytest.mark.mutation("purity of plugins")
def test_a_plugin_that_draws_lots_is_not_pure() -> None:
    found = problems(variant(lambda _: Output(value=random.random())))
    assert all(
        problem.startswith("purity in a game ") and "two runs differ: value" in problem for problem in found
    )
    assert found


@pytest.mark.mutation("purity of plugins")
def test_a_plugin_that_remembers_other_games_is_not_pure() -> None:
    seen: list[str] = []

    def analyse(game: AnalysedGame) -> Output:
        seen.append(game.id)
        return Output(value=len(set(seen)))

    assert problems(variant(analyse))


@pytest.mark.mutation("purity of plugins")
def test_a_plugin_that_changes_what_the_next_one_sees_is_found() -> None:
    def clears(game: AnalysedGame) -> Output:
        game.earlier_games.clear()  # type: ignore[attr-defined]
        return Output(value=0)

    def pushes(game: AnalysedGame) -> Output:
        for earlier in game.earlier_games.values():
            earlier.reached.append(0)  # type: ignore[attr-defined]
        return Output(value=0)

    assert len(problems(variant(clears))) > 30
    assert {problem.partition(":")[0] for problem in problems(variant(pushes))} == {
        "result in a game that both players know",
        "result in a game that both players play first",
    }


@pytest.mark.mutation("contract of plugins")
def test_a_result_that_changes_on_its_way_through_json_is_found() -> None:
    class Secretive(Output):
        def model_post_init(self, _: Any) -> None:
            object.__setattr__(self, "value", self.value + 1)

    kind = variant(lambda _: Secretive.model_construct(value=1.0), result_type=Secretive)
    assert any(problem.startswith("round trip") for problem in problems(kind))


def a_thread(_: AnalysedGame) -> Output:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return Output(value=0)


def a_program(_: AnalysedGame) -> Output:
    subprocess.run(["true"], check=True)
    return Output(value=0)


def a_file(_: AnalysedGame) -> Output:
    return Output(value=len(Path("/etc/hostname").read_text()))


@pytest.mark.mutation("purity of plugins")
@pytest.mark.parametrize(
    ("analyse", "effect"),
    [
        pytest.param(
            a_thread,
            "starts a thread",
            marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="Python says nothing of threads"),
        ),
        (a_program, "starts a program"),
        (a_file, "opens /etc/hostname"),
    ],
)
def test_what_a_plugin_does_beside_computing_is_found(
    analyse: Callable[[AnalysedGame], Output], effect: str
) -> None:
    assert f"side effects in a game without moves: {effect}" in problems(variant(analyse))


@pytest.mark.mutation("contract of plugins")
@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (lambda _self, game: {game.plies + 1: Wish()}, "a wish for ply"),
        (lambda _self, _game: {0: Wish(lines=9)}, "can't be fulfilled"),
        (lambda _self, _game: [Wish()], "wishes() returned list"),
    ],
)
def test_wishes_that_nobody_can_fulfil_are_found(
    wishes: Callable[[Any, AnalysedGame], Any], expected: str
) -> None:
    found = problems(type("Wishful", (Counts,), {"wishes": wishes}))
    assert found
    assert all(expected in problem for problem in found)


@pytest.mark.mutation("purity of plugins")
def test_wishes_are_counted_and_must_be_the_same_each_time() -> None:
    class Wishful(Counts):
        def wishes(self, game: AnalysedGame) -> Mapping[int, Wish]:
            return {0: Wish(lines=2)} if game.plies else {}

    report = check_plugin(Wishful)
    assert report.fit
    assert set(report.wishes.values()) == {0, 1}

    class Fickle(Counts):
        def wishes(self, game: AnalysedGame) -> Mapping[int, Wish]:
            return {random.randrange(game.plies): Wish(lines=2)} if game.plies > 20 else {}

    assert any("two runs wish for different positions" in problem for problem in problems(Fickle))


@pytest.mark.mutation("contract of plugins")
def test_a_plugin_that_never_ends_is_stopped() -> None:
    def analyse(game: AnalysedGame) -> Output:
        while game.plies == 242:
            pass
        return Output(value=0)

    assert problems(variant(analyse), time_limit_seconds=2) == {
        "result in a game of 242 plies: no result after 2 s"
    }


@pytest.mark.mutation("contract of plugins")
def test_a_plugin_without_need_of_evaluations_is_tried_without() -> None:
    kind = variant(
        lambda game: Output(value=game.evaluations[game.plies].depth if game.plies else 0),
        needs=Needs(evaluations=False),
    )
    (problem,) = problems(kind)
    assert problem.startswith("result in a game without evaluations: IndexError")


@pytest.mark.mutation("contract of plugins")
def test_an_author_sees_the_whole_report() -> None:
    with pytest.raises(AssertionError, match="NOT FIT"):
        assert_fit(variant(lambda _: None))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return write_package("my_first_plugin", tmp_path)


def test_a_template_is_named_throughout(template: Path) -> None:
    assert {path.name for path in template.iterdir()} == {
        "pyproject.toml",
        "scoresheet_my_first_plugin.py",
        "test_my_first_plugin.py",
    }
    texts = [path.read_text() for path in template.iterdir()]
    assert not any("$" in text for text in texts)
    assert (
        'my_first_plugin = "scoresheet_my_first_plugin:MyFirstPlugin"'
        in (template / "pyproject.toml").read_text()
    )


def test_a_template_writes_over_nothing(template: Path) -> None:
    with pytest.raises(FileExistsError):
        write_package("my_first_plugin", template.parent)


@pytest.mark.parametrize("name", ["", "Plugin", "1st", "my-plugin", "../up", "a__b", "x" * 65])
def test_a_template_has_a_name_that_a_plugin_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no name for a plugin"):
        write_package(name, tmp_path)
    assert list(tmp_path.iterdir()) == []
