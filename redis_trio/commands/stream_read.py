"""XREAD: what is new in streams, waiting for it if so asked.

The options are those of XREADGROUP too. Each stream is read from behind the id that is given for
it: `$` stands for its last id, `+` for the one in front of it. While the client waits the command
that runs again has the id in place of `$`, or it would never see what it waits for.

Source: Redis t_stream.c xreadCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_trio.args import option_name, read_integer, read_timeout
from redis_trio.blocking import Block, block_on_keys
from redis_trio.command import BLOCKING, READONLY, group, keyword
from redis_trio.commands.stream import encoded_range, read_id, stream_value
from redis_trio.data.stream_id import MAX_ID, ZERO_ID, StreamId, format_id, next_id, previous_id
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.protocol.reply import NULL_ARRAY, MapPairs, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("stream")


class ReadOptions:
    """The options of XREAD and XREADGROUP.

    Attributes:
      count: of entries of each stream at most; 0: all.
      blocks: whether to wait if there is nothing.
      timeout_s: for how long, None for ever.
      keys: position of the first key among the arguments.
      streams: number of keys; their ids follow behind them.
      group, consumer: None with XREAD.
      noack: whether what is read is not pending.
    """

    __slots__ = ("blocks", "consumer", "count", "group", "keys", "noack", "streams", "timeout_s")

    def __init__(self) -> None:
        self.count = 0
        self.blocks = False
        self.timeout_s: float | None = None
        self.keys = 0
        self.streams = 0
        self.group: bytes | None = None
        self.consumer: bytes | None = None
        self.noack = False


def read_options(client: Client, args: Args, has_group: bool) -> ReadOptions:
    """Return the options of XREADGROUP (`has_group`) or XREAD."""
    options = ReadOptions()
    i = 1
    last = len(args) - 1
    while i <= last:
        option = option_name(args[i])
        if option == b"COUNT" and i < last:
            i += 1
            options.count = max(read_integer(args[i]), 0)
        elif option == b"STREAMS" and i < last:
            options.keys = i + 1
            options.streams = _streams(last - i, has_group)
            break
        elif option == b"BLOCK" and i < last:
            i += 1
            options.timeout_s = read_timeout(args[i], 1, client.server.clock.now_ms)
            options.blocks = True
        elif option == b"GROUP" and i < last - 1:
            if not has_group:
                raise _only_with_group("GROUP")
            options.group = args[i + 1]
            options.consumer = args[i + 2]
            i += 2
        elif option == b"NOACK":
            if not has_group:
                raise _only_with_group("NOACK")
            options.noack = True
        else:
            raise RedisError(SYNTAX)
        i += 1
    if options.keys == 0:
        raise RedisError(SYNTAX)
    if has_group and options.group is None:
        raise RedisError("ERR Missing GROUP option for XREADGROUP")
    return options


def _streams(words: int, has_group: bool) -> int:
    """Return how many streams there are in the words behind STREAMS."""
    if words & 1:
        name, symbol = ("xreadgroup", ">") if has_group else ("xread", "$")
        raise RedisError(
            f"ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' "
            "must be specified."
        )
    return words >> 1


def _only_with_group(option: str) -> RedisError:
    return RedisError(
        f"ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )


def _read_start(client: Client, key: bytes, arg: bytes) -> StreamId:
    """Return the id behind which XREAD reads a stream."""
    stream = stream_value(client.db.lookup_read(key))
    if arg[:1].isdigit():
        return read_id(arg)
    special = option_name(arg)
    if special == b"$":
        return ZERO_ID if stream is None else stream.last_id
    if special == b"+":
        if stream is None:
            return ZERO_ID
        before = previous_id(stream.last_id)
        if before is None:
            raise RedisError("ERR the stream last element ID is 0-0")
        return before
    if special == b">":
        raise RedisError(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
            "<consumer> option."
        )
    return read_id(arg)


@command(
    "XREAD",
    "[COUNT count] [BLOCK milliseconds] STREAMS (key... ID:string...)",
    arity=-4,
    flags=BLOCKING | READONLY,
    keys=[keyword("STREAMS", 1, "RO ACCESS", last=-1, limit=2)],
    acl="STREAM",
    since="5.0.0",
    complexity="",
    summary="Returns the entries of streams behind an id for each; waits for them if so asked.",
)
def xread(client: Client, args: Args) -> Reply | Block:
    options = read_options(client, args, False)
    first = options.keys
    count = options.streams
    starts = [_read_start(client, args[i], args[i + count]) for i in range(first, first + count)]
    found: list[tuple[bytes, Reply]] = []
    for i in range(count):
        key = args[first + i]
        stream = stream_value(client.db.lookup_read(key))  # counted as a second hit, as in Redis
        if stream is None or stream.last_entry_id() <= starts[i]:
            continue
        start = next_id(starts[i])
        if start is not None:
            found.append((key, encoded_range(stream, start, MAX_ID, options.count)))
    if found:
        return MapPairs(found)
    if not options.blocks:
        return NULL_ARRAY
    again = args[:]
    for i in range(count):
        if option_name(args[first + count + i]) == b"$":
            again[first + count + i] = format_id(starts[i])
    keys = args[first : first + count]
    return block_on_keys(client, keys, b"stream", options.timeout_s, NULL_ARRAY, again)
