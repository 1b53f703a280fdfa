"""Which of a command's arguments are keys, and how it uses them.

Key specs tell it for nearly all commands. Where one is incomplete or its flags vary with the
arguments, the declaration names a function (`get_keys`), which wins.

1. A key that is found is `(position, flags)`, the flags being bits of KEY_FLAGS.
2. Wrong arguments may make a search fail; there are no keys then, and the command itself says what
   is wrong when it runs.

Source: Redis db.c getKeysFromCommandWithSpecs, getKeysUsingKeySpecs, *GetKeys.
"""

from __future__ import annotations

from typing import Final

from redis_trio.command import Declaration, KeyReference, KeySpec
from redis_trio.data.numbers import parse_integer
from redis_trio.protocol.request import Args

# How a command uses a key: to read it, to change it, to overwrite or delete it as a whole ...
KEY_RO: Final = 1 << 0
KEY_RW: Final = 1 << 1
KEY_OW: Final = 1 << 2
KEY_RM: Final = 1 << 3
# ... and what becomes of the user's data in it.
KEY_ACCESS: Final = 1 << 4
KEY_UPDATE: Final = 1 << 5
KEY_INSERT: Final = 1 << 6
KEY_DELETE: Final = 1 << 7
# What a key spec does not promise.
KEY_NOT_KEY: Final = 1 << 8
KEY_INCOMPLETE: Final = 1 << 9
KEY_VARIABLE_FLAGS: Final = 1 << 10

KEY_FLAGS: Final = {
    "RO": KEY_RO,
    "RW": KEY_RW,
    "OW": KEY_OW,
    "RM": KEY_RM,
    "access": KEY_ACCESS,
    "update": KEY_UPDATE,
    "insert": KEY_INSERT,
    "delete": KEY_DELETE,
    "not_key": KEY_NOT_KEY,
    "incomplete": KEY_INCOMPLETE,
    "variable_flags": KEY_VARIABLE_FLAGS,
}
"""The flags of a key as COMMAND shows them, in its order."""

_BITS: Final = {name.upper(): bit for name, bit in KEY_FLAGS.items()}


def spec_flags(spec: KeySpec) -> int:
    """Return the flags of a key spec as bits."""
    flags = 0
    for word in spec.flags:
        flags |= _BITS[word]
    return flags


def has_keys(declaration: Declaration) -> bool:
    """Whether a command can have keys at all."""
    if declaration.get_keys is not None:
        return True
    return any("NOT_KEY" not in spec.flags for spec in declaration.keys)


def has_varying_flags(declaration: Declaration) -> bool:
    """Whether how a command uses its keys depends on its arguments: `get_keys` tells it."""
    return any("VARIABLE_FLAGS" in spec.flags for spec in declaration.keys)


def key_range(declaration: Declaration) -> tuple[int, int, int, int] | None:
    """Return (first, last, step, flags) of a command whose keys are one plain range.

    `last` counts from the end if it is negative. None: the keys are found otherwise.
    """
    if len(declaration.keys) != 1:
        return None
    spec = declaration.keys[0]
    if spec.begin[0] != "index" or spec.find[0] != "range" or spec.find[3] != 0:
        return None
    flags = spec_flags(spec)
    if flags & (KEY_NOT_KEY | KEY_INCOMPLETE | KEY_VARIABLE_FLAGS):
        return None
    first, last = _absolute_range(spec)
    return first, last, int(spec.find[2]), flags


def find_keys(
    declaration: Declaration, args: Args, include_not_keys: bool = False
) -> list[KeyReference]:
    """Return the keys among `args`, the command's name included, in the order of its key specs.

    Args:
      include_not_keys: also what is no key but belongs to a slot like one (SPUBLISH).
    """
    real = any("NOT_KEY" not in spec.flags for spec in declaration.keys)
    if (real or include_not_keys) and not has_varying_flags(declaration):
        found = _by_specs(declaration.keys, args, include_not_keys)
        if found is not None:
            return found
    if declaration.get_keys is not None:
        return declaration.get_keys(args)
    return []


def permitted_keys(declaration: Declaration, args: Args) -> list[KeyReference]:
    """Return the keys that a command must be allowed to use: those of `find_keys` and a few more.

    Of GEORADIUS with several STOREs, key specs tell the first, and the command uses the last.
    """
    found = find_keys(declaration, args)
    for spec in declaration.keys:
        if spec.begin[0] == "keyword" and spec.find == ("range", 0, 1, 0):
            word = str(spec.begin[1]).lower().encode()
            flags = spec_flags(spec)
            for position in range(int(spec.begin[2]), len(args) - 1):
                if args[position].lower() == word and (position + 1, flags) not in found:
                    found.append((position + 1, flags))
    return found


def _by_specs(
    specs: tuple[KeySpec, ...], args: Args, include_not_keys: bool
) -> list[KeyReference] | None:
    """Find keys by key specs; None if one of them is not enough, or the arguments are wrong."""
    found: list[KeyReference] = []
    for spec in specs:
        if "NOT_KEY" in spec.flags and not include_not_keys:
            continue
        if spec.begin[0] == "unknown":
            return None
        start = _begin(spec, args)
        if start == 0:
            continue  # its keyword is not there
        positions = _positions(spec, args, start)
        if positions is None:
            return None
        flags = spec_flags(spec)
        for position in positions:
            found.append((position, flags))
        if "INCOMPLETE" in spec.flags:
            return None
    return found


def _begin(spec: KeySpec, args: Args) -> int:
    """Return where the search for keys begins, 0 if the keyword is not there."""
    if spec.begin[0] == "index":
        return int(spec.begin[1])
    word = str(spec.begin[1]).lower().encode()
    start = int(spec.begin[2])
    if start > 0:
        positions = range(start, len(args) - 1)
    else:
        positions = range(len(args) + start, 1, -1)
    for position in positions:
        if args[position].lower() == word:
            return position + 1
    return 0


def _positions(spec: KeySpec, args: Args, first: int) -> range | None:
    """Return where the keys of a spec are, None if the arguments are wrong."""
    argc = len(args)
    if spec.find[0] == "range":
        last, step, limit = int(spec.find[1]), int(spec.find[2]), int(spec.find[3])
        if last >= 0:
            last += first
        elif limit == 0:
            last += argc
        else:
            last += first + (argc - first) // limit
    elif spec.find[0] == "keynum":
        index = first + int(spec.find[1])
        count = parse_integer(args[index]) if index < argc else None
        if count is None or count < 0:
            return None
        first += int(spec.find[2])
        last = first + count - 1
        step = int(spec.find[3])
    else:
        return None
    if last >= argc or last < first or first >= argc:
        return None
    return range(first, last + 1, step)


def set_keys(args: Args) -> list[KeyReference]:
    """The key of SET: it is read only if GET is given."""
    for arg in args[3:]:
        if arg.lower() == b"get":
            return [(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)]
    return [(1, KEY_OW | KEY_UPDATE)]


def bitfield_keys(args: Args) -> list[KeyReference]:
    """The key of BITFIELD: it is changed unless there are only GETs. A syntax error may change."""
    words = {b"get": 2, b"overflow": 1}
    i = 2
    while i < len(args):
        count = words.get(args[i].lower(), len(args))
        if i + count >= len(args):
            return [(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)]
        i += count + 1
    return [(1, KEY_RO | KEY_ACCESS)]


def sort_ro_keys(args: Args) -> list[KeyReference]:
    """The key of SORT_RO; those that BY and GET read are not arguments."""
    return [(1, KEY_RO | KEY_ACCESS)]


def sort_keys(args: Args) -> list[KeyReference]:
    """The keys of SORT: what it sorts, and the last STORE's destination."""
    words = {b"limit": 2, b"get": 1, b"by": 1}
    found = sort_ro_keys(args)
    i = 2
    while i < len(args):
        word = args[i].lower()
        if word == b"store" and i + 1 < len(args):
            found = [found[0], (i + 1, KEY_OW | KEY_UPDATE)]
        i += words.get(word, 0) + 1
    return found


def migrate_keys(args: Args) -> list[KeyReference]:
    """The key of MIGRATE, or those behind KEYS, with which the one in its place is empty."""
    words = {b"auth": 1, b"auth2": 2}
    flags = KEY_RW | KEY_ACCESS | KEY_DELETE
    i = 6
    while i < len(args):
        word = args[i].lower()
        if word == b"keys":
            if args[3]:
                return []
            return [(position, flags) for position in range(i + 1, len(args))]
        i += words.get(word, 0) + 1
    return [(3, flags)]


def legacy_range(declaration: Declaration) -> tuple[int, int, int, bool]:
    """Return (first, last, step, movable): the range of keys as COMMAND told it before key specs.

    It joins the plain ranges that follow each other; `last` counts from the end if negative. All
    are 0 if there is no range; movable: that is not the whole truth
    (server.c populateCommandLegacyRangeSpec).
    """
    specs = declaration.keys
    movable = False
    if len(specs) == 1 and specs[0].begin[0] == "index" and specs[0].find[0] == "range":
        first, last = _absolute_range(specs[0])
        return first, last, int(specs[0].find[2]), "INCOMPLETE" in specs[0].flags
    first = last = 0
    for spec in specs:
        plain = spec.begin[0] == "index" and spec.find[0] == "range" and spec.find[2] == 1
        if not plain or (last and last != int(spec.begin[1]) - 1):
            movable = True
            continue
        movable = movable or "INCOMPLETE" in spec.flags
        begin, end = _absolute_range(spec)
        first = min(first, begin) if first else begin
        last = end if end < 0 or (0 <= last < end) else last
    return first, last, 1 if first else 0, movable


def _absolute_range(spec: KeySpec) -> tuple[int, int]:
    """Return the first and the last position of a plain range, negative if from the end."""
    first, last = int(spec.begin[1]), int(spec.find[1])
    return first, last + first if last >= 0 else last
