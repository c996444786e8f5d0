"""How are the programs of a stack run, by supervisor?

One supervisord per stack, in a session of its own (Ctrl-C reaches only us, and we stop it in order), driven
by XML-RPC on a unix socket. Its log is its standard output, which tells every start and end of a program with
the cause.
"""

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, cast

from dev.errors import DevError
from dev.leftovers import SessionRecord
from dev.paths import CHECKOUT
from dev.program import Program, Restart, waves
from dev.state import StateFolder, run_folder

__all__ = ["SUPERVISORD", "Ended", "Supervisor", "program_states"]

# What our processes see of the environment of whoever starts the stack: nothing secret, nothing surprising.
_PASSED_ON: Final = (
    "PATH", "TZ", "LOCALE_ARCHIVE",
    "LD_LIBRARY_PATH",  # where Nix's Python finds what the wheels are linked with
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE",
    "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy",
)  # fmt: skip

SUPERVISORD: Final = "supervisor.supervisord"
_SOCKET: Final = "supervisor.sock"

_STARTED: Final = re.compile(r"spawned: '(?P<name>[^']+)' with pid (?P<pid>\d+)")
_ENDED: Final = re.compile(r"(?P<how>exited|stopped): (?P<name>\S+) \((?P<cause>[^;)]*)")
_BY_SIGNAL: Final = re.compile(r"terminated by (?P<signal>SIG\w+)")
_BY_EXIT: Final = re.compile(r"exit status (?P<status>-?\d+)")

_STOPPING: Final = "STOPPING"
_ALIVE: Final = {"STARTING", "RUNNING", "BACKOFF", _STOPPING}
_POLL_SECONDS: Final = 0.03

# supervisord looks at most a second after a signal; its programs have their own limits before that.
_MARGIN: Final = timedelta(seconds=5)
# It answers at once, on a busy machine too: none of our questions waits for a program.
_ANSWER_LIMIT: Final = timedelta(seconds=30)
_RESTART: Final = {Restart.ALWAYS: "true", Restart.ON_FAILURE: "unexpected", Restart.NO: "false"}


@dataclass(frozen=True)
class Ended:
    """One end of a program."""

    name: str
    cause: str
    """As a person reads it: "signal 9" or "exit status 1"."""
    successful: bool
    asked: bool
    """We told it to stop."""


@dataclass
class _Life:
    """What the log has told about a program so far."""

    pid: int | None = None
    ends: int = 0
    last_end: Ended | None = None
    last_pid: int | None = None
    """Of the process whose end that was."""
    crash: Ended | None = None
    """An end by itself after which supervisor will start the program again."""


class Supervisor:
    """A running supervisord and what it has told about its programs."""

    def __init__(
        self,
        state: StateFolder,
        programs: Sequence[Program],
        on_crash: Callable[[Ended, bool], None],
        module: str = SUPERVISORD,
    ) -> None:
        self._state = state
        self._programs = {program.name: program for program in programs}
        self._on_crash = on_crash
        self._module = module
        self._lives = {program.name: _Life() for program in programs}
        self._lock = threading.Condition()
        """Guards the lives; notified of each end."""
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, name="supervisor log", daemon=True)
        self._up = threading.Event()
        self._said: deque[str] = deque(maxlen=5)
        self._session: SessionRecord | None = None

    @property
    def _socket(self) -> Path:
        return self._state.run / _SOCKET

    def start(self) -> None:
        """Start supervisord, no program yet; returns when it answers.

        To be called in the main thread: the kernel stops supervisord when the thread that started it ends.
        """
        configuration = self._state.supervisor / "supervisord.conf"
        configuration.touch(mode=0o600)  # environments may hold tokens
        configuration.write_text(_configuration(self._state, list(self._programs.values()), self._socket))
        self._state.user.give(configuration)
        self._socket.unlink(missing_ok=True)
        command = [*self._state.user.prefix, sys.executable, "-m", self._module]
        self._process = subprocess.Popen(
            [*command, "--nodaemon", "--configuration", configuration],
            cwd=CHECKOUT,
            env=_base_environment(self._state),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._session = SessionRecord.of(self._process.pid)
        self._session.write(self._state.session)
        self._reader.start()
        self._up.wait(_MARGIN.total_seconds() * 4)
        if self._process.poll() is not None or not self._up.is_set():
            self.stop()
            raise DevError("supervisord did not start: " + " / ".join(self._said))

    def stop(self) -> list[int]:
        """Stop every program in reverse order, then supervisord; return what had to be killed."""
        process = self._process
        if process is None:
            return []
        limit = _MARGIN + sum((program.stop_limit for program in self._programs.values()), timedelta())
        if process.poll() is None:
            try:
                self._shut_down()
            except DevError:
                process.terminate()  # it does not answer; it stops its programs all the same
            try:
                process.wait(limit.total_seconds())
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._reader.join()
        if process.stdout is not None:
            process.stdout.close()
        self._process = None
        killed = self._session.end(2 * _MARGIN) if self._session else []
        self._state.session.unlink(missing_ok=True)
        return killed

    def wait(self) -> None:
        """Wait until supervisord ends."""
        if self._process is not None:
            self._process.wait()

    def start_program(self, name: str) -> None:
        """Start a program that does not run; returns when its process exists."""
        wait = False
        self._call("startProcess", name, wait)

    def stop_programs(self, names: Iterable[str]) -> None:
        """Stop running programs side by side and wait for their ends, which are noted on return."""
        found = {name: self._information(name) for name in names}
        pids = {name: cast("int", program["pid"]) for name, program in found.items()}
        wait = False
        for name, program in found.items():
            if program["statename"] != _STOPPING:  # by a stop that was interrupted; a second is refused
                self._call("stopProcess", name, wait)
        # supervisord kills what outlasts its limit. Each question also wakes it up to see who has ended.
        limit = max((self._programs[name].stop_limit for name in pids), default=timedelta()) + _MARGIN
        deadline = time.monotonic() + limit.total_seconds()
        while alive := [name for name in pids if self.state(name) in _ALIVE]:
            if time.monotonic() > deadline:
                raise DevError(f"{', '.join(alive)} did not stop in {limit.total_seconds():.0f} s")
            time.sleep(_POLL_SECONDS)
        # The log tells of the end a moment later: it must not be taken for that of the next process.
        noted = {name: pid for name, pid in pids.items() if pid}
        with self._lock:
            self._lock.wait_for(
                lambda: all(self._lives[name].last_pid == pid for name, pid in noted.items()),
                _MARGIN.total_seconds(),
            )

    def state(self, name: str) -> str:
        """Give supervisor's name of the program's state: RUNNING, STOPPED, EXITED, FATAL and so on."""
        return cast("str", self._information(name)["statename"])

    def pid(self, name: str) -> int:
        """Give the program's process id, 0 if it does not run."""
        return cast("int", self._information(name)["pid"])

    def spawn_error(self, name: str) -> str:
        """Give why the program could not even be executed; empty if it could."""
        return cast("str", self._information(name)["spawnerr"])

    def ends(self, name: str) -> int:
        """Count the program's ends so far."""
        with self._lock:
            return self._lives[name].ends

    def last_end(self, name: str) -> Ended | None:
        """Give the program's last end; None if it never ended."""
        with self._lock:
            return self._lives[name].last_end

    def _shut_down(self) -> None:
        for names in reversed(waves(self._programs.values())):
            self.stop_programs([name for name in names if self.state(name) in _ALIVE])
        self._call("shutdown")

    def _information(self, name: str) -> Mapping[str, object]:
        return cast("Mapping[str, object]", self._call("getProcessInfo", name))

    def _call(self, method: str, *arguments: object) -> object:
        return _call(self._socket, method, *arguments)

    def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        for line in self._process.stdout:
            self._said.append(line.strip())
            if "supervisord started with pid" in line:
                self._up.set()
            elif started := _STARTED.search(line):
                self._note_start(started["name"], int(started["pid"]))
            elif ended := _ENDED.search(line):
                self._note_end(ended["name"], ended["cause"], asked=ended["how"] == "stopped")
        self._up.set()  # it ended: whoever waits for its start must not wait on

    def _note_start(self, name: str, pid: int) -> None:
        with self._lock:
            life = self._lives[name]
            life.pid = pid
            crash, life.crash = life.crash, None
        if crash is not None:
            self._on_crash(crash, True)  # noqa: FBT003 (a Callable can't name its arguments)

    def _note_end(self, name: str, cause: str, *, asked: bool) -> None:
        end = _end(name, cause, asked=asked)
        program = self._programs[name]
        restarts = program.restart is Restart.ALWAYS or (
            program.restart is Restart.ON_FAILURE and not end.successful
        )
        crashed = not asked and not program.oneshot
        with self._lock:
            life = self._lives[name]
            pid, life.pid = life.pid, None
            life.last_end, life.last_pid = end, pid
            life.crash = end if crashed and restarts else None
            life.ends += 1
            self._lock.notify_all()
        if pid is not None:
            _end_group(pid)
        if crashed and not restarts:
            self._on_crash(end, False)  # noqa: FBT003 (as above)


def program_states(folder: Path) -> list[tuple[str, str, str]] | None:
    """Give name, state and description of each program of the stack on a folder; None if none runs."""
    try:
        owner = (folder / "supervisor").stat().st_uid
        answer = _call(run_folder(folder.absolute(), owner) / _SOCKET, "getAllProcessInfo")
    except (DevError, FileNotFoundError):
        return None
    programs = cast("list[dict[str, str]]", answer)
    return [(program["name"], program["statename"], program["description"]) for program in programs]


class _Connection(http.client.HTTPConnection):
    """A connection over a unix socket that gives up a supervisord which does not answer."""

    def __init__(self, address: Path) -> None:
        super().__init__("localhost")
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_ANSWER_LIMIT.total_seconds())
        self.sock.connect(str(self._address))


class _Transport(xmlrpc.client.Transport):
    """One connection to supervisord; supervisor's own transport would wait for an answer for ever."""

    def __init__(self, address: Path) -> None:
        super().__init__()
        self._address = address

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = _Connection(self._address)
        self._connection = str(host), connection
        return connection


def _call(address: Path, method: str, *arguments: object) -> object:
    """Ask supervisord.

    Raises DevError if it refuses, does not answer in time, or answers with something else.
    """
    # A connection can't be shared between threads: each call opens its own.
    transport = _Transport(address)
    proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport)
    try:
        return getattr(proxy.supervisor, method)(*arguments)
    except xmlrpc.client.Fault as fault:
        raise DevError(f"supervisor: {method}{arguments}: {fault.faultString}") from fault
    except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
        raise DevError(f"supervisor does not answer: {error}") from error
    finally:
        transport.close()


def _end(name: str, cause: str, *, asked: bool) -> Ended:
    if by_signal := _BY_SIGNAL.search(cause):
        number = signal.Signals[by_signal["signal"]].value
        return Ended(name, f"signal {number}", successful=False, asked=asked)
    by_exit = _BY_EXIT.search(cause)
    return Ended(name, cause, successful=by_exit is not None and by_exit["status"] == "0", asked=asked)


def _end_group(leader: int) -> None:
    """End what a program that died left behind, as systemd does with a unit's control group.

    The id can't have been given away: it belongs to the group while a member lives.
    """
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _base_environment(state: StateFolder) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **passed_on,
        "LANG": "C.UTF-8",
        "HOME": str(state.app),
        "USER": state.user.name,
        "LOGNAME": state.user.name,
        "PYTHONUNBUFFERED": "1",
        # The stack's user may not be able to write into the checkout, nor should it.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _configuration(state: StateFolder, programs: Sequence[Program], socket: Path) -> str:
    supervisor = state.supervisor
    sections: dict[str, dict[str, object]] = {
        "supervisord": {
            "nodaemon": "true",
            "logfile": state.logs / "supervisord.log",
            "logfile_maxbytes": "10MB",
            "logfile_backups": "1",
            "pidfile": supervisor / "supervisord.pid",
            "childlogdir": state.logs,
            "directory": CHECKOUT,
            "umask": "077",
        },
        "unix_http_server": {"file": socket, "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface",
        },
    }
    for order, program in enumerate(programs, start=1):
        sections[f"program:{program.name}"] = _program_section(state, program, order)
    lines: list[str] = []
    for title, settings in sections.items():
        lines.append(f"[{title}]")
        lines += [f"{key} = {_plain(title, str(value))}" for key, value in settings.items()]
        lines.append("")
    return "\n".join(lines)


def _program_section(state: StateFolder, program: Program, order: int) -> dict[str, object]:
    # Each program loses its life with supervisord's, by the signal that stops it.
    stop_signal = program.stop_signal.name.removeprefix("SIG")
    bound_to_parent = (state.user.prefix[0], f"--pdeathsig={stop_signal}")
    return {
        "command": shlex.join([*bound_to_parent, *(str(part) for part in program.command)]),
        "environment": ",".join(f"{key}={_quoted(value)}" for key, value in program.environment.items()),
        "priority": str(order),
        "autostart": "false",
        "autorestart": "false" if program.oneshot else _RESTART[program.restart],
        # Whether a program has started is told by its probe, not by its age.
        "startsecs": "0",
        "stopsignal": stop_signal,
        "stopwaitsecs": str(int(program.stop_limit.total_seconds())),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": state.logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
    }


def _quoted(value: str) -> str:
    """Write a value as supervisor reads it: in double quotes, which it can't escape."""
    if '"' in value or value.endswith("'"):
        raise DevError(f"supervisor can't pass on a value with this quotation mark: {value}")
    return f'"{value}"'


def _plain(title: str, value: str) -> str:
    """Write a value so that supervisor reads it back: `%` expands, and ` ;` or ` #` begins a comment."""
    if "\n" in value or " ;" in value or " #" in value:
        raise DevError(f"supervisor can't pass on a line break, ' ;' or ' #' in {title}: {value}")
    return value.replace("%", "%%")
