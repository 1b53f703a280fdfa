"""Users over real connections: who changes or goes, on every transport, and in a host program."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from redis_trio import ConfigError, RedisServer, open_redis
from redis_trio.protocol.reply import RedisError
from tests.interop.compare import plain
from tests.wire.conftest import Connect
from tests.wire.talk import Talk, until


async def closed(talk: Talk) -> bytes:
    """Return what comes until the server closes the connection."""
    return await talk.until_closed()


async def test_a_deleted_user_is_disconnected(server: RedisServer, connect: Connect) -> None:
    admin, peer, blocked = await connect(), await connect(), await connect()
    await admin.command("ACL SETUSER u on nopass +@all ~* &*")
    for talk in (peer, blocked):
        assert plain(await talk.command("AUTH u x")) == "OK"
    await blocked.send(b"BLPOP l 0\r\n")
    await until(lambda: server.state.waiting.count == 1)
    assert await admin.command("ACL DELUSER u") == 1
    assert await closed(peer) == b""
    assert await closed(blocked) == b""
    assert await admin.command("CLIENT KILL ID 9999") == 0


async def test_who_deletes_itself_is_answered_first(connect: Connect) -> None:
    peer = await connect()
    await peer.command("ACL SETUSER u on nopass +@all ~* &*")
    await peer.command("AUTH u x")
    await peer.send(b"ACL DELUSER u\r\nSET k v\r\n")
    assert await peer.reply() == 1
    assert await closed(peer) == b""
    other = await connect()
    assert await other.command("GET k") is None


async def test_a_subscriber_who_may_not_listen_any_more_is_disconnected(connect: Connect) -> None:
    admin, peer = await connect(), await connect()
    await admin.command("ACL SETUSER u on nopass +@all &news")
    await peer.command("AUTH u x")
    await peer.command("SUBSCRIBE news")
    await admin.command("ACL SETUSER u resetchannels")
    assert await closed(peer) == b""
    assert await admin.command("PUBLISH news x") == 0


async def test_a_pipeline_is_checked_command_by_command(connect: Connect) -> None:
    """The user may change in the middle of it, by itself or by others."""
    peer = await connect()
    await peer.command("ACL SETUSER u on >x ~a +get +acl|setuser +auth")
    await peer.send(
        b"SET a 1\r\nAUTH u x\r\nGET a\r\nSET a 2\r\nACL SETUSER u resetkeys\r\nGET a\r\n"
        b"ACL SETUSER u -get\r\nGET a\r\nAUTH default x\r\nGET a\r\n"
    )
    replies = [plain(reply) for reply in await peer.replies(10)]
    assert replies == [
        "OK",
        "OK",
        b"1",
        ("error", "NOPERM User u has no permissions to run the 'set' command"),
        "OK",
        ("error", "NOPERM No permissions to access a key"),
        "OK",
        ("error", "NOPERM User u has no permissions to run the 'get' command"),
        "OK",
        b"1",
    ]


async def test_strangers_are_held_to_the_limits_for_strangers(connect: Connect) -> None:
    admin = await connect()
    await admin.command("ACL SETUSER admin on >x +@all ~* &*")
    await admin.command("ACL SETUSER default off")
    stranger = await connect()
    await stranger.send(b"*11\r\n")
    assert await closed(stranger) == (b"-ERR Protocol error: unauthenticated multibulk length\r\n")
    known = await connect()
    await known.send(b"AUTH admin x\r\n*12\r\n$4\r\nMGET\r\n" + b"$1\r\na\r\n" * 11)
    assert [plain(reply) for reply in await known.replies(2)] == ["OK", [None] * 11]


async def test_the_host_program_may_do_everything() -> None:
    async with open_redis(requirepass="x") as server:
        await server.execute("ACL", "SETUSER", "default", "-@all", "resetkeys", "off")
        assert await server.execute("SET", "k", "v") == b"OK"
        assert await server.execute("EVAL", "return redis.call('get', 'k')", 0) == b"v"
        assert await server.execute("ACL", "WHOAMI") is None
        talk = Talk(await server.connect())
        refused = ("error", "NOAUTH Authentication required.")
        assert plain(await talk.command("GET k")) == refused
        await talk.aclose()


async def test_an_embedded_server_has_its_users_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "users.acl"
    path.write_text("user u on >x ~a +get +acl|whoami\n")
    async with open_redis(aclfile=str(path)) as server:
        talk = Talk(await server.connect())
        assert plain(await talk.command("AUTH u x")) == "OK"
        assert await talk.command("ACL WHOAMI") == b"u"
        assert isinstance(await talk.command("GET b"), RedisError)
        await talk.aclose()


async def test_an_embedded_server_does_not_start_without_its_users(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.acl")
    with pytest.raises(ConfigError, match=r"opening file '.*missing.acl': No such file"):
        async with open_redis(aclfile=missing):
            pytest.fail("it started")
    await trio.lowlevel.checkpoint()
