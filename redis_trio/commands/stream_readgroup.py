"""XREADGROUP: entries are delivered to the consumers of a group, each entry to one of them.

`>` asks for entries that nobody in the group has got yet; they become pending. Any other id asks
for what the consumer itself has pending behind that id. Only `>` can block, and only a key whose
group is gone, or whose type has changed, wakes a waiting client for an error.

What is fed is what became of each entry, as an XCLAIM, and how far the group has read.

Source: Redis t_stream.c xreadCommand, streamReplyWithRange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.blocking import Block, block_on_keys
from redis_trio.command import BLOCKING, WRITE, group, keyword
from redis_trio.commands.stream import encoded_range, read_id, stream_value
from redis_trio.commands.stream_group import (
    claim_command,
    consumer_of,
    find_stream,
    group_id_command,
    no_such_group,
)
from redis_trio.commands.stream_read import ReadOptions, read_options
from redis_trio.data.stream import Stream
from redis_trio.data.stream_group import CHUNK, Consumer, Group
from redis_trio.data.stream_id import MAX_ID, StreamId, format_id, next_id
from redis_trio.errors import RedisError
from redis_trio.protocol.reply import NULL_ARRAY, Encoded, MapPairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("stream")

_NEW: Final = MAX_ID  # what `>` stands for

_MEANINGLESS: Final = (
    "ERR The %s ID is meaningless in the context of XREADGROUP: you want to read the history of "
    "this consumer by specifying a proper ID, or use the > ID to get new messages. The %s ID would "
    "just return an empty result set."
)


class _Source:
    """A stream that is read, with the group and behind which id."""

    __slots__ = ("after", "group", "name", "stream")

    def __init__(self, name: bytes, stream: Stream, read_by: Group, after: StreamId) -> None:
        self.name = name
        self.stream = stream
        self.group = read_by
        self.after = after


@command(
    "XREADGROUP",
    "GROUP (group consumer):group-block [COUNT count] [BLOCK milliseconds] [NOACK] "
    "STREAMS (key... ID:string...)",
    arity=-7,
    flags=BLOCKING | WRITE,
    keys=[keyword("STREAMS", 4, "RO ACCESS", last=-1, limit=2)],
    acl="STREAM",
    since="5.0.0",
    complexity=(
        "For each stream mentioned: O(M) with M being the number of elements returned. If M is "
        "constant (e.g. always asking for the first 10 elements with COUNT), you can consider it "
        "O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to "
        "serve the N clients blocked on the stream getting new data."
    ),
    summary="Delivers entries of streams to a consumer of a group; can wait for new ones.",
)
def xreadgroup(client: Client, args: Args) -> Reply | Block:
    """Return the entries of each stream that has any. Errors: NOGROUP.

    A stream that is asked for an id is always there, with an empty array if nothing is pending.
    """
    server = client.server
    options = read_options(client, args, True)
    sources = _find_sources(client, args, options)
    server.stats.keyspace_hits += len(sources)  # Redis looks each key up once more
    reading = _Reading(client, options)
    shown: list[tuple[bytes, Reply]] = []
    for source in sources:
        reply = reading.read(source)
        if reply is not None:
            shown.append((source.name, reply))
    if reading.fed is not None:
        server.feed.rewrite(*reading.fed)
    if shown:
        return MapPairs(shown)
    if not options.blocks:
        return NULL_ARRAY
    names = args[options.keys : options.keys + options.streams]
    return block_on_keys(client, names, b"stream", options.timeout_s, NULL_ARRAY, None, True)


def _find_sources(client: Client, args: Args, options: ReadOptions) -> list[_Source]:
    """Return the streams with their groups. Errors: Redis's, for the first key that has one."""
    sources: list[_Source] = []
    group_name = options.group
    assert group_name is not None
    for i in range(options.keys, options.keys + options.streams):
        name = args[i]
        stream = stream_value(find_stream(client, name))
        found = None if stream is None else stream.groups.get(group_name)
        if stream is None or found is None:
            raise no_such_group(name, group_name, " in XREADGROUP with GROUP option")
        sources.append(_Source(name, stream, found, _read_position(args[i + options.streams])))
    return sources


def _read_position(arg: bytes) -> StreamId:
    if arg == b">":
        return _NEW
    if arg == b"$" or arg == b"+":
        raise RedisError(_MEANINGLESS.replace("%s", arg.decode()))
    return read_id(arg)


class _Reading:
    """One XREADGROUP while it is carried out.

    Attributes:
      fed: what is fed, None if nobody listens.
    """

    __slots__ = ("_client", "_consumer_name", "_group_name", "_options", "fed")

    def __init__(self, client: Client, options: ReadOptions) -> None:
        self._client = client
        self._options = options
        self._group_name = options.group or b""
        self._consumer_name = options.consumer or b""
        self.fed: list[Args] | None = [] if client.server.feed.active else None

    def read(self, source: _Source) -> Reply:
        """Return what the consumer gets of a stream, None if there is nothing new."""
        consumer = self._consumer(source)
        if source.after != _NEW:
            return self._history(source, consumer)
        stream = source.stream
        after = source.group.last_id
        if stream.length == 0 or stream.last_entry_id() <= after:
            return None
        start = next_id(after)
        assert start is not None  # there is an entry behind it
        ids = stream.ids(start, MAX_ID, self._options.count)
        self._deliver(source, consumer, ids)
        return encoded_range(stream, start, ids[-1], 0)

    def _consumer(self, source: _Source) -> Consumer:
        """Return the consumer, a new one if there is none of that name."""
        name = self._consumer_name
        is_new = name not in source.group.consumers
        consumer = consumer_of(self._client, source.name, source.group, name)
        if is_new and self._options.noack and self.fed is not None:
            self.fed.append([b"XGROUP", b"CREATECONSUMER", source.name, self._group_name, name])
        return consumer

    def _deliver(self, source: _Source, consumer: Consumer, ids: list[StreamId]) -> None:
        """Note that new entries are delivered."""
        server = self._client.server
        now_ms = server.clock.now_ms
        found = source.group
        for entry_id in ids:
            found.read_up_to(source.stream, entry_id)
            if not self._options.noack:
                entry = found.deliver(consumer, entry_id, now_ms)
                if self.fed is not None:
                    text = format_id(entry_id)
                    self.fed.append(
                        claim_command(source.name, self._group_name, found, entry, text)
                    )
        if not self._options.noack:
            consumer.active_ms = now_ms
        server.dirty += 1
        if self.fed is not None:
            self.fed.append(group_id_command(source.name, self._group_name, found))

    def _history(self, source: _Source, consumer: Consumer) -> Reply:
        """Return what the consumer has pending behind an id, which counts as another delivery.

        It is not fed: the times and counts of replicas lag behind until the next change.
        """
        now_ms = self._client.server.clock.now_ms
        count = self._options.count
        shown: list[Reply] = []
        ms, seq = source.after
        run = consumer.pending.run((ms, seq + 1), count or CHUNK)
        while run:
            for entry in run:
                text = source.stream.entry(entry.id)
                if text is None:
                    shown.append([format_id(entry.id), NULL_ARRAY])
                else:
                    shown.append(Encoded(bytes(text)))
                    entry.time_ms = now_ms
                    entry.delivered_again()
                if len(shown) == count:
                    return shown
            run = consumer.pending.run(run[-1].behind, CHUNK)
        return shown
