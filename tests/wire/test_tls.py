"""TLS through the real loop. All other tests of this folder run over it, too: see conftest.py."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

import redis_trio.server
from redis_trio import ConfigError, RedisError, RedisServer, open_redis
from redis_trio.listeners import TLS
from redis_trio.outgoing import connect as connect_to
from tests.certificates import Certificates
from tests.wire.talk import Talk, until

Dial = Callable[..., Awaitable[Talk]]
REFUSED = "Unable to update TLS configuration. Check server logs."


@pytest.fixture(params=["hub", "stream"])
async def server(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    certificates: Certificates,
) -> AsyncIterator[RedisServer]:
    """A server with TLS and nothing else, once with the hub and once without."""
    if request.param == "stream":
        monkeypatch.setattr(redis_trio.server, "HAS_EPOLL", False)
    async with open_redis(None, tls_port=0, **certificates.options) as server:
        yield server


@pytest.fixture
async def dial(server: RedisServer, certificates: Certificates) -> AsyncIterator[Dial]:
    """Connect with TLS, by the context of the test or one with a certificate; do the handshake."""
    opened: list[Talk] = []

    async def dial(context: ssl.SSLContext | None = None, *, strict: bool = False) -> Talk:
        tcp = await trio.open_tcp_stream("127.0.0.1", server.tls_port)
        stream = trio.SSLStream(
            tcp,
            context or certificates.client_context(),
            server_hostname="127.0.0.1",
            https_compatible=not strict,
        )
        talk = Talk(stream)
        opened.append(talk)
        with trio.fail_after(20):
            await stream.do_handshake()
        return talk

    yield dial
    for talk in opened:
        await talk.aclose()


async def is_let_in(dial: Dial, context: ssl.SSLContext) -> bool:
    """Whether a command is answered; with TLSv1.3 a refusal comes after the handshake."""
    try:
        talk = await dial(context)
        await talk.command("PING")
    except (trio.BrokenResourceError, EOFError):
        return False
    return True


async def config_set(server: RedisServer, *pairs: object) -> str:
    """Return the error of a CONFIG SET, "" if there is none."""
    try:
        await server.execute("CONFIG", "SET", *[str(word) for word in pairs])
    except RedisError as exc:
        return exc.message
    return ""


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings so far, and forget them."""
    found = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    caplog.clear()
    return found


async def test_the_url_of_a_server_with_tls_alone_says_so(server: RedisServer) -> None:
    assert server.port == 0
    assert server.url == f"rediss://127.0.0.1:{server.tls_port}"
    assert server.addresses == [("127.0.0.1", server.tls_port)]
    info = await server.execute("INFO", "server")
    assert isinstance(info, bytes)
    assert b"tcp_port:%d\r\n" % server.tls_port in info
    assert b"listener2:name=tls,bind=127.0.0.1,port=%d\r\n" % server.tls_port in info


async def test_who_has_no_certificate_is_refused_by_default(
    dial: Dial, server: RedisServer, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await is_let_in(dial, certificates.client_context(certificate=False))
    (line,) = warnings_in(caplog)
    assert line.startswith(
        "Error accepting a client connection: peer did not return a certificate (addr=127.0.0.1:"
    )
    await until(lambda: not server.state.clients)
    assert server.state.stats.connections_received == 0
    assert await is_let_in(dial, certificates.client_context())
    assert server.state.stats.connections_received == 1


async def test_whether_a_certificate_is_asked_for_changes_for_new_connections(
    dial: Dial, server: RedisServer, certificates: Certificates, tmp_path: Path
) -> None:
    without = certificates.client_context(certificate=False)
    stranger = Certificates(tmp_path)
    unknown = certificates.client_context(certificate=False)
    unknown.load_cert_chain(stranger.client_cert, stranger.client_key)
    assert await config_set(server, "tls-auth-clients", "optional") == ""
    assert await is_let_in(dial, without)
    assert not await is_let_in(dial, unknown)
    assert await config_set(server, "tls-auth-clients", "no") == ""
    assert await is_let_in(dial, without)
    assert await is_let_in(dial, unknown)
    assert await config_set(server, "tls-auth-clients", "yes") == ""
    assert not await is_let_in(dial, without)


async def test_what_is_no_tls_is_refused_and_logged(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    tcp = await trio.open_tcp_stream("127.0.0.1", server.tls_port)
    async with tcp:
        await tcp.send_all(b"PING\r\n")
        with trio.fail_after(20):
            while await tcp.receive_some(1000):
                pass  # an alert
    (line,) = warnings_in(caplog)
    assert line.startswith("Error accepting a client connection: ")
    await until(lambda: not server.state.clients)


async def test_who_hangs_up_in_the_handshake_is_logged_and_gone(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    tcp = await trio.open_tcp_stream("127.0.0.1", server.tls_port)
    await until(lambda: len(server.state.clients) == 1)
    await tcp.aclose()
    await until(lambda: not server.state.clients)
    (line,) = warnings_in(caplog)
    assert line.startswith("Error accepting a client connection: unexpected eof while reading")


async def test_who_does_not_go_on_with_the_handshake_is_idle(
    server: RedisServer, dial: Dial, mock_clock: trio.testing.MockClock
) -> None:
    assert await config_set(server, "timeout", "10") == ""
    async with await trio.open_tcp_stream("127.0.0.1", server.tls_port) as tcp:
        await until(lambda: len(server.state.clients) == 1)
        mock_clock.jump(12)
        with trio.fail_after(20):
            assert await tcp.receive_some(10) == b""


async def test_a_client_in_its_handshake_can_be_killed(
    server: RedisServer, certificates: Certificates
) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", server.tls_port) as tcp:
        await until(lambda: len(server.state.clients) == 1)
        assert await server.execute("CLIENT", "KILL", "TYPE", "normal") == 1
        with trio.fail_after(20):
            assert await tcp.receive_some(10) == b""
    await until(lambda: not server.state.clients)


async def shake_hands(
    tls: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    tcp: trio.SocketStream,
    size: int = 10_000,
) -> None:
    """Do a handshake by hand, `size` bytes at a time; the last flight is left in `outgoing`."""
    with trio.fail_after(20):
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                data = outgoing.read()
                for start in range(0, len(data), size):
                    await tcp.send_all(data[start : start + size])
                incoming.write(await tcp.receive_some(size))
            else:
                return


async def read(
    tls: ssl.SSLObject, incoming: ssl.MemoryBIO, tcp: trio.SocketStream, size: int
) -> bytes:
    """Wait for `size` plain bytes."""
    got = b""
    with trio.fail_after(20):
        while len(got) < size:
            try:
                got += tls.read(size)
            except ssl.SSLWantReadError:
                incoming.write(await tcp.receive_some(10_000))
    return got


async def test_a_handshake_that_comes_byte_by_byte(
    server: RedisServer, certificates: Certificates
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = certificates.client_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with await trio.open_tcp_stream("127.0.0.1", server.tls_port) as tcp:
        await shake_hands(tls, incoming, outgoing, tcp, 1)
        tls.write(b"ECHO 1\r\nECHO 2\r\n")
        for byte in outgoing.read():
            await tcp.send_all(bytes([byte]))
        assert await read(tls, incoming, tcp, 14) == b"$1\r\n1\r\n$1\r\n2\r\n"


async def test_commands_that_come_with_the_end_of_the_handshake_are_answered(
    server: RedisServer, certificates: Certificates
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = certificates.client_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with await trio.open_tcp_stream("127.0.0.1", server.tls_port) as tcp:
        await shake_hands(tls, incoming, outgoing, tcp)
        tls.write(b"ECHO 1\r\n" * 1000)
        await tcp.send_all(outgoing.read())
        assert await read(tls, incoming, tcp, 7000) == b"$1\r\n1\r\n" * 1000


async def test_a_client_that_says_goodbye_is_answered_first(dial: Dial) -> None:
    """It says so in the middle of a pipeline: what it has sent is answered, then comes the end."""
    talk = await dial(strict=True)
    stream = talk.stream
    assert isinstance(stream, trio.SSLStream)
    await talk.command(["SET", "k", "x" * 100_000])
    await talk.send(b"GET k\r\n" * 100)
    with trio.fail_after(20):
        assert await talk.replies(100) == [b"x" * 100_000] * 100
        await talk.send(b"QUIT\r\n")
        assert plain_text(await talk.reply()) == b"OK"
        with pytest.raises(EOFError):
            await talk.reply()  # an end without a word would be an error here


def plain_text(reply: object) -> object:
    return getattr(reply, "text", reply)


async def test_the_end_is_said_in_the_words_of_tls(dial: Dial, server: RedisServer) -> None:
    talk = await dial(strict=True)
    stream = talk.stream
    assert isinstance(stream, trio.SSLStream)
    with trio.fail_after(20):
        await stream.aclose()  # sends its goodbye and waits for the server's
    await until(lambda: not server.state.clients)


async def test_a_peer_that_does_not_read_is_cut_by_the_limit_and_sees_whole_replies_before(
    dial: Dial, server: RedisServer
) -> None:
    await server.execute("CONFIG", "SET", "client-output-buffer-limit", "normal 30mb 0 0")
    await server.execute("SET", "k", "x" * 1_000_000)
    patient, greedy = await dial(), await dial()
    await patient.send(b"GET k\r\n" * 20)
    await greedy.send(b"GET k\r\n" * 100)
    await until(lambda: server.state.stats.output_limit_disconnections == 1)
    for reply in await patient.replies(20):
        assert reply == b"x" * 1_000_000
    assert plain_text(await patient.command("PING")) == b"PONG"


async def test_commands_and_pushes_beside_each_other(dial: Dial) -> None:
    listening, talking = await dial(), await dial()
    await listening.command("HELLO 3")
    await listening.command("SUBSCRIBE news")
    for i in range(200):
        await talking.command(["PUBLISH", "news", f"{i}" * 1000])
        await listening.send(b"PING\r\n")
        got = [await listening.reply() for _ in range(2)]
        assert {type(reply).__name__ for reply in got} == {"Push", "Status"}


async def test_beyond_maxclients_there_is_not_even_a_handshake(
    dial: Dial, server: RedisServer
) -> None:
    await dial()
    assert await config_set(server, "maxclients", "1") == ""
    with pytest.raises(trio.BrokenResourceError):
        await dial()
    assert server.state.stats.rejected_connections == 1


async def test_protected_mode_refuses_other_machines_in_the_words_of_tls(
    server: RedisServer, certificates: Certificates
) -> None:
    """A connection seems to come from elsewhere where `_connected` is told so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tcp = await trio.open_tcp_stream(*listener.getsockname())
        server._connected(listener.accept()[0], ("192.0.2.1", 4711), TLS)
        context = certificates.client_context()
        async with trio.SSLStream(
            tcp, context, server_hostname="127.0.0.1", https_compatible=True
        ) as stream:
            talk = Talk(stream)
            assert (await talk.until_closed()).startswith(b"-DENIED Redis is running in protected")
    assert server.state.stats.rejected_connections == 1
    assert server.state.stats.connections_received == 0


async def test_a_certificate_is_exchanged_while_connections_stay(
    dial: Dial, server: RedisServer, certificates: Certificates
) -> None:
    before = await dial()
    cert, key = certificates.issue("127.0.0.1", "new.example.org")
    assert await config_set(server, "tls-cert-file", cert, "tls-key-file", key) == ""
    after = await dial()
    assert isinstance(after.stream, trio.SSLStream)
    assert "new.example.org" in str(after.stream.getpeercert())
    for talk in (before, after):
        assert plain_text(await talk.command("PING")) == b"PONG"


async def test_files_that_cannot_be_used_are_refused_and_nothing_changes(
    dial: Dial,
    server: RedisServer,
    certificates: Certificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, other_key = certificates.issue("127.0.0.1")
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("this is no certificate\n")
    missing = tmp_path / "missing"
    bad = [
        ("tls-cert-file", missing, f"Failed to load certificate: {missing}: No such file or dir"),
        ("tls-cert-file", rubbish, f"Failed to load certificate: {rubbish}: "),
        ("tls-cert-file", "", "No tls-cert-file configured!"),
        ("tls-key-file", missing, f"Failed to load private key: {missing}: No such file or dir"),
        ("tls-key-file", other_key, f"Failed to load private key: {other_key}: key values mism"),
        ("tls-key-file", "", "No tls-key-file configured!"),
        ("tls-ca-cert-file", missing, "Failed to configure CA certificate(s) file/directory: No"),
        ("tls-ca-cert-file", "", "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
        ("tls-ciphers", "NONSENSE", "Failed to configure ciphers: NONSENSE"),
        ("tls-protocols", "TLSv9", "Invalid tls-protocols specified. Use a combination of "),
        ("tls-dh-params-file", missing, f"Failed to load {missing}: No such file or directory"),
        ("tls-dh-params-file", rubbish, f"{rubbish}: failed to read DH params."),
    ]
    context = server.state.tls.server
    for name, value, reason in bad:
        error = await config_set(server, name, value)
        assert error == f"ERR CONFIG SET failed (possibly related to argument '{name}') - {REFUSED}"
        logged = warnings_in(caplog)
        assert logged[0].startswith(reason), (name, value)
    assert server.state.tls.server is not context  # made anew from what was there before
    await dial()


async def test_a_key_that_is_encrypted_needs_its_password(
    dial: Dial, server: RedisServer, certificates: Certificates, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(certificates.key.read_bytes(), None)
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"1234"),
        )
    )
    assert REFUSED in await config_set(server, "tls-key-file", encrypted)
    assert (await config_set(server, "tls-key-file-pass", "1234", "tls-key-file", encrypted)) == ""
    await dial()


@pytest.mark.parametrize(
    ("protocols", "spoken"),
    [
        ("TLSv1.2", ["TLSv1.2"]),
        ("TLSv1.3", ["TLSv1.3"]),
        ("tlsv1.3 TLSV1.2", ["TLSv1.2", "TLSv1.3"]),
        ("", ["TLSv1.2", "TLSv1.3"]),
    ],
)
async def test_only_the_protocols_that_are_named_are_spoken(
    dial: Dial, server: RedisServer, certificates: Certificates, protocols: str, spoken: list[str]
) -> None:
    assert await config_set(server, "tls-protocols", protocols) == ""
    found = []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = certificates.client_context()
        context.minimum_version = context.maximum_version = version
        if await is_let_in(dial, context):
            found.append(version.name.replace("_", "."))
    assert found == spoken


@pytest.mark.parametrize(("prefer", "chosen"), [("no", "AES256"), ("yes", "AES128")])
async def test_whose_order_of_ciphers_counts(
    dial: Dial, server: RedisServer, certificates: Certificates, prefer: str, chosen: str
) -> None:
    ours = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    theirs = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    assert (
        await config_set(
            server,
            "tls-ciphers",
            ours,
            "tls-protocols",
            "TLSv1.2",
            "tls-prefer-server-ciphers",
            prefer,
        )
        == ""
    )
    context = certificates.client_context()
    context.set_ciphers(theirs)
    talk = await dial(context)
    assert isinstance(talk.stream, trio.SSLStream)
    cipher = talk.stream.cipher()
    assert cipher is not None
    assert chosen in cipher[0]


async def test_suites_of_tls_13_are_refused_where_python_cannot_choose_them(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    error = await config_set(server, "tls-ciphersuites", "TLS_AES_256_GCM_SHA384")
    if hasattr(ssl.SSLContext, "set_ciphersuites"):
        assert error == ""
    else:
        assert REFUSED in error
        assert "Failed to configure ciphersuites: TLS_AES_256_GCM_SHA384" in caplog.text


@pytest.mark.parametrize("caching", ["yes", "no"])
async def test_sessions_are_resumed_unless_that_is_off(
    server: RedisServer, certificates: Certificates, caching: str
) -> None:
    assert await config_set(server, "tls-session-caching", caching) == ""
    context = certificates.client_context()

    async def session(former: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
        """Connect; return the session that the server offers, and whether it took the former."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1", session=former)
        async with await trio.open_tcp_stream("127.0.0.1", server.tls_port) as tcp:
            await shake_hands(tls, incoming, outgoing, tcp)
            tls.write(b"PING\r\n")
            await tcp.send_all(outgoing.read())
            assert await read(tls, incoming, tcp, 7) == b"+PONG\r\n"
            return tls.session, bool(tls.session_reused)

    first, _ = await session(None)
    _, resumed = await session(first)
    assert resumed == (caching == "yes")


async def test_ports_move_between_plain_and_tls(
    dial: Dial, server: RedisServer, certificates: Certificates
) -> None:
    port = server.tls_port
    talk = await dial()
    assert plain_text(await talk.command("CONFIG SET tls-port 0")) == b"OK"
    assert plain_text(await talk.command(f"CONFIG SET port {port}")) == b"OK"
    assert (server.port, server.tls_port) == (port, 0)
    tcp = await trio.open_tcp_stream("127.0.0.1", port)
    plain = Talk(tcp)
    assert plain_text(await plain.command("CONFIG SET port 0")) == b"OK"
    assert plain_text(await plain.command(f"CONFIG SET tls-port {port}")) == b"OK"
    await plain.aclose()
    await dial()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        error = await config_set(server, "tls-port", taken.getsockname()[1])
    assert error.endswith("Unable to listen on this port. Check server logs.")
    assert server.tls_port == port
    await dial()


async def test_bind_moves_both_kinds_of_port(server: RedisServer, dial: Dial) -> None:
    port = server.tls_port
    assert await config_set(server, "bind", "127.0.0.1 127.0.0.2") == ""
    assert server.addresses == [("127.0.0.1", port), ("127.0.0.2", port)]
    error = await config_set(server, "bind", "192.0.2.1")
    assert error.endswith("Failed to bind to specified addresses.")
    assert server.addresses == [("127.0.0.1", port), ("127.0.0.2", port)]
    await dial()


async def test_a_server_without_a_certificate_does_not_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ConfigError, match="Unable to update TLS configuration"):
        async with open_redis(tls_port=0):
            pass
    assert warnings_in(caplog) == ["No tls-cert-file configured!"]


async def test_tls_can_be_turned_on_later(certificates: Certificates) -> None:
    async with open_redis() as server:
        assert REFUSED in await config_set(server, "tls-port", "1")
        pairs = [
            word
            for name, value in certificates.options.items()
            for word in (name.replace("_", "-"), value)
        ]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        assert await config_set(server, *pairs, "tls-port", port) == ""
        tcp = await trio.open_tcp_stream("127.0.0.1", port)
        context = certificates.client_context()
        async with trio.SSLStream(
            tcp, context, server_hostname="127.0.0.1", https_compatible=True
        ) as stream:
            assert plain_text(await Talk(stream).command("PING")) == b"PONG"


async def test_a_server_connects_to_another_one_with_its_own_certificate(
    server: RedisServer, certificates: Certificates
) -> None:
    async with open_redis(tls_replication=True, **certificates.options) as replica:
        stream = await connect_to(replica.state, "127.0.0.1", server.tls_port)
        talk = Talk(stream)
        assert plain_text(await talk.command("PING")) == b"PONG"
        await talk.aclose()
        await replica.execute("CONFIG", "SET", "tls-replication", "no")
        stream = await connect_to(replica.state, "127.0.0.1", replica.port)
        talk = Talk(stream)
        assert plain_text(await talk.command("PING")) == b"PONG"
        await talk.aclose()


async def test_a_server_does_not_talk_to_one_whom_it_does_not_trust(
    server: RedisServer, certificates: Certificates, tmp_path: Path
) -> None:
    stranger = Certificates(tmp_path)
    async with open_redis(tls_replication=True, **stranger.options) as replica:
        with pytest.raises(OSError, match="certificate verify failed"):
            await connect_to(replica.state, "127.0.0.1", server.tls_port)
