"""Keys, whatever they hold: deleting, finding, renaming, copying and moving them.

Deadlines are in redis_trio/commands/expire.py, OBJECT is in redis_trio/commands/objects.py.

Source: Redis db.c.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_int, read_integer
from redis_trio.command import (
    DENYOOM,
    FAST,
    READONLY,
    TOUCHES_ARBITRARY_KEYS,
    WRITE,
    group,
    key,
)
from redis_trio.data.expires import NEVER
from redis_trio.data.glob import glob_filter
from redis_trio.data.numbers import parse_integer
from redis_trio.errors import NO_SUCH_KEY, SAME_OBJECT, SYNTAX, RedisError
from redis_trio.keyspace.database import GENERIC
from redis_trio.keyspace.values import TYPE_NAMES, copy_value, type_name
from redis_trio.protocol.reply import OK, Reply, Status
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.keyspace.database import Database

command = group("generic")

SCAN_COUNT: Final = 10
MANY_KEYS: Final = "REQUEST_POLICY:MULTI_SHARD RESPONSE_POLICY:AGG_SUM"

_TYPES: Final = {name: Status(name) for name in (b"none", *TYPE_NAMES)}


# -- deleting and testing


def _delete(client: Client, names: Args) -> int:
    """Remove keys; return how many there were."""
    db = client.db
    deleted = 0
    for name in names:
        if db.expires.when.count:
            db.expire_if_due(name)
        if db.unlink(name):
            db.modified(name, GENERIC, "del")
            deleted += 1
    return deleted


@command(
    "DEL",
    "key...",
    arity=-2,
    flags=WRITE,
    keys=[key(1, "RM DELETE", last=-1)],
    acl="KEYSPACE",
    since="1.0.0",
    complexity=(
        "O(N) where N is the number of keys that will be removed. When a key to remove holds a "
        "value other than a string, the individual complexity for this key is O(M) where M is "
        "the number of elements in the list, set, sorted set or hash. Removing a single key that "
        "holds a string value is O(1)."
    ),
    summary="Removes keys and what they hold.",
    tips=MANY_KEYS,
)
def del_(client: Client, args: Args) -> Reply:
    """Remove keys; return how many there were."""
    return _delete(client, args[1:])


@command(
    "UNLINK",
    "key...",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RM DELETE", last=-1)],
    acl="KEYSPACE",
    since="4.0.0",
    complexity=(
        "O(1) for each key removed regardless of its size. Then the command does O(N) work in a "
        "different thread in order to reclaim memory, where N is the number of allocations the "
        "deleted objects where composed of."
    ),
    summary="Removes keys, and frees what they hold little by little.",
    tips=MANY_KEYS,
)
def unlink(client: Client, args: Args) -> Reply:
    """Remove keys; return how many there were. DEL frees lazily as well."""
    return _delete(client, args[1:])


@command(
    "EXISTS",
    "key...",
    arity=-2,
    flags=READONLY | FAST,
    keys=[key(1, "RO", last=-1)],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(N) where N is the number of keys to check.",
    summary="Counts which of the given keys there are.",
    tips=MANY_KEYS,
)
def exists(client: Client, args: Args) -> Reply:
    """Count the keys that are there, each as often as it is named."""
    db = client.db
    found = 0
    for name in args[1:]:
        if db.lookup_notouch(name) is not None:
            found += 1
    return found


@command(
    "TOUCH",
    "key...",
    arity=-2,
    flags=READONLY | FAST,
    keys=[key(1, "RO", last=-1)],
    acl="KEYSPACE",
    since="3.2.1",
    complexity="O(N) where N is the number of keys that will be touched.",
    summary="Makes now the time of the last access to keys.",
    tips=MANY_KEYS,
)
def touch(client: Client, args: Args) -> Reply:
    """Count the keys that are there, as accesses to them even of a NO-TOUCH client."""
    db = client.db
    now_ms = client.server.clock.now_ms
    found = 0
    for name in args[1:]:
        if db.lookup_read(name) is not None:
            db.access.touch(name, now_ms)
            found += 1
    return found


@command(
    "TYPE",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Tells the type of what a key holds.",
)
def type_(client: Client, args: Args) -> Reply:
    """Return the name of the type of a key's value, `none` if there is no such key."""
    return _TYPES[type_name(client.db.lookup_notouch(args[1]))]


# -- finding


@command(
    "KEYS",
    "pattern",
    arity=2,
    flags=READONLY,
    acl="KEYSPACE DANGEROUS",
    since="1.0.0",
    complexity=(
        "O(N) with N being the number of keys in the database, under the assumption that the key "
        "names in the database and the given pattern have limited length."
    ),
    summary="Finds all keys that match a pattern.",
    tips="REQUEST_POLICY:ALL_SHARDS NONDETERMINISTIC_OUTPUT_ORDER",
)
def keys_(client: Client, args: Args) -> Reply:
    """Return the keys that match a pattern. Expired ones are left out, and left to be deleted."""
    db = client.db
    pattern = args[1]
    found: list[bytes]
    if not (b"*" in pattern or b"?" in pattern or b"[" in pattern or b"\\" in pattern):
        found = [pattern] if pattern in db.table else []
    else:
        names = chain.from_iterable(db.table.shards())
        found = list(names) if pattern == b"*" else glob_filter(pattern, names)
    if db.expires.when.count:
        found = [name for name in found if not db.is_expired(name)]
    return found


@command(
    "SCAN",
    "cursor [MATCH pattern] [COUNT count] [TYPE type]@6.0.0",
    arity=-2,
    flags=READONLY | TOUCHES_ARBITRARY_KEYS,
    acl="KEYSPACE",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
        "the cursor to return back to 0. N is the number of elements inside the collection."
    ),
    summary="Walks through the keys, a few with each call.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:SPECIAL RESPONSE_POLICY:SPECIAL",
)
def scan(client: Client, args: Args) -> Reply:
    """Return the next cursor and some keys. Expired keys that it meets are deleted."""
    db = client.db
    cursor = read_cursor(args[1])
    options = ScanOptions(args, 2)
    cursor, found = db.table.scan(cursor, options.count)
    found = options.matching(found)
    wanted = options.type_name
    if wanted is not None:
        found = [name for name in found if _has_type(db, name, wanted)]
    elif db.expires.when.count:
        found = [name for name in found if not db.expire_if_due(name)]
    return [b"%d" % cursor, found]


def _has_type(db: Database, name: bytes, wanted: bytes) -> bool:
    value = db.lookup_nonotify(name)
    return value is not None and type_name(value) == wanted


class ScanOptions:
    """What MATCH, COUNT, TYPE and NOVALUES of SCAN, HSCAN, SSCAN and ZSCAN say.

    Attributes:
      pattern: None for everything.
      count: about how many elements a call should look at.
      type_name: in lower case, not necessarily a type's; None if TYPE was not given.
      novalues: whether HSCAN is to return fields only.
    """

    __slots__ = ("count", "novalues", "pattern", "type_name")

    def __init__(self, args: Args, first: int, takes_novalues: bool = False) -> None:
        """Read the options from `args[first]` on; TYPE is SCAN's, whose options begin at 2."""
        self.pattern: bytes | None = None
        self.count = SCAN_COUNT
        self.type_name: bytes | None = None
        self.novalues = False
        i = first
        while i < len(args):
            name = option_name(args[i])
            has_value = i + 1 < len(args)
            if name == b"COUNT" and has_value:
                self.count = read_integer(args[i + 1])
                if self.count < 1:
                    raise RedisError(SYNTAX)
            elif name == b"MATCH" and has_value:
                self.pattern = None if args[i + 1] == b"*" else args[i + 1]
            elif name == b"TYPE" and has_value and first == 2:
                self.type_name = option_name(args[i + 1]).lower()
            elif name == b"NOVALUES":
                if not takes_novalues:
                    raise RedisError("ERR NOVALUES option can only be used in HSCAN")
                self.novalues = True
                i -= 1
            else:
                raise RedisError(SYNTAX)
            i += 2

    def matching(self, elements: list[bytes]) -> list[bytes]:
        """Return the elements that match the pattern."""
        return elements if self.pattern is None else glob_filter(self.pattern, elements)


_STRTOULL: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)0*([0-9]{1,20})")


def read_cursor(arg: bytes) -> int:
    """Return the cursor of a SCAN command, 64 bits without sign.

    Errors: Redis's, for what neither its own reader nor strtoull() takes (util.c string2ull). Like
    those it reads up to a NUL, and takes a minus sign in front of numbers that are out of range.
    """
    text = arg.partition(b"\0")[0]
    cursor = parse_integer(text)
    if cursor is None:
        match = _STRTOULL.fullmatch(text)
        if match is not None:
            cursor = int(match[2])
            if cursor >= 1 << 64:
                cursor = -1
            elif match[1] == b"-":
                cursor = -cursor & ((1 << 64) - 1)
    if cursor is None or cursor < 0:
        raise RedisError("ERR invalid cursor")
    return cursor


@command(
    "RANDOMKEY",
    arity=1,
    flags=READONLY | TOUCHES_ARBITRARY_KEYS,
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Picks a key at random.",
    tips="REQUEST_POLICY:ALL_SHARDS RESPONSE_POLICY:SPECIAL NONDETERMINISTIC_OUTPUT",
)
def randomkey(client: Client, args: Args) -> Reply:
    """Return a key, each with the same probability; null if there is none."""
    return client.db.random_key()


# -- renaming, copying, moving


def _rename(client: Client, args: Args, nx: bool) -> bool:
    """Rename a key; return False if `nx` and the new name is taken."""
    db = client.db
    source = args[1]
    target = args[2]
    value = db.lookup_write(source)
    if value is None:
        raise RedisError(NO_SUCH_KEY)
    if source == target:
        return not nx
    when_ms = db.expire_ms(source)
    if db.lookup_write(target) is not None:
        if nx:
            return False
        db.unlink(target)
    db.delete(source)
    _put(db, target, value, when_ms)
    db.signal(source)
    db.signal(target)
    db.notify(source, GENERIC, "rename_from")
    db.notify(target, GENERIC, "rename_to")
    client.server.dirty += 1
    return True


def _put(db: Database, name: bytes, value: object, when_ms: int) -> None:
    """Store a value under a key that is not there, with its deadlines."""
    db.set(name, value)
    db.track_fields(name, value)
    if when_ms != NEVER:
        db.expire_at(name, when_ms)


@command(
    "RENAME",
    "key newkey",
    arity=3,
    flags=WRITE,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "OW UPDATE")],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Gives a key another name, and overwrites what has that name.",
)
def rename(client: Client, args: Args) -> Reply:
    """Rename a key. Errors: there is no such key."""
    _rename(client, args, False)
    return OK


@command(
    "RENAMENX",
    "key newkey",
    arity=3,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE"), key(2, "OW INSERT")],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Gives a key another name if that is free.",
)
def renamenx(client: Client, args: Args) -> Reply:
    """Rename a key if the new name is free; return 1 if it is. Errors: there is no such key."""
    return 1 if _rename(client, args, True) else 0


def _database(client: Client, arg: bytes) -> Database:
    """Return the database that `arg` is the number of."""
    index = read_int(arg)
    dbs = client.server.dbs
    if not 0 <= index < len(dbs):
        raise RedisError("ERR DB index is out of range")
    return dbs[index]


@command(
    "COPY",
    "source destination [DB destination-db] [REPLACE]",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RO ACCESS"), key(2, "OW UPDATE")],
    acl="KEYSPACE",
    since="6.2.0",
    complexity=(
        "O(N) worst case for collections, where N is the number of nested items. O(1) for string "
        "values."
    ),
    summary="Copies what a key holds to another key.",
)
def copy(client: Client, args: Args) -> Reply:
    """Copy a value with its deadline; return 1 if it was copied."""
    db = client.db
    target_db = db
    replace = False
    i = 3
    while i < len(args):
        name = option_name(args[i])
        if name == b"REPLACE":
            replace = True
        elif name == b"DB" and i + 1 < len(args):
            i += 1
            target_db = _database(client, args[i])
        else:
            raise RedisError(SYNTAX)
        i += 1
    source = args[1]
    target = args[2]
    if db is target_db and source == target:
        raise RedisError(SAME_OBJECT)
    value = db.lookup_read(source)
    if value is None:
        return 0
    when_ms = db.expire_ms(source)
    if target_db.lookup_write(target) is not None:
        if not replace:
            return 0
        target_db.unlink(target)
    _put(target_db, target, copy_value(value), when_ms)
    target_db.modified(target, GENERIC, "copy_to")
    return 1


@command(
    "MOVE",
    "key db",
    arity=3,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="KEYSPACE",
    since="1.0.0",
    complexity="O(1)",
    summary="Moves a key to another database.",
)
def move(client: Client, args: Args) -> Reply:
    """Move a key with its deadline; return 0 if it is not there, or is there already."""
    db = client.db
    name = args[1]
    target_db = _database(client, args[2])
    if target_db is db:
        raise RedisError(SAME_OBJECT)
    value = db.lookup_write(name)
    if value is None:
        return 0
    when_ms = db.expire_ms(name)
    if target_db.lookup_write(name) is not None:
        return 0
    db.delete(name)
    _put(target_db, name, value, when_ms)
    db.signal(name)
    target_db.signal(name)
    db.notify(name, GENERIC, "move_from")
    target_db.notify(name, GENERIC, "move_to")
    client.server.dirty += 1
    return 1
