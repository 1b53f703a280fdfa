"""A Lua state for strangers' code, and what the rest of the program may do with it.

lupa joins Lua and Python; sandbox.lua takes away what scripts must not reach, before any of them is
compiled. The one who makes an Engine gives it a source of its own (`api`) that defines what
scripts can call, and the host functions behind that.

1. A host function is called with strings, numbers and booleans only, and must not raise: a Python
   exception would reach the script as an object.
2. Memory is limited. What a host function returns is made room for first (`has_room`): an
   allocation that fails inside a host function would tear through Python's own frames.
3. After every `every` instructions `interrupt` is called; if it returns True the script ends.

Source: Lua 5.1 manual; lupa.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import resources
from typing import Final, TypeAlias, Union

from redis_trio.lua.bytecode import without_tail_calls

INSTRUCTIONS: Final = 100_000  # between two interrupts
MEMORY_LIMIT: Final = 1 << 30
COMPILED_MAX: Final = 50  # until some garbage is collected
RESERVE: Final = 1 << 20  # of it, for what is done on behalf of a script

LuaValue: TypeAlias = Union[bytes, int, float, bool, None, object]
Function: TypeAlias = Callable[..., object]

_MODULES: Final = {"cjson": "json", "cmsgpack": "msgpack", "struct": "struct", "bit": "bits"}
_FLOAT_MAX: Final = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


class LuaSyntaxError(Exception):
    """Source that does not compile; the text is Lua's."""


def _source(package: str, name: str) -> bytes:
    return resources.files(package).joinpath(name).read_bytes()


def _pack_double(number: float, size: int, little: bool) -> bytes:
    order = "<" if little else ">"
    if size == 8:
        return struct.pack(order + "d", number)
    try:
        return struct.pack(order + "f", number)
    except OverflowError:
        return struct.pack(order + "f", float("inf") if number > 0 else float("-inf"))


def _unpack_double(data: bytes, little: bool) -> float:
    value: float = struct.unpack(("<" if little else ">") + ("f" if len(data) == 4 else "d"), data)[
        0
    ]
    return value


def _to_bits(number: float) -> int:
    if number - number != 0:
        return 0
    return round(number) & 0xFFFFFFFF


def _bits(name: bytes, first: float, second: float) -> int:
    """One operation on 32 bits; the result is signed."""
    a = _to_bits(first)
    b = _to_bits(second)
    n = b & 31
    if name == b"band":
        a &= b
    elif name == b"bor":
        a |= b
    elif name == b"bxor":
        a ^= b
    elif name == b"bnot":
        a = ~a
    elif name == b"lshift":
        a <<= n
    elif name == b"rshift":
        a >>= n
    elif name == b"arshift":
        a = (a - (1 << 32) if a >> 31 else a) >> n
    elif name == b"rol":
        a = a << n | a >> 32 - n
    elif name == b"ror":
        a = a << 32 - n | a >> n
    elif name == b"bswap":
        a = int.from_bytes(a.to_bytes(4, "little"), "big")
    a &= 0xFFFFFFFF
    return a - (1 << 32) if a >> 31 else a


def _deny(obj: object, name: object, is_setting: bool) -> object:
    raise AttributeError("no attribute of a Python object is for scripts")


class Engine:
    """One Lua state.

    Args:
      package, api: where the source stands that defines what scripts can call. It is called with
        the kit of sandbox.lua, the libraries by name and `host`; it returns a table of functions.
      host: the host functions.
      interrupt: called from time to time while a script runs; True ends it.

    Attributes:
      functions: what the api has returned, by name.
    """

    def __init__(
        self,
        package: str,
        api: str,
        host: dict[str, object],
        interrupt: Callable[[], bool],
        limit: int = MEMORY_LIMIT,
    ) -> None:
        from lupa.lua51 import LuaRuntime

        runtime = LuaRuntime(
            encoding=None,
            attribute_filter=_deny,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            max_memory=limit,
        )
        self._runtime = runtime
        self._used: Callable[[], int] = runtime.get_memory_used
        self.limit = limit
        run = runtime.eval(
            b"function(code, name, ...) return assert(loadstring(code, name))(...) end"
        )
        kit = run(
            _source("redis_trio.lua", "sandbox.lua"),
            b"=engine",
            interrupt,
            INSTRUCTIONS,
            _pack_double,
            _unpack_double,
            _bits,
        )
        libraries = runtime.table()
        modules = []
        for name, file in _MODULES.items():
            module = run(_source("redis_trio.lua", file + ".lua"), b"=engine", kit)
            libraries[name.encode()] = module
            modules.append(module)
        kit[b"modules"] = runtime.table_from(modules)
        hosts = runtime.table()
        for name, function in host.items():
            hosts[name.encode()] = function
        functions = run(_source(package, api), b"=engine", kit, libraries, hosts)
        self.functions: dict[str, Function] = {
            name.decode(): function for name, function in functions.items()
        }
        self._compiled = 0
        self._collect_some: Function = kit[b"collect_some"]
        self._load: Function = kit[b"loadstring"]
        self._dump: Callable[[object], bytes] = kit[b"dump"]

    def compile(self, source: bytes, name: bytes) -> object:
        """Compile source to a function of scripts, which `functions` can be called with.

        Raises: LuaSyntaxError.
        """
        if source[:1] == b"\x1b":
            source = b" " + source  # bytecode is no source
        self.make_room(8 * len(source))
        self._compiled += 1
        if self._compiled % COMPILED_MAX == 0:
            self._collect_some()
        found = self._load(source, name)
        if isinstance(found, tuple):
            raise LuaSyntaxError(found[1].decode("utf-8", "surrogateescape"))
        return self._load(without_tail_calls(self._dump(found)), name)

    def table(
        self, items: list[LuaValue] | dict[bytes, LuaValue] | dict[LuaValue, LuaValue]
    ) -> object:
        """Return a new Lua table; lists and dicts inside become tables, too."""
        if isinstance(items, dict):
            nested: dict[LuaValue, LuaValue] = {}
            for key, value in items.items():
                nested[key] = self._nested(value)
            return self._runtime.table_from(nested)
        return self._runtime.table_from([self._nested(item) for item in items])

    def members(self, members: list[LuaValue]) -> object:
        """Return a table with the members as keys; the value of each is true."""
        table = self._runtime.table()
        for member in members:
            if member is not None and member == member:
                table[self._nested(member)] = True
        return table

    def _nested(self, item: LuaValue) -> LuaValue:
        if isinstance(item, (list, dict)):
            return self.table(item)
        return item

    def has_room(self, size: int) -> bool:
        """Return whether the state can take `size` bytes more, after a collection if need be."""
        return self._used() < self.limit - RESERVE - size

    def make_room(self, size: int) -> bool:
        """`has_room` between scripts, when garbage can be collected."""
        if self._used() < self.limit // 2 and size < self.limit // 4:
            return True
        self.collect()
        return self.has_room(size)

    def collect(self) -> None:
        """Collect all garbage."""
        self._runtime.gccollect()

    @property
    def memory_bytes(self) -> int:
        """What the state takes."""
        return self._used()
