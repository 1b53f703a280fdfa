"""Pending entries of consumer groups: acknowledging, listing and claiming them.

What is fed of XCLAIM and XAUTOCLAIM is one XCLAIM for each entry with everything it was set to, so
that it does the same elsewhere and at any time.

Source: Redis t_stream.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer, read_integer_in
from redis_trio.command import FAST, READONLY, WRITE, group, key
from redis_trio.commands.stream import (
    read_id,
    read_interval_end,
    read_interval_start,
    stream_value,
)
from redis_trio.commands.stream_group import (
    c_text,
    claim_command,
    consumer_of,
    find_stream,
    group_id_command,
    no_such_group,
)
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.data.stream import Stream
from redis_trio.data.stream_group import CHUNK, Consumer, Group, Pending, PendingList
from redis_trio.data.stream_id import ZERO_ID, StreamId, format_id, parse_id
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.protocol.reply import NULL_ARRAY, Encoded, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("stream")

_DEFAULT_COUNT: Final = 100  # of XAUTOCLAIM
_ATTEMPTS: Final = 10  # entries looked at for each that is wanted
_COUNT_MAX: Final = INTEGER_MAX // 16
_COUNT_THAT_FITS: Final = (1 << 47) // 16  # so many ids of 16 bytes a process can have


@command(
    "XACK",
    "key group ID:string...",
    arity=-4,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1) for each message ID processed.",
    summary="Acknowledges entries: they are pending no more.",
)
def xack(client: Client, args: Args) -> Reply:
    """Return how many entries were pending. If one id is none, nothing is acknowledged."""
    stream = stream_value(find_stream(client, args[1]))
    found = None if stream is None else stream.groups.get(args[2])
    if found is None:
        return 0
    ids = [read_id(arg) for arg in args[3:]]
    acknowledged = 0
    for entry_id in ids:
        entry = found.pending.find(entry_id)
        if entry is not None:
            found.remove_pending(entry)
            acknowledged += 1
    client.server.dirty += acknowledged
    return acknowledged


# -- XPENDING


@command(
    "XPENDING",
    "key group [[IDLE min-idle-time:integer]@6.2.0 start end:string count [consumer]]:filters",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="STREAM",
    since="5.0.0",
    complexity=(
        "O(N) with N being the number of elements returned, so asking for a small fixed number "
        "of entries per call is O(1). O(M), where M is the total number of entries scanned when "
        "used with the IDLE filter. When the command returns just the summary and the list of "
        "consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for "
        "iterating every consumer."
    ),
    summary="Tells which entries are pending, and with whom.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def xpending(client: Client, args: Args) -> Reply:
    """Return a summary of a group, or the entries of a range. Errors: NOGROUP."""
    given = len(args)
    if given == 3:
        return _summary(_group_to_show(client, args))
    if given < 6 or given > 9:
        raise RedisError(SYNTAX)
    min_idle_ms = 0
    i = 3
    if option_name(args[3]) == b"IDLE":
        min_idle_ms = read_integer(args[4])
        if given < 8:
            raise RedisError(SYNTAX)
        i = 5
    count = read_integer(args[i + 2])
    start = read_interval_start(args[i])
    end = read_interval_end(args[i + 1])
    found = _group_to_show(client, args)
    pending = found.pending
    if i + 3 < given:
        consumer = found.consumers.get(args[i + 3])
        if consumer is None:
            return []
        pending = consumer.pending
    return _list_pending(pending, start, end, count, min_idle_ms, client.server.clock.now_ms)


def _group_to_show(client: Client, args: Args) -> Group:
    stream = stream_value(client.db.lookup_read(args[1]))
    found = None if stream is None else stream.groups.get(args[2])
    if found is None:
        raise no_such_group(args[1], args[2])
    return found


def _summary(found: Group) -> Reply:
    """Return how many entries are pending, the lowest and highest id, and each one's number."""
    pending = found.pending
    if pending.count == 0:
        return [0, None, None, NULL_ARRAY]
    consumers: list[Reply] = [
        [consumer.name, b"%d" % consumer.pending.count]
        for consumer in found.consumers_by_name()
        if consumer.pending.count
    ]
    first = format_id(pending.first().id)
    return [pending.count, first, format_id(pending.last().id), consumers]


def _list_pending(
    pending: PendingList, start: StreamId, end: StreamId, count: int, min_idle_ms: int, now_ms: int
) -> Reply:
    shown: list[Reply] = []
    if count <= 0:
        return shown
    run = pending.run(start, CHUNK)
    while run:
        for entry in run:
            if entry.id > end:
                return shown
            idle_ms = now_ms - entry.time_ms
            if min_idle_ms and idle_ms < min_idle_ms:
                continue
            shown.append([format_id(entry.id), entry.consumer, max(0, idle_ms), entry.count])
            if len(shown) == count:
                return shown
        run = pending.run(run[-1].behind, CHUNK)
    return shown


# -- claiming


class _Claim:
    """A claim while it is carried out: what XCLAIM and XAUTOCLAIM do with each entry.

    Attributes:
      time_ms: when the entries count as delivered.
      min_idle_ms: entries that were delivered since then are left alone.
      count: how often they count as delivered, negative: once more than before.
      justid: whether only their ids are wanted; this is no delivery.
      shown: the reply for each entry that was claimed.
      fed: what is fed, None if nobody listens.
    """

    __slots__ = (
        "_args",
        "_consumer",
        "_group",
        "_server",
        "_stream",
        "count",
        "fed",
        "justid",
        "min_idle_ms",
        "shown",
        "time_ms",
    )

    def __init__(
        self, client: Client, args: Args, stream: Stream, found: Group, consumer: Consumer
    ) -> None:
        self._server = client.server
        self._args = args
        self._stream = stream
        self._group = found
        self._consumer = consumer
        self.time_ms: int = client.server.clock.now_ms
        self.min_idle_ms = 0
        self.count = -1
        self.justid = False
        self.shown: list[Reply] = []
        self.fed: list[Args] | None = [] if client.server.feed.active else None

    def take_all(self, ids: list[StreamId], force: bool) -> None:
        """Claim entries by their ids, with `force` those too that are not pending."""
        found = self._group
        i = 5
        for entry_id in ids:
            id_text = self._args[i]
            i += 1
            entry = found.pending.find(entry_id)
            text = self._stream.entry(entry_id)
            if text is None:
                if entry is not None:
                    self._drop(entry, id_text)
            elif entry is not None:
                if not self._is_too_young(entry):
                    self._take(entry, text, id_text)
            elif force:
                entry = found.add_pending(self._consumer, entry_id, self.time_ms, 1)
                self._take(entry, text, id_text)

    def take_some(self, start: StreamId, count: int) -> tuple[StreamId, list[Reply]]:
        """Claim up to `count` entries from an id on, or find as many that are gone.

        Returns: where to go on, 0-0 at the end, and the ids that are gone.
        """
        pending = self._group.pending
        deleted: list[Reply] = []
        attempts = count * _ATTEMPTS
        run = pending.run(start, CHUNK)
        while run:
            for entry in run:
                if attempts == 0 or count == 0:
                    return entry.id, deleted
                attempts -= 1
                text = self._stream.entry(entry.id)
                if text is None:
                    id_text = format_id(entry.id)
                    self._drop(entry, id_text)
                    deleted.append(id_text)
                    count -= 1
                elif not self._is_too_young(entry):
                    self._take(entry, text, format_id(entry.id))
                    count -= 1
            run = pending.run(run[-1].behind, CHUNK)
        return ZERO_ID, deleted

    def _drop(self, entry: Pending, id_text: bytes) -> None:
        """Forget an entry that the stream does not have any more."""
        self._tell(entry, id_text)
        self._group.remove_pending(entry)

    def _is_too_young(self, entry: Pending) -> bool:
        """Return whether an entry was delivered too short a time ago."""
        if self.min_idle_ms <= 0:
            return False
        return self._server.clock.now_ms - entry.time_ms < self.min_idle_ms

    def _take(self, entry: Pending, text: bytearray, id_text: bytes) -> None:
        """Give a pending entry to the consumer; `text` is what the stream has under its id."""
        consumer = self._consumer
        self._group.assign(entry, consumer)
        entry.time_ms = self.time_ms
        if self.count >= 0:
            entry.count = self.count
        elif not self.justid:
            entry.delivered_again()
        self.shown.append(format_id(entry.id) if self.justid else Encoded(bytes(text)))
        consumer.active_ms = self._server.clock.now_ms
        self._tell(entry, id_text)

    def _tell(self, entry: Pending, id_text: bytes) -> None:
        self._server.dirty += 1
        if self.fed is not None:
            args = self._args
            self.fed.append(claim_command(args[1], args[2], self._group, entry, id_text))


class _ClaimOptions:
    """The options of XCLAIM.

    Attributes:
      time_ms: when the entries count as delivered, -1: now.
      count: RETRYCOUNT, negative if it was not given.
      last_id: the group counts as read up to here at least.
    """

    __slots__ = ("count", "force", "justid", "last_id", "time_ms")

    def __init__(self, args: Args, first: int, now_ms: int) -> None:
        self.time_ms = -1
        self.count = -1
        self.force = False
        self.justid = False
        self.last_id: StreamId = ZERO_ID
        i = first
        while i < len(args):
            name = option_name(args[i])
            has_value = i + 1 < len(args)
            if name == b"FORCE":
                self.force = True
            elif name == b"JUSTID":
                self.justid = True
            elif has_value and name in (b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID"):
                i += 1
                self._read(name, args[i], now_ms)
            else:
                raise RedisError(f"ERR Unrecognized XCLAIM option '{c_text(args[i])}'")
            i += 1

    def _read(self, name: bytes, arg: bytes, now_ms: int) -> None:
        if name == b"LASTID":
            self.last_id = read_id(arg)
            return
        word = name.decode()
        number = read_integer(arg, f"ERR Invalid {word} option argument for XCLAIM")
        if name == b"IDLE":
            self.time_ms = now_ms - number
        elif name == b"TIME":
            self.time_ms = number
        else:
            self.count = number


@command(
    "XCLAIM",
    "key group consumer min-idle-time ID:string... [IDLE ms] [TIME unix-time-milliseconds] "
    "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
    arity=-6,
    flags=WRITE | FAST,
    keys=[key(1, "RW UPDATE")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(log N) with N being the number of messages in the PEL of the consumer group.",
    summary="Gives pending entries to a consumer, whoever has them.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def xclaim(client: Client, args: Args) -> Reply:
    """Return the entries that were claimed. Those that are in the stream no more are forgotten.

    Errors: NOGROUP. What is no id, and all behind it, are options.
    """
    server = client.server
    now_ms = server.clock.now_ms
    stream = stream_value(find_stream(client, args[1]))
    found = None if stream is None else stream.groups.get(args[2])
    if stream is None or found is None:
        raise no_such_group(args[1], args[2])
    min_idle_ms = read_integer(args[4], "ERR Invalid min-idle-time argument for XCLAIM")
    ids: list[StreamId] = []
    for arg in args[5:]:
        entry_id = parse_id(arg)
        if entry_id is None:
            break
        ids.append(entry_id)
    options = _ClaimOptions(args, 5 + len(ids), now_ms)
    moves_on = options.last_id > found.last_id
    if moves_on:
        found.last_id = options.last_id
    claim = _Claim(client, args, stream, found, consumer_of(client, args[1], found, args[3]))
    claim.min_idle_ms = min_idle_ms
    claim.count = options.count
    claim.justid = options.justid
    if 0 <= options.time_ms <= now_ms:
        claim.time_ms = options.time_ms
    dirty = server.dirty
    claim.take_all(ids, options.force)
    if moves_on and server.dirty == dirty:
        server.dirty += 1
        if claim.fed is not None:
            claim.fed.append(group_id_command(args[1], args[2], found))
    if claim.fed is not None:
        server.feed.rewrite(*claim.fed)
    return claim.shown


@command(
    "XAUTOCLAIM",
    "key group consumer min-idle-time start [COUNT count] [JUSTID]",
    arity=-6,
    flags=WRITE | FAST,
    keys=[key(1, "RW DELETE")],
    acl="STREAM",
    since="6.2.0",
    complexity="O(1) if COUNT is small.",
    summary="Gives the next entries that have been pending for long to a consumer.",
    tips="NONDETERMINISTIC_OUTPUT",
)
def xautoclaim(client: Client, args: Args) -> Reply:
    """Return where to go on, the entries that were claimed, and the ids of those that are gone.

    Errors: NOGROUP.
    """
    value = find_stream(client, args[1])
    min_idle_ms = read_integer(args[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM")
    start = read_interval_start(args[5])
    count = _DEFAULT_COUNT
    justid = False
    i = 6
    while i < len(args):
        name = option_name(args[i])
        if name == b"COUNT" and i + 1 < len(args):
            i += 1
            count = read_integer_in(args[i], 1, _COUNT_MAX, "ERR COUNT must be > 0")
        elif name == b"JUSTID":
            justid = True
        else:
            raise RedisError(SYNTAX)
        i += 1
    stream = stream_value(value)
    found = None if stream is None else stream.groups.get(args[2])
    if stream is None or found is None:
        raise no_such_group(args[1], args[2])
    if count > _COUNT_THAT_FITS:
        raise RedisError(
            "ERR Insufficient memory, failed allocating transient memory, COUNT too high."
        )
    claim = _Claim(client, args, stream, found, consumer_of(client, args[1], found, args[3]))
    claim.min_idle_ms = min_idle_ms
    claim.justid = justid
    cursor, deleted = claim.take_some(start, count)
    if claim.fed is not None:
        client.server.feed.rewrite(*claim.fed)
    return [format_id(cursor), claim.shown, deleted]
