"""Servers without sockets, and the valid data that the fuzzers damage."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache

import redis_trio.commands  # noqa: F401  (registers every command)
from redis_trio.client import Client, Transport
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.execute import dispatch
from redis_trio.persistence.rdb_writer import RdbWriter
from redis_trio.protocol.reply import RedisError, Reply
from redis_trio.state import ServerState
from tests.rdb_cases import COMMANDS, NEWER_COMMANDS, Words

BIG = 5000  # bytes; damage to longer values would hardly ever hit anything but text


class Silent(logging.Logger):
    """A log that keeps what should not be there.

    Attributes:
      bugs: what was raised inside of commands.
    """

    def __init__(self) -> None:
        super().__init__("fuzz", logging.CRITICAL)
        self.bugs: list[BaseException] = []

    def error(self, msg: object, *args: object, **options: object) -> None:  # type: ignore[override]
        """Keep the exception."""
        exc = options.get("exc_info")
        if isinstance(exc, BaseException):
            self.bugs.append(exc)


class Server:
    """A server's state, and a client that runs commands and raises what bugs raise."""

    def __init__(self) -> None:
        self.log = Silent()
        self.state = ServerState(Config(), Clock(), self.log)
        self.state.config.enable_debug_command = "yes"
        self.client: Client = self.state.new_client(Transport())

    def run(self, *words: bytes) -> Reply:
        """Run one command; an error is returned."""
        self.state.begin()
        reply = dispatch(self.client, list(words))
        self.client.out.clear()
        if self.log.bugs:
            raise self.log.bugs.pop()
        return reply

    def fill(self, commands: Iterable[Words]) -> None:
        """Run commands that must succeed."""
        for words in commands:
            reply = self.run(*words)
            assert not isinstance(reply, RedisError), (words[:3], reply.message)


def small(commands: Iterable[Words]) -> list[Words]:
    """Return the commands that make small values."""
    return [words for words in commands if sum([len(word) for word in words]) < BIG]


@cache
def payloads() -> list[bytes]:
    """Return payloads of DUMP without the checksum, of every type and encoding."""
    server = Server()
    server.fill([*small(COMMANDS), *NEWER_COMMANDS])
    found: list[bytes] = []
    for compressed in (b"no", b"yes"):
        server.run(b"CONFIG", b"SET", b"rdbcompression", compressed)
        for key in list(server.state.dbs[0].table.keys()):
            payload = server.run(b"DUMP", key)
            assert isinstance(payload, bytes)
            found.append(payload[:-8])
    return list(dict.fromkeys(found))


def rdb_of(commands: Iterable[Words], version: int, *, compressed: bool) -> bytes:
    """Return the RDB file of what commands make, with libraries and several databases."""
    server = Server()
    server.fill(commands)
    writer = RdbWriter(version, compressed=compressed, checksummed=True)
    parts = [writer.header([(b"redis-ver", b"7.4.1"), (b"redis-bits", b"64")])]
    parts.append(writer.library(b"#!lua name=lib\nredis.register_function('f', tostring)"))
    for index in (0, 3):
        parts.append(writer.database(index, 40, 1))
        db = server.state.dbs[0]
        for key in db.table.keys():  # noqa: SIM118
            value = db.table.get(key)
            if not isinstance(value, bytearray):
                parts += writer.key_pieces(key, value, db.expires.get(key), 10, 77)
    return b"".join([*parts, writer.end()])
