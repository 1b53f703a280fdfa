"""redis_trio: a Redis-compatible server on Trio, for itself, inside an application, and in tests.

A tour of the house, from the socket inwards:

    server, connection, hub, keeper     the shell: tasks, sockets, time; everything async
    transport                           bytes in, commands run, bytes out, never waiting
    protocol/                           requests, replies and their encodings
    execute, command                    from a request to its handler and back
    commands/                           the commands, one file a group
    keyspace/, data/                    databases, expiry, and what values are made of
    client, blocking, feed, state       what the core keeps and how it waits and tells
    config, info                        rooms beside the core
"""

from typing import TYPE_CHECKING, Final

from redis_trio.version import VERSION

if TYPE_CHECKING:
    from redis_trio.config import ConfigError
    from redis_trio.persistence.aof import AofError
    from redis_trio.persistence.rdb_file import LoadError
    from redis_trio.protocol.reply import RedisError
    from redis_trio.replication.changes import Change, ChangesLost
    from redis_trio.server import RedisServer, open_redis, run_redis, serve_redis

__version__: Final = VERSION

__all__ = [
    "AofError",
    "Change",
    "ChangesLost",
    "ConfigError",
    "LoadError",
    "RedisError",
    "RedisServer",
    "__version__",
    "open_redis",
    "run_redis",
    "serve_redis",
]

_HOMES: Final = {
    "AofError": "redis_trio.persistence.aof",
    "Change": "redis_trio.replication.changes",
    "ChangesLost": "redis_trio.replication.changes",
    "ConfigError": "redis_trio.config",
    "LoadError": "redis_trio.persistence.rdb_file",
    "RedisError": "redis_trio.protocol.reply",
    "RedisServer": "redis_trio.server",
    "open_redis": "redis_trio.server",
    "run_redis": "redis_trio.server",
    "serve_redis": "redis_trio.server",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name when it is used: `redis-trio --version` needs none of them."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(home), name)
        return value
