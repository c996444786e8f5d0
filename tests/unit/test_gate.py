"""Does a failed gate name what failed, and keep what tells why?"""

import contextlib
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dev.paths import CHECKOUT
from dev.state import logs_of
from tests import kept_logs
from tests.conftest import run_alone

_TARGETS = "setup check test test-nixos test-nix test-system"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "STRICT": "1"}


def _prepare(folder: Path, recipes: str) -> list[str]:
    """Make a checkout whose steps are these recipes, or pass; return the command of its gate."""
    (folder / ".ci").mkdir()
    shutil.copy(CHECKOUT / ".ci/run", folder / ".ci/run")
    (folder / "Makefile").write_text(f"{_TARGETS}: ; @echo done\n{recipes}")
    return ["bash", str(folder / ".ci/run")]


def _gate(folder: Path, recipes: str) -> subprocess.CompletedProcess[str]:
    command = _prepare(folder, recipes)
    return subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)


def _processes_in(folder: Path) -> list[str]:
    """Return the processes that run in a folder, by their pids."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and (entry / "cwd").readlink() == folder:
                found.append(entry.name)
    return found


def test_a_gate_that_passed_says_how_long_each_step_took(tmp_path: Path) -> None:
    done = _gate(tmp_path, "")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert {line.split(" passed in ")[0] for line in lines if " passed in " in line} == {
        f"ci: make {target}" for target in _TARGETS.split()
    }
    assert lines[-1] == "steps: 6 passed, 0 failed"
    assert "check: done" in lines


def test_a_failed_step_is_named_last_with_the_command_that_runs_it_alone(tmp_path: Path) -> None:
    failing = "test: ; @echo 'run alone: python -m pytest a.py::b'; exit 1\ncheck: ; @exit 3\n"
    done = _gate(tmp_path, failing)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-8:]
    assert "ci:   python -m pytest a.py::b" in last
    assert "ci:   make check" in last
    assert last[-1] == "steps: 4 passed, 2 failed"
    # The other steps ran all the same, and what the failed one printed is kept.
    assert "run alone: python -m pytest a.py::b" in (tmp_path / "var/ci/test.log").read_text()


def test_nothing_runs_where_the_set_up_failed(tmp_path: Path) -> None:
    done = _gate(tmp_path, "setup: ; @exit 1\n")
    assert done.returncode == 1
    assert "ci: make test did not run to its end" in done.stdout
    assert done.stdout.splitlines()[-1] == "steps: 0 passed, 6 failed"


def test_a_step_whose_end_nobody_saw_has_failed(tmp_path: Path) -> None:
    # The lane is killed, as one that runs out of memory.
    done = _gate(tmp_path, "test-system: ; @kill -KILL -$$(ps -o pgid= -p $$$$ | tr -d ' ')\n")
    assert done.returncode == 1
    assert "ci: make test-system did not run to its end" in done.stdout
    # Nor did what was to follow in its lane.
    assert "ci: make test-nixos did not run to its end" in done.stdout
    assert done.stdout.splitlines()[-1] == "steps: 3 passed, 3 failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_gate_ends_its_steps(number: signal.Signals, tmp_path: Path) -> None:
    command = _prepare(tmp_path, "check: ; @touch begun; exec sleep 1000\n")
    gate = subprocess.Popen(command, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "begun").exists():
        assert gate.poll() is None
        time.sleep(0.02)
    gate.send_signal(number)
    said = gate.communicate()[0].splitlines()
    assert gate.returncode == 130
    assert _processes_in(tmp_path) == []
    assert "ci: interrupted; ending what runs" in said
    assert "ci: make test did not run to its end" in said
    assert any(line.startswith("ci: make check FAILED") for line in said)


def test_a_command_runs_one_test_with_its_seed() -> None:
    assert run_alone("a/b.py::c").endswith("python -m pytest a/b.py::c")
    seeded = run_alone("a/b.py::c[seed42-x]")
    assert seeded.startswith("SCORESHEET_CHAOS_SEED=42 ")
    assert seeded.endswith(" -m pytest 'a/b.py::c[seed42-x]'")
    assert run_alone("a/b.py::c", strict=True).endswith(" --nothing-skipped")


def test_a_command_finds_the_programs_that_the_test_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("PATH", f"{CHECKOUT}/.tools/nix/bin:/usr/bin")
    assert run_alone("a/b.py::c").startswith("PATH=.tools/nix/bin:$PATH ")


@pytest.fixture
def _no_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_logs, "_failures", [])


@pytest.mark.usefixtures("_no_failures")
def test_logs_are_kept_of_a_stack_during_which_a_test_failed(tmp_path: Path) -> None:
    state, kept = tmp_path / "state", tmp_path / "kept"
    logs_of(state).mkdir(parents=True)
    (logs_of(state) / "api.log").write_text("what it said")
    with kept_logs.keep_logs(state, kept):
        pass
    assert not kept.exists()
    with kept_logs.keep_logs(state, kept):
        kept_logs.note_failure("tests/a.py::b[1]")
    (folder,) = kept.iterdir()
    assert folder.name == "tests_a.py_b_1_"
    assert (folder / "api.log").read_text() == "what it said"
    assert (folder / "failed-tests.txt").read_text() == "tests/a.py::b[1]\n"


@pytest.mark.usefixtures("_no_failures")
def test_logs_are_kept_of_a_stack_whose_end_failed(tmp_path: Path) -> None:
    state, kept = tmp_path / "stack", tmp_path / "kept"
    logs_of(state).mkdir(parents=True)
    with pytest.raises(AssertionError), kept_logs.keep_logs(state, kept):
        raise AssertionError
    assert [folder.name for folder in kept.iterdir()] == ["stopped_stack"]
