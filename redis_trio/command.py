"""The command table: declarations, and what a server keeps for each command.

A command is declared once, by the decorator over its handler, in the file of its group:

    command = group("string")

    @command("GET", "key", arity=2, flags=READONLY | FAST, keys=[key(1, "RO ACCESS")], ...)
    def get(client, args): ...

`DECLARATIONS` holds every declaration by its name; COMMAND, ACL categories, GETKEYS, HELP and the
reference pages derive from it. It never changes after import. Each server makes its own table of
`Command` objects from it (`build_table`), with the figures that INFO commandstats shows, so that
two servers share nothing and a command can be renamed or added in one of them.

1. `syntax` is the command's grammar, of which COMMAND DOCS and the hints of redis-cli are made:
   see redis_trio/syntax.py.
2. The table of a server has each name in upper and in lower case; other mixtures are found by
   `lookup`.

Source: Redis server.h (CMD_*), commands.h, command-key-specs in the Redis documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from mypy_extensions import i64

from redis_trio.errors import RedisError, error_text
from redis_trio.protocol.reply import Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.blocking import Block
    from redis_trio.client import Client

Handler: TypeAlias = "Callable[[Client, Args], Reply | Block]"

KeyReference: TypeAlias = tuple[int, int]
"""A key among the arguments: its position, and how it is used (bits, see redis_trio/keys.py)."""

GetKeys: TypeAlias = Callable[[Args], list[KeyReference]]
"""Finds the keys among the arguments of a command."""

FlagsOf: TypeAlias = "Callable[[Client, Args], int]"
"""Tells the flags of a call from its arguments: a script says of itself what it does."""

# What a command does and where it is allowed. The names are those of Redis (CMD_*).
WRITE: Final = 1 << 0
READONLY: Final = 1 << 1
DENYOOM: Final = 1 << 2
ADMIN: Final = 1 << 4
PUBSUB: Final = 1 << 5
NOSCRIPT: Final = 1 << 6
BLOCKING: Final = 1 << 8
LOADING: Final = 1 << 9
STALE: Final = 1 << 10
SKIP_MONITOR: Final = 1 << 11
SKIP_SLOWLOG: Final = 1 << 12
ASKING: Final = 1 << 13
FAST: Final = 1 << 14
NO_AUTH: Final = 1 << 15
MAY_REPLICATE: Final = 1 << 16
SENTINEL: Final = 1 << 17
ONLY_SENTINEL: Final = 1 << 18
NO_MANDATORY_KEYS: Final = 1 << 19
PROTECTED: Final = 1 << 20
NO_ASYNC_LOADING: Final = 1 << 23
NO_MULTI: Final = 1 << 24
ALLOW_BUSY: Final = 1 << 26
TOUCHES_ARBITRARY_KEYS: Final = 1 << 28

FLAG_NAMES: Final = {
    "write": WRITE,
    "readonly": READONLY,
    "denyoom": DENYOOM,
    "admin": ADMIN,
    "pubsub": PUBSUB,
    "noscript": NOSCRIPT,
    "blocking": BLOCKING,
    "loading": LOADING,
    "stale": STALE,
    "skip_monitor": SKIP_MONITOR,
    "skip_slowlog": SKIP_SLOWLOG,
    "asking": ASKING,
    "fast": FAST,
    "no_auth": NO_AUTH,
    "may_replicate": MAY_REPLICATE,
    "sentinel": SENTINEL,
    "only_sentinel": ONLY_SENTINEL,
    "no_mandatory_keys": NO_MANDATORY_KEYS,
    "protected": PROTECTED,
    "no_async_loading": NO_ASYNC_LOADING,
    "no_multi": NO_MULTI,
    "allow_busy": ALLOW_BUSY,
    "touches_arbitrary_keys": TOUCHES_ARBITRARY_KEYS,
}
"""The flags as Redis's JSON files spell them, in lower case."""


ACL_CATEGORIES: Final = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)
"""The ACL categories in the order in which Redis lists them."""


class KeySpec:
    """Where a command's keys are: begin_search and find_keys of the Redis documentation.

    Shape: `begin` is ("index", pos), ("keyword", word, startfrom) or ("unknown",); `find` is
    ("range", lastkey, step, limit), ("keynum", keynumidx, firstkey, step) or ("unknown",).
    """

    __slots__ = ("begin", "find", "flags", "notes")

    def __init__(
        self,
        flags: str,
        begin: tuple[str | int, ...],
        find: tuple[str | int, ...],
        notes: str = "",
    ) -> None:
        self.flags = tuple(flags.split())
        self.begin = begin
        self.find = find
        self.notes = notes


def key(
    pos: int, flags: str, last: int = 0, step: int = 1, limit: int = 0, notes: str = ""
) -> KeySpec:
    """The keys from argument `pos` on: `last` counts from `pos`, or from the end if negative.

    `limit` n: only the first n-th part of what is left are keys.
    """
    return KeySpec(flags, ("index", pos), ("range", last, step, limit), notes)


def keynum(pos: int, flags: str, first: int = 1, step: int = 1, notes: str = "") -> KeySpec:
    """The keys behind argument `pos`, which says how many there are."""
    return KeySpec(flags, ("index", pos), ("keynum", 0, first, step), notes)


def keyword(
    word: str, start: int, flags: str, last: int = 0, step: int = 1, limit: int = 0, notes: str = ""
) -> KeySpec:
    """The keys behind `word`, which is sought from argument `start` on; negative: backwards."""
    return KeySpec(flags, ("keyword", word, start), ("range", last, step, limit), notes)


def unknown(flags: str, notes: str = "") -> KeySpec:
    """Keys that no rule can tell; `get_keys` finds them, or they are not arguments at all."""
    return KeySpec(flags, ("unknown",), ("unknown",), notes)


class Declaration:
    """What is known of a command before any server runs it; see `group` for the fields."""

    __slots__ = (
        "acl",
        "arity",
        "complexity",
        "deprecated_since",
        "doc_flags",
        "flags",
        "flags_of",
        "get_keys",
        "group",
        "handler",
        "keys",
        "name",
        "replaced_by",
        "since",
        "summary",
        "syntax",
        "tips",
    )

    def __init__(
        self,
        name: str,
        group: str,
        syntax: str,
        arity: int,
        flags: int,
        handler: Handler | None,
        keys: Sequence[KeySpec],
        get_keys: GetKeys | None,
        acl: str,
        since: str,
        complexity: str,
        summary: str,
        tips: str,
        doc_flags: str,
        deprecated_since: str,
        replaced_by: str,
        flags_of: FlagsOf | None = None,
    ) -> None:
        self.name = name
        self.group = group
        self.syntax = syntax
        self.arity = arity
        self.flags = flags
        self.handler = handler
        self.keys = tuple(keys)
        self.get_keys = get_keys
        self.acl = tuple(acl.split())
        self.since = since
        self.complexity = complexity
        self.summary = summary
        self.tips = tuple(tips.split())
        self.doc_flags = tuple(doc_flags.split())
        self.deprecated_since = deprecated_since
        self.replaced_by = replaced_by
        self.flags_of = flags_of


def acl_categories(declaration: Declaration) -> tuple[str, ...]:
    """Return the ACL categories of a command: declared ones and those that its flags imply.

    Source: server.c setImplicitACLCategories.
    """
    found = {category.lower() for category in declaration.acl}
    flags = declaration.flags
    if flags & WRITE:
        found.add("write")
    if flags & READONLY and "scripting" not in found:
        found.add("read")
    if flags & ADMIN:
        found |= {"admin", "dangerous"}
    if flags & PUBSUB:
        found.add("pubsub")
    if flags & BLOCKING:
        found.add("blocking")
    found.add("fast" if flags & FAST or "fast" in found else "slow")
    return tuple(category for category in ACL_CATEGORIES if category in found)


DECLARATIONS: Final[dict[str, Declaration]] = {}
"""Every command by name, in upper case; sub-commands as `CONFIG SET`."""


class group:
    """The decorator for the commands of one group (`string`, `generic` ...).

    Args of a call:
      name: in upper case; `CONFIG SET` for a sub-command.
      syntax: the grammar of the arguments, "" if there are none.
      arity: number of words with the name; negative: at least so many.
      flags: what the command does and where it is allowed.
      keys: where its keys are.
      get_keys: for the commands whose keys no KeySpec can tell: args to (position, flags).
      flags_of: for the commands that run something with flags of its own: a call to its flags.
      acl: ACL categories besides those that follow from the flags.
      since, complexity, summary: for people, in the docs and in COMMAND DOCS.
      tips, doc_flags, deprecated_since, replaced_by: for clients, as in COMMAND.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self,
        name: str,
        syntax: str = "",
        *,
        arity: int,
        flags: int = 0,
        keys: Sequence[KeySpec] = (),
        get_keys: GetKeys | None = None,
        flags_of: FlagsOf | None = None,
        acl: str = "",
        since: str,
        complexity: str,
        summary: str,
        tips: str = "",
        doc_flags: str = "",
        deprecated_since: str = "",
        replaced_by: str = "",
    ) -> Callable[[Handler], Handler]:
        """Declare a command; see the class for the arguments."""

        def declare(handler: Handler) -> Handler:
            if name in DECLARATIONS:
                raise ValueError(f"command {name} is declared twice")
            DECLARATIONS[name] = Declaration(
                name,
                self.name,
                syntax,
                arity,
                flags,
                handler,
                keys,
                get_keys,
                acl,
                since,
                complexity,
                summary,
                tips,
                doc_flags,
                deprecated_since,
                replaced_by,
                flags_of,
            )
            return handler

        return declare

    def container(
        self,
        name: str,
        *,
        arity: int = -2,
        flags: int = 0,
        acl: str = "",
        since: str,
        complexity: str = "Depends on subcommand.",
        summary: str,
    ) -> None:
        """Declare a command that only has sub-commands; its call alone is an arity error."""
        DECLARATIONS[name] = Declaration(
            name,
            self.name,
            "",
            arity,
            flags,
            None,
            (),
            None,
            acl,
            since,
            complexity,
            summary,
            "",
            "",
            "",
            "",
        )


HISTOGRAM_BITS: Final = 6
_HISTOGRAM_SIZE: Final = 64 * 40


class Command:
    """A command in one server's table.

    Attributes:
      fullname: `get`, `config|set`: how errors, INFO and ACL rules call it.
      subcommands: by lower-case name if the command is a container, else None.
      calls, ns, rejected_calls, failed_calls: as in INFO commandstats (`ns` nanoseconds).
      histogram: how many calls took how long, None before the first. Log-linear: index
        `64 * k + (t >> k)` for a duration of `t` ns whose top seven bits are `t >> k`.
    """

    __slots__ = (
        "arity",
        "calls",
        "declaration",
        "failed_calls",
        "flags",
        "flags_of",
        "fullname",
        "handler",
        "histogram",
        "ns",
        "parent",
        "rejected_calls",
        "subcommands",
    )

    def __init__(self, declaration: Declaration, fullname: str, parent: Command | None) -> None:
        self.declaration = declaration
        self.fullname = fullname
        self.parent = parent
        self.handler = declaration.handler
        self.arity: i64 = declaration.arity
        self.flags: i64 = declaration.flags
        self.flags_of = declaration.flags_of
        self.subcommands: dict[bytes, Command] | None = None
        self.calls: i64 = 0
        self.ns: i64 = 0
        self.rejected_calls: i64 = 0
        self.failed_calls: i64 = 0
        self.histogram: list[int] | None = None

    def record(self, ns: i64, in_histogram: bool) -> None:
        """Count one call that took `ns` nanoseconds."""
        self.calls += 1
        self.ns += ns
        if not in_histogram:
            return
        histogram = self.histogram
        if histogram is None:
            histogram = self.histogram = [0] * _HISTOGRAM_SIZE
        shift: i64 = 0
        while ns >= 128:
            ns >>= 1
            shift += 1
        histogram[shift * 64 + ns] += 1

    def reset_stats(self) -> None:
        """Forget the figures, as CONFIG RESETSTAT does."""
        self.calls = self.ns = self.rejected_calls = self.failed_calls = 0
        self.histogram = None


def build_table() -> dict[bytes, Command]:
    """Return a new table of all declared commands, each name in upper and in lower case."""
    table: dict[bytes, Command] = {}
    for name, declaration in DECLARATIONS.items():
        if " " not in name:
            command = Command(declaration, name.lower(), None)
            table[name.encode()] = table[name.lower().encode()] = command
    for name, declaration in DECLARATIONS.items():
        parent_name, _, sub_name = name.partition(" ")
        if sub_name:
            parent = table[parent_name.encode()]
            if parent.subcommands is None:
                parent.subcommands = {}
            sub = Command(declaration, name.lower().replace(" ", "|"), parent)
            parent.subcommands[sub_name.lower().encode()] = sub
    return table


def rename_command(table: dict[bytes, Command], name: bytes, new_name: bytes) -> None:
    """Give a command another name, or none at all (`rename-command` of redis.conf)."""
    command = table.pop(name.upper())
    del table[name.lower()]
    if new_name:
        table[new_name.upper()] = table[new_name.lower()] = command


def lookup(table: dict[bytes, Command], args: Args) -> Command | None:
    """Find the command, or sub-command, that `args` calls; None if there is none.

    A container without a sub-command, or with one too few words, is returned itself.
    """
    command = table.get(args[0])
    if command is None:
        command = table.get(args[0].lower())
    if command is None or command.subcommands is None or len(args) < 2:
        return command
    return command.subcommands.get(args[1].lower())


def _excerpt(word: bytes, limit: int) -> bytes:
    """Return what printf's %.*s shows of a word: up to `limit` bytes, none from a NUL on."""
    return word.split(b"\0", 1)[0][:limit]


def unknown_command(table: dict[bytes, Command], args: Args) -> RedisError:
    """The error for a command, or sub-command, that is not in the table."""
    container = table.get(args[0].lower())
    if container is not None:
        word = error_text(_excerpt(args[1], 128))
        name = error_text(_excerpt(args[0], len(args[0])).upper())  # it may have been renamed
        return RedisError(f"ERR unknown subcommand '{word}'. Try {name} HELP.")
    shown = b""
    for arg in args[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%s' " % _excerpt(arg, 128 - len(shown))
    name = error_text(_excerpt(args[0], 128))
    return RedisError(
        f"ERR unknown command '{name}', with args beginning with: {error_text(shown)}"
    )
