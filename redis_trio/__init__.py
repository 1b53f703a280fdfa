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

from redis_trio.config import ConfigError
from redis_trio.protocol.reply import RedisError
from redis_trio.server import RedisServer, open_redis, run_redis, serve_redis

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "RedisError",
    "RedisServer",
    "__version__",
    "open_redis",
    "run_redis",
    "serve_redis",
]
