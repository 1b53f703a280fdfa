"""TLS with the tools and clients that everybody has, and beside a real redis-server."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.certificates import Certificates
from tests.interop.compare import Peer
from tests.interop.conftest import Start
from tests.processes import free_port

PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Secured:
    """A server with a plain port and one for TLS."""

    def __init__(self, start: Start, certificates: Certificates) -> None:
        self.tls_port = free_port()
        self.port = start("--tls-port", str(self.tls_port), *certificates.words)


@pytest.fixture(scope="module")
def real(start_real: Start, certificates: Certificates) -> Secured:
    return Secured(start_real, certificates)


@pytest.fixture(scope="module")
def ours(start_ours: Start, certificates: Certificates) -> Secured:
    return Secured(start_ours, certificates)


@pytest.fixture(params=["real", "ours"])
def either(request: pytest.FixtureRequest) -> Secured:
    """A test that uses it says the same of both servers."""
    server: Secured = request.getfixturevalue(request.param)
    with closing(Peer(server.port)) as peer:
        peer.command("FLUSHALL")
    return server


@pytest.fixture
def client(either: Secured, certificates: Certificates) -> Iterator[redis.Redis]:
    """redis-py over TLS."""
    client = redis.Redis(
        port=either.tls_port,
        ssl=True,
        ssl_ca_certs=str(certificates.ca),
        ssl_certfile=str(certificates.client_cert),
        ssl_keyfile=str(certificates.client_key),
        protocol=3,
        socket_timeout=PATIENCE_S,
    )
    yield client
    client.close()


def tool(name: str, certificates: Certificates, port: int, *words: str) -> str:
    """Run one of Redis's tools over TLS and return what it prints."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    command = [path, "-p", str(port), "--tls", "--cacert", str(certificates.ca)]
    command += ["--cert", str(certificates.client_cert), "--key", str(certificates.client_key)]
    done = subprocess.run([*command, *words], capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


def test_redis_cli(either: Secured, certificates: Certificates, tmp_path: Path) -> None:
    port = either.tls_port
    assert tool("redis-cli", certificates, port, "PING") == "PONG\n"
    assert tool("redis-cli", certificates, port, "SET", "k", "v") == "OK\n"
    assert tool("redis-cli", certificates, port, "-3", "HGETALL", "none") == "\n"
    assert tool("redis-cli", certificates, port, "--scan") == "k\n"


def test_redis_benchmark(either: Secured, certificates: Certificates) -> None:
    words = ["-n", "2000", "-c", "20", "-P", "8", "-d", "1000", "-t", "set,get", "--csv"]
    lines = tool("redis-benchmark", certificates, either.tls_port, *words).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ['"SET"', '"GET"']


def test_values_of_all_sizes_and_a_pipeline(client: redis.Redis) -> None:
    for size in (0, 1, 16_383, 16_384, 16_385, 65_536, 1_000_000, 20_000_000):
        client.set("k", b"x" * size)
        assert client.get("k") == b"x" * size
    pipeline = client.pipeline(transaction=False)
    for number in range(5000):
        pipeline.set(f"k{number}", b"v" * number)
        pipeline.get(f"k{number}")
    assert pipeline.execute()[1::2] == [b"v" * number for number in range(5000)]


def test_pubsub_and_blocking(client: redis.Redis) -> None:
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    assert pubsub.get_message(timeout=PATIENCE_S)["type"] == "subscribe"
    client.publish("news", "x" * 100_000)
    assert pubsub.get_message(timeout=PATIENCE_S)["data"] == b"x" * 100_000
    pubsub.close()
    assert client.blpop("nothing", timeout=0.01) is None


def test_a_url(either: Secured, certificates: Certificates) -> None:
    url = f"rediss://127.0.0.1:{either.tls_port}"
    with closing(
        redis.from_url(
            url,
            ssl_ca_certs=str(certificates.ca),
            ssl_certfile=str(certificates.client_cert),
            ssl_keyfile=str(certificates.client_key),
        )
    ) as client:
        assert client.ping()


def test_settings_are_refused_in_the_same_words(
    real: Secured, ours: Secured, certificates: Certificates, tmp_path: Path
) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("no certificate\n")
    _, other_key = certificates.issue("127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        lines = [
            f"CONFIG SET tls-cert-file {tmp_path}/missing",
            f"CONFIG SET tls-cert-file {rubbish}",
            'CONFIG SET tls-cert-file ""',
            f"CONFIG SET tls-key-file {other_key}",
            'CONFIG SET tls-key-file ""',
            f"CONFIG SET tls-ca-cert-file {tmp_path}/missing",
            'CONFIG SET tls-ca-cert-file ""',
            "CONFIG SET tls-protocols TLSv9",
            "CONFIG SET tls-protocols TLSv1.2",
            'CONFIG SET tls-protocols ""',
            "CONFIG SET tls-ciphers nonsense",
            "CONFIG SET tls-ciphers DEFAULT",
            f"CONFIG SET tls-dh-params-file {rubbish}",
            "CONFIG SET tls-auth-clients perhaps",
            f"CONFIG SET tls-port {taken.getsockname()[1]}",
            "CONFIG SET tls-session-caching no tls-session-cache-size 5000",
            "CONFIG GET tls-cert-file",
            "CONFIG GET tls-prefer*",
            "CONFIG SET tls-auth-clients optional",
            "CONFIG SET tls-auth-clients yes",
        ]
        with closing(Peer(real.port)) as theirs, closing(Peer(ours.port)) as mine:
            for line in lines:
                assert mine.command(line) == theirs.command(line), line


def wait_for(true: Callable[[], bool]) -> None:
    """Wait until something is true of a server."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("primary_is_real", [True, False], ids=["real primary", "our primary"])
def test_replication_over_tls(
    start_real: Start, start_ours: Start, certificates: Certificates, primary_is_real: bool
) -> None:
    starts = (start_real, start_ours) if primary_is_real else (start_ours, start_real)
    primary = Secured(starts[0], certificates)
    replica_port = starts[1](
        *certificates.words, "--tls-replication", "yes", "--repl-diskless-sync-delay", "0"
    )
    with closing(Peer(primary.port)) as above, closing(Peer(replica_port)) as below:
        above.command("CONFIG SET repl-diskless-sync-delay 0")
        above.command("SET before " + "x" * 100_000)
        assert below.command(f"REPLICAOF 127.0.0.1 {primary.tls_port}") == b"+OK\r\n"
        wait_for(lambda: b"master_link_status:up" in below.command("INFO replication"))
        assert below.command("STRLEN before") == b":100000\r\n"
        above.command("SET after y")
        wait_for(lambda: below.command("GET after") == b"$1\r\ny\r\n")
