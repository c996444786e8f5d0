"""How does every process of Scoresheet write its log?"""

import logging
import logging.config
import sys
from enum import StrEnum
from typing import Any

import structlog


class LogFormat(StrEnum):
    """How a log line looks."""

    AUTO = "auto"
    """Pretty on a terminal, JSON elsewhere."""
    JSON = "json"
    PRETTY = "pretty"


_QUIET = ("httpx", "httpcore", "uvicorn.access", "chess.engine", "asyncio", "alembic")
"""Libraries that log every step at INFO; httpx's lines would carry URLs."""


def _drop_color_message(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    # uvicorn adds its message a second time, with terminal colours.
    event.pop("color_message", None)
    return event


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    _drop_color_message,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure_logging(log_format: LogFormat, level: str) -> None:
    """Send the logs of this process, of its libraries too, to stderr: one event a line.

    Libraries that log every step are held at WARNING.
    """
    pretty = log_format is LogFormat.PRETTY or (log_format is LogFormat.AUTO and sys.stderr.isatty())
    renderers: list[structlog.typing.Processor] = (
        # Plain: with Rich installed the default shows local variables, and some of them hold secrets.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
                "foreign_pre_chain": _SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in _QUIET},
    }
    logging.config.dictConfig(config)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
