"""Searching for places in a circle or a box: GEORADIUS and GEOSEARCH in all their forms.

All six commands are one: what they say is read into a `_Search`, in Redis's order of checks. The
candidates are the members in up to nine ranges of scores (`Area.ranges`), so a search costs by the
area, and with ANY by what it has looked at until it had enough.

Source: Redis geo.c georadiusGeneric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_double, read_integer
from redis_trio.command import DENYOOM, READONLY, WRITE, group, key, keyword
from redis_trio.commands.geo import distance_text, read_place, read_unit
from redis_trio.commands.sorted_set import zset_value
from redis_trio.data.geohash import Area, Point, decode, nearest
from redis_trio.data.sorted_set import ScoreRange, SortedSet, from_scores
from redis_trio.errors import SYNTAX, RedisError, error_text
from redis_trio.keyspace.database import GENERIC, ZSET
from redis_trio.protocol.reply import HumanDouble, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("geo")

CHUNK: Final = 256  # candidates that are looked at in one go if ANY may end the search

# The commands' differences.
BY_PLACE: Final = 1 << 0  # GEORADIUS
BY_MEMBER: Final = 1 << 1  # GEORADIUSBYMEMBER
READ_ONLY: Final = 1 << 2  # no STORE, no STOREDIST
STORE: Final = 1 << 3  # GEOSEARCHSTORE; neither it nor GEOSEARCH has one of the flags above

_FLAGS: Final = (b"WITHDIST", b"WITHHASH", b"WITHCOORD", b"ANY", b"ASC", b"DESC")


class _Search:
    """What a command says.

    Attributes:
      area: where; without a key its place may be unknown.
      flags: which of _FLAGS were given, the later of ASC and DESC.
      count: how many members at most, 0: all.
      target: the key for the result, None to return it.
      storedist: whether the scores there are distances.
      place_option, shape_option: by which options GEOSEARCH was told where; b"": by none.
    """

    __slots__ = (
        "area",
        "count",
        "flags",
        "kind",
        "place_option",
        "shape_option",
        "storedist",
        "target",
        "zset",
    )

    def __init__(self, kind: int, zset: SortedSet | None) -> None:
        self.kind = kind
        self.zset = zset
        self.area = Area()
        self.flags: set[bytes] = set()
        self.count = 0
        self.target: bytes | None = None
        self.storedist = False
        self.place_option = b""
        self.shape_option = b""

    def read_member(self, member: bytes) -> None:
        """Search around a member; nothing is checked if the key is not there."""
        if self.zset is None:
            return
        score = self.zset.get(member)
        if score is None:
            raise RedisError("ERR could not decode requested zset member")
        self.area.longitude, self.area.latitude = decode(score)

    def read_center(self, longitude: bytes, latitude: bytes) -> None:
        """Search around a place."""
        self.area.longitude, self.area.latitude = read_place(longitude, latitude)

    def read_circle(self, radius: bytes, unit: bytes) -> None:
        """Search in a circle."""
        value = read_double(radius, "ERR need numeric radius")
        if value < 0:
            raise RedisError("ERR radius cannot be negative")
        self.area.unit_m = read_unit(unit)
        self.area.radius = value

    def read_box(self, width: bytes, height: bytes, unit: bytes) -> None:
        """Search in a box."""
        width_value = read_double(width, "ERR need numeric width")
        height_value = read_double(height, "ERR need numeric height")
        if width_value < 0 or height_value < 0:
            raise RedisError("ERR height or width cannot be negative")
        self.area.unit_m = read_unit(unit)
        self.area.width = width_value
        self.area.height = height_value

    def read_options(self, args: Args, first: int) -> None:
        """Read what comes behind the arguments in fixed places."""
        i = first
        while i < len(args):
            word = option_name(args[i])
            if word in _FLAGS:
                if word in (b"ASC", b"DESC"):
                    self.flags -= {b"ASC", b"DESC"}
                self.flags.add(word)
                i += 1
            elif word == b"COUNT" and i + 1 < len(args):
                self.count = read_integer(args[i + 1])
                if self.count <= 0:
                    raise RedisError("ERR COUNT must be > 0")
                i += 2
            elif self.kind & (BY_PLACE | BY_MEMBER):
                i += self._read_store_option(word, args, i)
            else:
                i += self._read_search_option(word, args, i)

    def _read_store_option(self, word: bytes, args: Args, i: int) -> int:
        """Read an option that only GEORADIUS has; return how many arguments it takes."""
        if word not in (b"STORE", b"STOREDIST") or i + 1 == len(args) or self.kind & READ_ONLY:
            raise RedisError(SYNTAX)
        self.target = args[i + 1]
        self.storedist = word == b"STOREDIST"
        return 2

    def _read_search_option(self, word: bytes, args: Args, i: int) -> int:
        """Read an option that only GEOSEARCH has; return how many arguments it takes."""
        left = len(args) - i - 1
        if word == b"STOREDIST" and self.kind & STORE:
            self.storedist = True
            return 1
        if word == b"FROMMEMBER" and left >= 1 and self.place_option != b"FROMLONLAT":
            self.read_member(args[i + 1])
            self.place_option = word
            return 2
        if word == b"FROMLONLAT" and left >= 2 and self.place_option != b"FROMMEMBER":
            self.read_center(args[i + 1], args[i + 2])
            self.place_option = word
            return 3
        if word == b"BYRADIUS" and left >= 2 and self.shape_option != b"BYBOX":
            self.read_circle(args[i + 1], args[i + 2])
            self.shape_option = word
            return 3
        if word == b"BYBOX" and left >= 3 and self.shape_option != b"BYRADIUS":
            self.read_box(args[i + 1], args[i + 2], args[i + 3])
            self.shape_option = word
            return 4
        raise RedisError(SYNTAX)

    def check(self, name: bytes) -> None:
        """Check the options against each other.

        Args:
          name: the command, as the client spelt it.
        """
        if self.target is not None and self.flags & {b"WITHDIST", b"WITHHASH", b"WITHCOORD"}:
            who = "GEOSEARCHSTORE" if self.kind & STORE else "STORE option in GEORADIUS"
            raise RedisError(
                f"ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )
        if not self.kind & (BY_PLACE | BY_MEMBER):
            shown = error_text(name)
            if not self.place_option:
                raise RedisError(
                    f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {shown}"
                )
            if not self.shape_option:
                raise RedisError(
                    f"ERR exactly one of BYRADIUS and BYBOX can be specified for {shown}"
                )
        if b"ANY" in self.flags and not self.count:
            raise RedisError("ERR the ANY argument requires COUNT argument")

    def run(self, zset: SortedSet) -> list[Point]:
        """Return the members in the area, as many and in the order that was asked for."""
        limit = self.count if b"ANY" in self.flags else 0
        found: list[Point] = []
        for first, end in self.area.ranges():
            start, stop = zset.score_span(ScoreRange(first, False, end, True))
            while start < stop:
                chunk_end = zset.advance(start, stop, CHUNK) if limit else stop
                self.area.select(zset.items(start, chunk_end), found, limit)
                start = chunk_end
                if limit and len(found) >= limit:
                    break
            if limit and len(found) >= limit:
                break
        count = self.count or len(found)
        if b"DESC" in self.flags:
            return nearest(found, count, True)
        if b"ASC" in self.flags or (self.count and not limit):
            return nearest(found, count, False)
        return found


def _search(client: Client, args: Args, kind: int) -> Reply:
    """Run any of the commands."""
    source = args[2] if kind & STORE else args[1]
    search = _Search(kind, zset_value(client.db.lookup_read(source)))
    if kind & BY_PLACE:
        search.read_center(args[2], args[3])
        search.read_circle(args[4], args[5])
        search.read_options(args, 6)
    elif kind & BY_MEMBER:
        search.read_member(args[2])
        if search.zset is not None:
            search.read_circle(args[3], args[4])
        search.read_options(args, 5)
    elif kind & STORE:
        search.target = args[1]
        search.read_options(args, 3)
    else:
        search.read_options(args, 2)
    search.check(args[0])
    zset = search.zset
    points = [] if zset is None else search.run(zset)
    if search.target is not None:
        return _store(client, search, search.target, points)
    return _reply(search, points)


def _reply(search: _Search, points: list[Point]) -> Reply:
    """Return the members, or with what else was asked for an array for each."""
    flags = search.flags
    with_distance = b"WITHDIST" in flags
    with_hash = b"WITHHASH" in flags
    with_place = b"WITHCOORD" in flags
    if not (with_distance or with_hash or with_place):
        return [point.member for point in points]
    replies: list[Reply] = []
    for point in points:
        reply: list[Reply] = [point.member]
        if with_distance:
            reply.append(distance_text(point.distance_m / search.area.unit_m))
        if with_hash:
            reply.append(int(point.score))
        if with_place:
            reply.append([HumanDouble(point.longitude), HumanDouble(point.latitude)])
        replies.append(reply)
    return replies


def _store(client: Client, search: _Search, target: bytes, points: list[Point]) -> int:
    """Have a key hold the result, or nothing if it is empty; return how many members it has."""
    db = client.db
    if points:
        scores: dict[bytes, float] = {}
        for point in points:
            scores[point.member] = (
                point.distance_m / search.area.unit_m if search.storedist else point.score
            )
        db.replace(target, from_scores(scores, client.server.thresholds))
        is_radius = search.kind & (BY_PLACE | BY_MEMBER)
        client.server.dirty += len(points) - 1
        db.modified(target, ZSET, "georadiusstore" if is_radius else "geosearchstore")
    elif db.unlink(target):
        db.modified(target, GENERIC, "del")
    return len(points)


@command(
    "GEORADIUS",
    "key longitude latitude radius <'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] "
    "[WITHHASH] [COUNT count [ANY]@6.2.0] [ASC | DESC] [STORE storekey/key | STOREDIST "
    "storedistkey/key]:store",
    arity=-6,
    flags=WRITE | DENYOOM,
    keys=[
        key(1, "RO ACCESS"),
        keyword("STORE", 6, "OW UPDATE"),
        keyword("STOREDIST", 6, "OW UPDATE"),
    ],
    acl="GEO",
    since="3.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular "
        "area delimited by center and radius and M is the number of items inside the index."
    ),
    summary="Finds the members within a distance from a place, and can store them.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
)
def georadius(client: Client, args: Args) -> Reply:
    """Return the members within a distance from a place, or store them."""
    return _search(client, args, BY_PLACE)


@command(
    "GEORADIUS_RO",
    "key longitude latitude radius <'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] "
    "[WITHHASH] [COUNT count [ANY]@6.2.0] [ASC | DESC]",
    arity=-6,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="GEO",
    since="3.2.10",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular "
        "area delimited by center and radius and M is the number of items inside the index."
    ),
    summary="Finds the members within a distance from a place.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` argument",
)
def georadius_ro(client: Client, args: Args) -> Reply:
    """Return the members within a distance from a place."""
    return _search(client, args, BY_PLACE | READ_ONLY)


@command(
    "GEORADIUSBYMEMBER",
    "key member radius <'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT "
    "count [ANY]] [ASC | DESC] [STORE storekey/key | STOREDIST storedistkey/key]:store",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=[
        key(1, "RO ACCESS"),
        keyword("STORE", 5, "OW UPDATE"),
        keyword("STOREDIST", 5, "OW UPDATE"),
    ],
    acl="GEO",
    since="3.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular "
        "area delimited by center and radius and M is the number of items inside the index."
    ),
    summary="Finds the members within a distance from a member, and can store them.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember(client: Client, args: Args) -> Reply:
    """Return the members within a distance from a member, or store them."""
    return _search(client, args, BY_MEMBER)


@command(
    "GEORADIUSBYMEMBER_RO",
    "key member radius <'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT "
    "count [ANY]] [ASC | DESC]",
    arity=-5,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="GEO",
    since="3.2.10",
    complexity=(
        "O(N+log(M)) where N is the number of elements inside the bounding box of the circular "
        "area delimited by center and radius and M is the number of items inside the index."
    ),
    summary="Finds the members within a distance from a member.",
    doc_flags="DEPRECATED",
    deprecated_since="6.2.0",
    replaced_by="`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
)
def georadiusbymember_ro(client: Client, args: Args) -> Reply:
    """Return the members within a distance from a member."""
    return _search(client, args, BY_MEMBER | READ_ONLY)


@command(
    "GEOSEARCH",
    "key <FROMMEMBER member | FROMLONLAT (longitude latitude)>:from <(BYRADIUS radius <'m' "
    "| 'km' | 'ft' | 'mi'>):circle | (BYBOX width height <'m' | 'km' | 'ft' | "
    "'mi'>):box>:by [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
    arity=-7,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="GEO",
    since="6.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area "
        "around the shape provided as the filter and M is the number of items inside the shape"
    ),
    summary="Finds the members in a circle or a box.",
)
def geosearch(client: Client, args: Args) -> Reply:
    """Return the members in a circle or a box, nearest first if that is asked for."""
    return _search(client, args, 0)


@command(
    "GEOSEARCHSTORE",
    "destination source <FROMMEMBER member | FROMLONLAT (longitude latitude)>:from "
    "<(BYRADIUS radius <'m' | 'km' | 'ft' | 'mi'>):circle | (BYBOX width height <'m' | "
    "'km' | 'ft' | 'mi'>):box>:by [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
    arity=-8,
    flags=WRITE | DENYOOM,
    keys=[key(1, "OW UPDATE"), key(2, "RO ACCESS")],
    acl="GEO",
    since="6.2.0",
    complexity=(
        "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area "
        "around the shape provided as the filter and M is the number of items inside the shape"
    ),
    summary="Stores the members in a circle or a box.",
)
def geosearchstore(client: Client, args: Args) -> Reply:
    """Store the members in a circle or a box; return how many there are."""
    return _search(client, args, STORE)
