"""Reply values, and their encoding in RESP2 and RESP3.

Handlers return values and never look at the protocol version; one encoder for each version turns
them into bytes. It appends to the client's list of chunks and joins nothing: a bulk string is its
header, the value itself and CRLF, so that a big value is not copied to be framed.

| value | RESP2 | RESP3 |
|---|---|---|
| bytes, bytearray | bulk string | bulk string |
| int | integer | integer |
| None | null bulk string | null |
| NULL_ARRAY | null array | null |
| bool | integer 1 or 0 | boolean |
| float | bulk string | double |
| HumanDouble | bulk string | double |
| list, tuple | array | array |
| dict | flat array | map |
| SetReply | array | set |
| Pairs | flat array | array of two-element arrays |
| MapPairs | array of two-element arrays | map |
| Counts | flat array | map of integers to integers |
| Status | simple string | simple string |
| RedisError | error | error |
| BigNumber | bulk string | big number |
| Verbatim | bulk string | verbatim string |
| Push | array | push |
| Attribute | the reply alone | attribute, then the reply |
| Encoded | as it stands | as it stands |
| NO_REPLY | nothing | nothing |

Source: RESP specification; networking.c addReply*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, Union, cast

from redis_trio.data.numbers import format_double, format_human

if TYPE_CHECKING:
    from collections.abc import Sequence


class RedisError(Exception):
    """An error reply: raised by handlers, or standing as a value inside another reply.

    Attributes:
      message: the line that is sent, without the leading `-`, its code in front.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        """The first word of the message: ERR, WRONGTYPE ..."""
        return self.message.split(" ", 1)[0]


class Status:
    """A simple string; `wire` is its encoded form."""

    __slots__ = ("text", "wire")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.wire = b"+" + text + b"\r\n"

    def __repr__(self) -> str:
        return f"Status({self.text!r})"


class SetReply:
    """The members of a set, in the order in which they are to be sent."""

    __slots__ = ("members",)

    def __init__(self, members: Sequence[Reply]) -> None:
        self.members = members


class Pairs:
    """(a, b) pairs which RESP2 flattens and RESP3 nests, as ZRANGE WITHSCORES does."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Sequence[tuple[Reply, Reply]]) -> None:
        self.pairs = pairs


class MapPairs:
    """(key, value) pairs which RESP2 nests and RESP3 sends as a map, as XREAD does.

    A key may stand there twice.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: Sequence[tuple[bytes, Reply]]) -> None:
        self.pairs = pairs


class Counts:
    """How many there are of what is known by a number."""

    __slots__ = ("counts",)

    def __init__(self, counts: Sequence[tuple[int, int]]) -> None:
        self.counts = counts


class HumanDouble:
    """A finite double that is shown without an exponent, up to 17 digits behind the point."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value


class BigNumber:
    """A number of any size, as its decimal digits."""

    __slots__ = ("digits",)

    def __init__(self, digits: bytes) -> None:
        self.digits = digits


class Verbatim:
    """Text with a format of three letters (`txt`, `mkd`)."""

    __slots__ = ("format", "text")

    def __init__(self, text: bytes, text_format: bytes = b"txt") -> None:
        self.text = text
        self.format = text_format


class Push:
    """Out-of-band data: a message, an invalidation, a MONITOR line."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Reply]) -> None:
        self.items = items


class Attribute:
    """A reply with auxiliary data in front, which RESP2 leaves out."""

    __slots__ = ("attributes", "reply")

    def __init__(self, attributes: dict[bytes, Reply], reply: Reply) -> None:
        self.attributes = attributes
        self.reply = reply


class Encoded:
    """Bytes that are on the wire what they are here, whatever the protocol version."""

    __slots__ = ("wire",)

    def __init__(self, wire: bytes) -> None:
        self.wire = wire


class _Special:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NULL_ARRAY: Final = _Special("NULL_ARRAY")
NO_REPLY: Final = _Special("NO_REPLY")

OK: Final = Status(b"OK")
PONG: Final = Status(b"PONG")
QUEUED: Final = Status(b"QUEUED")

Reply: TypeAlias = Union[
    bytes,
    bytearray,
    int,
    float,
    None,
    "Sequence[Reply]",
    "dict[bytes, Reply]",
    Status,
    RedisError,
    SetReply,
    Pairs,
    MapPairs,
    Counts,
    HumanDouble,
    BigNumber,
    Verbatim,
    Push,
    Attribute,
    Encoded,
    _Special,
]

_CRLF: Final = b"\r\n"
_NULL_BULK: Final = b"$-1\r\n"
_HEADERS: Final = [b"$%d\r\n" % n for n in range(1024)]
_INTEGERS: Final = [b":%d\r\n" % n for n in range(1024)]
_ARRAYS: Final = [b"*%d\r\n" % n for n in range(256)]
_BETWEEN: Final = [b"\r\n$%d\r\n" % n for n in range(1024)]  # two bulk strings


def encode_resp2(out: list[bytes], reply: Reply) -> None:
    """Append the RESP2 form of `reply` to `out`."""
    if isinstance(reply, bytes):
        size = len(reply)
        out.append(_HEADERS[size] if size < 1024 else b"$%d\r\n" % size)
        out.append(reply)
        out.append(_CRLF)
    elif isinstance(reply, Status):
        out.append(reply.wire)
    elif isinstance(reply, bool):
        out.append(_INTEGERS[1 if reply else 0])
    elif isinstance(reply, int):
        out.append(_INTEGERS[reply] if 0 <= reply < 1024 else b":%d\r\n" % reply)
    elif reply is None:
        out.append(_NULL_BULK)
    elif isinstance(reply, (list, tuple)):
        size = len(reply)
        out.append(_ARRAYS[size] if size < 256 else b"*%d\r\n" % size)
        if size < 3 or not isinstance(reply, list) or not _encode_bulks(out, reply):
            for item in reply:
                encode_resp2(out, item)
    else:
        _encode_rare(out, reply, 2)


def encode_resp3(out: list[bytes], reply: Reply) -> None:
    """Append the RESP3 form of `reply` to `out`."""
    if isinstance(reply, bytes):
        size = len(reply)
        out.append(_HEADERS[size] if size < 1024 else b"$%d\r\n" % size)
        out.append(reply)
        out.append(_CRLF)
    elif isinstance(reply, Status):
        out.append(reply.wire)
    elif isinstance(reply, bool):
        out.append(b"#t\r\n" if reply else b"#f\r\n")
    elif isinstance(reply, int):
        out.append(_INTEGERS[reply] if 0 <= reply < 1024 else b":%d\r\n" % reply)
    elif reply is None:
        out.append(b"_\r\n")
    elif isinstance(reply, (list, tuple)):
        size = len(reply)
        out.append(_ARRAYS[size] if size < 256 else b"*%d\r\n" % size)
        if size < 3 or not isinstance(reply, list) or not _encode_bulks(out, reply):
            for item in reply:
                encode_resp3(out, item)
    else:
        _encode_rare(out, reply, 3)


def encode(out: list[bytes], reply: Reply, resp: int) -> None:
    """Append the form of `reply` in protocol version `resp` (2 or 3) to `out`."""
    if resp == 2:
        encode_resp2(out, reply)
    else:
        encode_resp3(out, reply)


def encode_error(message: str) -> bytes:
    """Return the error line for `message`; line ends in it become spaces, or go if they end it.

    Source: networking.c addReplyErrorFormatInternal.
    """
    line = message.strip("\r\n").replace("\r", " ").replace("\n", " ")
    return b"-" + line.encode("utf-8", "surrogateescape") + _CRLF


def _encode_bulks(out: list[bytes], items: list[Reply]) -> bool:
    """Encode the items of an array, not empty, if they are short strings; False: they are not.

    In a list or a set strings often have one length: then one join makes all of the array. That
    takes a sixth of the time for a hundred of them (LRANGE_100 in benchmarks), and two chunks for
    an item in place of three take a third less time.
    """
    same = True
    first = items[0]
    length = len(first) if isinstance(first, bytes) else 0
    for item in items:
        if not isinstance(item, bytes):
            return False
        size = len(item)
        if size != length:
            same = False
            if size >= 1024:
                return False
    if length >= 1024:
        return False
    if same:
        out.append(_HEADERS[length])
        out.append(_BETWEEN[length].join(cast("list[bytes]", items)))
        out.append(_CRLF)
        return True
    headers = _HEADERS
    for item in items:
        if isinstance(item, bytes):
            out.append(headers[len(item)])
            out.append(item)
            headers = _BETWEEN
    out.append(_CRLF)
    return True


def _bulk(out: list[bytes], value: bytes) -> None:
    out.append(b"$%d\r\n" % len(value))
    out.append(value)
    out.append(_CRLF)


def _encode_all(out: list[bytes], kind: bytes, items: Sequence[Reply], resp: int) -> None:
    size = len(items)
    out.append(b"%s%d\r\n" % (kind, size))
    if size < 3 or not isinstance(items, list) or not _encode_bulks(out, items):
        for item in items:
            encode(out, item, resp)


def _encode_rare(out: list[bytes], reply: Reply, resp: int) -> None:
    """Encode what the two fast encoders leave over; the versions differ in most of these."""
    if isinstance(reply, bytearray):
        _bulk(out, bytes(reply))
    elif isinstance(reply, RedisError):
        out.append(encode_error(reply.message))
    elif isinstance(reply, float):
        text = format_double(reply)
        if resp == 2:
            _bulk(out, text)
        else:
            out.append(b",%s\r\n" % text)
    elif isinstance(reply, HumanDouble):
        text = format_human(reply.value)
        if resp == 2:
            _bulk(out, text)
        else:
            out.append(b",%s\r\n" % text)
    elif isinstance(reply, dict):
        out.append(b"*%d\r\n" % (2 * len(reply)) if resp == 2 else b"%%%d\r\n" % len(reply))
        for key, value in reply.items():
            encode(out, key, resp)
            encode(out, value, resp)
    elif isinstance(reply, SetReply):
        _encode_all(out, b"*" if resp == 2 else b"~", reply.members, resp)
    elif isinstance(reply, Pairs):
        pairs = reply.pairs
        out.append(b"*%d\r\n" % (2 * len(pairs) if resp == 2 else len(pairs)))
        for first, second in pairs:
            if resp == 3:
                out.append(b"*2\r\n")
            encode(out, first, resp)
            encode(out, second, resp)
    elif isinstance(reply, MapPairs):
        mapped = reply.pairs
        out.append(b"*%d\r\n" % len(mapped) if resp == 2 else b"%%%d\r\n" % len(mapped))
        for key, value in mapped:
            if resp == 2:
                out.append(b"*2\r\n")
            encode(out, key, resp)
            encode(out, value, resp)
    elif isinstance(reply, Counts):
        counts = reply.counts
        out.append(b"*%d\r\n" % (2 * len(counts)) if resp == 2 else b"%%%d\r\n" % len(counts))
        for number, count in counts:
            out.append(b":%d\r\n:%d\r\n" % (number, count))
    elif isinstance(reply, Push):
        _encode_all(out, b"*" if resp == 2 else b">", reply.items, resp)
    elif isinstance(reply, Verbatim):
        if resp == 2:
            _bulk(out, reply.text)
        else:
            size = len(reply.text) + 4
            out.append(b"=%d\r\n%s:%s\r\n" % (size, reply.format, reply.text))
    elif isinstance(reply, BigNumber):
        if resp == 2:
            _bulk(out, reply.digits)
        else:
            out.append(b"(%s\r\n" % reply.digits)
    elif isinstance(reply, Attribute):
        if resp == 3:
            out.append(b"|%d\r\n" % len(reply.attributes))
            for key, value in reply.attributes.items():
                encode(out, key, resp)
                encode(out, value, resp)
        encode(out, reply.reply, resp)
    elif isinstance(reply, Encoded):
        out.append(reply.wire)
    elif reply is NULL_ARRAY:
        out.append(b"*-1\r\n" if resp == 2 else b"_\r\n")
    elif reply is not NO_REPLY:
        raise TypeError(f"not a reply: {reply!r}")
