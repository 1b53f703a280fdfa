"""DUMP and RESTORE: one value as bytes that another server understands, and back.

Source: Redis cluster.c dumpCommand, restoreCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import ASKING, DENYOOM, READONLY, WRITE, group, key
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.keyspace.database import GENERIC
from redis_trio.persistence.payload import dump_payload, is_payload, read_payload
from redis_trio.persistence.rdb_format import RdbError
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("generic")
server_command = group("server")

FREQUENCY_MAX: Final = 255


@command(
    "DUMP",
    "key",
    arity=2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="KEYSPACE",
    since="2.6.0",
    complexity=(
        "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of "
        "objects composing the value and M their average size. For small string values the time "
        "complexity is thus O(1)+O(1*M) where M is small, so simply O(1)."
    ),
    summary="Returns a value as bytes that RESTORE takes, here or on another server.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def dump(client: Client, args: Args) -> Reply:
    """Return the payload of a value, None if there is none."""
    value = client.db.lookup_read(args[1])
    if value is None:
        return None
    return dump_payload(value, client.server.config.rdbcompression)


class _Options:
    """The options of RESTORE; -1: not given."""

    __slots__ = ("absolute", "frequency", "idle_s", "replace")

    def __init__(self) -> None:
        self.replace = False
        self.absolute = False
        self.idle_s = -1
        self.frequency = -1


def _read_options(args: Args) -> _Options:
    options = _Options()
    i = 4
    while i < len(args):
        name = option_name(args[i])
        has_more = i + 1 < len(args)
        if name == b"REPLACE":
            options.replace = True
        elif name == b"ABSTTL":
            options.absolute = True
        elif name == b"IDLETIME" and has_more and options.frequency == -1:
            i += 1
            options.idle_s = read_integer(args[i])
            if options.idle_s < 0:
                raise RedisError("ERR Invalid IDLETIME value, must be >= 0")
        elif name == b"FREQ" and has_more and options.idle_s == -1:
            i += 1
            options.frequency = read_integer(args[i])
            if not 0 <= options.frequency <= FREQUENCY_MAX:
                raise RedisError("ERR Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise RedisError(SYNTAX)
        i += 1
    return options


_RESTORE_COMPLEXITY: Final = (
    "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, "
    "where N is the number of objects composing the value and M their average size. For small "
    "string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). "
    "However for sorted set values the complexity is O(N*M*log(N)) because inserting values "
    "into sorted sets is O(log(N))."
)


@server_command(
    "RESTORE-ASKING",
    "key ttl serialized-value [REPLACE]@3.0.0 [ABSTTL]@5.0.0 [IDLETIME seconds]@5.0.0 "
    "[FREQ frequency]@5.0.0",
    arity=-4,
    flags=WRITE | DENYOOM | ASKING,
    keys=[key(1, "OW UPDATE")],
    acl="KEYSPACE DANGEROUS",
    since="3.0.0",
    complexity=_RESTORE_COMPLEXITY,
    summary="Stores a value of a slot that is being imported.",
    doc_flags="SYSCMD",
)
@command(
    "RESTORE",
    "key ttl serialized-value [REPLACE]@3.0.0 [ABSTTL]@5.0.0 [IDLETIME seconds]@5.0.0 "
    "[FREQ frequency]@5.0.0",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE")],
    acl="KEYSPACE DANGEROUS",
    since="2.6.0",
    complexity=_RESTORE_COMPLEXITY,
    summary="Stores a value that DUMP has returned, here or on another server.",
)
def restore(client: Client, args: Args) -> Reply:
    """Store a value under a key.

    Errors: BUSYKEY if the key is there, unless it is to be replaced; a payload that is damaged, or
    of a version or type that is not known.
    """
    options = _read_options(args)
    db = client.db
    name = args[1]
    if not options.replace and db.lookup_write(name) is not None:
        raise RedisError("BUSYKEY Target key name already exists.")
    ttl_ms = read_integer(args[2])
    if ttl_ms < 0:
        raise RedisError("ERR Invalid TTL value, must be >= 0")
    value = _read_value(client, args[3])
    existed = options.replace and db.unlink(name)
    now_ms: int = client.server.clock.now_ms
    when_ms = ttl_ms
    if ttl_ms and not options.absolute:
        when_ms += now_ms
    if ttl_ms and (client.server.is_past(when_ms) or when_ms > INTEGER_MAX):
        if existed:
            lazily = client.server.config.lazyfree_lazy_server_del
            client.server.feed.rewrite([b"UNLINK" if lazily else b"DEL", name])
            db.modified(name, GENERIC, "del")
        return OK
    db.set(name, value)
    db.track_fields(name, value)
    if ttl_ms:
        db.expire_at(name, when_ms)
        if not options.absolute:
            ttl = b"%d" % when_ms
            client.server.feed.rewrite([*args[:2], ttl, *args[3:], b"ABSTTL"])
    _set_access(client, name, options)
    db.modified(name, GENERIC, "restore")
    return OK


def _read_value(client: Client, payload: bytes) -> object:
    server = client.server
    if not is_payload(payload, server.persistence.check_sums):
        raise RedisError("ERR DUMP payload version or checksum are wrong")
    try:
        return read_payload(payload, server.thresholds)
    except RdbError as exc:
        server.log.warning("RESTORE: %s", exc)
        raise RedisError("ERR Bad data format") from None


def _set_access(client: Client, name: bytes, options: _Options) -> None:
    """Say when, or how often, the key was accessed, whichever the eviction policy asks for."""
    access = client.db.access
    if access.frequencies is not None:
        if options.frequency >= 0:
            access.frequencies.set(name, options.frequency)
    elif options.idle_s >= 0:
        now_ms: int = client.server.clock.now_ms
        access.set(name, max(0, now_ms - options.idle_s * 1000), now_ms)
