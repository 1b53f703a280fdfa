"""Random commands over all types, for two servers that must answer alike.

A command is written once, as a line in a small language, and filled in from a `random.Random`.
Names of keys tell the type that they mostly hold, so that most commands find what they work on, and
some do not.

| in a line | stands for |
|---|---|
| `WORD` | itself, in mixed case now and then |
| `<name>` | a value of that kind, see KINDS |
| `<name>+` | one to four of them; `(a b)+` likewise for a group |
| `{a|b <n>|c}` | some of the alternatives in any order, sometimes one of them twice |
| `(a|b)` | exactly one of them |
| `@name` | one of ALIASES |
| `<keys:l>` | a number of keys and the keys, the number being wrong now and then |

Left out is what Redis 7.0 does not know, and what two servers cannot answer alike: times and ids
that the server makes up. tests/fuzz/differential.py compares the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import TypeAlias

Command: TypeAlias = list[bytes]

KEYS = {kind: [f"{kind}{number}".encode() for number in range(3)] for kind in "klhszyxbpg"}
"""Keys of strings, lists, hashes, sets, sorted sets, sorted sets of one score, streams, bitmaps,
HyperLogLogs, geo sets."""
EVERY_KEY = [key for keys in KEYS.values() for key in keys]

VALUES = [
    b"", b"a", b"b", b"c", b"A", b"abc", b"-1", b"0", b"1", b"2", b"3", b"10", b"100", b"007",
    b"-0",
    b"+1", b"1.5", b"3.0", b"1e3", b" 1", b"1 ", b"0x10", b"inf", b"-inf", b"nan", b"127", b"128",
    b"-128", b"-129", b"32767", b"32768", b"2147483647", b"-2147483649", b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808", b"99999999999999999999", b"a\0b", b"\xff\xfe",
    b"two words", b"*", b"?[a]", b"x" * 20, b"x" * 21, b"y" * 64, b"z" * 65, b"w" * 300,
]  # fmt: skip
INTEGERS = [
    b"0", b"1", b"-1", b"2", b"-2", b"3", b"5", b"10", b"-10", b"100", b"2147483647", b"2147483648",
    b"-2147483648", b"4294967296", b"9223372036854775807", b"-9223372036854775808",
    b"-9223372036854775807", b"9223372036854775808", b"1.5", b"abc", b"", b" 1", b"01", b"-0",
]  # fmt: skip
PICKS = [b"9223372036854775807", b"-9223372036854775808", b"1.5", b"abc", b"", b"-100"]
"""Not so many that both servers would be busy for years."""
SCORES = [
    b"0", b"1", b"2", b"3", b"-1", b"1.5", b"-2.5", b"10", b"100", b"1e3", b"inf", b"-inf", b"+inf",
    b"nan", b"0.1", b"1e300", b"-1e300", b"1e-300", b"abc", b"", b"-0", b"0x10", b" 1",
    b"9007199254740993", b"3.141592653589793", b"Infinity",
]  # fmt: skip
BOUNDS = [
    b"-inf",
    b"+inf",
    b"inf",
    b"(1",
    b"(2",
    b"(-inf",
    b"(inf",
    b"(",
    b"((1",
    b"(abc",
    b"-",
    b"+",
]
LEX = [
    b"-",
    b"+",
    b"[a",
    b"(a",
    b"[b",
    b"(b",
    b"[c",
    b"(abc",
    b"[",
    b"(",
    b"[z",
    b"a",
    b"",
    b"[1",
    b"(A",
]
IDS = [
    b"0", b"0-0", b"0-1", b"1", b"1-0", b"1-1", b"1-2", b"2-0", b"2-1", b"3-5", b"5", b"5-5",
    b"7-1",
    b"10-0", b"12-3", b"18446744073709551615-18446744073709551615", b"18446744073709551615",
    b"18446744073709551616-0", b"abc", b"", b"1-", b"-1", b"1-1-1", b"1-abc", b"00-1", b"+", b"-",
]  # fmt: skip
NEW_IDS = [*(b"%d-%d" % (ms, seq) for ms in range(1, 30) for seq in range(3)), *IDS]
LONGITUDES = [
    b"13.361389",
    b"15.087269",
    b"0",
    b"-180",
    b"180",
    b"180.1",
    b"-0.5",
    b"2.35",
    b"abc",
    b"nan",
]
LATITUDES = [b"38.115556", b"37.502669", b"0", b"85.05112878", b"-85.06", b"48.85", b"51.5", b""]
PATTERNS = [
    b"*",
    b"k*",
    b"?0",
    b"[a-c]*",
    b"h*->f1",
    b"#",
    b"k*->",
    b"w_*",
    b"*->f2",
    b"nosort",
    b"",
    b"x**",
]
TYPES = [
    b"i8",
    b"u8",
    b"i16",
    b"u1",
    b"i64",
    b"u63",
    b"u64",
    b"i65",
    b"i0",
    b"u",
    b"i5",
    b"x8",
    b"u32",
]
OFFSETS = [
    b"0",
    b"1",
    b"7",
    b"8",
    b"100",
    b"#0",
    b"#1",
    b"#3",
    b"-1",
    b"#-1",
    b"abc",
    b"4294967295",
    b"4294967296",
]


def _of(values: list[bytes]) -> Callable[[Random], bytes]:
    return lambda rng: rng.choice(values)


def _mostly(
    common: list[bytes], rare: list[bytes], often: float = 0.9
) -> Callable[[Random], bytes]:
    return lambda rng: rng.choice(common if rng.random() < often else rare)


def _number(
    low: int, high: int, rare: list[bytes], often: float = 0.9
) -> Callable[[Random], bytes]:
    return lambda rng: b"%d" % rng.randint(low, high) if rng.random() < often else rng.choice(rare)


def _key(kind: str) -> Callable[[Random], bytes]:
    return _mostly(KEYS[kind], EVERY_KEY, 0.93)


_MEMBERS = [b"m%d" % number for number in range(24)]
_NUMBERS = [b"%d" % number for number in range(-8, 24)]
_FIELDS = [b"f%d" % number for number in range(20)]

CONSUMERS = [b"c1", b"c2", b"c3"]

KINDS: dict[str, Callable[[Random], bytes]] = {
    **{kind: _key(kind) for kind in KEYS},
    "any": _of(EVERY_KEY),
    "v": _mostly([b"a", b"b", b"c", b"1", b"2", b"3", b"10", *_MEMBERS], VALUES, 0.7),
    "text": _of(VALUES),
    "m": _mostly(_MEMBERS, VALUES, 0.8),
    "sm": _mostly([*_MEMBERS, *_NUMBERS, *_NUMBERS], VALUES, 0.9),
    "f": _mostly(_FIELDS, VALUES, 0.9),
    "i": _number(-6, 8, INTEGERS),
    "n": _number(0, 6, INTEGERS),
    "count": _number(-5, 12, INTEGERS),
    "picks": _number(-6, 12, PICKS),
    "timeout": _mostly([b"0.001"], [b"-1", b"abc", b"", b"nan", b"inf", b"1e400"], 0.8),
    "int": _number(-50, 50, INTEGERS, 0.8),
    "float": _mostly([b"1", b"0.5", b"-2.25", b"3.0e3", b"100"], VALUES, 0.7),
    "score": _mostly([b"%d" % number for number in range(8)], SCORES, 0.7),
    "min": _mostly([*SCORES[:8], *BOUNDS], SCORES, 0.9),
    "lex": _of(LEX),
    "id": _of(IDS),
    "new": _of(NEW_IDS),
    "from": _mostly([b"-", b"0", b"1", b"2-1", b"(1-1", b"(5"], [*IDS, b"(-", b"(abc", b"("]),
    "to": _mostly([b"+", b"9", b"12", b"(12-3", b"20"], [*IDS, b"(+", b"(0-0", b"(abc"]),
    "group": _mostly([b"grp1", b"grp2"], [b"none", b""], 0.95),
    "consumer": _of(CONSUMERS),
    "lon": _mostly(LONGITUDES[:3], LONGITUDES, 0.8),
    "lat": _mostly(LATITUDES[:3], LATITUDES, 0.8),
    "radius": _of([b"0", b"1", b"200", b"5000", b"20000", b"-1", b"abc", b"nan", b"1e9"]),
    "unit": _mostly([b"m", b"km", b"ft", b"mi"], [b"M", b"KM", b"", b"yards"], 0.95),
    "pattern": _of(PATTERNS),
    "glob": _of([b"*", b"k*", b"?1", b"m1*", b"f*", b"[hl]*", b"\\*", b"", b"a"]),
    "bit": _mostly([b"0", b"1"], INTEGERS, 0.95),
    "bits": _number(0, 200, [b"-1", b"4294967296", b"abc", b"", b"100000"]),
    "type": _of(TYPES),
    "offset": _of(OFFSETS),
    "secs": _mostly([b"100000", b"500000"], [b"-1", b"0", b"abc", *INTEGERS[-9:]], 0.9),
    "at": _mostly([b"33177117420", b"33177117421"], [b"0", b"-1", b"abc", *INTEGERS[-9:]], 0.9),
    "atms": _mostly([b"33177117420000"], [b"0", b"-1", b"abc", *INTEGERS[-9:]], 0.9),
    "db": _mostly([b"0", b"1"], [b"15", b"16", b"-1", b"abc"], 0.95),
}  # fmt: skip

ALIASES = {
    "@bits": "{GET <type> <offset>|SET <type> <offset> <int>|INCRBY <type> <offset> <int>"
    "|OVERFLOW (WRAP|SAT|FAIL)}",
    "@from": "{FROMMEMBER <m>|FROMLONLAT <lon> <lat>}",
    "@by": "{BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>}",
    "@circle": "<lon> <lat> <radius> <unit>",
    "@with": "{WITHCOORD|WITHDIST|WITHHASH|COUNT <n>}",
    "@limit": "LIMIT <i> <count>",
    "@sort": "{BY <pattern>|LIMIT <i> <count>|GET <pattern>|ASC|DESC|ALPHA|STORE <l>}",
    "@weights": "WEIGHTS <score> <score>|AGGREGATE (SUM|MIN|MAX|AVG)",
}
"""Parts of lines."""

GRAMMAR: dict[str, str] = {
    "string": """
        SET <k> <v> {NX|XX|GET|EX <secs>|KEEPTTL|PXAT <atms>}
        SET <k> <v>
        GET <k>
        GETSET <k> <v>
        GETDEL <k>
        GETEX <k> {EX <secs>|PERSIST|EXAT <at>}
        SETNX <k> <v>
        SETEX <k> <secs> <v>
        PSETEX <k> <secs> <v>
        MSET (<k> <v>)+
        MSETNX (<k> <v>)+
        MGET <any>+
        APPEND <k> <v>
        STRLEN <k>
        SETRANGE <k> <n> <v>
        GETRANGE <k> <i> <i>
        SUBSTR <k> <i> <i>
        INCR <k>
        DECR <k>
        INCRBY <k> <int>
        DECRBY <k> <int>
        INCRBYFLOAT <k> <float>
        LCS <k> <k> {LEN|IDX|MINMATCHLEN <i>|WITHMATCHLEN}
    """,
    "generic": """
        DEL <any>+
        UNLINK <any>+
        EXISTS <any>+
        TOUCH <any>+
        TYPE <any>
        KEYS <glob>
        SCAN 0 COUNT 1000 {MATCH <glob>|TYPE (string|list|hash|set|zset|stream|none)}
        RENAME <any> <any>
        RENAMENX <any> <any>
        COPY <any> <any> {REPLACE|DB <db>}
        MOVE <any> <db>
        EXPIRE <any> <secs> {NX|XX|GT|LT}
        PEXPIRE <any> <atms> {NX|XX|GT|LT}
        EXPIREAT <any> <at> {NX|XX|GT|LT}
        PEXPIREAT <any> <atms> {NX|XX|GT|LT}
        TTL <any>
        PTTL <any>
        EXPIRETIME <any>
        PEXPIRETIME <any>
        PERSIST <any>
        OBJECT ENCODING <any>
        OBJECT REFCOUNT <any>
        RANDOMKEY
        DBSIZE
        SORT <l> @sort
        SORT <z> @sort
        SORT <s> @sort
        SORT <any> ALPHA
        SORT_RO <l> @sort
    """,
    "list": """
        LPUSH <l> <v>+
        RPUSH <l> <v>+
        RPUSH <l> <v>+
        LPUSHX <l> <v>+
        RPUSHX <l> <v>+
        LPOP <l>
        RPOP <l>
        LPOP <l> <count>
        RPOP <l> <count>
        LLEN <l>
        LINDEX <l> <i>
        LSET <l> <i> <v>
        LINSERT <l> (BEFORE|AFTER|MIDDLE) <v> <v>
        LRANGE <l> <i> <i>
        LTRIM <l> <i> <i>
        LREM <l> <i> <v>
        LPOS <l> <v> {RANK <i>|COUNT <n>|MAXLEN <n>}
        LMOVE <l> <l> (LEFT|RIGHT) (LEFT|RIGHT|UP)
        RPOPLPUSH <l> <l>
        LMPOP <keys:l> (LEFT|RIGHT) {COUNT <n>}
    """,
    "hash": """
        HSET <h> (<f> <v>)+
        HSET <h> (<f> <v>)+
        HMSET <h> (<f> <v>)+
        HSETNX <h> <f> <v>
        HGET <h> <f>
        HMGET <h> <f>+
        HGETALL <h>
        HKEYS <h>
        HVALS <h>
        HLEN <h>
        HEXISTS <h> <f>
        HSTRLEN <h> <f>
        HDEL <h> <f>+
        HINCRBY <h> <f> <int>
        HINCRBYFLOAT <h> <f> <float>
        HRANDFIELD <h>
        HRANDFIELD <h> <picks>
        HRANDFIELD <h> <picks> WITHVALUES
        HSCAN <h> 0 COUNT 1000 {MATCH <glob>}
    """,
    "set": """
        SADD <s> <sm>+
        SADD <s> <sm>+
        SREM <s> <sm>+
        SCARD <s>
        SISMEMBER <s> <sm>
        SMISMEMBER <s> <sm>+
        SMEMBERS <s>
        SMOVE <s> <s> <sm>
        SINTER <s>+
        SUNION <s>+
        SDIFF <s>+
        SINTERSTORE <s> <s>+
        SUNIONSTORE <s> <s>+
        SDIFFSTORE <s> <s>+
        SINTERCARD <keys:s> {LIMIT <n>}
        SRANDMEMBER <s>
        SRANDMEMBER <s> <picks>
        SPOP <s>
        SPOP <s> <count>
        SSCAN <s> 0 COUNT 1000 {MATCH <glob>}
    """,
    "zset": """
        ZADD <z> {NX|XX|GT|LT|CH|INCR} (<score> <m>)+
        ZADD <y> (0 <m>)+
        ZADD <y> (0 <m>)+
        ZADD <z> (<score> <m>)+
        ZADD <z> (<score> <m>)+
        ZINCRBY <z> <score> <m>
        ZREM <z> <m>+
        ZCARD <z>
        ZSCORE <z> <m>
        ZMSCORE <z> <m>+
        ZCOUNT <z> <min> <min>
        ZLEXCOUNT <y> <lex> <lex>
        ZRANK <z> <m>
        ZREVRANK <z> <m>
        ZRANGE <z> <i> <i> {REV|WITHSCORES}
        ZRANGE <z> <min> <min> BYSCORE {REV|WITHSCORES|@limit}
        ZRANGE <y> <lex> <lex> BYLEX {REV|@limit}
        ZRANGE <y> <i> <i> {BYSCORE|BYLEX|REV|WITHSCORES|@limit}
        ZREVRANGE <z> <i> <i> {WITHSCORES}
        ZRANGEBYSCORE <z> <min> <min> {WITHSCORES|@limit}
        ZREVRANGEBYSCORE <z> <min> <min> {WITHSCORES|@limit}
        ZRANGEBYLEX <y> <lex> <lex> {@limit}
        ZREVRANGEBYLEX <y> <lex> <lex> {@limit}
        ZRANGESTORE <z> <y> <lex> <lex> {REV|BYSCORE|BYLEX|@limit}
        ZRANGESTORE <z> <z> <min> <min> BYSCORE {REV|@limit}
        ZREMRANGEBYRANK <z> <i> <i>
        ZREMRANGEBYSCORE <z> <min> <min>
        ZREMRANGEBYLEX <y> <lex> <lex>
        ZPOPMIN <z>
        ZPOPMAX <z>
        ZPOPMIN <z> <count>
        ZPOPMAX <z> <count>
        ZMPOP <keys:z> (MIN|MAX) {COUNT <n>}
        ZUNION <keys:z> {@weights|WITHSCORES}
        ZINTER <keys:zs> {@weights|WITHSCORES}
        ZDIFF <keys:zs> {WITHSCORES}
        ZUNIONSTORE <z> <keys:zs> {@weights}
        ZINTERSTORE <z> <keys:zs> {@weights}
        ZDIFFSTORE <z> <keys:zs>
        ZINTERCARD <keys:zs> {LIMIT <n>}
        ZRANDMEMBER <z>
        ZRANDMEMBER <z> <picks>
        ZRANDMEMBER <z> <picks> WITHSCORES
        ZSCAN <z> 0 COUNT 1000 {MATCH <glob>}
    """,
    "stream": """
        XADD <x> {NOMKSTREAM} <new> (<f> <v>)+
        XADD <x> <new> (<f> <v>)+
        XADD <x> <new> (<f> <v>)+
        XADD <x> (MAXLEN|MINID) (=|~|) <n> {LIMIT <n>} <new> (<f> <v>)+
        XLEN <x>
        XRANGE <x> <from> <to> {COUNT <n>}
        XREVRANGE <x> <to> <from> {COUNT <n>}
        XDEL <x> <id>+
        XTRIM <x> (MAXLEN|MINID) (=|~|) <n> {LIMIT <n>}
        XTRIM <x> (MAXLEN|MINID) (=|~|) <id>
        XSETID <x> <id> {ENTRIESADDED <n>|MAXDELETEDID <id>}
        XREAD {COUNT <count>} STREAMS <x> <id>
        XREAD {COUNT <count>} STREAMS <x> <x> <id> <id>
        XGROUP CREATE <x> <group> (<id>|$) {MKSTREAM|ENTRIESREAD <i>}
        XGROUP CREATE <x> <group> 0 MKSTREAM
        XGROUP SETID <x> <group> (<id>|$) {ENTRIESREAD <i>}
        XGROUP DESTROY <x> <group>
        XGROUP CREATECONSUMER <x> <group> <consumer>
        XGROUP DELCONSUMER <x> <group> <consumer>
        XREADGROUP GROUP <group> <consumer> {COUNT <count>|NOACK} STREAMS <x> (>|<id>)
        XREADGROUP GROUP <group> <consumer> STREAMS <x> >
        XREADGROUP GROUP <group> <consumer> {COUNT <n>} STREAMS <x> <x> > >
        XACK <x> <group> <id>+
        XPENDING <x> <group>
        XPENDING <x> <group> {IDLE 0} <from> <to> <n> {<consumer>}
        XCLAIM <x> <group> <consumer> 0 <id>+ {JUSTID|FORCE|RETRYCOUNT <n>|LASTID <id>}
        XAUTOCLAIM <x> <group> <consumer> 0 <id> {COUNT <n>|JUSTID}
        XINFO STREAM <x>
        XINFO GROUPS <x>
    """,
    "blocking": """
        LPUSH <l> <v>+
        ZADD <z> (<score> <m>)+
        XADD <x> <new> (<f> <v>)+
        BLPOP <l>+ <timeout>
        BRPOP <l>+ <timeout>
        BLMOVE <l> <l> (LEFT|RIGHT) (LEFT|RIGHT) <timeout>
        BRPOPLPUSH <l> <l> <timeout>
        BLMPOP <timeout> <keys:l> (LEFT|RIGHT) {COUNT <n>}
        BZPOPMIN <z>+ <timeout>
        BZPOPMAX <z>+ <timeout>
        BZMPOP <timeout> <keys:z> (MIN|MAX) {COUNT <n>}
        XREAD BLOCK 1 STREAMS <x> ($|<id>)
        XREADGROUP GROUP <group> <consumer> BLOCK 1 STREAMS <x> (>|<id>)
    """,
    "bitmap": """
        SETBIT <b> <bits> <bit>
        GETBIT <b> <bits>
        BITCOUNT <b>
        BITCOUNT <b> <i> <i> {BYTE|BIT}
        BITPOS <b> <bit>
        BITPOS <b> <bit> <i>
        BITPOS <b> <bit> <i> <i> {BYTE|BIT}
        BITOP (AND|OR|XOR) <b> <b>+
        BITOP NOT <b> <b>
        BITFIELD <b> @bits
        BITFIELD_RO <b> {GET <type> <offset>|SET <type> <offset> <int>}
        SET <b> <text>
    """,
    "hyperloglog": """
        PFADD <p> <v>+
        PFADD <p>
        PFCOUNT <p>+
        PFMERGE <p> <p>+
        GET <p>
        OBJECT ENCODING <p>
    """,
    "geo": """
        GEOADD <g> {NX|XX|CH} (<lon> <lat> <m>)+
        GEOADD <g> (<lon> <lat> <m>)+
        GEOPOS <g> <m>+
        GEODIST <g> <m> <m> <unit>
        GEODIST <g> <m> <m>
        GEOHASH <g> <m>+
        GEOSEARCH <g> @from @by (ASC|DESC|) @with
        GEOSEARCH <g> FROMMEMBER <m> BYRADIUS <radius> <unit> (ASC|DESC) @with
        GEOSEARCH <g> FROMLONLAT <lon> <lat> BYBOX <radius> <radius> <unit> (ASC|DESC) @with
        GEOSEARCHSTORE <g> <g> FROMMEMBER <m> @by {ASC|DESC|COUNT <n>|STOREDIST}
        GEORADIUS <g> @circle (ASC|DESC) @with
        GEORADIUS <g> @circle {ASC|DESC|COUNT <n>|STORE <g>|STOREDIST <g>}
        GEORADIUSBYMEMBER <g> <m> <radius> <unit> (ASC|DESC) @with
        GEORADIUS_RO <g> @circle (ASC|DESC) {WITHDIST}
    """,
}  # fmt: skip

WEIGHTS = {
    "string": 2, "generic": 3, "list": 4, "hash": 4, "set": 4, "zset": 6, "stream": 5, "bitmap": 2,
    "hyperloglog": 1, "geo": 2, "blocking": 1,
}  # fmt: skip

_TOKEN = re.compile(r"<[a-z:]+>|[{}|()+]|[^\s{}|()+<]+|<")
Node: TypeAlias = "str | tuple[str, list[Node]]"


def _parse(line: str) -> list[Node]:
    """Return a line as a tree: words, and (kind, parts) where kind is all, one, some or many."""
    line = re.sub("@[a-z]+", lambda match: ALIASES[match[0]], line)
    tokens = _TOKEN.findall(line)
    tree, rest = _sequence(tokens)
    assert not rest, line
    return tree


def _sequence(tokens: list[str]) -> tuple[list[Node], list[str]]:
    nodes: list[Node] = []
    while tokens and tokens[0] not in "|})":
        token = tokens.pop(0)
        if token == "+":
            nodes.append(("many", [nodes.pop()]))
        elif token in "({":
            choices: list[Node] = []
            closing = ")" if token == "(" else "}"
            while True:
                part, tokens = _sequence(tokens)
                choices.append(("all", part))
                if tokens.pop(0) == closing:
                    break
            nodes.append(("some" if token == "{" else "one", choices))
        else:
            nodes.append(token)
    return nodes, tokens


def _fill(node: Node, rng: Random, out: Command) -> None:
    if isinstance(node, str):
        if not node.startswith("<"):
            word = node.encode()
            out.append(word.lower() if rng.random() < 0.1 else word)
        elif node.startswith("<keys:"):
            _fill_keys(node[6:-1], rng, out)
        else:
            out.append(KINDS[node[1:-1]](rng))
        return
    kind, parts = node
    if kind == "one":
        parts = [rng.choice(parts)]
    elif kind == "some":
        wanted = rng.choice((0, 0, 1, 1, 1, 2, 2, 3))
        parts = [rng.choice(parts) for _ in range(wanted)]
    elif kind == "many":
        parts = parts * rng.choice((1, 1, 1, 2, 2, 3, 4))
    for part in parts:
        _fill(part, rng, out)


def _fill_keys(kinds: str, rng: Random, out: Command) -> None:
    count = rng.choice((1, 1, 2, 2, 3))
    shown = b"%d" % count if rng.random() < 0.95 else rng.choice(INTEGERS)
    out.append(shown)
    for _ in range(count):
        out.append(KINDS[rng.choice(kinds)](rng))


def _spoil(command: Command, rng: Random) -> None:
    """Drop, repeat or replace an argument."""
    place = rng.randrange(1, len(command) + 1)
    what = rng.randrange(3)
    if what == 0:
        command.insert(place, rng.choice(VALUES))
    elif place < len(command):
        if what == 1:
            del command[place]
        else:
            command[place] = rng.choice(VALUES)


_NEVER_SPOILT = re.compile(rb"(?i).*RAND|B[LRZ]|XREAD")
"""A wrong argument would have them return billions of elements, or wait for ever."""


class Generator:
    """Makes commands.

    Args:
      known: names of commands, in lower case; only these are made.
      groups: which groups of GRAMMAR, None for all.
    """

    def __init__(self, known: set[str] | None = None, groups: list[str] | None = None) -> None:
        self.lines: dict[str, list[list[Node]]] = {}
        for group in groups or GRAMMAR:
            lines = [line.strip() for line in GRAMMAR[group].strip().splitlines()]
            kept = [line for line in lines if known is None or line.split()[0].lower() in known]
            if kept:
                self.lines[group] = [_parse(line) for line in kept]
        self._groups = [group for group in self.lines for _ in range(WEIGHTS[group])]

    def command(self, rng: Random) -> Command:
        """Return one command."""
        command: Command = []
        for node in rng.choice(self.lines[rng.choice(self._groups)]):
            _fill(node, rng, command)
        if rng.random() < 0.03 and not _NEVER_SPOILT.match(command[0]):
            _spoil(command, rng)
        return command
