"""XINFO: what is known of a stream. Its groups and consumers are in stream_group.py.

Source: Redis t_stream.c xinfoCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import READONLY, group, key
from redis_trio.commands.stream import encoded_range, stream_value
from redis_trio.commands.stream_group import show_groups
from redis_trio.data.stream import Stream
from redis_trio.data.stream_id import MAX_ID, ZERO_ID, StreamId, format_id
from redis_trio.errors import NO_SUCH_KEY, RedisError, wrong_subcommand
from redis_trio.help import declare_help
from redis_trio.protocol.reply import Encoded, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("stream")

command.container(
    "XINFO",
    arity=-2,
    since="5.0.0",
    summary="Tells what is known of streams, their groups and consumers.",
)

_DEFAULT_COUNT: Final = 10


@command(
    "XINFO STREAM",
    "key [FULL [COUNT count]]:full-block",
    arity=-3,
    flags=READONLY,
    keys=[key(2, "RO ACCESS")],
    acl="STREAM",
    since="5.0.0",
    complexity="O(1)",
    summary="Tells of a stream; FULL: of entries, groups, consumers and pending entries, too.",
)
def xinfo_stream(client: Client, args: Args) -> Reply:
    """Reply: a map. The radix tree it tells of is the one that Redis would have."""
    stream = stream_value(client.db.lookup_read(args[2]))
    if stream is None:
        raise RedisError(NO_SUCH_KEY)
    count = _read_full(args)
    shown: dict[bytes, Reply] = {
        b"length": stream.length,
        b"radix-tree-keys": len(stream.nodes),
        b"radix-tree-nodes": stream.tree_nodes(),
        b"last-generated-id": format_id(stream.last_id),
        b"max-deleted-entry-id": format_id(stream.max_deleted_id),
        b"entries-added": stream.entries_added,
        b"recorded-first-entry-id": format_id(stream.first_id),
    }
    if count < 0:
        shown[b"groups"] = len(stream.groups)
        shown[b"first-entry"] = _show_entry(stream, stream.first_id)
        shown[b"last-entry"] = _show_entry(stream, stream.last_entry_id())
    else:
        shown[b"entries"] = encoded_range(stream, ZERO_ID, MAX_ID, count)
        shown[b"groups"] = show_groups(stream, count)
    return shown


def _read_full(args: Args) -> int:
    """Return the COUNT of FULL, 0: all; -1 without FULL."""
    if len(args) == 3:
        return -1
    if len(args) not in (4, 6) or option_name(args[3]) != b"FULL":
        raise wrong_subcommand(args)
    if len(args) == 4:
        return _DEFAULT_COUNT
    if option_name(args[4]) != b"COUNT":
        raise wrong_subcommand(args)
    count = read_integer(args[5])
    return _DEFAULT_COUNT if count < 0 else count


def _show_entry(stream: Stream, entry_id: StreamId) -> Reply:
    entry = stream.entry(entry_id)
    return None if entry is None else Encoded(bytes(entry))


declare_help(command, "XINFO", since="5.0.0", acl="STREAM")
