"""MIGRATE: keys move to another server, each whole: it is here until it is there.

The command runs twice. First it writes the keys down and has them sent; its client is blocked. When
the other side has answered it runs again, deletes what has arrived and has its reply. See
migration.py for what the others may do in between.

Source: Redis cluster.c migrateCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.blocking import Block
from redis_trio.command import WRITE, group, key, keyword
from redis_trio.data.expires import NEVER
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.feed import encode_command
from redis_trio.keys import migrate_keys
from redis_trio.keyspace.database import GENERIC
from redis_trio.migration import Exchange
from redis_trio.persistence.payload import dump_payload
from redis_trio.protocol.reply import OK, Reply, Status
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("generic")

DEFAULT_TIMEOUT_MS: Final = 1000
NOKEY: Final = Status(b"NOKEY")


class _Options:
    """The options of MIGRATE."""

    __slots__ = ("auth", "copy", "keys", "replace")

    def __init__(self, key: bytes) -> None:
        self.copy = False
        self.replace = False
        self.auth: Args = []
        self.keys = [key]


def _read_options(args: Args) -> _Options:
    options = _Options(args[3])
    i = 6
    while i < len(args):
        name = option_name(args[i])
        more = len(args) - 1 - i
        if name == b"COPY":
            options.copy = True
        elif name == b"REPLACE":
            options.replace = True
        elif name == b"AUTH" and more >= 1:
            # A user's name stays from an AUTH2 before this, as in Redis.
            options.auth = [*options.auth[:-1], args[i + 1]]
            i += 1
        elif name == b"AUTH2" and more >= 2:
            options.auth = args[i + 1 : i + 3]
            i += 2
        elif name == b"KEYS":
            if args[3]:
                raise RedisError(
                    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty "
                    "string"
                )
            options.keys = args[i + 1 :]
            break
        else:
            raise RedisError(SYNTAX)
        i += 1
    return options


@command(
    "MIGRATE",
    'host port <key | "":empty-string>:key-selector destination-db timeout:integer [COPY]@3.0.0 '
    "[REPLACE]@3.0.0 [AUTH auth@4.0.7/password | AUTH2 (username password)@6.0.0]:authentication "
    "[KEYS keys.../key]@3.0.6",
    arity=-6,
    flags=WRITE,
    keys=[key(3, "RW ACCESS DELETE"), keyword("KEYS", -2, "RW ACCESS DELETE INCOMPLETE", last=-1)],
    get_keys=migrate_keys,
    acl="KEYSPACE DANGEROUS",
    since="2.6.0",
    complexity=(
        "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the "
        "target instance. See the pages of these commands for time complexity. Also an O(N) data "
        "transfer between the two instances is performed."
    ),
    summary="Moves keys to another server.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def migrate(client: Client, args: Args) -> Reply | Block:
    """Send keys to another server, and delete those that have arrived there, unless with COPY.

    Reply: NOKEY if there is none of them.

    Errors: IOERR if the other server cannot be reached or is silent for too long; what it refuses.
    """
    migrations = client.server.migrations
    options = _read_options(args)
    exchange = migrations.take(client)
    if exchange is not None:
        return _finish(client, options, exchange)
    timeout_ms = read_integer(args[5])
    db = read_integer(args[4])
    found: list[tuple[bytes, object]] = []
    for name in options.keys:
        value = client.db.lookup_read(name)
        if value is not None:
            found.append((name, value))
    if not found:
        return NOKEY
    names: list[bytes] = []
    commands: list[bytes] = []
    for name, value in found:
        restore = _restore_command(client, name, value, options.replace)
        if restore is not None:
            names.append(name)
            commands.append(encode_command(restore))
    if timeout_ms <= 0:
        timeout_ms = DEFAULT_TIMEOUT_MS
    exchange = Exchange(migrations, args[1], args[2], db, timeout_ms, options.auth, names, commands)
    if migrations.start(client, exchange):
        block = Block((), None, None)
        block.may_end = False
        return block
    migrations.take(client)
    return _finish(client, options, exchange)


def _restore_command(client: Client, name: bytes, value: object, replace: bool) -> Args | None:
    """Return the command that makes a key on the other server; None if its time is over."""
    server = client.server
    ttl_ms = 0
    when_ms = client.db.expires.get(name)
    if when_ms != NEVER:
        ttl_ms = when_ms - server.clock.now_ms
        if ttl_ms < 0:
            return None
        ttl_ms = max(1, ttl_ms)
    payload = dump_payload(value, server.config.rdbcompression)
    words = [b"RESTORE", name, b"%d" % ttl_ms, payload]
    if replace:
        words.append(b"REPLACE")
    return words


def _finish(client: Client, options: _Options, exchange: Exchange) -> Reply:
    """Delete the keys that have arrived, and reply."""
    if not options.copy and exchange.restored:
        for name in exchange.restored:
            client.db.unlink(name)
            client.db.modified(name, GENERIC, "del")
        client.server.feed.rewrite([b"DEL", *exchange.restored])
    if exchange.error:
        raise RedisError(exchange.error)
    return OK
