"""Does a stack stop in order, or at least stop, whatever supervisord does?"""

import itertools
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dev import supervision
from dev.errors import DevError
from dev.leftovers import SessionRecord
from dev.program import Program
from dev.services import open_state
from dev.stack import Stack

_ENDLESS = (sys.executable, "-c", "import time; time.sleep(600)")


@contextmanager
def _answering(address: Path, answer: bytes) -> Iterator[None]:
    """Listen like supervisord; answer one question with these bytes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.smoke
@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", b"what?\r\n\r\n"],
    ids=["an error", "no http"],
)
def test_an_answer_that_is_none_counts_as_no_answer(answer: bytes, tmp_path: Path) -> None:
    address = tmp_path / "socket"
    with _answering(address, answer), pytest.raises(DevError, match="supervisor does not answer"):
        supervision._call(address, "getState")


def test_a_supervisord_that_hangs_is_ended_with_all_its_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program("endless", _ENDLESS, stop_limit=timedelta(seconds=1))
    with open_state(tmp_path) as state:
        with Stack(state, [program], lambda _: None):
            supervisord = SessionRecord.read(state.session)
            assert supervisord is not None
            os.kill(supervisord.pid, signal.SIGSTOP)
            # They are waited for in vain, and no other limit is.
            monkeypatch.setattr(supervision, "_ANSWER_LIMIT", timedelta(seconds=0.2))
            monkeypatch.setattr(supervision, "_MARGIN", timedelta(seconds=0.2))
        assert supervisord.members() == []


def test_a_program_that_is_stopping_already_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_state(tmp_path) as state:
        ready, go_on = state.app / "ready", state.app / "go-on"
        script = state.app / "script.py"
        script.write_text(_STOPS_WHEN_ALLOWED)
        state.user.give(script)
        slow = Program("slow", (sys.executable, script, ready, go_on), ready=ready.exists)
        with Stack(state, [Program("first", _ENDLESS), slow]) as stack:
            wait = False
            supervision._call(state.run / "supervisor.sock", "stopProcess", "slow", wait)
            assert stack.state("slow") == "STOPPING"
            monkeypatch.setattr(supervision, "_call", _allowing_once_waited_for(go_on))
        log = (state.logs / "supervisord.log").read_text()
    assert "with SIGKILL" not in log
    assert log.index("stopped: slow") < log.index("stopped: first")
    # supervisord was told to end by a call, once its programs had ended, not by a signal.
    assert "received SIGTERM" not in log


def test_a_program_that_is_forked_finds_what_an_executed_one_finds(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.integration.how_started", "3")
    program = Program("started", command, environment={"ONE": "1"}, oneshot=True)
    found = []
    for module in (supervision.SUPERVISORD, "tests.e2e.forking_supervisor"):
        with (
            open_state(tmp_path) as state,
            pytest.raises(DevError, match="exit status 3"),
            Stack(state, [program], lambda _: None, supervisord=module) as stack,
        ):
            raise AssertionError(f"{stack.names} started")
        found.append(json.loads((state.logs / "started.log").read_text().splitlines()[-1]))
    executed, forked = found
    assert executed == forked


def _allowing_once_waited_for(go_on: Path) -> Callable[..., object]:
    """Return a way to ask supervisord that touches a file when it has seen a program stop for a while."""
    call = supervision._call
    seen = itertools.count(1)

    def ask(address: Path, method: str, *arguments: object) -> object:
        answer = call(address, method, *arguments)
        if isinstance(answer, dict) and answer.get("statename") == "STOPPING" and next(seen) == _FOR_A_WHILE:
            go_on.touch()
        return answer

    return ask


_FOR_A_WHILE = 3
"""As many answers: whether it runs, before it is told to stop, and the first after that."""
_STOPS_WHEN_ALLOWED = """
import pathlib, signal, sys, time
ready, go_on = map(pathlib.Path, sys.argv[1:])
def stop(*_):
    while not go_on.exists():
        time.sleep(0.02)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
ready.touch()
time.sleep(600)
"""
