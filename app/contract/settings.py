"""What can be set, over all roles, and what do all of them read?"""

import re
from typing import Annotated, Final
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

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


_FILE: Final = "/[^%]+"
# Those that Kombu and redis-py know, as regular expressions of the values that both read alike.
_BROKER_OPTIONS: Final = {
    "redis": {},
    "rediss": {
        "ssl_cert_reqs": "required|optional|none",
        "ssl_ca_certs": _FILE,
        "ssl_certfile": _FILE,
        "ssl_keyfile": _FILE,
        "ssl_check_hostname": "true|false",
    },
    "redis+socket": {"virtual_host": "/?[0-9]*"},
}


class RoleSettings(BaseSettings):
    """What every role reads, from SCORESHEET_* variables or credentials of that name."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    broker_url: SecretStr
    """Redis, where Celery's messages go: redis://, rediss:// or redis+socket://. With rediss:// its
    certificate is verified, unless the URL has `ssl_cert_reqs=none`; `ssl_ca_certs=/file` names one's own
    authority."""
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
        if ";" in url:
            raise wrong("must be one address: in a password ; is written %3B")
        return SecretStr(_with_one_reading(url, parts))


def _with_one_reading(url: str, parts: SplitResult) -> str:
    """Return the URL of Redis such that Kombu and redis-py, which both read it, read the same.

    Where one would not understand an option, or another than the other, it is wrong. Without `ssl_cert_reqs`
    Kombu would verify no certificate, and redis-py would: it is said.
    """
    try:
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise wrong("must have its options as name=value, with & between") from None
    allowed = _BROKER_OPTIONS[parts.scheme]
    names = [name for name, _ in options]
    if len(set(names)) < len(names) or not all(
        name in allowed and re.fullmatch(allowed[name], option) for name, option in options
    ):
        known = f"no options but {', '.join(allowed)}" if allowed else "no options"
        raise wrong(f"must have {known}, each once and with a value that Kombu and redis-py both know")
    if parts.scheme != "rediss" or "ssl_cert_reqs" in names:
        return url
    return f"{url.rstrip('?')}{'&' if parts.query else '?'}ssl_cert_reqs=required"


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
