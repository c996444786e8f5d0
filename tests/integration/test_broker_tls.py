"""Do both that read the broker's URL, Kombu and redis-py, trust the same certificates?"""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis
from pydantic import SecretStr

from app.broker import Broker
from app.settings import Settings
from dev.binaries import find_binaries
from dev.pipeline import free_port
from workers.broker import connect

_HOST: Final = "127.0.0.1"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make certificates that vouch for themselves: `here`, and `elsewhere` of another host."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes the certificates")
    folder = tmp_path_factory.mktemp("certificates")
    for name, host in (("here", f"IP:{_HOST}"), ("elsewhere", "DNS:redis.example")):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}", "-days", "2"]
        command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(params=["here", "elsewhere"])
def server(request: pytest.FixtureRequest, certificates: Path) -> Iterator[tuple[str, str]]:
    """Run a Redis that speaks TLS alone; yield its certificate's name and its URL."""
    name = str(request.param)
    binary = find_binaries().redis
    port = free_port(None)
    command = [str(binary.path), "--port", "0", "--tls-port", str(port), "--bind", _HOST, "--save", ""]
    command += ["--tls-cert-file", str(certificates / f"{name}.pem")]
    command += ["--tls-key-file", str(certificates / f"{name}.key"), "--tls-auth-clients", "no"]
    with subprocess.Popen(
        command, env=dict(binary.environment), cwd=certificates, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "Ready to accept connections" in line:
                    break
            else:
                pytest.fail("Redis did not start: is it built with TLS?")
            yield name, f"rediss://{_HOST}:{port}/0"
        finally:
            process.terminate()


def _readers(url: str) -> dict[str, bool]:
    settings = Settings(database_url=SecretStr("postgresql+psycopg://me@/db"), broker_url=SecretStr(url))
    broker = Broker(settings)
    try:
        kombu = asyncio.run(broker.is_up())
    finally:
        broker.close()
    with connect(settings.broker_url.get_secret_value(), timeout_seconds=5) as client:
        try:
            redis_py = bool(client.ping())
        except redis.ConnectionError:
            redis_py = False
    return {"Kombu": kombu, "redis-py": redis_py}


@pytest.mark.smoke
def test_a_certificate_that_is_named_is_trusted_by_both(server: tuple[str, str], certificates: Path) -> None:
    name, url = server
    answers = _readers(f"{url}?ssl_ca_certs={certificates / name}.pem")
    assert answers == dict.fromkeys(answers, name == "here")


@pytest.mark.parametrize(
    ("options", "trusted"),
    [
        ("", set()),
        ("?ssl_ca_certs={own}&ssl_cert_reqs=required", {"here"}),
        ("?ssl_ca_certs={own}&ssl_check_hostname=false", {"here", "elsewhere"}),
        ("?ssl_cert_reqs=none", {"here", "elsewhere"}),
    ],
)
def test_a_certificate_is_trusted_by_both_or_by_neither(
    server: tuple[str, str], certificates: Path, options: str, trusted: set[str]
) -> None:
    name, url = server
    answers = _readers(url + options.format(own=certificates / f"{name}.pem"))
    assert answers == dict.fromkeys(answers, name in trusted)
