"""Streams: adding entries, trimming, deleting, and ranges.

A range is answered with the entries as the stream keeps them, ready-encoded. What is fed of XADD
and XTRIM names the id that was given and trims exactly to what was left, so that it does the same
elsewhere. XREAD is in redis_trio/commands/stream_read.py, XINFO in stream_info.py, consumer groups
in stream_group.py and stream_pending.py.

Source: Redis t_stream.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.args import option_name, read_integer
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.data.stream import Stream, Text
from redis_trio.data.stream_id import (
    MAX_ID,
    SEQ_MAX,
    ZERO_ID,
    StreamId,
    format_id,
    next_id,
    parse_id,
    parse_id_time,
    previous_id,
)
from redis_trio.errors import NO_SUCH_KEY, SYNTAX, WRONGTYPE, RedisError, wrong_arity
from redis_trio.keyspace.database import STREAM
from redis_trio.protocol.reply import NULL_ARRAY, OK, Encoded, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("stream")

INVALID_ID: Final = "ERR Invalid stream ID specified as stream command argument"
_SETID_SMALLER: Final = "ERR The ID specified in XSETID is smaller than"

_ARRAYS: Final = [b"*%d\r\n" % count for count in range(128)]

# What entries are trimmed by.
MAXLEN: Final = 1
MINID: Final = 2

_NODES_TRIMMED: Final = 100  # by `~` without a LIMIT
_DEFAULT_LIMIT: Final = 10_000  # where nodes have no limit of entries
_LIMIT_MAX: Final = 1_000_000


def stream_value(value: object) -> Stream | None:
    """Return the value found under a key if it is a stream or None. Errors: WRONGTYPE."""
    if value is None or isinstance(value, Stream):
        return value
    raise RedisError(WRONGTYPE)


def read_id(arg: bytes, missing_seq: int = 0) -> StreamId:
    """Return an id. Errors: it is none, `-` and `+` included."""
    entry_id = parse_id(arg, missing_seq)
    if entry_id is None:
        raise RedisError(INVALID_ID)
    return entry_id


def _read_edge(arg: bytes, missing_seq: int) -> StreamId:
    """Return an id, where `-` and `+` stand for the lowest and the highest one."""
    if arg == b"-":
        return ZERO_ID
    return MAX_ID if arg == b"+" else read_id(arg, missing_seq)


def read_interval_start(arg: bytes) -> StreamId:
    """Return the first id of an interval; `(` in front: the one behind the id that is given."""
    if len(arg) < 2 or arg[0] != 40:
        return _read_edge(arg, 0)
    start = next_id(read_id(arg[1:], 0))
    if start is None:
        raise RedisError("ERR invalid start ID for the interval")
    return start


def read_interval_end(arg: bytes) -> StreamId:
    """Return the last id of an interval; `(` in front: the one in front of the id given."""
    if len(arg) < 2 or arg[0] != 40:
        return _read_edge(arg, SEQ_MAX)
    end = previous_id(read_id(arg[1:], SEQ_MAX))
    if end is None:
        raise RedisError("ERR invalid end ID for the interval")
    return end


def encoded_range(
    stream: Stream, start: StreamId, end: StreamId, count: i64, backwards: bool = False
) -> Encoded:
    """Return the entries with ids from `start` to `end` as a reply; `count` 0: all of them."""
    parts: list[Text] = [b""]
    if backwards:
        found = stream.encoded_reversed(start, end, count, parts)
    else:
        found = stream.encoded(start, end, count, parts)
    parts[0] = _ARRAYS[found] if found < 128 else b"*%d\r\n" % found
    return Encoded(b"".join(parts))


class Trim:
    """How XADD and XTRIM are to trim.

    Attributes:
      strategy: MAXLEN, MINID or 0: not at all.
      position: of the threshold among the arguments.
      approximate: free whole nodes only.
      limit: delete at most so many entries; 0: no limit.
      max_length, min_id: the threshold.
    """

    __slots__ = ("approximate", "limit", "max_length", "min_id", "position", "strategy")

    def __init__(self) -> None:
        self.strategy = 0
        self.position = 0
        self.approximate = False
        self.limit = 0
        self.max_length = 0
        self.min_id: StreamId = ZERO_ID

    def read_threshold(self, args: Args, i: int, strategy: int) -> int:
        """Read what follows MAXLEN or MINID, which is argument `i`; return where that ends."""
        if self.strategy:
            raise RedisError(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
            )
        i += 1
        if i + 1 < len(args):
            mode = option_name(args[i])
            if mode == b"~" or mode == b"=":
                self.approximate = mode == b"~"
                i += 1
        if strategy == MINID:
            self.min_id = read_id(args[i])
        else:
            self.max_length = read_integer(args[i])
            if self.max_length < 0:
                raise RedisError("ERR The MAXLEN argument must be >= 0.")
        self.strategy = strategy
        self.position = i
        return i

    def read_limit(self, arg: bytes) -> None:
        """Read what follows LIMIT."""
        self.limit = read_integer(arg)
        if self.limit < 0:
            raise RedisError("ERR The LIMIT argument must be >= 0.")

    def complete(self, limit_given: bool, required: bool, node_entries: int) -> None:
        """Check that the options go together, and give LIMIT its default."""
        if self.limit and not self.strategy:
            raise RedisError(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
            )
        if required and not self.strategy:
            raise RedisError("ERR syntax error, XTRIM must be called with a trimming strategy")
        if limit_given:
            if not self.approximate:
                raise RedisError(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option"
                )
        elif self.approximate:
            limit = _NODES_TRIMMED * node_entries
            self.limit = min(limit, _LIMIT_MAX) if limit > 0 else _DEFAULT_LIMIT

    def trim(self, stream: Stream) -> int:
        """Trim a stream; return how many entries were deleted."""
        if self.strategy == MAXLEN:
            return stream.trim_to(self.max_length, self.approximate, self.limit)
        return stream.trim_before(self.min_id, self.approximate, self.limit)

    def exactly(self, args: Args, stream: Stream) -> Args:
        """Return a command that trims exactly to what `~` has left."""
        fed = args[:]
        if self.approximate:
            fed[self.position - 1] = b"="
            if self.strategy == MAXLEN:
                fed[self.position] = b"%d" % stream.length
            else:
                fed[self.position] = format_id(stream.first_known_id())
        return fed


class Addition:
    """The options of XADD.

    Attributes:
      trim: how to trim, None: not at all.
      creates: whether a stream is created if there is none.
      position: of the id among the arguments.
      id: the id that is asked for, None for `*` and `ms-*`.
      ms: the time that is asked for with `ms-*`, else None.
    """

    __slots__ = ("creates", "id", "ms", "position", "trim")

    def __init__(self) -> None:
        self.trim: Trim | None = None
        self.creates = True
        self.position = 2
        self.id: StreamId | None = None
        self.ms: int | None = None

    def read_id(self, arg: bytes) -> None:
        """Read an id other than `*`."""
        self.id = parse_id(arg)
        if self.id is None:
            self.ms = parse_id_time(arg)
            if self.ms is None:
                raise RedisError(INVALID_ID)

    def next_id(self, last_id: StreamId, now_ms: int) -> StreamId:
        """Return the id of the new entry. Errors: it would not be above the last one."""
        ms = self.ms
        if ms is not None:
            if ms > last_id[0]:
                return ms, 0
            if ms == last_id[0] and last_id[1] != SEQ_MAX:
                return ms, last_id[1] + 1
        elif self.id is None:
            return _next_by_clock(last_id, now_ms)
        elif self.id > last_id:
            return self.id
        raise RedisError(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item"
        )


def _next_by_clock(last_id: StreamId, now_ms: int) -> StreamId:
    """Return an id with the current time that is above the last one, which is not the highest."""
    ms, seq = last_id
    if now_ms > ms:
        return now_ms, 0
    return (ms, seq + 1) if seq != SEQ_MAX else (ms + 1, 0)


def _read_options(client: Client, args: Args, addition: Addition | None) -> Trim | None:
    """Return how XADD or XTRIM is to trim, None if not at all.

    Args:
      addition: with XADD, gets its other options and its id.
    """
    trim: Trim | None = None
    limit_given = False
    i = 2
    last = len(args) - 1
    while i <= last:
        option = option_name(args[i])
        if addition is not None and option == b"*":
            break
        if i < last and (option == b"MAXLEN" or option == b"MINID"):
            trim = trim or Trim()
            i = trim.read_threshold(args, i, MAXLEN if option == b"MAXLEN" else MINID)
        elif i < last and option == b"LIMIT":
            trim = trim or Trim()
            i += 1
            trim.read_limit(args[i])
            limit_given = True
        elif addition is None:
            raise RedisError(SYNTAX)
        elif option == b"NOMKSTREAM":
            addition.creates = False
        else:
            addition.read_id(args[i])
            break
        i += 1
    if addition is not None:
        addition.position = i
    elif trim is None:
        trim = Trim()
    if trim is not None:
        node_entries = client.server.thresholds.stream_entries
        trim.complete(limit_given and not client.obeyed, addition is None, node_entries)
        if client.obeyed:
            trim.limit = 0  # what is to go is known by now
    return trim


def _read_addition(client: Client, args: Args) -> Addition:
    """Return the options of XADD."""
    addition = Addition()
    addition.trim = _read_options(client, args, addition)
    words = len(args) - addition.position - 1
    if words < 2 or words & 1:
        raise wrong_arity("xadd")
    if addition.id == ZERO_ID:
        raise RedisError("ERR The ID specified in XADD must be greater than 0-0")
    return addition


@command(
    "XADD",
    "key [NOMKSTREAM]@6.2.0 [<MAXLEN | MINID@6.2.0> [=:equal | ~:approximately] threshold"
    " [LIMIT count]@6.2.0]:trim <*:auto-id | id>:id-selector (field value)...",
    arity=-5,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE", notes="UPDATE, not INSERT, because it may trim")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1) when adding a new entry, O(N) when trimming where N being the number of"
    " entries evicted.",
    summary="Adds an entry at the end of a stream, which it can trim as well; returns its id.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def xadd(client: Client, args: Args) -> Reply:
    """Null if there is no stream and NOMKSTREAM is given."""
    addition: Addition | None = None
    if args[2] != b"*" or len(args) & 1 == 0:
        addition = _read_addition(client, args)
    db = client.db
    name = args[1]
    stream = stream_value(db.lookup_write(name))
    if stream is None:
        if addition is not None and not addition.creates:
            return None
        stream = Stream()
        db.set(name, stream)
    last_id = stream.last_id
    if last_id[0] == SEQ_MAX and last_id[1] == SEQ_MAX:
        raise RedisError(
            "ERR The stream has exhausted the last possible ID, unable to add more items"
        )
    now_ms = client.server.clock.now_ms
    if addition is None:
        entry_id = _next_by_clock(last_id, now_ms)
    else:
        entry_id = addition.next_id(last_id, now_ms)
    text = b"%d-%d" % entry_id
    start = 3 if addition is None else addition.position + 1
    if not stream.append(entry_id, text, args, start, client.server.thresholds):
        raise RedisError("ERR Elements are too large to be stored")
    db.modified(name, STREAM, "xadd")
    trim = None if addition is None else addition.trim
    if trim is not None and trim.trim(stream):
        db.notify(name, STREAM, "xtrim")
    if client.server.feed.active:
        fed = args[:] if trim is None else trim.exactly(args, stream)
        if addition is None or addition.id is None:
            fed[start - 1] = text
        client.server.feed.rewrite(fed)
    return text


@command(
    "XTRIM",
    "key (<MAXLEN | MINID@6.2.0> [=:equal | ~:approximately] threshold [LIMIT count]@6.2.0):trim",
    arity=-4,
    flags=WRITE,
    keys=[key(1, "RW DELETE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(N), with N being the number of evicted entries. Constant times are very small"
    " however, since entries are organized in macro nodes containing multiple entries that can be"
    " released with a single deallocation.",
    summary="Deletes the first entries of a stream; returns how many.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def xtrim(client: Client, args: Args) -> Reply:
    trim = _read_options(client, args, None)
    db = client.db
    stream = stream_value(db.lookup_write(args[1]))
    if stream is None or trim is None:
        return 0
    deleted = trim.trim(stream)
    if deleted:
        db.modified(args[1], STREAM, "xtrim")
        client.server.dirty += deleted - 1
        if client.server.feed.active:
            client.server.feed.rewrite(trim.exactly(args, stream))
    return deleted


@command(
    "XDEL",
    "key ID:string...",
    arity=-3,
    flags=WRITE | FAST,
    keys=[key(1, "RW DELETE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1) for each single item to delete in the stream, regardless of the stream size.",
    summary="Deletes entries of a stream by their ids; returns how many there were.",
)
def xdel(client: Client, args: Args) -> Reply:
    db = client.db
    stream = stream_value(db.lookup_write(args[1]))
    if stream is None:
        return 0
    deleted = stream.delete([read_id(args[i]) for i in range(2, len(args))])
    if deleted:
        db.modified(args[1], STREAM, "xdel")
        client.server.dirty += deleted - 1
    return deleted


@command(
    "XLEN",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Returns the number of entries of a stream.",
)
def xlen(client: Client, args: Args) -> Reply:
    stream = stream_value(client.db.lookup_read(args[1]))
    return 0 if stream is None else stream.length


def _range(client: Client, args: Args, first: bytes, last: bytes, backwards: bool) -> Reply:
    """Return the entries from `first` to `last`, for XRANGE and XREVRANGE."""
    start = read_interval_start(first)
    end = read_interval_end(last)
    count = -1
    for i in range(4, len(args), 2):
        if option_name(args[i]) != b"COUNT" or i + 1 == len(args):
            raise RedisError(SYNTAX)
        count = max(read_integer(args[i + 1]), 0)
    stream = stream_value(client.db.lookup_read(args[1]))
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    return encoded_range(stream, start, end, max(count, 0), backwards)


@command(
    "XRANGE",
    "key start end:string [COUNT count]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(N) with N being the number of elements being returned. If N is constant (e.g."
    " always asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary="Returns the entries of a stream with ids in an interval.",
)
def xrange_(client: Client, args: Args) -> Reply:
    return _range(client, args, args[2], args[3], False)


@command(
    "XREVRANGE",
    "key end:string start [COUNT count]",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(N) with N being the number of elements returned. If N is constant (e.g. always"
    " asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary="Returns the entries of a stream with ids in an interval, the last one first.",
)
def xrevrange(client: Client, args: Args) -> Reply:
    return _range(client, args, args[3], args[2], True)


@command(
    "XSETID",
    "key last-id [ENTRIESADDED entries-added]@7.0.0 [MAXDELETEDID max-deleted-id]@7.0.0",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Sets the last id of a stream, as replication and the AOF need it.",
)
def xsetid(client: Client, args: Args) -> Reply:
    """As in Redis it touches no watched key."""
    last_id = read_id(args[2])
    entries_added = -1
    max_deleted_id = ZERO_ID
    for i in range(3, len(args), 2):
        option = option_name(args[i])
        if option == b"ENTRIESADDED" and i + 1 < len(args):
            entries_added = read_integer(args[i + 1])
            if entries_added < 0:
                raise RedisError("ERR entries_added must be positive")
        elif option == b"MAXDELETEDID" and i + 1 < len(args):
            max_deleted_id = read_id(args[i + 1])
            if last_id < max_deleted_id:
                raise RedisError(f"{_SETID_SMALLER} the provided max_deleted_entry_id")
        else:
            raise RedisError(SYNTAX)
    db = client.db
    stream = stream_value(db.lookup_write(args[1]))
    if stream is None:
        raise RedisError(NO_SUCH_KEY)
    _check_last_id(stream, last_id, entries_added)
    stream.last_id = last_id
    if entries_added != -1:
        stream.entries_added = entries_added
    if max_deleted_id != ZERO_ID:
        stream.max_deleted_id = max_deleted_id
    client.server.dirty += 1
    db.notify(args[1], STREAM, "xsetid")
    return OK


def _check_last_id(stream: Stream, last_id: StreamId, entries_added: int) -> None:
    """Check what XSETID wants to set against the entries of the stream."""
    if last_id < stream.max_deleted_id:
        raise RedisError(f"{_SETID_SMALLER} current max_deleted_entry_id")
    if stream.length == 0:
        return
    if last_id < stream.last_entry_id():
        raise RedisError(f"{_SETID_SMALLER} the target stream top item")
    if entries_added != -1 and stream.length > entries_added:
        raise RedisError(
            "ERR The entries_added specified in XSETID is smaller than the target stream length"
        )
