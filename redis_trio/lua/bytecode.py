"""Lua 5.1 bytecode: tail calls that keep the caller's frame.

`return redis.call(...)` is a tail call, and a tail call to a function that is itself written in Lua
replaces the frame of the script, with the line that an error is to name. Where it cannot matter to
a recursion, such an instruction is made an ordinary call: it differs in the opcode alone.

Source: Lua 5.1 ldump.c, lopcodes.h.
"""

from __future__ import annotations

import struct
from typing import Final

_GETGLOBAL: Final = 5
_GETTABLE: Final = 6
_SELF: Final = 11
_CALL: Final = 28
_TAILCALL: Final = 29
_HEADER_SIZE: Final = 12
_LOOK_BACK: Final = 250  # instructions that may stand between a function and its call


class _Patcher:
    __slots__ = ("code", "pos")

    def __init__(self, code: bytes) -> None:
        self.code = bytearray(code)
        self.pos = _HEADER_SIZE

    def _integer(self) -> int:
        self.pos += 4
        return int.from_bytes(self.code[self.pos - 4 : self.pos], "little")

    def _skip_string(self) -> None:
        self.pos += 8 + int.from_bytes(self.code[self.pos : self.pos + 8], "little")

    def function(self, is_main: bool) -> None:
        """Patch the function that begins here, and those inside it."""
        self._skip_string()
        self.pos += 12  # lines, number of upvalues, parameters, varargs, stack
        count = self._integer()
        start = self.pos
        self.pos += 4 * count
        self._patch(start, count, is_main)
        for _ in range(self._integer()):
            self._skip_constant()
        for _ in range(self._integer()):
            self.function(False)
        lines = self._integer()
        self.pos += 4 * lines
        for _ in range(self._integer()):
            self._skip_string()
            self.pos += 8
        for _ in range(self._integer()):
            self._skip_string()

    def _skip_constant(self) -> None:
        kind = self.code[self.pos]
        self.pos += 1
        if kind == 1:
            self.pos += 1
        elif kind == 3:
            self.pos += 8
        elif kind == 4:
            self._skip_string()

    def _patch(self, start: int, count: int, is_main: bool) -> None:
        words = struct.unpack_from(f"<{count}I", self.code, start)
        for index, word in enumerate(words):
            if word & 63 == _TAILCALL and (is_main or _calls_a_field(words, index)):
                struct.pack_into("<I", self.code, start + 4 * index, word & ~63 | _CALL)


def _calls_a_field(words: tuple[int, ...], index: int) -> bool:
    """Return whether what a tail call calls comes from a table or from the globals."""
    register = words[index] >> 6 & 255
    for word in reversed(words[max(0, index - _LOOK_BACK) : index]):
        if word >> 6 & 255 == register and word & 63 in (_GETGLOBAL, _GETTABLE, _SELF):
            return True
    return False


def without_tail_calls(code: bytes) -> bytes:
    """Return a dumped function with its frame-dropping tail calls made calls."""
    if code[:12] != b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00":
        return code  # of a machine with other sizes
    patcher = _Patcher(code)
    patcher.function(True)
    return bytes(patcher.code)
