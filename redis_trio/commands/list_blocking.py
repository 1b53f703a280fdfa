"""Lists: moving elements from list to list, popping from the first of several, waiting for them.

A blocking command does what its plain relative does if it can, and is fed as that one; otherwise it
waits until one of its keys holds a list, and is then run again.

Source: Redis t_list.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer_in, read_timeout
from redis_trio.blocking import Block, block_on_keys
from redis_trio.command import BLOCKING, DENYOOM, WRITE, group, key, keynum
from redis_trio.commands.list import elements_removed, list_value
from redis_trio.data.list import List
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.keyspace.database import LIST
from redis_trio.protocol.reply import NULL_ARRAY, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("list")

KIND: Final = b"list"


def _is_left(arg: bytes) -> bool:
    """Return whether an argument is LEFT, not RIGHT. Errors: syntax for anything else."""
    word = option_name(arg)
    if word == b"LEFT":
        return True
    if word != b"RIGHT":
        raise RedisError(SYNTAX)
    return False


def _read_seconds(client: Client, arg: bytes) -> float | None:
    return read_timeout(arg, 1000, client.server.clock.now_ms)


# -- from list to list


def _move(client: Client, source: bytes, target: bytes, left: bool, to_left: bool) -> bytes | None:
    """Move an element from an end of one list to an end of another; None if there is none."""
    db = client.db
    value = list_value(db.lookup_write(source))
    if value is None:
        return None
    destination = list_value(db.lookup_write(target))
    element = value.pop(left)
    if destination is None:
        destination = List()
        db.set(target, destination)
    destination.push([element], 0, to_left, client.server.thresholds)
    db.signal(target)
    db.notify(target, LIST, "lpush" if to_left else "rpush")
    elements_removed(client, source, value, "lpop" if left else "rpop", 1)
    return element


@command(
    "LMOVE",
    "source destination <LEFT | RIGHT>:wherefrom <LEFT | RIGHT>:whereto",
    arity=5,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "RW INSERT")],
    acl="LIST",
    since="6.2.0",
    complexity="O(1)",
    summary="Moves an element from one end of a list to one end of another, and returns it.",
)
def lmove(client: Client, args: Args) -> Reply:
    left = _is_left(args[3])
    to_left = _is_left(args[4])
    return _move(client, args[1], args[2], left, to_left)


@command(
    "RPOPLPUSH",
    "source destination",
    arity=3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "RW INSERT")],
    acl="LIST",
    since="1.2.0",
    complexity="O(1)",
    summary="Moves the last element of a list to the head of another, and returns it.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`LMOVE` with the `RIGHT` and `LEFT` arguments",
)
def rpoplpush(client: Client, args: Args) -> Reply:
    return _move(client, args[1], args[2], False, True)


def _blocking_move(
    client: Client, args: Args, left: bool, to_left: bool, timeout_s: float | None, fed: Args
) -> Reply | Block:
    """Move an element or wait for one; the move is fed as `fed`."""
    element = _move(client, args[1], args[2], left, to_left)
    if element is None:
        if client.executing:
            return None  # not what it answers at its timeout
        block = block_on_keys(client, [args[1]], KIND, timeout_s, NULL_ARRAY)
        block.if_denied = None  # Redis answers with another null than after the timeout
        return block
    client.server.feed.rewrite(fed)
    return element


@command(
    "BLMOVE",
    "source destination <LEFT | RIGHT>:wherefrom <LEFT | RIGHT>:whereto timeout",
    arity=6,
    flags=WRITE | DENYOOM | BLOCKING,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "RW INSERT")],
    acl="LIST",
    since="6.2.0",
    complexity="O(1)",
    summary="Moves an element as LMOVE does, and waits for one if there is none.",
)
def blmove(client: Client, args: Args) -> Reply | Block:
    left = _is_left(args[3])
    to_left = _is_left(args[4])
    timeout_s = _read_seconds(client, args[5])
    return _blocking_move(client, args, left, to_left, timeout_s, [b"LMOVE", *args[1:5]])


@command(
    "BRPOPLPUSH",
    "source destination timeout",
    arity=4,
    flags=WRITE | DENYOOM | BLOCKING,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "RW INSERT")],
    acl="LIST",
    since="2.2.0",
    complexity="O(1)",
    summary="Moves an element as RPOPLPUSH does, and waits for one if there is none.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`BLMOVE` with the `RIGHT` and `LEFT` arguments",
)
def brpoplpush(client: Client, args: Args) -> Reply | Block:
    timeout_s = _read_seconds(client, args[3])
    return _blocking_move(client, args, False, True, timeout_s, [b"RPOPLPUSH", *args[1:3]])


# -- from the first of several lists


def _pop_first(client: Client, names: Args, left: bool, count: int) -> Reply:
    """Pop elements from the first list there is; None if there is none.

    Args:
      count: how many; 0: one, which is returned alone.

    Returns: the key with the elements.
    """
    event = "lpop" if left else "rpop"
    for name in names:
        value = list_value(client.db.lookup_write(name))
        if value is None:
            continue
        fed = [b"LPOP" if left else b"RPOP", name]
        if count == 0:
            popped: Reply = value.pop(left)
            elements_removed(client, name, value, event, 1)
        else:
            elements = value.pop_many(count, left)
            fed.append(b"%d" % len(elements))
            popped = elements
            elements_removed(client, name, value, event, len(elements))
        client.server.feed.rewrite(fed)
        return [name, popped]
    return None


def _blocking_pop(client: Client, args: Args, left: bool) -> Reply | Block:
    """Pop one element from the first list there is, or wait for one."""
    timeout_s = _read_seconds(client, args[-1])
    names = args[1:-1]
    popped = _pop_first(client, names, left, 0)
    if popped is None:
        return block_on_keys(client, names, KIND, timeout_s, NULL_ARRAY)
    return popped


@command(
    "BLPOP",
    "key... timeout",
    arity=-3,
    flags=WRITE | BLOCKING,
    keys=[key(1, "RW ACCESS DELETE", last=-2)],
    acl="LIST",
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    summary="Removes the first element of the first list there is, and waits for one if need be.",
)
def blpop(client: Client, args: Args) -> Reply | Block:
    """Reply: the key and the element."""
    return _blocking_pop(client, args, True)


@command(
    "BRPOP",
    "key... timeout",
    arity=-3,
    flags=WRITE | BLOCKING,
    keys=[key(1, "RW ACCESS DELETE", last=-2)],
    acl="LIST",
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    summary="Removes the last element of the first list there is, and waits for one if need be.",
)
def brpop(client: Client, args: Args) -> Reply | Block:
    """Reply: the key and the element."""
    return _blocking_pop(client, args, False)


def _read_multi_pop(args: Args, start: int) -> tuple[Args, bool, int]:
    """Return the keys, whether to pop from the left, and the count, from argument `start` on."""
    count_error = "ERR count should be greater than 0"
    size = read_integer_in(args[start], 1, INTEGER_MAX, "ERR numkeys should be greater than 0")
    where = start + 1 + size
    if where >= len(args):
        raise RedisError(SYNTAX)
    left = _is_left(args[where])
    count = 1
    if len(args) > where + 1:
        if option_name(args[where + 1]) != b"COUNT" or len(args) == where + 2:
            raise RedisError(SYNTAX)
        count = read_integer_in(args[where + 2], 1, INTEGER_MAX, count_error)
        if len(args) > where + 3:
            raise RedisError(SYNTAX)
    return args[start + 1 : where], left, count


@command(
    "LMPOP",
    "numkeys key... <LEFT | RIGHT> [COUNT count]",
    arity=-4,
    flags=WRITE,
    keys=[keynum(1, "RW ACCESS DELETE")],
    acl="LIST",
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements"
    " returned.",
    summary="Removes elements from one end of the first list there is.",
)
def lmpop(client: Client, args: Args) -> Reply:
    """Reply: the key and an array of the elements."""
    names, left, count = _read_multi_pop(args, 1)
    popped = _pop_first(client, names, left, count)
    return NULL_ARRAY if popped is None else popped


@command(
    "BLMPOP",
    "timeout numkeys key... <LEFT | RIGHT> [COUNT count]",
    arity=-5,
    flags=WRITE | BLOCKING,
    keys=[keynum(2, "RW ACCESS DELETE")],
    acl="LIST",
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements"
    " returned.",
    summary="Removes elements from one end of the first list there is, and waits if need be.",
)
def blmpop(client: Client, args: Args) -> Reply | Block:
    """Reply: the key and an array of the elements."""
    names, left, count = _read_multi_pop(args, 2)
    timeout_s = _read_seconds(client, args[1])
    popped = _pop_first(client, names, left, count)
    if popped is None:
        return block_on_keys(client, names, KIND, timeout_s, NULL_ARRAY)
    return popped
