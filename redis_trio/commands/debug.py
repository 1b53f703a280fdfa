"""DEBUG: what tests, Redis's own among them, need to look inside and to push things around.

One command; its sub-commands are not in the command table. Which there are depends on the number of
arguments too: DEBUG SLEEP without seconds is unknown. The table at the end has them all. Those that
stop or spoil the server on purpose (SEGFAULT, PANIC, OOM ...) do not exist.

Source: Redis debug.c debugCommand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_integer, read_integer_in
from redis_trio.blocking import Block
from redis_trio.client import Client
from redis_trio.command import ADMIN, LOADING, NOSCRIPT, PROTECTED, STALE, group
from redis_trio.config.kinds import parse_memory
from redis_trio.config.rewrite import rewrite_file
from redis_trio.data.glob import glob_match
from redis_trio.data.list import List
from redis_trio.errors import NO_SUCH_KEY, RedisError, wrong_subcommand
from redis_trio.help import help_reply
from redis_trio.keyspace.containers import listpack_entries, value_table
from redis_trio.keyspace.digest import dataset_digest, digest_text, key_digest
from redis_trio.keyspace.values import encoding, refcount
from redis_trio.persistence import rdb_file
from redis_trio.persistence.aof_files import reload_aof
from redis_trio.persistence.rdb_format import VERSION, RdbError
from redis_trio.persistence.rdb_writer import saved_size
from redis_trio.protocol.reply import (
    OK,
    Attribute,
    BigNumber,
    Encoded,
    Push,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from redis_trio.protocol.request import Args
from redis_trio.scripting.room import scripting

if TYPE_CHECKING:
    from redis_trio.data.table import Table
    from redis_trio.keyspace.database import Database

command = group("server")

LONG_MAX: Final = 2**63 - 1
PACKED_MAX: Final = 2**32 - 2**20
SHOWN_MAX: Final = 100  # entries of a value that the log is told
MATCH_CYCLES: Final = 10_000
_NEGATIVE: Final = "ERR value is out of range, must be positive"
_WRONG_TYPE_NAME: Final = (
    "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|"
    "null|array|set|map|attrib|push|verbatim|true|false"
)
_NUMBER: Final = re.compile(rb"\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)")
_INTEGER: Final = re.compile(rb"\s*[+-]?\d+")


@command(
    "DEBUG",
    arity=-2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED,
    since="1.0.0",
    complexity="Depends on subcommand.",
    summary="Looks inside the server and changes what only tests should.",
    doc_flags="SYSCMD",
)
def debug(client: Client, args: Args) -> Reply | Block:
    """Run a sub-command of DEBUG."""
    subcommand = SUBCOMMANDS.get(args[1].lower())
    if subcommand is None or not subcommand.fewest <= len(args) <= subcommand.most:
        raise wrong_subcommand(args)
    return subcommand.handler(client, args)


class Subcommand:
    """A sub-command: how many words it takes, with DEBUG and its name, and what it says in HELP."""

    __slots__ = ("fewest", "handler", "most", "summary", "syntax")

    def __init__(
        self,
        syntax: str,
        summary: str,
        handler: Callable[[Client, Args], Reply | Block],
        fewest: int,
        most: int,
    ) -> None:
        self.syntax = syntax
        self.summary = summary
        self.handler = handler
        self.fewest = fewest
        self.most = most


def _atoi(text: bytes) -> int:
    """Return the number that a text begins with, 0 if there is none, as C's atoi does."""
    found = _INTEGER.match(text)
    return int(found[0]) if found else 0


def _help(client: Client, args: Args) -> Reply:
    lines: list[str] = []
    for subcommand in SUBCOMMANDS.values():
        if subcommand.summary:
            lines += [subcommand.syntax, f"    {subcommand.summary}"]
    return help_reply("DEBUG", lines)


# -- time


def _sleep(client: Client, args: Args) -> Reply | Block:
    """Let the server do nothing for some time, which is the Trio clock's.

    The host's other tasks run on: it is the server's loops that pause (keeper.awake). The time
    counts as the command's. Inside a transaction there is no way to wait, so all sleep.
    """
    found = _NUMBER.match(args[2])
    seconds = float(found[0]) if found else 0.0
    if seconds <= 0:
        return OK
    server = client.server
    if client.executing:
        time.sleep(seconds)
        return OK
    server.asleep_s = seconds
    return Block((), seconds, OK, busy_ns=int(seconds * 1e9))


def _set_active_expire(client: Client, args: Args) -> Reply:
    server = client.server
    server.active_expire = _atoi(args[2]) != 0
    if server.wake_keeper is not None:
        server.wake_keeper()
    return OK


def _set_disable_deny_scripts(client: Client, args: Args) -> Reply:
    scripting(client.server).allow_all = _atoi(args[2]) != 0
    return OK


def _replybuffer(client: Client, args: Args) -> Reply:
    """Check the words: there is no buffer of a fixed size whose resizing could be held up."""
    name = args[2].lower()
    if name == b"peak-reset-time":
        if args[3].lower() not in (b"never", b"reset"):
            read_integer(args[3])
    elif name != b"resizing":
        raise wrong_subcommand(args)
    return OK


def _pause_cron(client: Client, args: Args) -> Reply:
    """Give up no tracked keys between commands. What else is a cron in Redis goes on."""
    server = client.server
    server.cron_paused = _atoi(args[2]) != 0
    if server.wake_keeper is not None:
        server.wake_keeper()
    return OK


def _nothing(client: Client, args: Args) -> Reply:
    """Agree: what this would stop does not exist here."""
    return OK


# -- values


def _object(client: Client, args: Args) -> Reply:
    """Tell how a value is kept.

    A string is no object with a place of its own that survives a change, so the address is the
    key's.
    """
    db = client.db
    key = args[2]
    value = db.table.get(key)
    if value is None:
        raise RedisError(NO_SUCH_KEY)
    server = client.server
    now_ms: int = server.clock.now_ms
    accessed_ms = db.access.get(key)
    idle_s = max(0, now_ms - accessed_ms) // 1000
    size = saved_size(value, server.config.rdbcompression)
    return Status(
        f"Value at:0x{_address(db, key):x} refcount:{refcount(value, True)} "
        f"encoding:{encoding(value).decode()} serializedlength:{size} "
        f"lru:{accessed_ms // 1000 & 0xFFFFFF} lru_seconds_idle:{idle_s}"
        f"{_quicklist_fields(client, value)}".encode()
    )


def _address(db: Database, key: bytes) -> int:
    for stored in db.table.directory[hash(key) & db.table.mask]:
        if stored == key:
            return id(stored)
    return 0


def _quicklist_fields(client: Client, value: object) -> str:
    """Return what DEBUG OBJECT says of a quicklist besides, nothing of any other value.

    Nodes are never compressed here; the figure tells what is configured.
    """
    if not isinstance(value, List) or not value.quick:
        return ""
    nodes = value.nodes()
    sizes = [sum(map(len, node.items)) if node.plain else node.size for node in nodes]
    depth = client.server.config.list_compress_depth
    return (
        f" ql_nodes:{len(nodes)} ql_avg_node:{value.count / len(nodes):.2f} "
        f"ql_listpack_max:{value.fill} ql_compressed:{int(depth != 0)} "
        f"ql_uncompressed_size:{sum(sizes)}"
    )


def _listpack(client: Client, args: Args) -> Reply:
    """Show the entries of a compact value in the log, where Redis prints them."""
    value = _value(client, args[2])
    if encoding(value) not in (b"listpack", b"listpackex"):
        raise RedisError("ERR Not a listpack encoded object.")
    return _show(client, args[2], listpack_entries(value), b"Listpack structure printed on stdout")


def _quicklist(client: Client, args: Args) -> Reply:
    value = _value(client, args[2])
    if not isinstance(value, List) or not value.quick:
        raise RedisError("ERR Not a quicklist encoded object.")
    nodes = value.nodes()
    entries = [b"node of %d" % len(node.items) for node in nodes]
    if len(args) > 3 and _atoi(args[3]):
        entries = list(value)
    return _show(client, args[2], entries, b"Quicklist structure printed on stdout")


def _value(client: Client, key: bytes) -> object:
    value = client.db.lookup_nonotify(key)
    if value is None:
        raise RedisError(NO_SUCH_KEY)
    return value


def _show(client: Client, key: bytes, entries: list[bytes], reply: bytes) -> Reply:
    shown = entries[:SHOWN_MAX]
    client.server.log.info("%r: %d entries: %r", key, len(entries), shown)
    return Status(reply)


def _quicklist_packed_threshold(client: Client, args: Args) -> Reply:
    size = parse_memory(args[2].decode("latin-1"))
    if size is None or size > PACKED_MAX:
        raise RedisError("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
    client.server.thresholds.list_plain_bytes = size
    return OK


# -- hash tables


def _table_stats(table: Table, full: bool) -> str:
    """Describe a table in the words in which Redis describes a hash table.

    A slot of Redis's holds a chain of entries; a slot of this table's directory a shard.
    """
    if table.count == 0:
        return "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n"
    text = (
        "Hash table 0 stats (main hash table):\n"
        f" table size: {len(table.directory)}\n"
        f" number of elements: {table.count}\n"
    )
    if full:
        sizes = [len(shard) for shard in table.shards()]
        mean = f"{table.count / len(sizes):.2f}"
        text += (
            f" different slots: {len(sizes)}\n"
            f" max chain length: {max(sizes)}\n"
            f" avg chain length (counted): {mean}\n"
            f" avg chain length (computed): {mean}\n"
            " Chain length distribution:\n"
        )
        for size in sorted(set(sizes)):
            count = sizes.count(size)
            text += f"   {size}: {count} ({count / len(sizes) * 100:.2f}%)\n"
    return text


def _is_full(args: Args) -> bool:
    return len(args) > 3 and option_name(args[3]) == b"FULL"


def _htstats(client: Client, args: Args) -> Reply:
    index = read_integer(args[2])
    dbs = client.server.dbs
    if not 0 <= index < len(dbs):
        raise RedisError("ERR Out of range database")
    db = dbs[index]
    full = _is_full(args)
    keys = _table_stats(db.table, full)
    expires = _table_stats(db.expires.when, full)
    return Verbatim(f"[Dictionary HT]\n{keys}[Expires HT]\n{expires}".encode())


def _htstats_key(client: Client, args: Args) -> Reply:
    value = _value(client, args[2])
    table = value_table(value)
    if table is None:
        raise RedisError(
            "ERR The value stored at the specified key is not represented using an hash table"
        )
    return Verbatim(_table_stats(table, _is_full(args)).encode())


def _digest(client: Client, args: Args) -> Reply:
    return Status(digest_text(dataset_digest(client.server.dbs)))


def _digest_value(client: Client, args: Args) -> Reply:
    return [Status(digest_text(key_digest(client.db, key))) for key in args[2:]]


def _populate(client: Client, args: Args) -> Reply:
    """Add keys `prefix:0`, `prefix:1` ... which only this server gets to know of."""
    count = read_integer_in(args[2], 0, LONG_MAX, _NEGATIVE)
    prefix = args[3] if len(args) > 3 else b"key"
    size = read_integer_in(args[4], 0, LONG_MAX, _NEGATIVE) if len(args) > 4 else 0
    db = client.db
    server = client.server
    for number in range(count):
        key = b"%s:%d" % (prefix, number)
        if db.lookup_write(key) is not None:
            continue
        value = b"value:%d" % number
        db.set(key, value[:size].ljust(size, b"\0") if size else value)
        if server.listening:
            server.key_modified(db, key)
    return OK


def _stringmatch_len(client: Client, args: Args) -> Reply:
    return int(glob_match(args[2], args[3]))


def _stringmatch_test(client: Client, args: Args) -> Reply:
    rng = client.server.rng
    for _ in range(MATCH_CYCLES):
        text = bytes([rng.randrange(128) for _ in range(rng.randrange(32))])
        pattern = bytes([rng.randrange(128) for _ in range(rng.randrange(32))])
        glob_match(pattern, text)
    return Status(b"Apparently Redis did not crash: test passed")


# -- files


def _reload(client: Client, args: Args) -> Reply:
    """Save all data, forget it and load it again.

    The file is of the newest version: it is to tell all that is known, not to be read elsewhere.
    """
    options = {option_name(word) for word in args[2:]}
    if not options <= {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise RedisError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    server = client.server
    if b"NOSAVE" not in options and not rdb_file.save(server, VERSION):
        raise RedisError("ERR")
    if b"NOFLUSH" not in options:
        rdb_file.empty_databases(server)
    try:
        loaded = rdb_file.load(server, replaces=b"MERGE" in options)
    except (RdbError, OSError):
        loaded = False
    if not loaded:
        raise RedisError("ERR Error trying to load the RDB dump, check server logs.")
    server.log.info("DB reloaded by DEBUG RELOAD")
    return OK


def _loadaof(client: Client, args: Args) -> Reply:
    """Write what was fed to the append-only file, forget all data and load that file."""
    server = client.server
    if not reload_aof(server):
        raise RedisError("ERR Error trying to load the AOF files, check server logs.")
    server.dirty = 0
    server.feed.rewrite()
    server.log.info("Append Only File loaded by DEBUG LOADAOF")
    return OK


def _set_skip_checksum_validation(client: Client, args: Args) -> Reply:
    client.server.persistence.check_sums = _atoi(args[2]) == 0
    return OK


# -- replies and the rest


def _protocol(client: Client, args: Args) -> Reply:
    """Reply with a value of the type that is asked for."""
    name = args[2].lower()
    if name == b"push":
        if client.resp < 3:
            raise RedisError("ERR RESP2 is not supported by this command")
        client.push(Push([b"server-cpu-usage", 42]))
        return b"Some real reply following the push reply"
    if name == b"map":
        if client.resp < 3:
            return [0, False, 1, True, 2, False]
        return Encoded(b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n")
    replies: dict[bytes, Reply] = {
        b"string": b"Hello World",
        b"integer": 12345,
        b"double": 3.141,
        b"bignum": BigNumber(b"1234567999999999999999999999999999999"),
        b"null": None,
        b"array": [0, 1, 2],
        b"set": SetReply([0, 1, 2]),
        b"attrib": Attribute(
            {b"key-popularity": [b"key:123", 90]}, b"Some real reply following the attribute"
        ),
        b"verbatim": Verbatim(b"This is a verbatim\nstring"),
        b"true": True,
        b"false": False,
    }
    if name not in replies:
        raise RedisError(_WRONG_TYPE_NAME)
    return replies[name]


def _error(client: Client, args: Args) -> Reply:
    """Reply with an error, which counts as none."""
    line = args[2].replace(b"\n", b" ").replace(b"\r", b" ")
    return Encoded(b"-" + line + b"\r\n")


def _log(client: Client, args: Args) -> Reply:
    text = args[2].partition(b"\0")[0]
    client.server.log.warning("DEBUG LOG: %s", text.decode("utf-8", "surrogateescape"))
    return OK


def _change_repl_id(client: Client, args: Args) -> Reply:
    server = client.server
    server.log.info("Changing replication IDs after receiving DEBUG change-repl-id")
    server.replication.change_replid()
    return OK


def _rewrite_config(client: Client, args: Args) -> Reply:
    """Run CONFIG REWRITE with every parameter, even those that have their default."""
    config = client.server.config
    if config.config_file is None:
        raise RedisError("ERR The server is running without a config file")
    try:
        rewrite_file(config, force_all=True)
    except OSError as exc:
        raise RedisError(f"ERR CONFIG-REWRITE-FORCE-ALL failed: {exc.strerror}") from None
    return OK


SUBCOMMANDS: Final[dict[bytes, Subcommand]] = {
    b"change-repl-id": Subcommand(
        "CHANGE-REPL-ID", "Make up another replication id.", _change_repl_id, 2, 2
    ),
    b"config-rewrite-force-all": Subcommand(
        "CONFIG-REWRITE-FORCE-ALL",
        "Write every parameter into redis.conf, even those that have their default.",
        _rewrite_config,
        2,
        2,
    ),
    b"dict-resizing": Subcommand("", "", _nothing, 3, 3),
    b"digest": Subcommand("DIGEST", "Show a fingerprint of all data.", _digest, 2, 2),
    b"digest-value": Subcommand(
        "DIGEST-VALUE <key> [<key> ...]",
        "Show a fingerprint of each value.",
        _digest_value,
        2,
        LONG_MAX,
    ),
    b"error": Subcommand(
        "ERROR <string>", "Reply with an error of these words, code included.", _error, 3, 3
    ),
    b"help": Subcommand("", "", _help, 2, 2),
    b"htstats": Subcommand(
        "HTSTATS <dbid> [full]",
        "Show how full the tables of a database are.",
        _htstats,
        3,
        LONG_MAX,
    ),
    b"htstats-key": Subcommand(
        "HTSTATS-KEY <key> [full]", "The same of the table of a value.", _htstats_key, 3, LONG_MAX
    ),
    b"listpack": Subcommand(
        "LISTPACK <key>", "Write the entries of a compact value into the log.", _listpack, 3, 3
    ),
    b"loadaof": Subcommand(
        "LOADAOF", "Forget all data and load the append-only file.", _loadaof, 2, 2
    ),
    b"log": Subcommand("LOG <message>", "Write a warning to the log.", _log, 3, 3),
    b"object": Subcommand("OBJECT <key>", "Show how a value is kept.", _object, 3, 3),
    b"pause-cron": Subcommand("", "", _pause_cron, 3, 3),
    b"populate": Subcommand(
        "POPULATE <count> [<prefix>] [<size>]",
        "Add keys key:0, key:1 ... which are not propagated.",
        _populate,
        3,
        5,
    ),
    b"protocol": Subcommand(
        "PROTOCOL <type>",
        "Reply with a string, integer, double, bignum, null, array, set, map, attrib, push, "
        "verbatim, true or false.",
        _protocol,
        3,
        3,
    ),
    b"quicklist": Subcommand(
        "QUICKLIST <key> [<0|1>]",
        "Write the sizes of a list's nodes, or all its elements, into the log.",
        _quicklist,
        3,
        4,
    ),
    b"quicklist-packed-threshold": Subcommand(
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "Give list elements of that size a node of their own; 0: as configured.",
        _quicklist_packed_threshold,
        3,
        3,
    ),
    b"reload": Subcommand(
        "RELOAD [NOSAVE] [NOFLUSH] [MERGE]",
        "Save all data, forget it and load it again.",
        _reload,
        2,
        LONG_MAX,
    ),
    b"replybuffer": Subcommand(
        "REPLYBUFFER <subcommand>",
        "Take what Redis does about buffers of replies that this server does not have.",
        _replybuffer,
        4,
        4,
    ),
    b"set-active-expire": Subcommand(
        "SET-ACTIVE-EXPIRE <0|1>",
        "Leave expired keys alone until somebody looks at them, or delete them in time.",
        _set_active_expire,
        3,
        3,
    ),
    b"set-disable-deny-scripts": Subcommand(
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "Let scripts call commands that are not for scripts.",
        _set_disable_deny_scripts,
        3,
        3,
    ),
    b"set-skip-checksum-validation": Subcommand(
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "Believe the checksums of RDB files and of what RESTORE is given.",
        _set_skip_checksum_validation,
        3,
        3,
    ),
    b"sleep": Subcommand(
        "SLEEP <seconds>", "Serve nobody for a while, decimals allowed.", _sleep, 3, 3
    ),
    b"stringmatch-len": Subcommand(
        "STRINGMATCH-LEN <pattern> <string>",
        "Tell whether a pattern matches: 1 or 0.",
        _stringmatch_len,
        4,
        4,
    ),
    b"stringmatch-test": Subcommand(
        "STRINGMATCH-TEST", "Match random patterns against random strings.", _stringmatch_test, 2, 2
    ),
}
