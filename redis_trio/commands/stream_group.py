"""Consumer groups of streams: XGROUP, and what XINFO tells of groups and consumers.

Only a stream's entries count as its value for WATCH and for caches: what happens to groups is
counted as a change, fed and notified of, but is no modification of the key. XACK, XCLAIM,
XAUTOCLAIM and XREADGROUP look their key up as reads do, with hits and misses counted.

Source: Redis t_stream.c xgroupCommand, xinfoCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import DENYOOM, READONLY, WRITE, group, key
from redis_trio.commands.stream import read_id, stream_value
from redis_trio.data.stream import Stream
from redis_trio.data.stream_group import UNKNOWN, Consumer, Group, Pending
from redis_trio.data.stream_id import MAX_ID, ZERO_ID, StreamId, format_id
from redis_trio.errors import NO_SUCH_KEY, RedisError, error_text, wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.keyspace.database import STREAM
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("stream")

_NO_KEY: Final = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)


# -- what the commands of groups have in common


def c_text(word: bytes) -> str:
    """Return a client's word for an error text that Redis formats as a C string."""
    return error_text(word.partition(b"\0")[0])


def changed(client: Client, name: bytes, event: str) -> None:
    """Tell that something about a stream's groups changed."""
    client.server.dirty += 1
    client.db.notify(name, STREAM, event)


def find_stream(client: Client, name: bytes) -> object:
    """Find a value for a change of its groups, counted as a read; None if there is no such key."""
    db = client.db
    value = db.lookup_write(name)
    if value is None:
        return db.lookup_read(name)  # counts the miss
    client.server.stats.keyspace_hits += 1
    return value


def no_such_group(name: bytes, group_name: bytes, where: str = "") -> RedisError:
    """The error for a missing key or group."""
    return RedisError(
        f"NOGROUP No such key '{c_text(name)}' or consumer group '{c_text(group_name)}'{where}"
    )


def _no_group(name: bytes, group_name: bytes) -> RedisError:
    """The error for a missing group of a key that is there."""
    return RedisError(
        f"NOGROUP No such consumer group '{c_text(group_name)}' for key name '{c_text(name)}'"
    )


def consumer_of(client: Client, name: bytes, consumers: Group, consumer_name: bytes) -> Consumer:
    """Return a consumer that is about to act, a new one if there is none of that name."""
    now_ms = client.server.clock.now_ms
    consumer = consumers.consumers.get(consumer_name)
    if consumer is None:
        consumer = consumers.add_consumer(consumer_name, now_ms)
        changed(client, name, "xgroup-createconsumer")
    consumer.seen_ms = now_ms
    return consumer


def claim_command(
    name: bytes, group_name: bytes, of: Group, entry: Pending, entry_id: bytes
) -> Args:
    """Return the command that is fed for a pending entry as it is now."""
    return [
        *(b"XCLAIM", name, group_name, entry.consumer, b"0", entry_id),
        *(b"TIME", b"%d" % entry.time_ms, b"RETRYCOUNT", b"%d" % entry.count),
        *(b"FORCE", b"JUSTID", b"LASTID", format_id(of.last_id)),
    ]


def group_id_command(name: bytes, group_name: bytes, of: Group) -> Args:
    """Return the command that is fed for how far a group has read."""
    return [
        *(b"XGROUP", b"SETID", name, group_name, format_id(of.last_id)),
        *(b"ENTRIESREAD", b"%d" % of.entries_read),
    ]


# -- XGROUP

command.container(
    "XGROUP",
    arity=-2,
    since="5.0.0",
    summary="Creates, changes and deletes consumer groups.",
)


def _options(args: Args, takes_mkstream: bool) -> tuple[int, bool]:
    """Read the options of CREATE and SETID; return ENTRIESREAD, and whether MKSTREAM is there."""
    entries_read = UNKNOWN
    mkstream = False
    i = 5
    while i < len(args):
        name = option_name(args[i])
        if takes_mkstream and name == b"MKSTREAM":
            mkstream = True
            i += 1
        elif name == b"ENTRIESREAD" and i + 1 < len(args):
            entries_read = read_integer(args[i + 1])
            if entries_read < 0 and entries_read != UNKNOWN:
                raise RedisError("ERR value for ENTRIESREAD must be positive or -1")
            i += 2
        else:
            raise wrong_subcommand(args)
    return entries_read, mkstream


def _stream(client: Client, name: bytes) -> Stream:
    """Find the stream of XGROUP. Errors: there is no such key."""
    value = stream_value(client.db.lookup_write(name))
    if value is None:
        raise RedisError(_NO_KEY)
    return value


def _group(client: Client, args: Args) -> Group:
    """Find the group of XGROUP. Errors: there is no such key, or group."""
    found = _stream(client, args[2]).groups.get(args[3])
    if found is None:
        raise _no_group(args[2], args[3])
    return found


@command(
    "XGROUP CREATE",
    "key group <id | $:new-id>:id-selector [MKSTREAM] [ENTRIESREAD entriesread/entries-read]",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=[key(2, "RW INSERT")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Creates a consumer group that begins behind an entry.",
)
def xgroup_create(client: Client, args: Args) -> Reply:
    """Create a group. Errors: BUSYGROUP, there is one of that name."""
    entries_read, mkstream = _options(args, True)
    db = client.db
    name = args[2]
    value = stream_value(db.lookup_write(name)) if mkstream else _stream(client, name)
    if len(args) > 8:
        raise wrong_subcommand(args)
    last_id: StreamId
    if args[4] == b"$":
        last_id = ZERO_ID if value is None else value.last_id
    else:
        last_id = read_id(args[4])
    if value is None:
        value = Stream()
        db.set(name, value)
        db.signal(name)
    if args[3] in value.groups:
        raise RedisError("BUSYGROUP Consumer Group name already exists")
    value.groups[args[3]] = Group(last_id, entries_read)
    changed(client, name, "xgroup-create")
    return OK


@command(
    "XGROUP CREATECONSUMER",
    "key group consumer",
    arity=5,
    flags=WRITE | DENYOOM,
    keys=[key(2, "RW INSERT")],
    acl="STREAM",
    since="6.2.0",
    complexity="O(1)",
    summary="Creates a consumer in a group.",
)
def xgroup_createconsumer(client: Client, args: Args) -> Reply:
    """Create a consumer; return 0 if there is one of that name."""
    found = _group(client, args)
    if args[4] in found.consumers:
        return 0
    found.add_consumer(args[4], client.server.clock.now_ms)
    changed(client, args[2], "xgroup-createconsumer")
    return 1


@command(
    "XGROUP DELCONSUMER",
    "key group consumer",
    arity=5,
    flags=WRITE,
    keys=[key(2, "RW DELETE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Deletes a consumer of a group and forgets what it has pending.",
)
def xgroup_delconsumer(client: Client, args: Args) -> Reply:
    """Delete a consumer; return how many entries it had pending, 0 if there is none."""
    found = _group(client, args)
    if args[4] not in found.consumers:
        return 0
    pending = found.delete_consumer(args[4])
    changed(client, args[2], "xgroup-delconsumer")
    return pending


@command(
    "XGROUP DESTROY",
    "key group",
    arity=4,
    flags=WRITE,
    keys=[key(2, "RW DELETE")],
    acl="STREAM",
    since="5.0.0",
    complexity=("O(N) where N is the number of entries in the group's pending entries list (PEL)."),
    summary="Deletes a consumer group.",
)
def xgroup_destroy(client: Client, args: Args) -> Reply:
    """Delete a group; return 0 if there is none. Who waits for its entries gets an error."""
    name = args[2]
    found = _stream(client, name).groups.pop(args[3], None)
    if found is None:
        return 0
    server = client.server
    server.lazyfree.add_value(found)
    changed(client, name, "xgroup-destroy")
    server.waiting.signal((client.db.index, name))
    return 1


@command(
    "XGROUP SETID",
    "key group <id | $:new-id>:id-selector [ENTRIESREAD entriesread/entries-read]",
    arity=-5,
    flags=WRITE,
    keys=[key(2, "RW UPDATE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Sets behind which entry a consumer group goes on.",
)
def xgroup_setid(client: Client, args: Args) -> Reply:
    """Set the id of the entry that counts as delivered last. Here `-` and `+` are ids."""
    entries_read, _ = _options(args, False)
    found = _group(client, args)
    if len(args) != 5 and len(args) != 7:
        raise wrong_subcommand(args)
    if args[4] == b"$":
        found.last_id = _stream(client, args[2]).last_id
    elif args[4] == b"-":
        found.last_id = ZERO_ID
    elif args[4] == b"+":
        found.last_id = MAX_ID
    else:
        found.last_id = read_id(args[4])
    found.entries_read = entries_read
    changed(client, args[2], "xgroup-setid")
    return OK


declare_help(command, "XGROUP", since="5.0.0", acl="STREAM")


# -- XINFO


def _stream_to_show(client: Client, name: bytes) -> Stream:
    value = stream_value(client.db.lookup_read(name))
    if value is None:
        raise RedisError(NO_SUCH_KEY)
    return value


@command(
    "XINFO CONSUMERS",
    "key group",
    arity=4,
    flags=READONLY,
    keys=[key(2, "RO ACCESS")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Tells of the consumers of a group.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def xinfo_consumers(client: Client, args: Args) -> Reply:
    """Return a map for each consumer. `inactive` is -1 for one that never got an entry."""
    found = _stream_to_show(client, args[2]).groups.get(args[3])
    if found is None:
        raise _no_group(args[2], args[3])
    now_ms = client.server.clock.now_ms
    shown: list[Reply] = []
    for consumer in found.consumers_by_name():
        active_ms = consumer.active_ms
        shown.append(
            {
                b"name": consumer.name,
                b"pending": consumer.pending.count,
                b"idle": max(0, now_ms - consumer.seen_ms),
                b"inactive": UNKNOWN if active_ms == UNKNOWN else now_ms - active_ms,
            }
        )
    return shown


@command(
    "XINFO GROUPS",
    "key",
    arity=3,
    flags=READONLY,
    keys=[key(2, "RO ACCESS")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Tells of the consumer groups of a stream.",
)
def xinfo_groups(client: Client, args: Args) -> Reply:
    """Return a map for each group. `entries-read` and `lag` are null where nobody can tell."""
    value = _stream_to_show(client, args[2])
    shown: list[Reply] = []
    for name in sorted(value.groups):
        one = value.groups[name]
        shown.append(
            {
                b"name": name,
                b"consumers": len(one.consumers),
                b"pending": one.pending.count,
                b"last-delivered-id": format_id(one.last_id),
                b"entries-read": None if one.entries_read == UNKNOWN else one.entries_read,
                b"lag": one.lag(value),
            }
        )
    return shown


def show_groups(value: Stream, count: int) -> Reply:
    """Return what XINFO STREAM FULL shows of the groups, with `count` pending entries each.

    0: with all of them.
    """
    shown: list[Reply] = []
    for name in sorted(value.groups):
        one = value.groups[name]
        pending: list[Reply] = [
            [format_id(entry.id), entry.consumer, entry.time_ms, entry.count]
            for entry in one.pending.head(count)
        ]
        shown.append(
            {
                b"name": name,
                b"last-delivered-id": format_id(one.last_id),
                b"entries-read": None if one.entries_read == UNKNOWN else one.entries_read,
                b"lag": one.lag(value),
                b"pel-count": one.pending.count,
                b"pending": pending,
                b"consumers": [_show_consumer(who, count) for who in one.consumers_by_name()],
            }
        )
    return shown


def _show_consumer(consumer: Consumer, count: int) -> Reply:
    pending: list[Reply] = [
        [format_id(entry.id), entry.time_ms, entry.count] for entry in consumer.pending.head(count)
    ]
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": consumer.active_ms,
        b"pel-count": consumer.pending.count,
        b"pending": pending,
    }
