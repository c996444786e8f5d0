"""Does the local stack start, keep its data, survive crashes and leave nothing behind?"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import redis

from dev.errors import DevError
from dev.identity import service_user
from dev.leftovers import SessionRecord
from dev.paths import CHECKOUT
from dev.pipeline import declare_pipeline
from dev.postgres.cluster import DATABASE, MIGRATION_ROLE, PORT, ROLE
from dev.program import Program, Restart
from dev.services import POOL_PORT, Services, data_services, open_state, running_services
from dev.stack import Stack
from dev.state import StateFolder
from tests import kept_logs
from tests.integration.template import place_data, services_on_template


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Services]]:
    with running_services(tmp_path_factory.mktemp("stack")) as stack_and_services:
        yield stack_and_services


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Give a state folder with a database that is set up already."""
    with open_state(tmp_path) as state:
        place_data(state)
    return tmp_path


def _connect(state: StateFolder, port: int, role: str) -> psycopg.Connection:
    return psycopg.connect(host=str(state.run), port=port, user=role, dbname=DATABASE, autocommit=True)


def _value(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"still alive: {alive}"
        time.sleep(0.05)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


@pytest.mark.smoke
def test_postgres_is_17_and_keeps_what_it_promises_durably(running: tuple[Stack, Services]) -> None:
    with _connect(running[1].state, PORT, MIGRATION_ROLE) as connection:
        assert str(_value(connection, "SHOW server_version")).startswith("17.")
        assert _value(connection, "SHOW fsync") == "on"
        assert _value(connection, "SHOW data_checksums") == "on"
        assert _value(connection, "SHOW listen_addresses") == ""


def test_nothing_runs_as_root(running: tuple[Stack, Services]) -> None:
    stack, _ = running
    for name in stack.names:
        status = Path(f"/proc/{stack.pid(name)}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert "0" not in uids, name


def test_no_program_may_gain_or_change_anything_by_a_capability(running: tuple[Stack, Services]) -> None:
    stack, _ = running
    read_search = 1 << 2  # CAP_DAC_READ_SEARCH: to read a checkout that is closed to others
    for name in stack.names:
        status = Path(f"/proc/{stack.pid(name)}/status").read_text()
        effective = next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1]
        assert int(effective, 16) & ~read_search == 0, name


def test_the_products_role_is_limited_in_time_through_the_pool(running: tuple[Stack, Services]) -> None:
    with _connect(running[1].state, POOL_PORT, ROLE) as connection:
        assert _value(connection, "SHOW statement_timeout") == "10s"
        assert _value(connection, "SHOW idle_in_transaction_session_timeout") == "30s"
        assert _value(connection, "SHOW transaction_timeout") == "1min"


def test_migrations_act_as_the_owner_without_limits(running: tuple[Stack, Services]) -> None:
    with _connect(running[1].state, PORT, MIGRATION_ROLE) as connection:
        assert _value(connection, "SELECT current_user") == ROLE
        assert _value(connection, "SHOW statement_timeout") == "0"
        assert _value(connection, "SHOW transaction_timeout") == "0"


def test_redis_keeps_its_hints_on_disk_and_refuses_rather_than_evicts(
    running: tuple[Stack, Services],
) -> None:
    with redis.Redis(unix_socket_path=str(running[1].redis_socket), decode_responses=True) as client:
        assert client.config_get("append*")["appendfsync"] == "always"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}


def test_a_second_stack_on_the_same_folder_says_who_has_it(running: tuple[Stack, Services]) -> None:
    folder = running[1].state.path
    with (
        pytest.raises(DevError, match=rf"runs on {folder} already \(process {os.getpid()}\)"),
        open_state(folder),
    ):
        pass
    assert running[0].pid("postgres")


def test_data_survives_a_stop_and_a_start(prepared: Path) -> None:
    with running_services(prepared) as (_, services):
        with _connect(services.state, POOL_PORT, ROLE) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis(unix_socket_path=str(services.redis_socket)) as client:
            client.set("kept", "42")
    with running_services(prepared) as (_, services):
        with _connect(services.state, POOL_PORT, ROLE) as connection:
            assert _value(connection, "SELECT answer FROM kept") == 42
        with redis.Redis(unix_socket_path=str(services.redis_socket)) as client:
            assert client.get("kept") == b"42"


def test_stopping_leaves_no_process_and_no_socket(prepared: Path) -> None:
    with running_services(prepared) as (stack, services):
        supervisord = SessionRecord.read(services.state.session)
        assert supervisord is not None
        family = _family(supervisord.pid)
        assert {stack.pid(name) for name in stack.names} < set(family)
    assert [pid for pid in family if Path(f"/proc/{pid}").exists()] == []
    assert not services.state.run.exists()


def test_logs_of_a_stack_are_kept_where_a_test_failed(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_logs, "_failures", [])
    kept = tmp_path_factory.mktemp("kept")
    with kept_logs.keep_logs(prepared, kept), running_services(prepared):
        kept_logs.note_failure("the_test")
    assert "ready to accept connections" in (kept / "the_test/postgres.log").read_text()


def test_a_part_that_crashes_is_restarted_and_named(prepared: Path) -> None:
    told: list[str] = []
    with open_state(prepared) as state:
        services = data_services(state)
        with Stack(state, services.programs, told.append) as stack:
            for name in stack.names:
                killed = stack.kill(name, signal.SIGKILL)
                _wait_until_gone([killed])
                stack.wait_ready(name)
                assert stack.pid(name) != killed
    assert [line for line in told if line.startswith("redis")] == ["redis died (signal 9), restarted"]
    assert [line for line in told if line.startswith("pgbouncer")] == ["pgbouncer died (signal 9), restarted"]
    # PostgreSQL may need a second try: the first finds the old server's last processes.
    assert told[0] == "postgres died (signal 9), restarted"


def test_a_program_that_cannot_start_fails_the_stack_by_name_with_its_last_lines(tmp_path: Path) -> None:
    script = "import sys; print('no such option: --fish'); sys.exit(3)"
    broken = Program("broken", (sys.executable, "-c", script), restart=Restart.NO)
    never = Program("never", (sys.executable, "-c", "print('started')"), oneshot=True)
    with open_state(tmp_path) as state:
        first = Program("first", (sys.executable, "-c", "import time; time.sleep(600)"))
        hangs_until_ready = Program(broken.name, broken.command, ready=lambda: False)
        with (
            pytest.raises(DevError, match=r"(?s)broken ended .*\(exit status 3\).*no such option: --fish"),
            Stack(state, [first, hangs_until_ready, never], lambda _: None),
        ):
            pass
        assert not (state.logs / "never.log").exists() or not (state.logs / "never.log").read_text()
        assert not state.session.exists()


def test_a_oneshot_is_done_before_the_next_program_starts(tmp_path: Path) -> None:
    with open_state(tmp_path) as state:
        mark = state.app / "mark"
        write = f"import pathlib, time; time.sleep(0.3); pathlib.Path({str(mark)!r}).write_text('done')"
        read = f"import pathlib, time; print(pathlib.Path({str(mark)!r}).read_text()); time.sleep(600)"
        steps = [
            Program("write", (sys.executable, "-c", write), oneshot=True),
            Program("read", (sys.executable, "-c", read), ready=lambda: "done" in log.read_text()),
        ]
        log = state.logs / "read.log"
        with Stack(state, steps):
            assert log.read_text() == "done\n"


def _pair(state: StateFolder, script: str) -> list[Program]:
    """Declare two programs side by side that each get the paths of their own mark and of the other's."""
    file = state.app / "script.py"  # supervisor passes no line break on
    file.write_text(_MARKS + script)
    state.user.give(file)
    marks = [str(state.app / name) for name in ("one", "two")]
    return [
        Program(
            name,
            (sys.executable, file, *order),
            ready=lambda path=Path(order[0]): path.exists(),  # type: ignore[misc]
            side_by_side="pair",
            start_limit=timedelta(seconds=60),
        )
        for name, order in (("one", marks), ("two", marks[::-1]))
    ]


_MARKS = """
import pathlib, signal, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
def wait(condition):
    while not condition():
        time.sleep(0.02)
"""
_READY_AFTER_EACH_OTHERS_START = """
started = own.with_suffix('.started')
started.touch()
wait(other.with_suffix('.started').exists)
own.touch()
time.sleep(600)
"""
_STOPS_AFTER_THE_OTHERS_SIGNAL = """
def stop(*_):
    own.unlink()
    wait(lambda: not other.exists())
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
own.touch()
time.sleep(600)
"""


def test_programs_side_by_side_start_at_once(tmp_path: Path) -> None:
    with open_state(tmp_path) as state, Stack(state, _pair(state, _READY_AFTER_EACH_OTHERS_START)) as stack:
        assert all(stack.pid(name) for name in stack.names)


def test_programs_side_by_side_are_told_to_stop_at_once(tmp_path: Path) -> None:
    with open_state(tmp_path) as state:
        with Stack(state, _pair(state, _STOPS_AFTER_THE_OTHERS_SIGNAL)) as stack:
            pass
        log = stack.log_path("supervisord").read_text()
    assert log.count("(exit status 0)") == 2
    assert "with SIGKILL" not in log


def test_one_of_several_side_by_side_that_fails_is_named_while_others_are_not_ready_yet(
    tmp_path: Path,
) -> None:
    hangs = Program(
        "hangs",
        (sys.executable, "-c", "import time; time.sleep(600)"),
        ready=lambda: False,
        start_limit=timedelta(seconds=600),
        side_by_side="pair",
    )
    fails = replace(hangs, name="fails", command=("sh", "-c", "exit 3"), restart=Restart.NO)
    with (
        open_state(tmp_path) as state,
        pytest.raises(DevError, match=r"fails ended before it was ready \(exit status 3\)"),
        Stack(state, [hangs, fails], lambda _: None),
    ):
        pass


def test_an_environment_reaches_the_program_unchanged(tmp_path: Path) -> None:
    value = "a%20b, 'c' = %(d)s é"
    with open_state(tmp_path) as state:
        show = "import os; print(os.environ['SHOWN'])"
        step = Program("show", (sys.executable, "-c", show), environment={"SHOWN": value}, oneshot=True)
        with Stack(state, [step]) as stack:
            assert stack.log_path("show").read_text() == value + "\n"


def test_programs_find_the_libraries_that_the_shell_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    with open_state(tmp_path) as state:
        services = Services(programs=(), environment={}, state=state, redis_socket=state.run / "redis.sock")
        pipeline = declare_pipeline(services, api_port=1, settings={})
        assert pipeline.environment["LD_LIBRARY_PATH"] == "/nowhere"
        show = "import os; print(os.environ['LD_LIBRARY_PATH'])"
        step = Program("show", (sys.executable, "-c", show), oneshot=True)
        with Stack(state, [step]) as stack:
            assert stack.log_path("show").read_text() == "/nowhere\n"


def test_what_a_killed_program_put_aside_goes_with_the_stack(tmp_path: Path) -> None:
    with open_state(tmp_path) as state:
        services = Services(programs=(), environment={}, state=state, redis_socket=state.run / "redis.sock")
        pipeline = declare_pipeline(services, api_port=1, settings={})
        put = "import os, tempfile; print(tempfile.mkdtemp(), flush=True); os.kill(os.getpid(), 9)"
        step = Program("put", (sys.executable, "-c", put), environment=pipeline.environment, oneshot=True)
        with pytest.raises(DevError, match="signal 9"), Stack(state, [step]):
            pass
        folder = Path((state.logs / "put.log").read_text().strip())
        assert folder.is_dir()
    assert not folder.exists()


def _start_up(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    command = [sys.executable, "-m", "dev", "--state", str(folder), "up"]
    up = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    assert "run after" in up.stdout.readline()
    return up, _family(up.pid)


def test_a_killed_driver_leaves_no_process_and_the_next_start_works(prepared: Path) -> None:
    up, family = _start_up(prepared)
    up.kill()
    up.communicate()
    with running_services(prepared) as (_, services):  # at once: the old ones may still be stopping
        _wait_until_gone(family)
        with _connect(services.state, POOL_PORT, ROLE) as connection:
            assert _value(connection, "SELECT 1") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_cleanly(prepared: Path, number: signal.Signals) -> None:
    up, family = _start_up(prepared)
    up.send_signal(number)
    up.communicate()
    assert up.returncode == 0
    _wait_until_gone(family)
    log = (prepared / "log" / "postgres.log").read_text()
    assert "database system is shut down" in log


def test_the_programs_of_a_killed_supervisor_stop_cleanly(prepared: Path) -> None:
    up, family = _start_up(prepared)
    supervisord = SessionRecord.read(prepared / "supervisor" / "session.json")
    assert supervisord is not None
    os.kill(supervisord.pid, signal.SIGKILL)
    up.communicate()
    assert up.returncode == 1
    _wait_until_gone(family)
    # What they said of it went to a pipe that nobody read; PostgreSQL's next start tells.
    with running_services(prepared) as (stack, _):
        log = stack.log_path("postgres").read_text()
    assert log.count("database system was shut down") == 2
    assert "database system was interrupted" not in log


def test_a_path_too_long_for_sockets_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with services_on_template(folder) as (_, services):
        assert services.state.run.parent == Path("/tmp")  # noqa: S108
        with _connect(services.state, POOL_PORT, ROLE) as connection:
            assert _value(connection, "SELECT 1") == 1
    assert not services.state.run.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's stack runs as that user")
def test_a_checkout_closed_to_others_can_be_used_but_not_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran; : > $0.written\n")
    program.chmod(0o755)
    user = service_user([program])
    ran = user.run([program], environment={}, folder=Path("/"))
    assert ran.stdout == "ran\n"
    assert "Permission denied" in ran.stderr
    assert not Path(f"{program}.written").exists()
    # initdb asks by access(2), which judges differently, whether its postgres can be run.
    ask = f"import os; print(os.access({str(program)!r}, os.X_OK))"
    assert user.run([sys.executable, "-c", ask], environment={}, folder=Path("/")).stdout == "True\n"
