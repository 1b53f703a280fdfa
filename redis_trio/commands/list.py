"""Lists: pushing, popping, and elements by index or by value.

What moves elements from list to list, pops from the first of several lists or waits for elements is
in redis_trio/commands/list_blocking.py; lists themselves are in redis_trio/data/list.py.

Source: Redis t_list.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer, read_integer_in
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.data.list import List
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.errors import (
    INDEX_OUT_OF_RANGE,
    NO_SUCH_KEY,
    SYNTAX,
    WRONGTYPE,
    RedisError,
    wrong_arity,
)
from redis_trio.keyspace.database import GENERIC, LIST
from redis_trio.protocol.reply import NULL_ARRAY, OK, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("list")

ONE_OR_MORE: Final = (
    "O(1) for each element added, so O(N) to add N elements when the command is called with"
    " multiple arguments."
)
_NOT_POSITIVE: Final = "ERR value is out of range, must be positive"


def list_value(value: object) -> List | None:
    """Return the value found under a key if it is a list or None. Errors: WRONGTYPE."""
    if value is None or isinstance(value, List):
        return value
    raise RedisError(WRONGTYPE)


def elements_removed(client: Client, name: bytes, value: List, event: str, count: int) -> None:
    """Tell that `count` elements are gone; delete the key if no element is left.

    Source: t_list.c listElementsRemoved.
    """
    db = client.db
    server = client.server
    db.modified(name, LIST, event)
    server.dirty += count - 1
    if value.count == 0:
        db.delete(name)
        db.notify(name, GENERIC, "del")
    elif value.quick:
        value.shrunk(server.thresholds)


# -- both ends


def _push(client: Client, args: Args, left: bool, event: str) -> int:
    """Push all elements of a command; return the length of the list."""
    db = client.db
    server = client.server
    name = args[1]
    found = db.lookup_write(name)
    if isinstance(found, List):
        value = found
    elif found is None:
        value = List()
        db.set(name, value)
    else:
        raise RedisError(WRONGTYPE)
    value.push(args, 2, left, server.thresholds)
    server.dirty += len(args) - 3
    db.modified(name, LIST, event)
    return value.count


def _push_if_there(client: Client, args: Args, left: bool, event: str) -> int:
    """Push all elements of a command if there is the key; return the length of the list."""
    if client.db.lookup_write(args[1]) is None:
        return 0
    return _push(client, args, left, event)


@command(
    "LPUSH",
    "key element...",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="LIST",
    since="1.0.0",
    complexity=ONE_OR_MORE,
    summary="Adds elements at the head of a list, one after the other; returns its length.",
)
def lpush(client: Client, args: Args) -> Reply:
    return _push(client, args, True, "lpush")


@command(
    "RPUSH",
    "key element...",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="LIST",
    since="1.0.0",
    complexity=ONE_OR_MORE,
    summary="Adds elements at the tail of a list, one after the other; returns its length.",
)
def rpush(client: Client, args: Args) -> Reply:
    return _push(client, args, False, "rpush")


@command(
    "LPUSHX",
    "key element...",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="LIST",
    since="2.2.0",
    complexity=ONE_OR_MORE,
    summary="Adds elements at the head of a list if there is one; returns its length.",
)
def lpushx(client: Client, args: Args) -> Reply:
    return _push_if_there(client, args, True, "lpush")


@command(
    "RPUSHX",
    "key element...",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="LIST",
    since="2.2.0",
    complexity=ONE_OR_MORE,
    summary="Adds elements at the tail of a list if there is one; returns its length.",
)
def rpushx(client: Client, args: Args) -> Reply:
    return _push_if_there(client, args, False, "rpush")


def _pop(client: Client, args: Args, left: bool, event: str) -> Reply:
    """Pop one element, or with a count so many."""
    if len(args) != 2:
        return _pop_many(client, args, left, event)
    name = args[1]
    value = client.db.lookup_write(name)
    if isinstance(value, List):
        element = value.pop(left)
        elements_removed(client, name, value, event, 1)
        return element
    if value is None:
        return None
    raise RedisError(WRONGTYPE)


def _pop_many(client: Client, args: Args, left: bool, event: str) -> Reply:
    if len(args) > 3:
        raise wrong_arity(event)  # the command has the event's name
    count = read_integer_in(args[2], 0, INTEGER_MAX, _NOT_POSITIVE)
    name = args[1]
    value = list_value(client.db.lookup_write(name))
    if value is None:
        return NULL_ARRAY
    if count == 0:
        return []
    elements = value.pop_many(count, left)
    elements_removed(client, name, value, event, len(elements))
    return elements


@command(
    "LPOP",
    "key [count]@6.2.0",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE")],
    acl="LIST",
    since="1.0.0",
    complexity="O(N) where N is the number of elements returned",
    summary="Removes elements from the head of a list and returns them.",
)
def lpop(client: Client, args: Args) -> Reply:
    """Reply: an element, None if there is no list; with a count an array, NULL_ARRAY."""
    return _pop(client, args, True, "lpop")


@command(
    "RPOP",
    "key [count]@6.2.0",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE")],
    acl="LIST",
    since="1.0.0",
    complexity="O(N) where N is the number of elements returned",
    summary="Removes elements from the tail of a list and returns them.",
)
def rpop(client: Client, args: Args) -> Reply:
    """Reply: as of LPOP; the last element comes first."""
    return _pop(client, args, False, "rpop")


# -- by index


@command(
    "LLEN",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="LIST",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns the number of elements of a list.",
)
def llen(client: Client, args: Args) -> Reply:
    value = list_value(client.db.lookup_read(args[1]))
    return 0 if value is None else value.count


@command(
    "LINDEX",
    "key index",
    arity=3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="LIST",
    since="1.0.0",
    complexity="O(N) where N is the number of elements to traverse to get to the element at index."
    " This makes asking for the first or the last element of the list O(1).",
    summary="Returns the element at an index of a list.",
)
def lindex(client: Client, args: Args) -> Reply:
    value = list_value(client.db.lookup_read(args[1]))
    return None if value is None else value.get(read_integer(args[2]))


@command(
    "LSET",
    "key index element",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW UPDATE")],
    acl="LIST",
    since="1.0.0",
    complexity="O(N) where N is the length of the list. Setting either the first or the last"
    " element of the list is O(1).",
    summary="Replaces the element at an index of a list.",
)
def lset(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    value = list_value(db.lookup_write(name))
    if value is None:
        raise RedisError(NO_SUCH_KEY)
    thresholds = client.server.thresholds
    if not value.set(_as_int(read_integer(args[2])), args[3], thresholds):
        raise RedisError(INDEX_OUT_OF_RANGE)
    value.shrunk(thresholds)
    db.modified(name, LIST, "lset")
    return OK


def _as_int(number: int) -> int:
    """Return a number as C converts it to an int: so LSET takes 2**32 for 0.

    Source: t_list.c listTypeReplaceAtIndex.
    """
    return (number + 2**31) % 2**32 - 2**31


@command(
    "LRANGE",
    "key start:integer stop:integer",
    arity=4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="LIST",
    since="1.0.0",
    complexity="O(S+N) where S is the distance of start offset from HEAD for small lists, from"
    " nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified"
    " range.",
    summary="Returns the elements of a list from one index to another.",
)
def lrange(client: Client, args: Args) -> Reply:
    start = read_integer(args[2])
    stop = read_integer(args[3])
    value = list_value(client.db.lookup_read(args[1]))
    if value is None:
        return []
    return value.range(start, stop)


@command(
    "LTRIM",
    "key start:integer stop:integer",
    arity=4,
    flags=WRITE,
    keys=[key(1, "RW DELETE")],
    acl="LIST",
    since="1.0.0",
    complexity="O(N) where N is the number of elements to be removed by the operation.",
    summary="Removes the elements of a list that are not between two indexes.",
)
def ltrim(client: Client, args: Args) -> Reply:
    """What is removed of a big list is freed little by little."""
    start = read_integer(args[2])
    stop = read_integer(args[3])
    name = args[1]
    value = list_value(client.db.lookup_write(name))
    if value is None:
        return OK
    size = len(value)
    if start < 0:
        start = max(start + size, 0)
    if stop < 0:
        stop += size
    if start > stop or start >= size:
        start = stop = size
    after = max(size - 1 - stop, 0)
    lazyfree = client.server.lazyfree
    if start:
        lazyfree.add_value(value.trim(start, True))
    if after:
        lazyfree.add_value(value.trim(after, False))
    elements_removed(client, name, value, "ltrim", start + after)
    return OK


# -- by value


@command(
    "LINSERT",
    "key <BEFORE | AFTER>:where pivot element",
    arity=5,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW INSERT")],
    acl="LIST",
    since="2.2.0",
    complexity="O(N) where N is the number of elements to traverse before seeing the value pivot."
    " This means that inserting somewhere on the left end on the list (head) can be considered"
    " O(1) and inserting somewhere on the right end (tail) is O(N).",
    summary="Adds an element to a list beside the first that is equal to another one.",
)
def linsert(client: Client, args: Args) -> Reply:
    """Reply: the length of the list; 0: there is none, -1: it has no such element."""
    where = option_name(args[2])
    if where not in {b"AFTER", b"BEFORE"}:
        raise RedisError(SYNTAX)
    db = client.db
    name = args[1]
    value = list_value(db.lookup_write(name))
    if value is None:
        return 0
    if not value.insert(args[3], args[4], where == b"AFTER", client.server.thresholds):
        return -1
    db.modified(name, LIST, "linsert")
    return value.count


@command(
    "LREM",
    "key count element",
    arity=4,
    flags=WRITE,
    keys=[key(1, "RW DELETE")],
    acl="LIST",
    since="1.0.0",
    complexity="O(N+M) where N is the length of the list and M is the number of elements removed.",
    summary="Removes elements from a list by their value; returns how many.",
)
def lrem(client: Client, args: Args) -> Reply:
    """A count above 0 begins at the head, below 0 at the tail; 0 stands for all."""
    limit = _read_long(args[2])
    name = args[1]
    value = list_value(client.db.lookup_write(name))
    if value is None:
        return 0
    removed = value.remove(args[3], abs(limit), limit < 0)
    if removed:
        elements_removed(client, name, value, "lrem", removed)
    return removed


def _read_long(arg: bytes) -> int:
    """Return an integer whose negative is a C long too. Errors: Redis's for anything else."""
    number = read_integer(arg)
    if number < -INTEGER_MAX:
        low = -INTEGER_MAX
        raise RedisError(f"ERR value is out of range, value must between {low} and {INTEGER_MAX}")
    return number


@command(
    "LPOS",
    "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="LIST",
    since="6.0.6",
    complexity="O(N) where N is the number of elements in the list, for the average case. When"
    " searching for elements near the head or the tail of the list, or when the MAXLEN option is"
    " provided, the command may run in constant time.",
    summary="Returns where in a list elements of a value are.",
)
def lpos(client: Client, args: Args) -> Reply:
    """Reply: an index or None; with COUNT an array of indexes."""
    rank = 1
    count = -1
    max_len = 0
    for i in range(3, len(args), 2):
        option = option_name(args[i])
        if i + 1 == len(args):
            raise RedisError(SYNTAX)
        if option == b"RANK":
            rank = _read_long(args[i + 1])
            if rank == 0:
                raise RedisError(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the"
                    " second ... or use negative to start from the end of the list"
                )
        elif option == b"COUNT":
            count = read_integer_in(args[i + 1], 0, INTEGER_MAX, "ERR COUNT can't be negative")
        elif option == b"MAXLEN":
            max_len = read_integer_in(args[i + 1], 0, INTEGER_MAX, "ERR MAXLEN can't be negative")
        else:
            raise RedisError(SYNTAX)
    value = list_value(client.db.lookup_read(args[1]))
    if value is None:
        return None if count < 0 else []
    found = value.positions(args[2], abs(rank), abs(count), max_len, rank < 0)
    if count >= 0:
        return found
    return found[0] if found else None
