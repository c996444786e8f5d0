"""What can be set, over all roles, and what do all of them read?"""

import re
from typing import Annotated, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.kit.environment import PREFIX
from app.kit.logging import LogFormat

# One environment file serves every role: what one does not know is misspelt only if no other reads it. The
# workers may not import the API's settings, nor it theirs; a test compares this list with both.
SETTING_NAMES: Final = frozenset(
    {
        "ANALYSIS_ATTEMPTS",
        "ANALYSIS_CONCURRENCY",
        "ANALYSIS_LEASE_SECONDS",
        "ANALYSIS_MODE",
        "ANALYSIS_RETRY_SECONDS",
        "ANALYSIS_SCHEDULE_SECONDS",
        "ANALYSIS_TIME_LIMIT_SECONDS",
        "API_HOST",
        "API_PORT",
        "API_SOCKET",
        "API_URL",
        "BODY_LIMIT_BYTES",
        "BOOT_ID",
        "BROKER_URL",
        "CONSUMER_CONCURRENCY",
        "CONTACT",
        "DATABASE_POOL_SIZE",
        "DATABASE_PREPARED_STATEMENTS",
        "DATABASE_URL",
        "ENGINE_HASH_MB",
        "ENGINE_PATH",
        "EVALUATIONS_FROM",
        "FAILURE_RETRY_SECONDS",
        "GATE_WAIT_SECONDS",
        "GONE_RETRY_SECONDS",
        "HOLE_AFTER_SECONDS",
        "LICHESS_DEADLINE_SECONDS",
        "LICHESS_TIMEOUT_SECONDS",
        "LICHESS_TOKEN_FILE",
        "LICHESS_URL",
        "LOCK_HEARTBEAT_SECONDS",
        "LOCK_TTL_SECONDS",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MIGRATION_DATABASE_URL",
        "NODES",
        "NOT_FOUND_LAST_RETRY_SECONDS",
        "NOT_FOUND_RETRY_SECONDS",
        "ORCHESTRATOR_SECONDS",
        "OVERLAP_HOURS",
        "PAUSE_SECONDS",
        "PLUGINS",
        "QUEUE_HIGH_WATER",
        "QUEUE_LOW_WATER",
        "RATE_LIMIT_SECONDS",
        "SLICE_GAMES",
        "STATE_DIR",
        "SYNC_INTERVAL_SECONDS",
        "VISIBILITY_TIMEOUT_SECONDS",
        "WORKER_TOKEN_FILE",
    }
)


class RoleSettings(BaseSettings):
    """What every role reads, from SCORESHEET_* variables or credentials of that name."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    broker_url: SecretStr
    """Redis, where Celery's messages go: redis://, rediss:// or redis+socket://."""
    log_format: LogFormat = LogFormat.AUTO
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @field_validator("broker_url")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not url.startswith(("redis://", "rediss://", "redis+socket://")):
            raise wrong("must begin with redis://, rediss:// or redis+socket://")
        parts = split_url(url)
        database = parts.path
        if parts.scheme == "redis+socket":
            if not parts.path.strip("/"):
                raise wrong("must name the socket: redis+socket:///path")
            database = parse_qs(parts.query).get("virtual_host", [""])[0]
        if parts.fragment or not re.fullmatch("/?[0-9]*", database):
            raise wrong("must name its database by number; in a password / is written %2F, ? %3F and # %23")
        return value


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL whose port makes sense; the error that it raises quotes nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise wrong("must be a URL whose port, if any, is a number from 1 to 65535")
    return parts


def wrong(message: str) -> PydanticCustomError:
    """Return the error that a validator raises: unlike a ValueError's, its message is shown as it is."""
    return PydanticCustomError("scoresheet", "{message}", {"message": message})
