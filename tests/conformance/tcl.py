"""Tcl lists in their string form, and the packets in which the suite's clients send them."""

from __future__ import annotations

import re
from typing import Final

_LETTERS: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", re.DOTALL)
_SPACE: Final = re.compile(r"\s*", re.ASCII)
_BARE: Final = re.compile(r"(?:\\.?|[^\s\\])+", re.DOTALL | re.ASCII)
_QUOTED: Final = re.compile(r'(?:\\.?|[^"\\])*', re.DOTALL)
_BRACE: Final = re.compile(r"\\.|[{}]", re.DOTALL)


def _meaning(escape: re.Match[str]) -> str:
    code = escape[1]
    if len(code) > 1 and code[0] in "xu":
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _LETTERS.get(code, code)


def unescape(text: str) -> str:
    """Return what a word with backslashes stands for."""
    return _ESCAPE.sub(_meaning, text)


def _closing_brace(text: str, at: int) -> int:
    """Return where the brace behind `at` is closed; the end of the text if it is not."""
    depth = 1
    for found in _BRACE.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.start()
    return len(text)


def split_list(text: str) -> list[str]:
    """Return the elements of a Tcl list."""
    elements: list[str] = []
    at = 0
    while True:
        space = _SPACE.match(text, at)
        assert space is not None
        at = space.end()
        if at == len(text):
            return elements
        if text[at] == "{":
            end = _closing_brace(text, at + 1)
            elements.append(text[at + 1 : end])
            at = min(end + 1, len(text))
            continue
        quoted = text[at] == '"'
        word = _QUOTED.match(text, at + 1) if quoted else _BARE.match(text, at)
        assert word is not None
        elements.append(unescape(word[0]))
        at = min(word.end() + quoted, len(text))


def encode_packet(*words: str) -> bytes:
    """Return a packet of plain words: its length, a newline, and a list."""
    payload = " ".join(words).encode("latin-1")
    return b"%d\n%s" % (len(payload), payload)


class PacketReader:
    """Takes bytes in pieces, and returns packets when they are whole.

    A client writes CRLF for LF, but the lengths it sends are those from before.
    """

    def __init__(self) -> None:
        self._held = b""  # a CR of which the LF may be missing
        self._buffer = b""

    def feed(self, data: bytes) -> list[list[str]]:
        """Return the packets that `data` completes, each the elements of its list."""
        data = self._held + data
        self._held = b"\r" if data.endswith(b"\r") else b""
        self._buffer += data[: len(data) - len(self._held)].replace(b"\r\n", b"\n")
        packets: list[list[str]] = []
        while True:
            size, newline, rest = self._buffer.partition(b"\n")
            if not newline or len(rest) < int(size):
                return packets
            packets.append(split_list(rest[: int(size)].decode("latin-1")))
            self._buffer = rest[int(size) :]
