"""Reply values as plain Python objects, for callers inside the process."""

from __future__ import annotations

from typing import TypeAlias, Union, cast

from redis_trio.protocol.reply import (
    NULL_ARRAY,
    Attribute,
    BigNumber,
    Counts,
    Encoded,
    HumanDouble,
    MapPairs,
    Pairs,
    Push,
    RedisError,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from redis_trio.protocol.response import ReplyParser

PlainReply: TypeAlias = Union[
    bytes,
    int,
    float,
    None,
    RedisError,
    "list[PlainReply]",
    "dict[bytes, PlainReply]",
]
"""What a command answers, in Python's types; errors stand inside an array as RedisError."""


def plain_reply(reply: Reply) -> PlainReply:
    """Return a reply value as plain Python objects.

    Simple and verbatim strings become bytes, big numbers int, sets lists in the order of the
    reply, pairs lists of two, what RESP3 sends as a map a dict; attributes are left out.
    """
    if isinstance(reply, (bytes, int, float, RedisError)) or reply is None:
        return reply
    if isinstance(reply, bytearray):
        return bytes(reply)
    if isinstance(reply, (Status, Verbatim)):
        return reply.text
    if isinstance(reply, (list, tuple)):
        return [plain_reply(item) for item in reply]
    if isinstance(reply, dict):
        return {key: plain_reply(value) for key, value in reply.items()}
    if isinstance(reply, SetReply):
        return [plain_reply(member) for member in reply.members]
    if isinstance(reply, Pairs):
        return [[plain_reply(a), plain_reply(b)] for a, b in reply.pairs]
    if isinstance(reply, MapPairs):
        return {key: plain_reply(value) for key, value in reply.pairs}
    if isinstance(reply, Counts):
        return cast("PlainReply", dict(reply.counts))
    if isinstance(reply, Push):
        return [plain_reply(item) for item in reply.items]
    if isinstance(reply, HumanDouble):
        return reply.value
    if isinstance(reply, BigNumber):
        return int(reply.digits)
    if isinstance(reply, Attribute):
        return plain_reply(reply.reply)
    if isinstance(reply, Encoded):
        parser = ReplyParser()
        parser.feed(reply.wire)
        return plain_reply(parser.parse()[0])
    if reply is NULL_ARRAY:
        return None
    raise TypeError(f"not a plain reply: {reply!r}")
