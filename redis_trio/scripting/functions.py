"""Libraries of functions: loaded, listed, dumped, restored.

Source: Redis functions.c, function_lua.c.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from redis_trio.errors import RedisError, error_text
from redis_trio.lua.engine import Engine, LuaSyntaxError
from redis_trio.persistence.crc64 import crc64
from redis_trio.persistence.payload import FOOTER
from redis_trio.persistence.rdb_cursor import Cursor, Short
from redis_trio.persistence.rdb_format import (
    COMPATIBLE_VERSION,
    FUNCTION2,
    FUNCTION_PRE_GA,
    RdbError,
)
from redis_trio.persistence.rdb_writer import encode_string
from redis_trio.scripting.flags import FLAGS, library_header

if TYPE_CHECKING:
    from redis_trio.scripting.room import Room

LOAD_TIMEOUT_S: Final = 0.5
_NAME_ERROR: Final = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one "
    "character long"
)


class Function:
    """One function; `callback` is its number in the Lua state."""

    __slots__ = ("callback", "description", "flags", "library", "name")

    def __init__(
        self, name: bytes, callback: int, description: bytes | None, flags: int, library: Library
    ) -> None:
        self.name = name
        self.callback = callback
        self.description = description
        self.flags = flags
        self.library = library


class Library:
    """A library: its source and `{name: function}`."""

    __slots__ = ("code", "functions", "name")

    def __init__(self, name: bytes, code: bytes) -> None:
        self.name = name
        self.code = code
        self.functions: dict[bytes, Function] = {}


def _is_name(name: bytes) -> bool:
    return name.replace(b"_", b"a").isalnum()


class Functions:
    """The libraries of one server, and the Lua state in which they live.

    Attributes:
      libraries, functions: by name; that of a function in lower case.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._engine: Engine | None = None
        self.libraries: dict[bytes, Library] = {}
        self.functions: dict[bytes, Function] = {}
        self._loading: Library | None = None
        self._deadline = 0.0
        self._codes: list[bytes] = []  # what persistence knows of, the same list
        self._count = (
            0  # of its elements; a file that is loaded makes another list, or a longer one
        )

    def sync(self) -> None:
        """Have the libraries that files have brought since, and no others."""
        wanted = self._room.server.persistence.libraries
        if wanted is self._codes and len(wanted) == self._count:
            return
        for library in list(self.libraries.values()):
            if library.code not in wanted:
                self.delete(library.name)
        present = {library.code for library in self.libraries.values()}
        for code in wanted:
            if code not in present:
                try:
                    self.load(code, True, False)
                except RedisError as exc:
                    self._room.server.log.warning("Failed loading a library: %s", exc.message)
        self._codes = wanted
        self._count = len(wanted)

    def changed(self, added: bytes | None = None) -> None:
        """Tell who saves the libraries, and count the change.

        Args:
          added: the code of a library, if it is new and the only change.
        """
        server = self._room.server
        if added is not None and server.persistence.libraries is self._codes:
            self._codes.append(added)
        else:
            self._codes = [library.code for library in self.libraries.values()]
            server.persistence.libraries = self._codes
        self._count = len(self._codes)
        server.dirty += 1

    @property
    def engine(self) -> Engine:
        """The Lua state of all functions."""
        if self._engine is None:
            self._engine = self._room.new_engine(False)
        return self._engine

    @property
    def engine_memory(self) -> int:
        """What that state takes; 0 while there is none."""
        return 0 if self._engine is None else self._engine.memory_bytes

    @property
    def memory_bytes(self) -> int:
        """What the libraries take outside of it."""
        size = 0
        for library in self.libraries.values():
            size += sys.getsizeof(library.code) + sys.getsizeof(library.functions)
        return size

    # -- loading

    def load(self, code: bytes, replace: bool, timeout: bool = True) -> bytes:
        """Load a library and return its name.

        Raises: RedisError; nothing has changed then.
        """
        library = self._compile(code, self.libraries, replace, timeout)
        old = self.libraries.get(library.name)
        for name in library.functions:
            other = self.functions.get(name.lower())
            if other is not None and other.library is not old:
                self._forget(library)
                raise RedisError(f"ERR Function {error_text(name)} already exists")
        if old is not None:
            self._unlink(old)
            self._forget(old)
        self._link(library)
        return library.name

    def _compile(
        self, code: bytes, libraries: dict[bytes, Library], replace: bool, timeout: bool
    ) -> Library:
        engine_name, name, body = library_header(code)
        if not _is_name(name):
            raise RedisError("ERR " + _NAME_ERROR)
        if engine_name.lower() != b"lua":
            raise RedisError(f"ERR Engine '{error_text(engine_name)}' not found")
        if name in libraries and not replace:
            raise RedisError(f"ERR Library '{error_text(name)}' already exists")
        library = Library(name, code)
        engine = self.engine
        engine.make_room(2 * len(code))
        try:
            chunk = engine.compile(body, b"@user_function")
        except LuaSyntaxError as exc:
            raise RedisError(f"ERR Error compiling function: {exc}") from None
        self._loading = library
        self._deadline = time.monotonic() + LOAD_TIMEOUT_S if timeout else 0.0
        try:
            problem = engine.functions["load"](chunk)
        finally:
            self._loading = None
        if isinstance(problem, bytes):
            self._forget(library)
            if self._deadline < 0:
                problem = b"ERR FUNCTION LOAD timeout"
            raise RedisError(f"ERR Error registering functions: {error_text(problem)}")
        if not library.functions:
            raise RedisError("ERR No functions registered")
        return library

    def load_timed_out(self) -> bool:
        """Whether the library that is being loaded has taken too long."""
        if self._loading is None or self._deadline == 0:
            return False
        if self._deadline > 0 and time.monotonic() > self._deadline:
            self._deadline = -1.0
        return self._deadline < 0

    def register(self, callback: int, name: bytes, description: object, flags: bytes) -> object:
        """Called by redis.register_function; returns what is wrong, or None."""
        library = self._loading
        if library is None:
            return b"redis.register_function can only be called on FUNCTION LOAD command"
        found = 0
        for flag in flags.lower().split(b",") if flags else ():
            if flag not in FLAGS:
                return b"unknown flag given"
            found |= FLAGS[flag]
        if not _is_name(name):
            return _NAME_ERROR.encode()
        if name in library.functions:
            return b"Function already exists in the library"
        text = description if isinstance(description, bytes) else None
        library.functions[name] = Function(name, callback, text, found, library)
        return None

    # -- keeping

    def _link(self, library: Library) -> None:
        self.libraries[library.name] = library
        for name, function in library.functions.items():
            self.functions[name.lower()] = function

    def _unlink(self, library: Library) -> None:
        del self.libraries[library.name]
        for name in library.functions:
            self.functions.pop(name.lower(), None)

    def _forget(self, library: Library) -> None:
        """Let the Lua state forget the functions of a library."""
        for function in library.functions.values():
            self.engine.functions["forget"](function.callback)

    def delete(self, name: bytes) -> bool:
        """Delete a library; False if there is none."""
        library = self.libraries.get(name)
        if library is None:
            return False
        self._unlink(library)
        self._forget(library)
        return True

    def flush(self) -> None:
        """Delete all libraries, and the Lua state."""
        self.libraries = {}
        self.functions = {}
        self._engine = None

    # -- dumps

    def dump(self, compressed: bool) -> bytes:
        """Return all libraries in RDB form, with a version and a checksum behind them."""
        parts = []
        for library in self.libraries.values():
            parts.append(bytes((FUNCTION2,)) + encode_string(library.code, compressed))
        parts.append(COMPATIBLE_VERSION.to_bytes(2, "little"))
        data = b"".join(parts)
        return data + crc64(data).to_bytes(8, "little")

    def restore(self, payload: bytes, policy: bytes) -> None:
        """Load what `dump` has returned.

        Args:
          policy: append (a library that is there already is an error), replace or flush.

        Raises: RedisError; nothing has changed then.
        """
        found: dict[bytes, Library] = {}
        names: dict[bytes, Function] = {}
        try:
            for code in _codes(payload):
                library = self._compile(code, found, False, True)
                found[library.name] = library
                for name, function in library.functions.items():
                    if name in names:
                        raise RedisError(f"ERR Function {error_text(name)} already exists")
                    names[name] = function
            self._check_collisions(found, names, policy)
        except RedisError:
            for library in found.values():
                self._forget(library)
            raise
        for old in list(self.libraries.values()):
            if policy == b"flush" or old.name in found:
                self.delete(old.name)
        for library in found.values():
            self._link(library)

    def _check_collisions(
        self, found: dict[bytes, Library], names: dict[bytes, Function], policy: bytes
    ) -> None:
        if policy == b"flush":
            return
        for name in found:
            if name in self.libraries and policy != b"replace":
                raise RedisError(f"ERR Library {error_text(name)} already exists")
        for name in names:
            other = self.functions.get(name.lower())
            if other is not None and other.library.name not in found:
                raise RedisError(f"ERR Function {error_text(name)} already exists")


def _codes(payload: bytes) -> list[bytes]:
    """Return the sources of the libraries in a payload, whose footer has been checked."""
    cursor = Cursor(payload, len(payload))
    codes = []
    while len(payload) - cursor.pos > FOOTER:
        kind = cursor.byte()
        if kind == FUNCTION_PRE_GA:
            raise RedisError("ERR Pre-GA function format not supported")
        if kind != FUNCTION2:
            raise RedisError("ERR given type is not a function")
        try:
            codes.append(cursor.string())
        except (Short, RdbError):
            raise RedisError("ERR Failed loading library data") from None
    return codes
