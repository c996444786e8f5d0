"""Does a wrong configuration end in one clear line?"""

import errno
import os
import time
from pathlib import Path

import pytest

import app.settings
from app.contract.settings import SETTING_NAMES
from app.kit.environment import PREFIX, ConfigurationError
from workers.settings import Role, Settings, get_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Set what every role needs, and nothing else."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("secret-token\n")
    monkeypatch.setenv("SCORESHEET_BROKER_URL", "redis://127.0.0.1/0")
    monkeypatch.setenv("SCORESHEET_WORKER_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("SCORESHEET_STATE_DIR", str(tmp_path))
    return monkeypatch


def load() -> Settings:
    get_settings.cache_clear()
    try:
        return get_settings()
    finally:
        get_settings.cache_clear()


def complaint(role: Role = Role.PRODUCER) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load().check(role)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_suit_every_role() -> None:
    settings = load()
    for role in Role:
        settings.check(role)
    assert settings.worker_token().get_secret_value() == "secret-token"
    assert settings.lichess_token() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BROKER_URL", "amqp://localhost"),
        ("BROKER_URL", ""),
        ("BROKER_URL", "redis://:hush@h:abc/0"),
        ("BROKER_URL", "redis://:hush@h:0/0"),
        ("BROKER_URL", "redis://:hush@h:65536/0"),
        ("BROKER_URL", "redis://:hush@[::1/0"),
        ("BROKER_URL", "redis://:hush@h/first"),
        ("BROKER_URL", "redis://:hu/sh@h/0"),
        ("BROKER_URL", "redis://:12/sh@h/0"),
        ("BROKER_URL", "redis://:12#hush@h/0"),
        ("BROKER_URL", "redis+socket://"),
        ("BROKER_URL", "redis+socket:///run/redis?virtual_host=first"),
        ("BROKER_URL", "redis://:hush;hush@h/0"),
        ("BROKER_URL", "redis://h/0?db=1"),
        ("BROKER_URL", "redis://h/0?socket_timeout=1"),
        ("BROKER_URL", "redis://h/0?ssl_cert_reqs=required"),
        ("BROKER_URL", "rediss://h/0?ssl_cert_reqs=CERT_REQUIRED"),
        ("BROKER_URL", "rediss://h/0?ssl_cert_reqs="),
        ("BROKER_URL", "rediss://h/0?ssl_cert_reqs=none&ssl_cert_reqs=required"),
        ("BROKER_URL", "rediss://h/0?ssl_check_hostname=no"),
        ("BROKER_URL", "rediss://h/0?ssl_ca_certs=authority.pem"),
        ("BROKER_URL", "rediss://h/0?ssl_ca_certs=/a%2541.pem"),
        ("BROKER_URL", "rediss://h/0?ssl_ca_path=/etc/ssl"),
        ("BROKER_URL", "rediss://h/0?verify"),
        ("BROKER_URL", "redis+socket:///run/redis.sock?db=1"),
        ("CONSUMER_CONCURRENCY", "0"),
        ("ANALYSIS_CONCURRENCY", "four"),
        ("ORCHESTRATOR_SECONDS", "60s"),
        ("LOCK_TTL_SECONDS", "30000"),
        ("LICHESS_URL", "lichess.org"),
        ("LICHESS_URL", "https://hush:abc"),
        ("API_URL", "ftp://127.0.0.1"),
        ("API_URL", "http://"),
        ("API_URL", "http://hush:abc"),
        ("API_URL", "http://h:65536"),
        ("API_URL", "http://[::1"),
        ("API_URL", "http://h/hush"),
        ("API_URL", "http://h/?hush"),
        ("API_URL", "http://h#hush"),
        ("API_URL", "http://me:hush@h"),
        ("CONTACT", "me"),
        ("CONTACT", "@example.org"),
        ("CONTACT", "me@localhost"),
        ("CONTACT", "me@example.org (me)"),
        ("CONTACT", "me@example.org\r\nX-Header: 1"),
        ("CONTACT", "mé@example.org"),
        ("CONTACT", "ftp://example.org"),
        ("CONTACT", "https://"),
        ("CONTACT", "https://example.org/a b"),
        ("CONTACT", "https://example.org/(me)"),
        ("CONTACT", "https://example.org/\\"),
        ("CONTACT", "https://me:hush@example.org"),
        ("CONTACT", "https://example.org:hush"),
        ("CONTACT", "https://example.org/" + "x" * 200),
        ("LOG_LEVEL", "LOUD"),
        ("NODES", "0"),
        ("ENGINE_HASH_MB", "1024"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"SCORESHEET_{name}", value)
    assert f"SCORESHEET_{name}: " in complaint()
    assert "hush" not in complaint()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BROKER_URL", "redis://"),
        ("BROKER_URL", "redis://h"),
        ("BROKER_URL", "rediss://me:p@ss@h:6380/2?ssl_cert_reqs=required"),
        ("BROKER_URL", "rediss://h?ssl_ca_certs=/a%20b.pem&ssl_check_hostname=false&ssl_cert_reqs=none"),
        ("BROKER_URL", "redis+socket:///run/redis.sock?virtual_host=1"),
        ("BROKER_URL", "redis+socket://me:pass@/run/redis.sock"),
        ("API_URL", "http://[::1]:8000"),
        ("API_URL", "https://api.example:443"),
        ("LICHESS_URL", "https://mirror.example/lichess"),
        ("CONTACT", "me+chess@mail.example.org"),
        ("CONTACT", "https://example.org:8443/~me?about=this#there"),
    ],
)
def test_a_url_is_taken_as_it_is(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"SCORESHEET_{name}", value)
    taken = getattr(load(), name.lower())
    assert (taken.get_secret_value() if name == "BROKER_URL" else taken) == value


def test_the_api_s_address_may_end_in_a_slash(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_API_URL", "http://127.0.0.1:8000/")
    assert load().api_url == "http://127.0.0.1:8000"


def test_a_misspelt_name_is_an_error_and_the_api_s_names_are_not(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_DATABASE_URL", "postgresql+psycopg:///x")
    load()
    environment.setenv("SCORESHEET_NODE", "5")
    assert "SCORESHEET_NODE" in complaint()


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("VISIBILITY_TIMEOUT_SECONDS", "3000", "LICHESS_DEADLINE_SECONDS"),
        ("ANALYSIS_TIME_LIMIT_SECONDS", "1800", "VISIBILITY_TIMEOUT_SECONDS"),
        ("LICHESS_DEADLINE_SECONDS", "1500", "VISIBILITY_TIMEOUT_SECONDS"),
        ("LOCK_HEARTBEAT_SECONDS", "11", "LOCK_TTL_SECONDS"),
        ("QUEUE_LOW_WATER", "500", "QUEUE_HIGH_WATER"),
    ],
)
def test_limits_that_contradict_each_other_are_named_together(
    environment: pytest.MonkeyPatch, name: str, value: str, other: str
) -> None:
    environment.setenv(f"SCORESHEET_{name}", value)
    message = complaint()
    assert f"SCORESHEET_{name}" in message
    assert f"SCORESHEET_{other}" in message


@pytest.mark.parametrize("content", [None, "", "two words", "zwei\nzeilen"])
def test_a_credential_that_can_not_be_read_is_named_and_not_shown(
    tmp_path: Path, environment: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "other"
    if content is not None:
        path.write_text(content)
    environment.setenv("SCORESHEET_WORKER_TOKEN_FILE", str(path))
    message = complaint()
    assert "SCORESHEET_WORKER_TOKEN_FILE" in message
    assert content is None or not content or content not in message


def test_a_missing_credential_matters_to_all_but_beat(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SCORESHEET_WORKER_TOKEN_FILE")
    assert "SCORESHEET_WORKER_TOKEN_FILE is not set" in complaint(Role.CONSUMER)
    load().check(Role.BEAT)


def test_a_lichess_token_that_is_named_must_be_there(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_LICHESS_TOKEN_FILE", "/nowhere/token")
    assert "SCORESHEET_LICHESS_TOKEN_FILE" in complaint(Role.PRODUCER)
    load().check(Role.CONSUMER)


@pytest.mark.parametrize("role", [Role.PRODUCER, Role.BEAT])
def test_a_missing_state_folder_is_named(environment: pytest.MonkeyPatch, role: Role) -> None:
    environment.setenv("SCORESHEET_STATE_DIR", "/nowhere")
    assert "SCORESHEET_STATE_DIR" in complaint(role)


def test_a_folder_that_may_not_be_looked_into_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    environment.setattr(Path, "is_dir", refuse)
    assert complaint(Role.BEAT) == f"SCORESHEET_STATE_DIR: {tmp_path}: Permission denied"


def test_an_address_with_a_password_may_come_as_a_credential(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "scoresheet_broker_url").write_text("rediss://:hunter2@broker/0\n")
    (folder / "worker-token").write_text("a credential that a setting names the file of")
    environment.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert load().broker_url.get_secret_value() == "redis://127.0.0.1/0"  # the environment goes first
    environment.setenv("SCORESHEET_BROKER_URL", "")
    verified = "rediss://:hunter2@broker/0?ssl_cert_reqs=required"
    assert load().broker_url.get_secret_value() == verified
    (folder / "scoresheet_broker_url").write_text("amqp://:hunter2@broker/0\n")
    assert "SCORESHEET_BROKER_URL" in complaint()
    assert "hunter2" not in complaint()
    (folder / "scoresheet_broker_urll").write_text("x")
    assert complaint() == "unknown setting SCORESHEET_BROKER_URLL"


def test_credentials_that_can_not_be_read_are_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CREDENTIALS_DIRECTORY", "/nowhere/credentials")
    assert "/nowhere/credentials" in complaint()


def test_a_socket_whose_folder_is_missing_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_API_SOCKET", "/nowhere/api.sock")
    assert "SCORESHEET_API_SOCKET" in complaint(Role.CONSUMER)


def test_a_clock_that_was_never_set_is_noticed(environment: pytest.MonkeyPatch) -> None:
    environment.setattr(time, "time", lambda: 1_000_000_000.0)
    assert "clock" in complaint()


def test_the_password_of_the_broker_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_BROKER_URL", "redis://:hunter2@127.0.0.1/0")
    assert "hunter2" not in repr(load())


def test_one_environment_file_serves_the_api_and_the_workers() -> None:
    read = {*app.settings.Settings.model_fields, *Settings.model_fields}
    assert {name.upper() for name in read} == SETTING_NAMES
