"""Strings: SET and GET in all their forms, several keys at once, and parts of a string.

Values are bare bytes; APPEND and SETRANGE make a bytearray of what they change, so that the next
change copies nothing but the new bytes. Replies are always bytes, for a bytearray may change
before a reply that waits in a transaction is sent. Counting is in redis_trio/commands/incr.py.

Source: Redis t_string.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer
from redis_trio.command import DENYOOM, FAST, READONLY, WRITE, group, key
from redis_trio.data.expires import NEVER
from redis_trio.data.lcs import lcs_length, lcs_ranges
from redis_trio.data.numbers import INTEGER_MAX
from redis_trio.errors import STRING_TOO_LONG, SYNTAX, WRONGTYPE, RedisError, wrong_arity
from redis_trio.keys import set_keys
from redis_trio.keyspace.database import GENERIC, STRING
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("string")

# The options of SET and GETEX.
NX: Final = 1 << 0
XX: Final = 1 << 1
GET: Final = 1 << 2
KEEPTTL: Final = 1 << 3
PERSIST: Final = 1 << 4
EX: Final = 1 << 5
PX: Final = 1 << 6
EXAT: Final = 1 << 7
PXAT: Final = 1 << 8

_TIMES: Final = EX | PX | EXAT | PXAT
_SET_OPTIONS: Final = NX | XX | GET | KEEPTTL | _TIMES
_GETEX_OPTIONS: Final = PERSIST | _TIMES

_OPTIONS: Final = {
    b"NX": NX,
    b"XX": XX,
    b"GET": GET,
    b"KEEPTTL": KEEPTTL,
    b"PERSIST": PERSIST,
    b"EX": EX,
    b"PX": PX,
    b"EXAT": EXAT,
    b"PXAT": PXAT,
}
_EXCLUDES: Final = {
    NX: XX,
    XX: NX,
    GET: 0,
    KEEPTTL: PERSIST | _TIMES,
    PERSIST: KEEPTTL | _TIMES,
    EX: KEEPTTL | PERSIST | PX | EXAT | PXAT,
    PX: KEEPTTL | PERSIST | EX | EXAT | PXAT,
    EXAT: KEEPTTL | PERSIST | EX | PX | PXAT,
    PXAT: KEEPTTL | PERSIST | EX | PX | EXAT,
}
"""The options that must not stand before one; the same one may, and the last of them counts."""


def string_value(value: object) -> bytes | bytearray | None:
    """Return the value found under a key if it is a string or None. Errors: WRONGTYPE."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray):
        return value
    raise RedisError(WRONGTYPE)


def _string_reply(value: object) -> bytes | None:
    """Return the value found under a key as a reply. Errors: WRONGTYPE."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray):
        return bytes(value)
    raise RedisError(WRONGTYPE)


def _read_options(args: Args, start: int, allowed: int) -> tuple[int, bytes | None]:
    """Return the options from argument `start` on, and the argument of the one with a time."""
    options = 0
    time: bytes | None = None
    i = start
    count = len(args)
    while i < count:
        option = _OPTIONS.get(option_name(args[i]), 0)
        if not option & allowed or options & _EXCLUDES[option]:
            raise RedisError(SYNTAX)
        if option & _TIMES:
            i += 1
            if i == count:
                raise RedisError(SYNTAX)
            time = args[i]
        options |= option
        i += 1
    return options, time


def _read_deadline(client: Client, name: str, time: bytes | None, options: int) -> int:
    """Return the deadline (ms since the epoch) that an option sets; NEVER if `time` is None."""
    if time is None:
        return NEVER
    when_ms = read_integer(time)
    if when_ms > 0:
        if options & (EX | EXAT):
            when_ms *= 1000
        if when_ms <= INTEGER_MAX and options & (EX | PX):
            when_ms += client.server.clock.now_ms
    if not 0 < when_ms <= INTEGER_MAX:
        raise RedisError(f"ERR invalid expire time in '{name}' command")
    return when_ms


def _store(client: Client, key: bytes, value: bytes, options: int, when_ms: int) -> bool:
    """Set a key unless NX or XX forbids it; return whether it was set."""
    db = client.db
    found = db.lookup_write(key) is not None
    if options & (NX if found else XX):
        return False
    if options & KEEPTTL or when_ms != NEVER:
        db.set(key, value)
    else:
        db.replace(key, value)
    db.modified(key, STRING, "set")
    if when_ms != NEVER:
        db.expire_at(key, when_ms)
        if not options & PXAT:
            _feed_deadline(client, key, value, when_ms)
        db.notify(key, GENERIC, "expire")
    return True


def _feed_deadline(client: Client, key: bytes, value: bytes, when_ms: int) -> None:
    """Have SET with a deadline fed in place of the command, whose time was relative."""
    feed = client.server.feed
    if feed.active:
        feed.rewrite([b"SET", key, value, b"PXAT", b"%d" % when_ms])


@command(
    "SET",
    "key value [NX | XX]@2.6.12 [GET]@6.2.0 [EX seconds@2.6.12 | PX milliseconds@2.6.12"
    " | EXAT unix-time-seconds@6.2.0 | PXAT unix-time-milliseconds@6.2.0 | KEEPTTL@6.0.0]",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW ACCESS UPDATE VARIABLE_FLAGS", notes="`GET` makes it RW and ACCESS")],
    get_keys=set_keys,
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Makes a key hold a string, on conditions and for a time if so asked.",
)
def set_(client: Client, args: Args) -> Reply:
    if len(args) == 3:
        db = client.db
        name = args[1]
        db.replace(name, args[2])
        db.modified(name, STRING, "set")
        return OK
    options, time = _read_options(args, 3, _SET_OPTIONS)
    when_ms = _read_deadline(client, "set", time, options)
    if not options & GET:
        return OK if _store(client, args[1], args[2], options, when_ms) else None
    old = _string_reply(client.db.lookup_read(args[1]))
    if _store(client, args[1], args[2], options, when_ms) and when_ms == NEVER:
        fed = args[:3]
        fed += [arg for arg in args[3:] if option_name(arg) != b"GET"]
        client.server.feed.rewrite(fed)
    return old


@command(
    "SETNX",
    "key value",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "OW INSERT")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Sets a key to a string if there is no such key.",
    doc_flags="DEPRECATED",
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `NX` argument",
)
def setnx(client: Client, args: Args) -> Reply:
    return 1 if _store(client, args[1], args[2], NX, NEVER) else 0


@command(
    "SETEX",
    "key seconds value",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE")],
    acl="STRING",
    since="2.0.0",
    complexity="O(1)",
    summary="Sets a key to a string that expires after some seconds.",
    doc_flags="DEPRECATED",
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `EX` argument",
)
def setex(client: Client, args: Args) -> Reply:
    when_ms = _read_deadline(client, "setex", args[2], EX)
    _store(client, args[1], args[3], EX, when_ms)
    return OK


@command(
    "PSETEX",
    "key milliseconds value",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE")],
    acl="STRING",
    since="2.6.0",
    complexity="O(1)",
    summary="Sets a key to a string that expires after some milliseconds.",
    doc_flags="DEPRECATED",
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `PX` argument",
)
def psetex(client: Client, args: Args) -> Reply:
    when_ms = _read_deadline(client, "psetex", args[2], PX)
    _store(client, args[1], args[3], PX, when_ms)
    return OK


@command(
    "GET",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Returns the string a key holds.",
)
def get(client: Client, args: Args) -> Reply:
    value = client.db.lookup_read(args[1])
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray):
        return bytes(value)
    raise RedisError(WRONGTYPE)


@command(
    "GETSET",
    "key value",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW ACCESS UPDATE")],
    acl="STRING",
    since="1.0.0",
    complexity="O(1)",
    summary="Sets a key to a string and returns the one it held.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`SET` with the `!GET` argument",
)
def getset(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    old = _string_reply(db.lookup_read(name))
    db.replace(name, args[2])
    db.modified(name, STRING, "set")
    client.server.feed.rewrite([b"SET", name, args[2]])
    return old


@command(
    "GETDEL",
    "key",
    arity=2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS DELETE")],
    acl="STRING",
    since="6.2.0",
    complexity="O(1)",
    summary="Returns the string a key holds and deletes the key.",
)
def getdel(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    value = _string_reply(db.lookup_read(name))
    if value is not None and db.delete(name):
        client.server.feed.rewrite([b"DEL", name])
        db.modified(name, GENERIC, "del")
    return value


@command(
    "GETEX",
    "key [EX seconds | PX milliseconds | EXAT unix-time-seconds"
    " | PXAT unix-time-milliseconds | PERSIST]",
    arity=-2,
    flags=WRITE | FAST,
    keys=[key(1, "RW ACCESS UPDATE", notes="RW and UPDATE because it changes the TTL")],
    acl="STRING",
    since="6.2.0",
    complexity="O(1)",
    summary="Returns the string a key holds and sets when the key expires, or that it does not.",
)
def getex(client: Client, args: Args) -> Reply:
    """A moment in the past (EXAT, PXAT) deletes the key at once."""
    options, time = _read_options(args, 2, _GETEX_OPTIONS)
    db = client.db
    name = args[1]
    value = _string_reply(db.lookup_read(name))
    if value is None:
        return None
    feed = client.server.feed
    when_ms = _read_deadline(client, "getex", time, options)
    if when_ms != NEVER and options & (EXAT | PXAT) and client.server.is_past(when_ms):
        db.delete(name)
        feed.rewrite([db.expiry_name(), name])
        db.modified(name, GENERIC, "del")
    elif when_ms != NEVER:
        db.expire_at(name, when_ms)
        feed.rewrite([b"PEXPIREAT", name, b"%d" % when_ms])
        db.modified(name, GENERIC, "expire")
    elif options & PERSIST and db.persist(name):
        feed.rewrite([b"PERSIST", name])
        db.modified(name, GENERIC, "persist")
    return value


@command(
    "MGET",
    "key...",
    arity=-2,
    flags=READONLY | FAST,
    keys=[key(1, "RO ACCESS", last=-1)],
    acl="STRING",
    since="1.0.0",
    complexity="O(N) where N is the number of keys to retrieve.",
    summary="Returns the strings that several keys hold.",
    tips="REQUEST_POLICY:MULTI_SHARD",
)
def mget(client: Client, args: Args) -> Reply:
    """A key that holds no string counts as missing."""
    db = client.db
    replies: list[Reply] = []
    for i in range(1, len(args)):
        value = db.lookup_read(args[i])
        if isinstance(value, bytes):
            replies.append(value)
        elif isinstance(value, bytearray):
            replies.append(bytes(value))
        else:
            replies.append(None)
    return replies


@command(
    "MSET",
    "(key value):data...",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE", last=-1, step=2)],
    acl="STRING",
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    summary="Sets several keys to strings, all at once.",
    tips="REQUEST_POLICY:MULTI_SHARD RESPONSE_POLICY:ALL_SUCCEEDED",
)
def mset(client: Client, args: Args) -> Reply:
    count = len(args)
    if count % 2 == 0:
        raise wrong_arity("mset")
    db = client.db
    for i in range(1, count, 2):
        name = args[i]
        db.replace(name, args[i + 1])
        db.modified(name, STRING, "set")
    return OK


@command(
    "MSETNX",
    "(key value):data...",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW INSERT", last=-1, step=2)],
    acl="STRING",
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    summary="Sets several keys to strings, all at once, if there is none of the keys.",
)
def msetnx(client: Client, args: Args) -> Reply:
    count = len(args)
    if count % 2 == 0:
        raise wrong_arity("msetnx")
    db = client.db
    for i in range(1, count, 2):
        if db.lookup_write(args[i]) is not None:
            return 0
    mset(client, args)
    return 1


def _check_size(client: Client, size: int) -> None:
    """Refuse a string longer than an argument may be."""
    if size > client.server.limits.max_bulk_len and not client.obeyed:
        raise RedisError(STRING_TOO_LONG)


def _changeable(client: Client, name: bytes, value: bytes | bytearray) -> bytearray:
    """Return a key's string as one that can be changed in place."""
    if isinstance(value, bytearray):
        return value
    changeable = bytearray(value)
    client.db.set(name, changeable)
    return changeable


@command(
    "APPEND",
    "key value",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="STRING",
    since="2.0.0",
    complexity="O(1). The amortized time complexity is O(1) assuming the appended value is small"
    " and the already present value is of any size, since the dynamic string library used by the"
    " server will double the free space available on every reallocation.",
    summary="Adds to the end of the string a key holds; returns its length.",
)
def append(client: Client, args: Args) -> Reply:
    db = client.db
    name = args[1]
    value = string_value(db.lookup_write(name))
    if value is None:
        db.set(name, args[2])
        size = len(args[2])
    else:
        size = len(value) + len(args[2])
        _check_size(client, size)
        changeable = _changeable(client, name, value)
        changeable += args[2]
    db.modified(name, STRING, "append")
    return size


@command(
    "STRLEN",
    "key",
    arity=2,
    flags=READONLY | FAST,
    keys=[key(1, "RO")],
    acl="STRING",
    since="2.2.0",
    complexity="O(1)",
    summary="Returns the length of the string a key holds.",
)
def strlen(client: Client, args: Args) -> Reply:
    value = string_value(client.db.lookup_read(args[1]))
    return 0 if value is None else len(value)


@command(
    "SETRANGE",
    "key offset value",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW UPDATE")],
    acl="STRING",
    since="2.2.0",
    complexity="O(1), not counting the time taken to copy the new string in place. Usually, this"
    " string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with"
    " M being the length of the value argument.",
    summary="Overwrites the string a key holds from an offset on; returns its length.",
)
def setrange(client: Client, args: Args) -> Reply:
    offset = read_integer(args[2])
    if offset < 0:
        raise RedisError("ERR offset is out of range")
    db = client.db
    name = args[1]
    part = args[3]
    value = string_value(db.lookup_write(name))
    if not part:
        return 0 if value is None else len(value)
    end = offset + len(part)
    _check_size(client, end)
    if value is None:
        changeable = bytearray(end)
        db.set(name, changeable)
    else:
        changeable = _changeable(client, name, value)
        if len(changeable) < offset:
            changeable += bytes(offset - len(changeable))
    changeable[offset:end] = part
    db.modified(name, STRING, "setrange")
    return len(changeable)


def _range(client: Client, args: Args) -> bytes:
    """Return the bytes from args[2] to args[3], the last one too; negative: from the end."""
    start = read_integer(args[2])
    end = read_integer(args[3])
    value = string_value(client.db.lookup_read(args[1]))
    if value is None or (start < 0 and end < 0 and start > end):
        return b""
    size = len(value)
    if start < 0:
        start = max(start + size, 0)
    if end < 0:
        end = max(end + size, 0)
    return bytes(value[start : end + 1])


@command(
    "GETRANGE",
    "key start:integer end",
    arity=4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="STRING",
    since="2.4.0",
    complexity="O(N) where N is the length of the returned string. The complexity is ultimately"
    " determined by the returned length, but because creating a substring from an existing string"
    " is very cheap, it can be considered O(1) for small strings.",
    summary="Returns a part of the string a key holds.",
)
def getrange(client: Client, args: Args) -> Reply:
    return _range(client, args)


@command(
    "SUBSTR",
    "key start:integer end",
    arity=4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="STRING",
    since="1.0.0",
    complexity="O(N) where N is the length of the returned string. The complexity is ultimately"
    " determined by the returned length, but because creating a substring from an existing string"
    " is very cheap, it can be considered O(1) for small strings.",
    summary="Returns a part of the string a key holds.",
    doc_flags="DEPRECATED",
    deprecated_since="2.0.0",
    replaced_by="`GETRANGE`",
)
def substr(client: Client, args: Args) -> Reply:
    return _range(client, args)


@command(
    "LCS",
    "key1 key2#0 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    arity=-3,
    flags=READONLY,
    keys=[key(1, "RO ACCESS", last=1)],
    acl="STRING",
    since="7.0.0",
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary="Finds the longest common subsequence of two strings.",
)
def lcs(client: Client, args: Args) -> Reply:
    """Reply: the subsequence; LEN: its length; IDX: a map of `matches` and `len`."""
    a, b = _lcs_operands(client, args)
    with_len = with_idx = with_match_len = False
    min_match_len = 0
    i = 3
    while i < len(args):
        option = option_name(args[i])
        if option == b"IDX":
            with_idx = True
        elif option == b"LEN":
            with_len = True
        elif option == b"WITHMATCHLEN":
            with_match_len = True
        elif option == b"MINMATCHLEN" and i + 1 < len(args):
            i += 1
            min_match_len = read_integer(args[i])
        else:
            raise RedisError(SYNTAX)
        i += 1
    if with_len and with_idx:
        raise RedisError("ERR If you want both the length and indexes, please just use IDX.")
    # What the table of Redis would take; ours takes a 32nd of it.
    if (len(a) + 1) * (len(b) + 1) * 4 > client.server.limits.max_bulk_len:
        raise RedisError(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        )
    if with_len:
        return lcs_length(a, b)
    ranges = lcs_ranges(a, b)
    if not with_idx:
        ranges.reverse()
        return b"".join([a[start : end + 1] for start, end, _, _ in ranges])
    matches: list[Reply] = []
    total = 0
    for a_start, a_end, b_start, b_end in ranges:
        size = a_end - a_start + 1
        total += size
        if size >= min_match_len:
            match: list[Reply] = [[a_start, a_end], [b_start, b_end]]
            if with_match_len:
                match.append(size)
            matches.append(match)
    reply: dict[bytes, Reply] = {b"matches": matches, b"len": total}
    return reply


def _lcs_operands(client: Client, args: Args) -> tuple[bytes, bytes]:
    """Return the two strings of LCS; a missing one is empty."""
    db = client.db
    values = [db.lookup_read(args[1]), db.lookup_read(args[2])]
    operands: list[bytes] = []
    for value in values:
        if value is None:
            operands.append(b"")
        elif isinstance(value, (bytes, bytearray)):
            operands.append(bytes(value))
        else:
            raise RedisError("ERR The specified keys must contain string values")
    return operands[0], operands[1]
