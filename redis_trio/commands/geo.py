"""Places: sorted sets whose scores are geohashes.

GEOADD is ZADD with the scores of the places, and fed as that. Searching is in
redis_trio/commands/geo_search.py, the arithmetic in redis_trio/data/geohash.py.

Source: Redis geo.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name, read_double
from redis_trio.command import DENYOOM, READONLY, WRITE, group, key
from redis_trio.commands.sorted_set import zadd, zset_value
from redis_trio.data.geohash import (
    LATITUDE_MAX,
    LATITUDE_MIN,
    LONGITUDE_MAX,
    LONGITUDE_MIN,
    decode,
    distance,
    encode,
    geohash_text,
)
from redis_trio.errors import SYNTAX, RedisError
from redis_trio.protocol.reply import NULL_ARRAY, HumanDouble, Reply
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.blocking import Block
    from redis_trio.client import Client

command = group("geo")

_UNITS_M: Final = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
_INTEGER_LIMIT: Final = 2.0**63


def read_place(longitude: bytes, latitude: bytes) -> tuple[float, float]:
    """Return (longitude, latitude). Errors: one is no number, or out of its limits."""
    lon = read_double(longitude)
    lat = read_double(latitude)
    if not (LONGITUDE_MIN <= lon <= LONGITUDE_MAX and LATITUDE_MIN <= lat <= LATITUDE_MAX):
        raise RedisError(f"ERR invalid longitude,latitude pair {lon:f},{lat:f}")
    return lon, lat


def read_unit(arg: bytes) -> float:
    """Return a unit of length in meters. Errors: Redis's for an unknown one."""
    unit_m = _UNITS_M.get(option_name(arg))
    if unit_m is None:
        raise RedisError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return unit_m


def distance_text(value: float) -> bytes:
    """Return a distance with four digits behind the point (util.c fixedpoint_d2string)."""
    scaled = value * 10000.0
    units = round(scaled) if abs(scaled) < _INTEGER_LIMIT else -(1 << 63)
    whole, rest = divmod(abs(units), 10000)
    return b"%s%d.%04d" % (b"-" if units < 0 else b"", whole, rest)


@command(
    "GEOADD",
    "key [NX | XX]@6.2.0 [CH:change@6.2.0] (longitude latitude member):data...",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW UPDATE")],
    acl="GEO",
    since="3.2.0",
    complexity=(
        "O(log(N)) for each item added, where N is the number of elements in the sorted set."
    ),
    summary="Adds members with a place each to a geospatial index.",
)
def geoadd(client: Client, args: Args) -> Reply | Block:
    """Add members, or move them; return how many were added (with CH: or moved)."""
    first = 2
    seen = b""
    while first < len(args):
        option = option_name(args[first])
        if option not in (b"NX", b"XX", b"CH"):
            break
        if option != b"CH":
            if seen and seen != option:
                raise RedisError(SYNTAX)
            seen = option
        first += 1
    if (len(args) - first) % 3:
        raise RedisError(SYNTAX)
    as_zadd = [b"zadd", *args[1:first]]
    for i in range(first, len(args), 3):
        longitude, latitude = read_place(args[i], args[i + 1])
        as_zadd.append(b"%d" % encode(longitude, latitude))
        as_zadd.append(args[i + 2])
    client.server.feed.rewrite(as_zadd)
    return zadd(client, as_zadd)


@command(
    "GEODIST",
    "key member1 member2 ['m' | 'km' | 'ft' | 'mi']",
    arity=-4,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="GEO",
    since="3.2.0",
    complexity="O(1)",
    summary="Measures the distance of two members.",
)
def geodist(client: Client, args: Args) -> Reply:
    """Return the distance in meters or another unit, null if a member is not there."""
    if len(args) > 5:
        raise RedisError(SYNTAX)
    unit_m = read_unit(args[4]) if len(args) == 5 else 1.0
    zset = zset_value(client.db.lookup_read(args[1]))
    if zset is None:
        return None
    score1 = zset.get(args[2])
    score2 = zset.get(args[3])
    if score1 is None or score2 is None:
        return None
    lon1, lat1 = decode(score1)
    lon2, lat2 = decode(score2)
    return distance_text(distance(lon1, lat1, lon2, lat2) / unit_m)


@command(
    "GEOHASH",
    "key [member...]",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="GEO",
    since="3.2.0",
    complexity="O(1) for each member requested.",
    summary="Returns the places of members as standard geohashes.",
)
def geohash(client: Client, args: Args) -> Reply:
    """Return eleven letters for each member, null for one that is not there."""
    zset = zset_value(client.db.lookup_read(args[1]))
    found: list[Reply] = []
    for member in args[2:]:
        score = None if zset is None else zset.get(member)
        found.append(None if score is None else geohash_text(score))
    return found


@command(
    "GEOPOS",
    "key [member...]",
    arity=-2,
    flags=READONLY,
    keys=[key(1, "RO ACCESS")],
    acl="GEO",
    since="3.2.0",
    complexity="O(1) for each member requested.",
    summary="Returns the places of members as longitude and latitude.",
)
def geopos(client: Client, args: Args) -> Reply:
    """Return [longitude, latitude] for each member, a null array for one that is not there."""
    zset = zset_value(client.db.lookup_read(args[1]))
    found: list[Reply] = []
    for member in args[2:]:
        score = None if zset is None else zset.get(member)
        if score is None:
            found.append(NULL_ARRAY)
        else:
            longitude, latitude = decode(score)
            found.append([HumanDouble(longitude), HumanDouble(latitude)])
    return found
