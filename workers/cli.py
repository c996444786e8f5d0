"""How is a worker role started from the command line?"""

import argparse
import gc
import importlib
import os
import socket
import sys
from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from app.contract.names import QUEUE_OF_TASK, QueueName
from app.kit.environment import EX_CONFIG, ConfigurationError, NotNowError
from workers import memory, program
from workers.settings import Role, Settings, get_settings

if TYPE_CHECKING:
    from celery import Celery

_LOG = structlog.get_logger(__name__)


class _Worker(NamedTuple):
    queue: QueueName
    tasks: str
    """Module that registers the role's tasks."""
    max_tasks_per_child: int
    max_memory_per_child_kib: int
    """A child that outgrows this is replaced after its task."""


# A child is replaced now and then, so that what a library may leak stays small.
_WORKERS: Final = MappingProxyType(
    {
        Role.PRODUCER: _Worker(QueueName.API, "workers.ingestion.tasks", 200, 400_000),
        Role.CONSUMER: _Worker(QueueName.DB, "workers.ingestion.tasks", 5_000, 400_000),
        Role.ANALYSIS_PRODUCER: _Worker(
            QueueName.ANALYSIS_SCHEDULING, "workers.analysis.tasks", 1_000, 400_000
        ),
        Role.ANALYSIS_CONSUMER: _Worker(QueueName.ANALYSIS, "workers.analysis.tasks", 500, 600_000),
    }
)
_STORING_MIB: Final = 40
"""Memory of its own of a process that stores games. All of them together get half of what is left."""
_ANALYSING_MIB: Final = 235
"""Memory of a process that analyses, with its engine but without the engine's hash (docs/analysis.md)."""
_ANALYSIS: Final = frozenset({Role.ANALYSIS_PRODUCER, Role.ANALYSIS_CONSUMER})


_COMMANDS: Final = ("check", "engine")
"""What is no role."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one role until it is stopped.

    Returns the exit status: 78 if the configuration is wrong, 75 if another start may find it right.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["plugin"]:
        from workers import plugin_cli  # noqa: PLC0415  no role loads the test kit

        return plugin_cli.main(arguments[1:])
    command = _parser().parse_args(arguments).role
    roles = list(Role) if command in _COMMANDS else [Role(command)]
    try:
        settings = get_settings()
        if command == "engine":
            return _show_engines(settings)
        for role in roles:
            _check(role, settings)
    except (ConfigurationError, NotNowError) as error:
        print(f"scoresheet-worker {command}: {error}", file=sys.stderr)  # noqa: T201  logging is not set up yet
        # systemd does not try again after the former.
        return EX_CONFIG if isinstance(error, ConfigurationError) else os.EX_TEMPFAIL
    if command == "check":
        return os.EX_OK
    role = roles[0]
    return _run_beat(settings) if role is Role.BEAT else _run_worker(role, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scoresheet-worker",
        description="Run one role of Scoresheet's workers. Settings come from SCORESHEET_* variables.",
        epilog="`scoresheet-worker plugin` lists, checks and begins plugins. SIGTERM stops a role after its "
        "current tasks. Exit status 78 means a wrong configuration.",
    )
    parser.add_argument(
        "role",
        choices=[*map(str, Role), *_COMMANDS],
        metavar="ROLE",
        help="producer (asks Lichess), consumer (stores games), analysis-producer, analysis-consumer, beat "
        "(the schedule); check: only say whether the configuration of all of them is right; engine: show the "
        "installed builds of the engine, and which one is used",
    )
    return parser


def _check(role: Role, settings: Settings) -> None:
    settings.check(role)
    if role in _ANALYSIS:
        from workers.analysis import preflight  # noqa: PLC0415  engine and plugins are loaded for these roles alone

        if role is Role.ANALYSIS_CONSUMER:
            preflight.check(settings)
        else:
            preflight.plugins(settings)


def _show_engines(settings: Settings) -> int:
    from workers.analysis import preflight  # noqa: PLC0415  keeps `--help` quick

    print(preflight.engine_table(settings))  # noqa: T201  the command's output
    preflight.engine_options(settings)
    return os.EX_OK


def _run_worker(role: Role, settings: Settings) -> int:
    from workers import unit  # noqa: PLC0415  keeps `--help` quick
    from workers.celery_app import configure  # noqa: PLC0415  the same

    celery = configure(settings)
    worker = _WORKERS[role]
    processes = _concurrency(role, settings)
    importlib.import_module(worker.tasks)
    celery.steps["consumer"].update(unit.STEPS)
    process = celery.Worker(
        hostname=f"{role}@{socket.gethostname()}",
        queues=[str(worker.queue)],
        concurrency=processes,
        pool="prefork",
        loglevel=settings.log_level,
        prefetch_multiplier=_messages_at_once(role, celery),
        max_tasks_per_child=worker.max_tasks_per_child,
        max_memory_per_child=worker.max_memory_per_child_kib,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        consumer_cls=unit.PatientConsumer,
        unit=unit.of_role(role, processes, _program(role, settings)),
    )
    # What is loaded now lives as long as the process: the children's garbage collector need not visit it,
    # and so does not copy the pages that they share (a consumer's child: 21 instead of 34 MiB of its own).
    gc.collect()
    gc.freeze()
    process.start()
    return int(process.exitcode or os.EX_OK)


def _program(role: Role, settings: Settings) -> program.Program:
    distributions = program.installed()
    if role in _ANALYSIS:
        from workers.analysis import plugin_registry  # noqa: PLC0415  as above

        distributions += plugin_registry.distributions(settings.selected_plugins)
    return program.Program(distributions)


def _concurrency(role: Role, settings: Settings) -> int:
    """Return how many processes a role starts: as many as are set, or as the default if memory suffices."""
    if role not in {Role.CONSUMER, Role.ANALYSIS_CONSUMER}:
        return 1
    setting = "consumer_concurrency" if role is Role.CONSUMER else "analysis_concurrency"
    wanted: int = getattr(settings, setting)
    if setting in settings.model_fields_set:
        return wanted
    left_mib = memory.available_mib()
    if role is Role.CONSUMER:
        fit = memory.processes_that_fit(wanted, _STORING_MIB, None if left_mib is None else left_mib // 2)
    else:
        fit = memory.processes_that_fit(wanted, _ANALYSING_MIB + settings.engine_hash_mb, left_mib)
    if fit < wanted:
        _LOG.info(
            "fewer_processes",
            reason=f"only {left_mib} MiB of memory are left; SCORESHEET_{setting.upper()} overrides this",
            processes=fit,
            default=wanted,
        )
    return fit


def _messages_at_once(role: Role, celery: "Celery[Any]") -> int:
    """Return how many messages one process of a role takes up; the rest waits where all workers see it."""
    tasks = (str(task) for task, queue in QUEUE_OF_TASK.items() if queue is _WORKERS[role].queue)
    return max(getattr(celery.tasks[task], "flush_every", 1) for task in tasks)


def _run_beat(settings: Settings) -> int:
    from workers.celery_app import configure  # noqa: PLC0415  keeps `--help` quick

    configure(settings).Beat(loglevel=settings.log_level, quiet=True).run()
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
