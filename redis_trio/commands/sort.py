"""SORT: the elements of a list, set or sorted set in order, by themselves or by other keys.

The weights are worked out first, one for each element, then Python's sort does the rest in C: over
pairs of (score, element), which is how equal scores are told apart, or over the texts. A double is
read as strtod() reads it, which the usual numbers need not go through.

ALPHA compares up to a NUL and as `locale-collate` says; with STORE byte by byte, so that the stored
list does not depend on the locale. Elements whose weights are equal then stay in their order.

Source: Redis sort.c.
"""

from __future__ import annotations

import ctypes
import locale
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from redis_trio.args import option_name, read_integer
from redis_trio.command import DENYOOM, READONLY, WRITE, group, key, unknown
from redis_trio.data.hash import Hash
from redis_trio.data.list import List, list_of
from redis_trio.data.numbers import has_digits, parse_double
from redis_trio.data.set import Set
from redis_trio.data.sorted_set import SortedSet
from redis_trio.errors import SYNTAX, WRONGTYPE, RedisError
from redis_trio.keys import sort_keys, sort_ro_keys
from redis_trio.keyspace.database import GENERIC, LIST
from redis_trio.keyspace.field_expiry import expire_field
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client
    from redis_trio.keyspace.database import Database

command = group("generic")

_DENIED: Final = "ERR %s option of SORT denied due to insufficient ACL permissions."
_NOT_A_SCORE: Final = "ERR One or more scores can't be converted into double"
_PLAIN: Final = b"0123456789-."  # numbers of these alone are the same to float() and strtod()
_PLAIN_MAX: Final = 300  # digits, more of which could be too big or too small
_SMALLEST: Final = 2.0**-1022  # of the doubles with all their digits
_SPACES: Final = b" \t\n\v\f\r"


class _Options:
    """What the arguments of SORT and SORT_RO say.

    Args of `__init__`:
      may_read_all: whether the client may read keys that are not among its arguments.

    Attributes:
      by: the last pattern of BY, None if there is none.
      by_nothing: one of them has no `*`, so nothing is sorted.
      gets: the patterns of GET.
      offset, count: LIMIT; a count below 0: everything.
      destination: of STORE, None if there is none.
    """

    __slots__ = ("alpha", "by", "by_nothing", "count", "desc", "destination", "gets", "offset")

    def __init__(self, args: Args, takes_store: bool, may_read_all: bool) -> None:
        self.alpha = False
        self.by: bytes | None = None
        self.by_nothing = False
        self.count = -1
        self.desc = False
        self.destination: bytes | None = None
        self.gets: list[bytes] = []
        self.offset = 0
        i = 2
        while i < len(args):
            name = option_name(args[i])
            left = len(args) - i - 1
            if name == b"ASC":
                self.desc = False
            elif name == b"DESC":
                self.desc = True
            elif name == b"ALPHA":
                self.alpha = True
            elif name == b"LIMIT" and left >= 2:
                self.offset = read_integer(args[i + 1])
                self.count = read_integer(args[i + 2])
                i += 2
            elif name == b"STORE" and takes_store and left >= 1:
                i += 1
                self.destination = args[i]
            elif name == b"BY" and left >= 1:
                i += 1
                self.by = args[i]
                if b"*" not in args[i].partition(b"\0")[0]:
                    self.by_nothing = True
                elif not may_read_all:
                    raise RedisError(_DENIED % "BY")
            elif name == b"GET" and left >= 1:
                if not may_read_all:
                    raise RedisError(_DENIED % "GET")
                i += 1
                self.gets.append(args[i])
            else:
                raise RedisError(SYNTAX)
            i += 1

    def bounds(self, size: int) -> tuple[int, int]:
        """Return where in so many elements what LIMIT wants begins and ends."""
        start = min(max(self.offset, 0), size)
        stop = size if self.count < 0 else min(start + min(self.count, size), size)
        return start, stop


class _Pattern:
    """A key, or a field of a key, whose name is made of an element."""

    __slots__ = ("db", "field", "is_element", "prefix", "suffix")

    def __init__(self, db: Database, pattern: bytes) -> None:
        self.db = db
        text = pattern.partition(b"\0")[0]  # Redis searches C strings
        self.is_element = text == b"#"
        self.prefix: bytes | None = None  # None: there is no `*`, and nothing to be found
        self.suffix = b""
        self.field: bytes | None = None
        star = text.find(b"*")
        if star >= 0:
            self.prefix = pattern[:star]
            arrow = text.find(b"->", star + 1)
            if arrow >= 0 and arrow + 2 < len(text):
                self.suffix = pattern[star + 1 : arrow]
                self.field = pattern[arrow + 2 :]
            else:
                self.suffix = pattern[star + 1 :]

    def get(self, element: bytes) -> bytes | None:
        """Return what the pattern stands for, None if it is not there or of another type."""
        if self.is_element:
            return element
        if self.prefix is None:
            return None
        name = self.prefix + element + self.suffix
        value = self.db.lookup_read(name)
        if self.field is None:
            return bytes(value) if isinstance(value, (bytes, bytearray)) else None
        if not isinstance(value, Hash):
            return None
        if value.deadlines is not None and expire_field(self.db, name, value, self.field):
            return None
        return value.get(self.field)


# -- weights


def read_score(text: bytes) -> float:
    """Return the number that `text` begins with, up to a NUL; nothing at all is 0.

    Errors: there is more than a number, it is NaN, or it is too big or too small for a double.
    """
    text = text.partition(b"\0")[0]
    if not text:
        return 0.0
    text = text.lstrip(_SPACES)
    value = parse_double(text)
    if value is None or (-_SMALLEST < value < _SMALLEST and _is_tiny(value, text)):
        raise RedisError(_NOT_A_SCORE)
    return value


def _is_tiny(value: float, text: bytes) -> bool:
    """Whether strtod() would complain that a number is too small to have all its digits."""
    if value == 0.0:
        return b"x" not in text.lower() and has_digits(text)
    return True


def read_scores(texts: list[bytes]) -> list[float]:
    """Return the numbers of many texts. Errors: as `read_score`."""
    joined = b"".join(texts)
    if not joined.translate(None, _PLAIN) and max(map(len, texts), default=0) < _PLAIN_MAX:
        try:
            return list(map(float, texts))
        except ValueError:
            pass  # an empty text, or two points
    return [read_score(text) for text in texts]


def _collate_key() -> Callable[[bytes], bytes]:
    """Return the function that makes texts comparable as strcoll() compares them."""
    if locale.setlocale(locale.LC_COLLATE) in ("C", "POSIX"):
        return _up_to_nul
    strxfrm = ctypes.CDLL(None).strxfrm
    strxfrm.restype = ctypes.c_size_t
    strxfrm.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]

    def transformed(text: bytes) -> bytes:
        size: int = strxfrm(None, text, 0)
        buffer = ctypes.create_string_buffer(size + 1)
        strxfrm(buffer, text, size + 1)
        return buffer.value

    return transformed


def _up_to_nul(text: bytes) -> bytes:
    return text.partition(b"\0")[0]


# -- sorting


def _sorted(
    db: Database, elements: list[bytes], options: _Options, by: bytes | None
) -> list[bytes]:
    """Return the elements in the order that is asked for."""
    weights: list[bytes | None] | None = None
    if by is not None:
        pattern = _Pattern(db, by)
        weights = [pattern.get(element) for element in elements]
    if options.alpha:
        return _sorted_by_text(elements, weights, options)
    if weights is None:
        scores = read_scores(elements)
    else:
        scores = read_scores([b"0" if weight is None else weight for weight in weights])
    pairs = list(zip(scores, elements, strict=True))
    pairs.sort(reverse=options.desc)
    return [pair[1] for pair in pairs]


def _sorted_by_text(
    elements: list[bytes], weights: list[bytes | None] | None, options: _Options
) -> list[bytes]:
    texts = elements
    if options.destination is None:
        collate = _collate_key()
        if weights is not None:
            weights = [None if weight is None else collate(weight) for weight in weights]
        elif collate is not _up_to_nul or 0 in b"".join(elements):
            texts = [collate(element) for element in elements]
    if weights is not None:  # an element without a weight comes first
        texts = [b"" if weight is None else b"+" + weight for weight in weights]
    if texts is elements:
        return sorted(elements, reverse=options.desc)
    places = sorted(range(len(elements)), key=texts.__getitem__, reverse=options.desc)
    return [elements[place] for place in places]


def _unsorted(value: object, options: _Options) -> list[bytes]:
    """Return what LIMIT wants of a value in its own order, or, with DESC, in the reverse."""
    if isinstance(value, List):
        start, stop = options.bounds(value.count)
        if start >= stop:
            return []
        if not options.desc:
            return value.range(start, stop - 1)
        return value.range(value.count - stop, value.count - start - 1)[::-1]
    if isinstance(value, SortedSet):
        start, stop = options.bounds(value.count)
        if options.desc:
            size: int = value.count
            start, stop = size - stop, size - start
        return value.members(value.place_of(start), value.place_of(stop), options.desc)
    if isinstance(value, Set):
        start, stop = options.bounds(len(value))
        return value.members()[start:stop]
    return []


def _all_elements(value: object) -> list[bytes]:
    if isinstance(value, List):
        return value.range(0, -1)
    if isinstance(value, Set):
        return value.members()
    return value.members(0, value.end()) if isinstance(value, SortedSet) else []


def _sort(client: Client, args: Args, takes_store: bool) -> Reply:
    options = _Options(args, takes_store, client.server.acl.may_read_all_keys(client, args))
    db = client.db
    value = db.lookup_read(args[1])
    if value is not None and not isinstance(value, (List, Set, SortedSet)):
        raise RedisError(WRONGTYPE)
    is_unsorted = options.by_nothing
    by = options.by
    is_kept = options.destination is not None or client.is_script
    if is_unsorted and isinstance(value, Set) and is_kept:
        is_unsorted = False  # what is kept must not depend on the order of a hash table
        options.alpha = True
        by = None
    if isinstance(value, SortedSet):
        if db.saving is not None:
            value = cast(SortedSet, db.saving.before_change(args[1], value))
        value.convert()  # as Redis does, for good
    if is_unsorted:
        elements = _unsorted(value, options)
    else:
        elements = _sorted(db, _all_elements(value), options, by)
        start, stop = options.bounds(len(elements))
        elements = elements[start:stop]
    results: list[bytes | None] = list(elements)
    if options.gets:
        patterns = [_Pattern(db, pattern) for pattern in options.gets]
        results = [pattern.get(element) for element in elements for pattern in patterns]
    if options.destination is None:
        return results
    return _store(client, options.destination, results)


def _store(client: Client, destination: bytes, results: list[bytes | None]) -> int:
    """Make a list of the results; return its length."""
    db = client.db
    server = client.server
    if results:
        elements = [b"" if result is None else result for result in results]
        db.replace(destination, list_of(elements, server.thresholds))
        db.modified(destination, LIST, "sortstore")
        server.dirty += len(elements) - 1
    elif db.lookup_write(destination) is not None:
        db.unlink(destination)
        db.modified(destination, GENERIC, "del")
    return len(results)


_COMPLEXITY: Final = (
    "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number "
    "of returned elements. When the elements are not sorted, complexity is O(N)."
)
_PATTERNS: Final = "`BY` and `GET` make key names from the elements that are sorted"


@command(
    "SORT",
    "key [BY by-pattern#1/pattern] [LIMIT (offset count)] [GET... get-pattern#1/pattern] "
    "[ASC | DESC] [ALPHA:sorting] [STORE destination#2]",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=[
        key(1, "RO ACCESS"),
        unknown("RO ACCESS", notes=_PATTERNS),
        unknown("OW UPDATE", notes="`STORE` can stand anywhere"),
    ],
    get_keys=sort_keys,
    acl="SET SORTEDSET LIST DANGEROUS",
    since="1.0.0",
    complexity=_COMPLEXITY,
    summary="Sorts the elements of a list, a set or a sorted set, and stores them if asked to.",
)
def sort(client: Client, args: Args) -> Reply:
    """Return the sorted elements, or what GET finds for each; with STORE how many there are."""
    return _sort(client, args, True)


@command(
    "SORT_RO",
    "key [BY by-pattern#1/pattern] [LIMIT (offset count)] [GET... get-pattern#1/pattern] "
    "[ASC | DESC] [ALPHA:sorting]",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS"), unknown("RO ACCESS", notes=_PATTERNS)],
    get_keys=sort_ro_keys,
    acl="SET SORTEDSET LIST DANGEROUS",
    since="7.0.0",
    complexity=_COMPLEXITY,
    summary="Sorts the elements of a list, a set or a sorted set.",
)
def sort_ro(client: Client, args: Args) -> Reply:
    """Return the sorted elements, or what GET finds for each."""
    return _sort(client, args, False)
