"""How do the roles of the tests start without loading their libraries each time?

Their supervisord has loaded the libraries. Where a program is Python's, the process that it has forked turns
into that program itself and executes nothing: 0.1 s of work a start instead of 0.7, or 1.4 for the API.
Nothing of Scoresheet is loaded beforehand: each process runs its modules, and reads its settings, anew. That
roles start by their real commands is for the tests of units, the demo and the machine of `make test-system`.
"""

import atexit
import ctypes
import gc
import importlib
import os
import runpy
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from supervisor import supervisord
from supervisor.options import ServerOptions

_LIBRARIES: Final = (
    *("alembic.autogenerate", "alembic.command", "alembic.config", "alembic.ddl"),
    *("celery.apps.beat", "celery.apps.worker", "celery.concurrency.prefork", "celery.fixups.django"),
    *("celery.loaders.app", "celery.worker.autoscale", "celery.worker.consumer", "celery.worker.strategy"),
    *("celery_batches", "kombu.transport.redis", "redis.asyncio"),
    *("chess.engine", "chess.pgn", "chess.polyglot", "chess.variant"),
    *("fastapi.openapi.utils", "httpx", "pydantic.v1", "pydantic_settings", "sdnotify"),
    *("psycopg.types.json", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.ext.asyncio"),
    *("starlette.exceptions", "structlog", "uvicorn.protocols.http.httptools_impl"),
)
_PYTHON: Final = Path(sys.executable)
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_NAME_BYTES: Final = 15
_HANDLERS: Final = {
    number: handler if callable(handler := signal.getsignal(number)) else signal.SIG_DFL
    for number in signal.valid_signals()
} | {signal.SIGINT: signal.default_int_handler}
"""As a new process has them, and those of whoever measures coverage: supervisord has not set its own yet."""


class _ForkingOptions(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    def execve(self, filename: str, argv: list[str], env: Mapping[str, str]) -> None:
        """Become the program, in the child that was forked for it: ourselves where it is Python's."""
        _, death_signal, *command = (
            argv  # as dev/supervision.py writes it: setpriv --pdeathsig=TERM command …
        )
        if command[:2] == [str(_PYTHON), "-m"] or _is_script(Path(command[0])):
            _become(command, env, signal.Signals[death_signal.replace("--pdeathsig=", "SIG")])
        os.execve(filename, argv, env)  # noqa: S606  what it overrides does so


def _is_script(path: Path) -> bool:
    return path.parent == _PYTHON.parent and path != _PYTHON


def _become(command: list[str], environment: Mapping[str, str], death_signal: signal.Signals) -> NoReturn:
    """Run a script of this environment's, or `python -m module …`, as a new process of Python would."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, int(death_signal))
    prctl(_PR_SET_NAME, Path(command[0]).name.encode()[:_NAME_BYTES])
    for number, handler in _HANDLERS.items():
        if callable(signal.getsignal(number)):  # which no executed program inherits
            signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environment)
    status = _run(command)
    # What the interpreter does at its end, in its order.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)


def _run(command: list[str]) -> int:
    """Run a program to its end; return its exit status."""
    try:
        if command[1:2] == ["-m"]:
            sys.argv = command[2:]
            runpy.run_module(command[2], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    for library in _LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()  # the pages stay shared
    supervisord.ServerOptions = _ForkingOptions
    supervisord.main()
