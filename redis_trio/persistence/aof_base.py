"""The base of an append-only file: all data as it was at one moment, as bytes.

With `aof-use-rdb-preamble` it is an RDB file that says so (`aof-base`), otherwise commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from redis_trio.persistence.aof_commands import data_pieces
from redis_trio.persistence.rdb_file import all_pieces, file_version, new_writer

if TYPE_CHECKING:
    from redis_trio.config import Config
    from redis_trio.state import ServerState


def base_suffix(config: Config) -> str:
    """Return how the name of a base ends that `base_pieces` makes."""
    return "rdb" if config.aof_use_rdb_preamble else "aof"


def base_pieces(server: ServerState) -> Iterator[bytes]:
    """Iterate over the bytes of a base with the data as it is. Nothing may change meanwhile."""
    if server.config.aof_use_rdb_preamble:
        return all_pieces(server, new_writer(server, file_version(server)), is_aof_base=True)
    return data_pieces(server)
