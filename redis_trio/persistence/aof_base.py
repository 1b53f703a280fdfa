"""The base of an append-only file: all data as it was at one moment, as bytes and back.

With `aof-use-rdb-preamble` it is an RDB file that says so (`aof-base`), otherwise commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from redis_trio.keyspace.expire import NEVER
from redis_trio.persistence.aof_commands import data_pieces
from redis_trio.persistence.rdb_format import COMPATIBLE_VERSION, VERSION, RdbError
from redis_trio.persistence.rdb_reader import NO_DEADLINE, Entry, RdbReader
from redis_trio.persistence.rdb_writer import RdbWriter
from redis_trio.version import REDIS_VERSION

if TYPE_CHECKING:
    from redis_trio.config import Config
    from redis_trio.state import ServerState


def base_suffix(config: Config) -> str:
    """Return how the name of a base ends that `base_pieces` makes."""
    return "rdb" if config.aof_use_rdb_preamble else "aof"


def base_pieces(server: ServerState) -> Iterator[bytes]:
    """Iterate over the bytes of a base with the data as it is. Nothing may change meanwhile."""
    if server.config.aof_use_rdb_preamble:
        return _rdb_pieces(server)
    return data_pieces(server)


def _rdb_pieces(server: ServerState) -> Iterator[bytes]:
    config = server.config
    fields_expire = any(db.field_expires.when.count for db in server.dbs)
    writer = RdbWriter(
        VERSION if fields_expire else COMPATIBLE_VERSION,
        compressed=config.rdbcompression,
        checksummed=config.rdbchecksum,
    )
    yield writer.header(
        [
            (b"redis-ver", REDIS_VERSION.encode()),
            (b"redis-bits", b"64"),
            (b"ctime", b"%d" % (server.clock.now_ms // 1000)),
            (b"aof-base", b"1"),
        ]
    )
    for code in server.persistence.libraries:
        yield writer.library(code)
    for db in server.dbs:
        if db.table.count:
            yield writer.database(db.index, db.table.count, db.expires.when.count)
        for shard in db.table.shards():
            for key, value in shard.items():
                yield from writer.key_pieces(key, value, db.expires.get(key))
    yield writer.end()


class RdbBase:
    """Loads a base that is an RDB file, or the RDB data that a file of commands begins with.

    Keys whose time is over are loaded too: a command behind may make them live on.

    Args:
      size: of the file.
    """

    def __init__(self, server: ServerState, size: int) -> None:
        self._server = server
        self._reader = RdbReader(
            server.thresholds,
            size=size,
            check_sum=server.config.rdbchecksum and server.persistence.check_sums,
        )

    @property
    def offset(self) -> int:
        """How many bytes have been read."""
        return self._reader.offset

    def rest(self) -> bytes:
        """Return what was read of the file behind the RDB data."""
        return self._reader.rest()

    def load(self, file: BinaryIO, data: bytes, chunk: int) -> Iterator[None]:
        """Load the keys; `data` is how the file begins. Others may run at each key.

        Raises:
          RdbError: the data is damaged.
        """
        reader = self._reader
        while True:
            if data:
                reader.feed(data)
            else:
                reader.finish()
            entry = reader.next()
            while entry is not None:
                if entry.value is not None:
                    self._store(entry)
                yield
                entry = reader.next()
            if reader.done:
                break
            data = file.read(chunk)
        self._server.persistence.libraries = list(reader.libraries)

    def _store(self, entry: Entry) -> None:
        server = self._server
        if entry.db >= len(server.dbs):
            raise RdbError(
                self.offset,
                f"The data was saved by a server with more than {len(server.dbs)} databases",
            )
        db = server.dbs[entry.db]
        if entry.key in db.table:
            raise RdbError(self.offset, f"The key {entry.key!r} is there twice")
        db.set(entry.key, entry.value)
        db.track_fields(entry.key, entry.value)
        if entry.when_ms != NO_DEADLINE:
            db.expire_at(entry.key, max(entry.when_ms, NEVER + 1))
        if entry.idle_s >= 0:
            now_ms = server.clock.now_ms
            db.access.set(entry.key, now_ms - entry.idle_s * 1000, now_ms)
