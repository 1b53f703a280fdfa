"""Replies as scripts see them.

Source: Redis script_lua.c redisProtocolToLuaType.
"""

from __future__ import annotations

from typing import Final

from redis_trio.data.numbers import format_double, format_human
from redis_trio.lua.engine import Engine, LuaValue
from redis_trio.protocol.reply import (
    NULL_ARRAY,
    Attribute,
    BigNumber,
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
    encode,
)
from redis_trio.protocol.response import ReplyParser

NO_MEMORY: Final = "-ERR not enough memory"


class _Members:
    __slots__ = ("members",)

    def __init__(self, members: list[LuaValue]) -> None:
        self.members = members


def argument(value: object) -> bytes:
    """Return a string or a number of a script as an argument of a command."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int) and -(1 << 62) <= value <= 1 << 62:
        return b"%d" % value
    assert isinstance(value, (int, float))
    return format_double(float(value))


class Converter:
    """Makes Lua values of one reply; afterwards `size` is about how much memory they take."""

    __slots__ = ("decoding", "engine", "resp", "size")

    def __init__(self, engine: Engine, resp: int) -> None:
        self.engine = engine
        self.resp = resp
        self.size = 0
        self.decoding = False  # in an encoded reply, where the parser has made Pairs of maps

    def value(self, reply: Reply) -> LuaValue:
        """Return a reply as bytes, numbers, lists, dicts and _Members."""
        self.size += 64
        if isinstance(reply, (bytes, bytearray)):
            self.size += len(reply)
            return bytes(reply)
        if isinstance(reply, bool):
            if self.resp == 3:
                return reply
            return int(reply)
        if isinstance(reply, int):
            return reply
        if reply is None or reply is NULL_ARRAY:
            return None if self.resp == 3 else False
        if isinstance(reply, (list, tuple)):
            return [self.value(item) for item in reply]
        if isinstance(reply, Status):
            return {b"ok": reply.text}
        if isinstance(reply, RedisError):
            text = reply.message.encode("utf-8", "surrogateescape")
            return {b"err": text, b"ignore_error_stats_update": True}
        if isinstance(reply, (float, HumanDouble)):
            return self._double(reply)
        return self._rare(reply)

    def _double(self, reply: float | HumanDouble) -> LuaValue:
        if self.resp == 3:
            return {b"double": reply if isinstance(reply, float) else reply.value}
        return format_double(reply) if isinstance(reply, float) else format_human(reply.value)

    def _map(self, pairs: list[tuple[Reply, Reply]]) -> LuaValue:
        if self.resp == 2:
            return [self.value(item) for pair in pairs for item in pair]
        found: dict[LuaValue, LuaValue] = {}
        for key, value in pairs:
            name = self.value(key)
            found[name] = self.value(value)
        return {b"map": found}

    def _rare(self, reply: Reply) -> LuaValue:
        resp = self.resp
        if isinstance(reply, dict):
            return self._map(list(reply.items()))
        if isinstance(reply, SetReply):
            members = [self.value(member) for member in reply.members]
            return members if resp == 2 else {b"set": _Members(members)}
        if isinstance(reply, Pairs):
            if self.decoding:
                return self._map([(a, b) for a, b in reply.pairs])
            if resp == 2:
                return [self.value(item) for pair in reply.pairs for item in pair]
            return [[self.value(a), self.value(b)] for a, b in reply.pairs]
        if isinstance(reply, MapPairs):
            if resp == 2:
                return [[self.value(a), self.value(b)] for a, b in reply.pairs]
            return self._map([(a, b) for a, b in reply.pairs])
        if isinstance(reply, BigNumber):
            return reply.digits if resp == 2 else {b"big_number": reply.digits}
        if isinstance(reply, Verbatim):
            if resp == 2:
                return reply.text
            return {b"verbatim_string": {b"string": reply.text, b"format": reply.format}}
        if isinstance(reply, Push):
            return [self.value(item) for item in reply.items]
        if isinstance(reply, Attribute):
            return self.value(reply.reply)
        assert isinstance(reply, Encoded)
        parser = ReplyParser()
        parser.feed(reply.wire)
        self.decoding = True
        return self.value(parser.parse()[0])

    def table(self, value: LuaValue) -> LuaValue:
        """Return what `value` has made as Lua has it."""
        if isinstance(value, list):
            return self.engine.table([self.table(item) for item in value])
        if isinstance(value, dict):
            found: dict[LuaValue, LuaValue] = {}
            for key, item in value.items():
                found[key] = self.table(item)
            return self.engine.table(found)
        if isinstance(value, _Members):
            return self.engine.members(value.members)
        return value


def encoded(reply: Reply, resp: int) -> bytes:
    """Return a reply as it is sent."""
    out: list[bytes] = []
    encode(out, reply, resp)
    return b"".join(out)
