"""The base of an append-only file: all data as it was at one moment, as bytes.

With `aof-use-rdb-preamble` it is an RDB file that says so (`aof-base`), otherwise commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from redis_trio.feed import encode_command
from redis_trio.persistence.aof_commands import data_pieces, head_pieces, key_pieces
from redis_trio.persistence.rdb_file import all_pieces, aux_fields, file_version, new_writer

if TYPE_CHECKING:
    from redis_trio.config import Config
    from redis_trio.persistence.snapshot import Encoder
    from redis_trio.state import ServerState


def base_suffix(config: Config) -> str:
    """Return how the name of a base ends that `base_pieces` makes."""
    return "rdb" if config.aof_use_rdb_preamble else "aof"


def base_pieces(server: ServerState) -> Iterator[bytes]:
    """Iterate over the bytes of a base with the data as it is. Nothing may change meanwhile."""
    if server.config.aof_use_rdb_preamble:
        return all_pieces(server, new_writer(server, file_version(server)), is_aof_base=True)
    return data_pieces(server)


def base_encoder(server: ServerState) -> tuple[Encoder, list[bytes]]:
    """Return who makes a base of a snapshot, and how it begins."""
    if not server.config.aof_use_rdb_preamble:
        return CommandEncoder(), head_pieces(server)
    writer = new_writer(server, file_version(server))
    head = [writer.header(aux_fields(server, is_aof_base=True))]
    head += [writer.library(code) for code in server.persistence.libraries]
    return writer, head


class CommandEncoder:
    """Makes commands of databases and keys; when a key was last accessed they do not tell."""

    def database(self, index: int, keys: int, expires: int) -> bytes:
        """Return how keys of a database begin."""
        return encode_command([b"SELECT", b"%d" % index])

    def key_bytes(
        self, key: bytes, value: object, when_ms: int, idle_s: int, frequency: int
    ) -> bytes:
        """Return the commands that make a key."""
        return b"".join(list(key_pieces(key, value, when_ms)))

    def key_pieces(
        self, key: bytes, value: object, when_ms: int, idle_s: int, frequency: int
    ) -> Iterator[bytes]:
        """Iterate over those commands."""
        return key_pieces(key, value, when_ms)

    def end(self) -> bytes:
        """Return how it all ends: with the last command."""
        return b""
