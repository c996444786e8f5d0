"""Does `scoresheet plugin` say what is installed, what is wrong, and how to begin?"""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from app import cli as app_cli
from plugins.testkit.template import write_package
from workers import cli, plugin_cli
from workers.analysis import plugin_registry
from workers.analysis.plugin_registry import GROUP, load_plugins

FAKES = "tests.fakes.plugins"


def plugin(*arguments: str) -> int:
    return cli.main(["plugin", *arguments])


def install(monkeypatch: pytest.MonkeyPatch, **plugins: str) -> None:
    entries = [EntryPoint(name, value, GROUP) for name, value in plugins.items()]
    monkeypatch.setattr(plugin_registry, "entry_points", lambda *, group: entries if group == GROUP else [])


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Write a plugin that is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        yield write_package("probe", tmp_path) / "scoresheet_probe.py"


def test_the_list_names_every_installed_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    assert plugin("list") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (item.name, str(item.version), item.title) for item in load_plugins()
    ]


def test_the_list_goes_on_past_a_broken_plugin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, gone="nowhere.at.all:Plugin", mates=f"{FAKES}.versions:First")
    assert plugin("list") == 1
    broken, good = capsys.readouterr().out.splitlines()
    assert broken.startswith("gone\t-\tBROKEN: ")
    assert "ModuleNotFoundError" in broken
    assert good == f"mates\t1\tMates\t{FAKES}.versions:First"


def test_an_installed_plugin_is_checked_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert plugin("check", "largest_swing") == 0
    out = capsys.readouterr().out
    assert out.startswith("largest_swing 1 (plugins.largest_swing:LargestSwing)\n")
    assert out.endswith("  fit\n")


def test_all_installed_plugins_are_checked_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(
        monkeypatch, mates=f"{FAKES}.versions:First", temperamental=f"{FAKES}.temperamental:Temperamental"
    )
    assert plugin("check") == 0
    assert capsys.readouterr().out.count("  fit\n") == 2


def test_a_class_is_checked_by_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert plugin("check", f"{FAKES}.versions:Second") == 0
    assert capsys.readouterr().out.startswith("mates 2 ")


def test_a_file_is_checked_without_being_installed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plugin("check", str(file)) == 0
    assert capsys.readouterr().out.startswith("probe 1 (scoresheet_probe:Probe)\n")
    assert plugin("check", f"{file}:Probe") == 0


def test_a_plugin_that_is_not_fit_gives_status_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().replace("return ProbeResult", "return dict"))
    assert plugin("check", str(file)) == 1
    out = capsys.readouterr().out
    assert "FAILED   result in a game without moves: analyse() returned dict" in out
    assert "… and " in out
    assert out.endswith("  NOT FIT\n")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("nonsense", "no such plugin: nonsense"),
        ("nowhere.py", "there is no file nowhere.py"),
        ("nowhere.at.all:Plugin", "cannot be imported: ModuleNotFoundError"),
        (f"{__file__}", "defines no plugin"),
    ],
)
def test_a_plugin_that_cannot_be_had_is_one_line_and_status_78(
    wanted: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plugin("check", wanted) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scoresheet plugin check: ")
    assert reason in line


def test_a_new_plugin_says_what_comes_next_and_is_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plugin("new", "first_one", "--into", str(tmp_path)) == 0
    out = capsys.readouterr().out
    check = next(line.split()[3] for line in out.splitlines() if "plugin check" in line)
    assert plugin("check", check) == 0
    assert capsys.readouterr().out.startswith("first_one 1 ")


@pytest.mark.parametrize("name", ["No Name", "first_one"])
def test_a_new_plugin_that_cannot_be_written_is_one_line_and_status_1(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scoresheet-first_one").mkdir()
    assert plugin("new", name, "--into", str(tmp_path)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scoresheet plugin new: ")


def test_scoresheet_hands_the_command_to_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "scoresheet-worker"
    program.write_text(f'#!/bin/sh\necho "$@" > {asked}\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(tmp_path / "scoresheet")])
    assert app_cli.main(["plugin", "check", "accuracy"]) == 7
    assert asked.read_text() == "plugin check accuracy\n"


def test_the_command_needs_an_action() -> None:
    with pytest.raises(SystemExit):
        plugin_cli.main([])
