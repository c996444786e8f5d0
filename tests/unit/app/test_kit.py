"""Do the parts that know nothing of chess do what they say?"""

import base64
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, TypeAdapter
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.kit import strict_json
from app.kit.environment import PREFIX, ConfigurationError, load_settings
from app.kit.logging import LogFormat, configure_logging
from app.kit.pagination import InvalidCursor, decode_cursor, encode_cursor
from app.kit.secret_file import SecretFileError, read_secret


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    pause_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    token: SecretStr


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("SCORESHEET_TOKEN", "hush")
    return monkeypatch


def _complaint() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(_Settings, {"ELSEWHERE"})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_settings_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_PAUSE_SECONDS", "7")
    environment.setenv("SCORESHEET_ELSEWHERE", "anything")
    environment.setenv("OTHER_NAME", "anything")
    settings = load_settings(_Settings, {"ELSEWHERE"})
    assert (settings.pause_seconds, settings.token.get_secret_value()) == (7, "hush")


def test_a_name_that_nobody_reads_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_PAUZE_SECONDS", "7")
    assert _complaint() == "unknown setting SCORESHEET_PAUZE_SECONDS"


@pytest.mark.parametrize("value", ["5000", "0", "5s", "5 min", "1.5", "five"])
def test_a_wrong_value_or_unit_is_named_in_one_line(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("SCORESHEET_PAUSE_SECONDS", value)
    assert _complaint().startswith("SCORESHEET_PAUSE_SECONDS: Input should be")


def test_every_missing_name_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SCORESHEET_TOKEN")
    environment.setenv("SCORESHEET_PAUSE_SECONDS", "x")
    assert "SCORESHEET_TOKEN: Field required" in _complaint()
    assert "SCORESHEET_PAUSE_SECONDS: " in _complaint()


def test_a_secret_is_not_in_the_complaint(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SCORESHEET_PAUSE_SECONDS", "x")
    assert "hush" not in _complaint()


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


@pytest.mark.usefixtures("restored_logging")
def test_a_json_line_has_event_level_time_logger_and_bound_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogFormat.JSON, "INFO")
    with structlog.contextvars.bound_contextvars(game="abcdefgh"):
        structlog.get_logger("app.test").info("game_stored", player="alice\nbob")
    (line,) = _logged(capsys)
    assert datetime.fromisoformat(str(line.pop("timestamp"))).tzinfo == UTC
    assert line == {
        "event": "game_stored",
        "level": "info",
        "logger": "app.test",
        "game": "abcdefgh",
        "player": "alice\nbob",
    }


@pytest.mark.usefixtures("restored_logging")
def test_libraries_log_in_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogFormat.JSON, "INFO")
    logging.getLogger("celery").warning("late: %s", 3, extra={"color_message": "\x1b[1mlate"})
    logging.getLogger("httpx").info("GET https://example.org/secret")
    structlog.get_logger("app.test").debug("too_fine")
    (line,) = _logged(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("late: 3", "warning", "celery")
    assert "color_message" not in line


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("log_format", [LogFormat.JSON, LogFormat.PRETTY])
def test_a_traceback_shows_no_local_variables(
    capsys: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    configure_logging(log_format, "INFO")

    def fail(token: str) -> None:
        assert token
        raise RuntimeError("it broke")

    try:
        fail("sst_" + "s" * 20)
    except RuntimeError:
        structlog.get_logger("app.test").exception("request_failed")
    written = capsys.readouterr().err
    assert "it broke" in written
    assert "ssss" not in written


@pytest.mark.usefixtures("restored_logging")
def test_a_secret_that_is_logged_by_mistake_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogFormat.JSON, "INFO")
    structlog.get_logger("app.test").info("started", token=SecretStr("hush"))
    assert "hush" not in capsys.readouterr().err


_KEY: TypeAdapter[tuple[datetime, int]] = TypeAdapter(tuple[datetime, int])


@given(st.datetimes(timezones=st.just(UTC)), st.integers())
def test_a_cursor_gives_back_its_key_and_fits_a_url(moment: datetime, number: int) -> None:
    cursor = encode_cursor(_KEY, (moment, number))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    assert decode_cursor(_KEY, cursor) == (moment, number)


@given(st.text())
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(_KEY, text)


@example(["0", "0"])
@given(st.none() | st.integers() | st.text() | st.lists(st.none() | st.text(), min_size=1))
def test_any_other_value_is_no_cursor(value: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    with pytest.raises(InvalidCursor):
        decode_cursor(_KEY, cursor)


def test_a_secret_is_the_files_line(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  sst_abc \n")
    secret = read_secret(path)
    assert secret.get_secret_value() == "sst_abc"
    assert "sst_abc" not in repr(secret)


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"two words", b"two\nlines", b"\xff\xfe", "schlüssel".encode(), b"a\x00b"]
)
def test_a_file_that_holds_no_secret_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SecretFileError) as caught:
        read_secret(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SecretFileError, match=re.escape(str(path))):
            read_secret(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_strict_json_reads_what_json_is(value: object) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[-Infinity]",
        b'{"a": 1, "a": 1}',
        b'[{"b": {"a": 1, "c": 2, "a": null}}]',
        b"\xef\xbb\xbf{}",
        b"\xff",
        "{}".encode("utf-16"),
        b"9" * 5_000,
        b"[" * 200_000,
    ],
)
def test_strict_json_refuses_all_else_in_one_way(body: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        strict_json.loads(body)


def test_a_duplicate_is_found_among_any_number_of_keys() -> None:
    """Comparing each key with each would take hours."""
    names = [f'"{number}":0' for number in range(200_000)]
    with pytest.raises(json.JSONDecodeError, match="duplicate key '199999'"):
        strict_json.loads(("{" + ",".join([*names, names[-1]]) + "}").encode())
