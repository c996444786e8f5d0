"""What can be set for the workers? (The only reader of the environment in workers/.)"""

import functools
import os
import re
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from app.contract.analyses import BudgetMode
from app.contract.positions import EvaluationSource
from app.contract.settings import SETTING_NAMES, RoleSettings, split_url, wrong
from app.kit.environment import ConfigurationError, load_settings
from app.kit.secret_file import SecretFileError, read_secret

Concurrency = Annotated[int, Field(ge=1, le=256)]
"""Processes of one role."""

# Below this the clock was never set: certificates would not verify and every date would be wrong.
_CLOCK_SANE_FROM = 1_577_836_800  # 2020-01-01, seconds

UNKNOWN_BOOT: Final = "unknown"
"""Stands for the boot where nothing tells it from others."""

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return UNKNOWN_BOOT


class Role(StrEnum):
    """What one process tree does; each is a unit of its own."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    ANALYSIS_PRODUCER = "analysis-producer"
    ANALYSIS_CONSUMER = "analysis-consumer"
    BEAT = "beat"


class Settings(RoleSettings):
    """Settings of all worker roles."""

    visibility_timeout_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    """Redis hands an unacknowledged message out again after this long."""

    api_url: str = "http://127.0.0.1:8000"
    api_socket: Path | None = None
    """Unix socket of the API; where set, requests go through it instead of TCP."""
    worker_token_file: Path | None = None
    """Holds the bearer token that the API asks of workers."""

    lichess_url: str = "https://lichess.org"
    lichess_token_file: Path | None = None
    """Holds a Lichess API token; optional, doubles the speed."""
    contact: Annotated[str, Field(max_length=200)] | None = None
    """Mail address or web page at which Lichess can reach whoever runs this; sent with each request to it."""
    lichess_timeout_seconds: Annotated[float, Field(ge=0.1, le=600)] = 60
    """Silence after which a connection to Lichess counts as dead."""
    lichess_deadline_seconds: Annotated[float, Field(ge=1, le=86_400)] = 900
    """Longest that one request to Lichess may take altogether."""
    rate_limit_seconds: Annotated[int, Field(ge=1, le=3_600)] = 60
    """Silence after a 429, until the API says how long it shall be, and after a request whose status nobody
    read."""
    lock_ttl_seconds: Annotated[float, Field(ge=1, le=600)] = 30
    """After this long without a heartbeat the Redis lock of the gate to Lichess lapses."""
    lock_heartbeat_seconds: Annotated[float, Field(ge=0.1, le=300)] = 10
    gate_wait_seconds: Annotated[float, Field(ge=0, le=600)] = 45
    """How long a producer waits at a busy gate; longer than the TTL, so that a crash on another host costs no
    turn."""
    queue_high_water: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Games waiting in db_queue at which the producer stops reading from Lichess …"""
    queue_low_water: Annotated[int, Field(ge=0, le=1_000_000)] = 250
    """… and at which it goes on."""
    pause_seconds: Annotated[float, Field(ge=0, le=600)] = 60
    """A pause longer than this ends the request: Lichess shall not hold a stream open for us."""

    state_dir: Path = Path("var/state")
    """Beat's schedule, and the gate to Lichess: its kernel lock, its silence, its unanswered request."""
    boot_id: Annotated[str, Field(pattern=r"^\S+$")] = Field(default_factory=_boot_id)
    """What tells this boot of the host from others; the units say it, from which /proc is hidden."""
    orchestrator_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    analysis_schedule_seconds: Annotated[int, Field(ge=1, le=86_400)] = 30

    consumer_concurrency: Concurrency = 8
    analysis_concurrency: Concurrency = 4
    """Where it is not set, a worker starts fewer processes if memory is short, and so with the one above."""
    analysis_time_limit_seconds: Annotated[int, Field(ge=10, le=86_400)] = 1_500
    """Longest that the analysis of one game may take; then its process is killed."""
    engine_path: Annotated[str, Field(min_length=1)] = "stockfish"
    """Executables, looked up on PATH if they are bare names, and folders of them, with colons between: builds
    of one engine, of which the fastest that works here is used."""
    engine_hash_mb: Annotated[int, Field(ge=1, le=64)] = 16
    plugins: str = ""
    """Names of the plugins to run, with commas between; all installed ones if empty."""
    nodes: Annotated[int, Field(ge=1, le=10**12)] = 100_000
    """Budget of one position where it matters: the reference."""
    analysis_mode: BudgetMode = BudgetMode.ADAPTIVE
    """adaptive: a part of `nodes` on every position, and more where a judgement is at stake. fixed: all."""
    evaluations_from: EvaluationSource = EvaluationSource.ENGINE
    """lichess: games that Lichess analysed from a usual start to their end are not searched; its evaluations
    serve."""

    @field_validator("api_url", "lichess_url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = split_url(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise wrong("must be an http:// or https:// address with a host")
        return value.rstrip("/")

    @field_validator("contact")
    @classmethod
    def _reachable(cls, value: str | None) -> str | None:
        if value is not None and not (_MAIL.fullmatch(value) or _is_web_page(value)):
            raise wrong("must be a mail address, or an http:// or https:// address without a password")
        return value

    @field_validator("api_url")
    @classmethod
    def _no_path(cls, value: str) -> str:
        if value != "{0.scheme}://{0.netloc}".format(split_url(value)) or "@" in value:
            raise wrong("must end after host and port: the API's paths begin at the root")
        return value

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        # Redis would hand a task to a second process while the first still works on it.
        if self.visibility_timeout_seconds <= 2 * self.longest_task_seconds:
            raise wrong(
                "SCORESHEET_VISIBILITY_TIMEOUT_SECONDS must be more than twice the longest task "
                f"({self.longest_task_seconds} s; see SCORESHEET_ANALYSIS_TIME_LIMIT_SECONDS and "
                "SCORESHEET_LICHESS_DEADLINE_SECONDS)"
            )
        # Two heartbeats must be able to fail before the lock lapses.
        if self.lock_ttl_seconds < 3 * self.lock_heartbeat_seconds:
            raise wrong(
                "SCORESHEET_LOCK_TTL_SECONDS must be at least three times SCORESHEET_LOCK_HEARTBEAT_SECONDS"
            )
        if self.queue_low_water >= self.queue_high_water:
            raise wrong("SCORESHEET_QUEUE_LOW_WATER must be less than SCORESHEET_QUEUE_HIGH_WATER")
        return self

    @property
    def selected_plugins(self) -> list[str] | None:
        """Names of the plugins to run; None for all that are installed."""
        names = [name.strip() for name in self.plugins.split(",")]
        return [name for name in names if name] or None

    @property
    def fetch_time_limit_seconds(self) -> int:
        """After this long the process of a fetch is killed: its own deadlines have failed."""
        return (
            int(self.gate_wait_seconds + self.lichess_deadline_seconds + self.lichess_timeout_seconds) + 300
        )

    @property
    def longest_task_seconds(self) -> int:
        """The hard limit of the longest task."""
        return max(self.fetch_time_limit_seconds, self.analysis_time_limit_seconds)

    def worker_token(self) -> SecretStr:
        """Return the token for the API, or raise ConfigurationError."""
        if self.worker_token_file is None:
            raise ConfigurationError("SCORESHEET_WORKER_TOKEN_FILE is not set")
        return _secret("SCORESHEET_WORKER_TOKEN_FILE", self.worker_token_file)

    def lichess_token(self) -> SecretStr | None:
        """Return the optional token for Lichess, or raise ConfigurationError if its file can't be read."""
        if self.lichess_token_file is None:
            return None
        return _secret("SCORESHEET_LICHESS_TOKEN_FILE", self.lichess_token_file)

    def check(self, role: Role) -> None:
        """Raise ConfigurationError, one line, if this role cannot work with these settings on this host."""
        if time.time() < _CLOCK_SANE_FROM:
            raise ConfigurationError("the clock of this host stands before 2020")
        if role is not Role.BEAT:
            self.worker_token()
            # The socket itself comes and goes with the API, and the client waits for it.
            if self.api_socket is not None:
                _check_folder("SCORESHEET_API_SOCKET", self.api_socket.parent, os.X_OK)
        if role is Role.PRODUCER:
            self.lichess_token()
        if role in {Role.PRODUCER, Role.BEAT}:
            _check_folder("SCORESHEET_STATE_DIR", self.state_dir, os.W_OK | os.X_OK)


def _is_web_page(value: str) -> bool:
    # What would end the comment of a User-Agent, or the header, is written %28 and so on.
    if not re.fullmatch(r"https?://[!-\[\]-~]+", value) or re.search(r"[()<>\"@]", value):
        return False
    return bool(split_url(value).hostname)


def _check_folder(name: str, path: Path, rights: int) -> None:
    try:
        exists = path.is_dir()
    except OSError as error:  # a folder above it may not be entered
        raise ConfigurationError(f"{name}: {path}: {error.strerror}") from error
    if not exists:
        raise ConfigurationError(f"{name}: no folder {path}")
    if not os.access(path, rights):
        raise ConfigurationError(f"{name}: {path} may not be used by this user")


def _secret(name: str, path: Path) -> SecretStr:
    try:
        return read_secret(path)
    except SecretFileError as error:
        raise ConfigurationError(f"{name}: {error}") from error


@functools.cache
def get_settings() -> Settings:
    """Return the settings of this process, read once, or raise ConfigurationError."""
    return load_settings(Settings, SETTING_NAMES)
