r"""Glob patterns as Redis reads them: KEYS, SCAN, PSUBSCRIBE, CONFIG GET, ACL.

`*`, `?`, `[a-c]`, `[^x]` and `\` escapes. `glob_match` walks pattern and text once, going back to
the last `*` only: when what follows a `*` cannot be found, an earlier `*` that took more would not
help. `glob_filter` picks the matching ones of many keys; it finds the common shapes of patterns by
comparing, and makes a regular expression of the others.

1. `*` does not match the empty text; only the empty pattern does. KEYS and SCAN take a bare `*` for
   no pattern at all.
2. Bytes in a range are signed, so `[a-\xff]` is turned round and means `\xff` and what is up to
   `a`.
3. A bracket that is not closed ends with the pattern, and so does a range in it.
4. A pattern with more than 1,000 stars that something follows matches nothing.

Source: util.c stringmatchlen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mypy_extensions import i64

MAX_STARS: Final = 1000
COMPILED_MAX: Final = 256  # longer patterns are not worth a regular expression

_STAR: Final = 42
_QUESTION: Final = 63
_BRACKET: Final = 91
_CLOSING: Final = 93
_CARET: Final = 94
_DASH: Final = 45
_BACKSLASH: Final = 92


def _signed(byte: i64) -> i64:
    return byte - 256 if byte > 127 else byte


def _lower(byte: i64) -> i64:
    return byte + 32 if 65 <= byte <= 90 else byte


def _lower_signed(char: i64) -> i64:
    """What the C library's tolower() makes of a signed char: -1 is EOF and stays."""
    return char + 256 if char < -1 else _lower(char)


def _match_class(pattern: bytes, start: i64, char: i64, nocase: bool) -> i64:
    """Match one byte with the class behind the bracket at `start - 1`.

    Returns the position behind the class, negative if the byte is not in it.
    """
    end: i64 = len(pattern)
    i = start
    negated = i < end and pattern[i] == _CARET
    if negated:
        i += 1
    found = False
    wanted = _lower(char) if nocase else char
    while i < end:
        c: i64 = pattern[i]
        if c == _BACKSLASH and i + 1 < end:
            i += 1
            if pattern[i] == char:
                found = True
        elif c == _CLOSING:
            break
        elif i + 2 < end and pattern[i + 1] == _DASH:
            low = _signed(c)
            high = _signed(pattern[i + 2])
            if low > high:
                low, high = high, low
            value = _signed(char)
            if nocase:
                low = _lower_signed(low)
                high = _lower_signed(high)
                value = _lower_signed(value)
            i += 2
            if low <= value <= high:
                found = True
        elif (_lower(c) if nocase else c) == wanted:
            found = True
        i += 1
    after = i + 1 if i < end else end
    return after if found != negated else -after


def glob_match(pattern: bytes, text: bytes, nocase: bool = False) -> bool:
    """Return whether `text` matches `pattern`; `nocase`: ASCII letters match in either case."""
    size: i64 = len(pattern)
    length: i64 = len(text)
    if length == 0:
        return size == 0
    p: i64 = 0
    t: i64 = 0
    star: i64 = -1  # behind the last star
    star_t: i64 = 0  # where what follows that star is tried
    stars: i64 = 0
    while True:
        matched = False
        if t == length:
            while p < size and pattern[p] == _STAR:
                p += 1
            return p == size  # a later start would leave the rest even less text
        if p < size:
            c: i64 = pattern[p]
            if c == _STAR:
                while p < size and pattern[p] == _STAR:
                    p += 1
                if p == size:
                    return True
                stars += 1
                if stars > MAX_STARS:
                    return False
                star = p
                star_t = t
                continue
            if c == _QUESTION:
                p += 1
                matched = True
            elif c == _BRACKET:
                after = _match_class(pattern, p + 1, text[t], nocase)
                if after > 0:
                    p = after
                    matched = True
            else:
                if c == _BACKSLASH and p + 1 < size:
                    p += 1
                    c = pattern[p]
                char: i64 = text[t]
                if c == char or (nocase and _lower(c) == _lower(char)):
                    p += 1
                    matched = True
        if matched:
            t += 1
            continue
        if star < 0:
            return False
        star_t += 1
        t = star_t
        p = star


def _regex_of_class(pattern: bytes, start: int) -> tuple[bytes, int]:
    """Translate the class behind the bracket at `start - 1`; also return the position behind."""
    end = len(pattern)
    i = start
    negated = pattern[i : i + 1] == b"^"
    if negated:
        i += 1
    parts: list[bytes] = []
    while i < end:
        c = pattern[i]
        if c == _BACKSLASH and i + 1 < end:
            i += 1
            parts.append(b"\\x%02x" % pattern[i])
        elif c == _CLOSING:
            break
        elif i + 2 < end and pattern[i + 1] == _DASH:
            low = c - 256 if c > 127 else c
            high = pattern[i + 2]
            if high > 127:
                high -= 256
            if low > high:
                low, high = high, low
            if low < 0 <= high:
                parts.append(b"\\x%02x-\\xff\\x00-\\x%02x" % (low + 256, high))
            else:
                parts.append(b"\\x%02x-\\x%02x" % (low & 255, high & 255))
            i += 2
        else:
            parts.append(b"\\x%02x" % c)
        i += 1
    after = min(i + 1, end)
    if not parts:
        return (b"." if negated else b"(?!)"), after
    return b"[%s%s]" % (b"^" if negated else b"", b"".join(parts)), after


def _regex(pattern: bytes) -> bytes:
    """Translate a pattern.

    What is between two stars stands in an atomic group, which keeps the expression from trying an
    earlier star again.
    """
    parts: list[bytes] = []  # of what follows the last star
    before: list[bytes] = []
    i = 0
    end = len(pattern)
    while i < end:
        c = pattern[i]
        i += 1
        if c == _STAR:
            if not before:
                before.append(b"".join(parts))
            elif parts:
                before.append(b"(?>.*?%s)" % b"".join(parts))
            parts = []
        elif c == _QUESTION:
            parts.append(b".")
        elif c == _BRACKET:
            piece, i = _regex_of_class(pattern, i)
            parts.append(piece)
        else:
            if c == _BACKSLASH and i < end:
                c = pattern[i]
                i += 1
            parts.append(b"\\x%02x" % c)
    if before:
        before.append(b".*")
    return b"".join(before) + b"".join(parts)


def is_plain(text: bytes) -> bool:
    """Return whether `text` has no special characters: as a pattern it matches only itself."""
    return not (b"*" in text or b"?" in text or b"[" in text or b"\\" in text)


def glob_filter(pattern: bytes, texts: Iterable[bytes]) -> list[bytes]:
    """Return those of `texts` that match `pattern`, in their order."""
    if is_plain(pattern):
        return [text for text in texts if text == pattern]
    # mypyc 2.4 fails on bytes slices that end before they begin.
    inner = pattern[1:-1] if len(pattern) > 1 else b""
    if is_plain(inner):
        head = pattern[:1]
        tail = pattern[-1:]
        if tail == b"*" and is_plain(head):
            prefix = pattern[:-1]
            return [text for text in texts if text.startswith(prefix)]
        if head == b"*" and is_plain(tail):
            suffix = pattern[1:]
            return [text for text in texts if text.endswith(suffix)]
        if head == b"*" and tail == b"*" and inner:
            return [text for text in texts if inner in text]
    if len(pattern) > COMPILED_MAX:
        return [text for text in texts if glob_match(pattern, text)]
    match = re.compile(_regex(pattern), re.DOTALL).fullmatch
    return [text for text in texts if text and match(text)]
