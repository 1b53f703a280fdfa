"""Geo commands by value: replies, errors, what is fed and which events fire."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from redis_trio.client import Client
from redis_trio.commands.geo import distance_text
from redis_trio.data.geohash import encode
from redis_trio.data.sorted_set import SortedSet
from redis_trio.protocol.reply import NULL_ARRAY, HumanDouble, RedisError, Reply
from tests.unit.conftest import Run

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"
NO_MEMBER = "ERR could not decode requested zset member"
NO_UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI"
NOT_WITH = "is not compatible with WITHDIST, WITHHASH and WITHCOORD options"

Heard = Callable[[], list[bytes]]
Fired = list[tuple[str, bytes, int]]


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def places(reply: Reply) -> list[object]:
    """A reply with longitudes and latitudes as plain floats."""
    assert isinstance(reply, list)
    found: list[object] = []
    for item in reply:
        if isinstance(item, list):
            found.append(places(item))
        else:
            found.append(item.value if isinstance(item, HumanDouble) else item)
    return found


@pytest.fixture
def sicily(run: Run) -> None:
    """Two cities of Sicily under `geo`, and a string under `str`."""
    assert run("GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania") == 2
    run("SET str x")


# -- GEOADD


def test_geoadd_is_fed_as_the_zadd_that_it_is(run: Run, heard: Heard, fired: Fired) -> None:
    assert run("GEOADD k CH 13.361389 38.115556 a 0 0 b") == 2
    assert heard() == [b"SELECT 0", b"zadd k CH 3479099956230698 a 3377699720527872 b"]
    assert fired == [("new", b"k", 0), ("zadd", b"k", 0)]
    assert run("ZSCORE k a") == 3479099956230698.0


def test_geoadd_that_changes_nothing_is_silent(run: Run, heard: Heard, fired: Fired) -> None:
    run("GEOADD k 1 1 a")
    heard()
    fired.clear()
    assert run("GEOADD k 1 1 a") == 0
    assert run("GEOADD k NX 2 2 a") == 0
    assert run("GEOADD k XX 2 2 b") == 0
    assert run("GEOADD none XX 2 2 b") == 0
    assert (heard(), fired) == ([], [])


def test_geoadd_with_its_options(run: Run) -> None:
    assert run("GEOADD k 1 1 a") == 1
    assert run("GEOADD k XX CH 2 2 a 3 3 b") == 1
    assert run("geoadd k nx 5 5 a 6 6 b") == 1
    assert run("ZRANGE k 0 -1") == [b"a", b"b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("GEOADD k NX XX 1 1 a", SYNTAX),
        ("GEOADD k 1 1 a 2 2", SYNTAX),
        ("GEOADD k CH NX CH", SYNTAX),
        ("GEOADD k x 1 a", "ERR value is not a valid float"),
        ("GEOADD k 1 1 a nan 1 b", "ERR value is not a valid float"),
        ("GEOADD k 181 1 a", "ERR invalid longitude,latitude pair 181.000000,1.000000"),
        ("GEOADD k 1 -85.06 a", "ERR invalid longitude,latitude pair 1.000000,-85.060000"),
        ("GEOADD k inf 1 a", "ERR invalid longitude,latitude pair inf,1.000000"),
        ("GEOADD str 181 1 a", "ERR invalid longitude,latitude pair 181.000000,1.000000"),
        ("GEOADD str 1 1 a", WRONGTYPE),
        ("GEOADD str XX 1 1 a", WRONGTYPE),
    ],
)
def test_geoadd_refuses(run: Run, line: str, message: str) -> None:
    run("SET str x")
    assert error(run(line)) == message
    assert run("EXISTS k") == 0


# -- GEODIST, GEOHASH, GEOPOS


@pytest.mark.usefixtures("sicily")
def test_geodist(run: Run) -> None:
    assert run("GEODIST geo Palermo Catania") == b"166274.1516"
    assert run("GEODIST geo Palermo Catania M") == b"166274.1516"
    assert run("GEODIST geo Palermo Catania km") == b"166.2742"
    assert run("GEODIST geo Palermo Catania mi") == b"103.3182"
    assert run("GEODIST geo Palermo Catania ft") == b"545518.8700"
    assert run("GEODIST geo Palermo Palermo") == b"0.0000"
    assert run("GEODIST geo Palermo none") is None
    assert run("GEODIST none Palermo Catania") is None
    assert error(run("GEODIST none a b yards")) == NO_UNIT
    assert error(run("GEODIST geo a b m m")) == SYNTAX
    assert error(run("GEODIST str a b")) == WRONGTYPE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0.0000"),
        (0.00005, b"0.0000"),
        (0.00015, b"0.0001"),
        (0.775, b"0.7750"),
        (12.34567, b"12.3457"),
        (-1.5, b"-1.5000"),
        (1e15, b"-922337203685477.5808"),
        (float("nan"), b"-922337203685477.5808"),
    ],
)
def test_a_distance_has_four_digits_rounded_in_binary(value: float, text: bytes) -> None:
    assert distance_text(value) == text


@pytest.mark.usefixtures("sicily")
def test_geohash(run: Run) -> None:
    assert run("GEOHASH geo Palermo none Catania") == [b"sqc8b49rny0", None, b"sqdtr74hyu0"]
    assert run("GEOHASH geo") == []
    assert run("GEOHASH none a b") == [None, None]
    assert error(run("GEOHASH str a")) == WRONGTYPE


@pytest.mark.usefixtures("sicily")
def test_geopos(run: Run) -> None:
    reply = run("GEOPOS geo Palermo none")
    assert places(reply) == [[13.361389338970184, 38.1155563954963], NULL_ARRAY]
    assert run("GEOPOS geo") == []
    assert run("GEOPOS none a") == [NULL_ARRAY]
    assert error(run("GEOPOS str a")) == WRONGTYPE


# -- searching


@pytest.mark.usefixtures("sicily")
def test_searching_around_a_place(run: Run) -> None:
    assert run("GEORADIUS geo 15 37 200 km") == [b"Palermo", b"Catania"]
    assert run("GEORADIUS_RO geo 15 37 200 km ASC") == [b"Catania", b"Palermo"]
    assert run("GEORADIUS geo 15 37 100 km DESC") == [b"Catania"]
    assert run("GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km") == [b"Palermo", b"Catania"]
    assert run("GEOSEARCH geo FROMLONLAT 15 37 BYBOX 400 200 km") == [b"Catania"]
    assert run("GEOSEARCH none FROMLONLAT 15 37 BYBOX 400 200 km") == []
    assert run("GEORADIUS geo 0 0 1 m WITHDIST") == []


@pytest.mark.usefixtures("sicily")
def test_searching_around_a_member(run: Run) -> None:
    assert run("GEORADIUSBYMEMBER geo Palermo 1 m") == [b"Palermo"]
    assert run("GEORADIUSBYMEMBER_RO geo Catania 167 km DESC") == [b"Palermo", b"Catania"]
    assert run("GEOSEARCH geo BYRADIUS 1 mi FROMMEMBER Catania") == [b"Catania"]
    assert run("GEORADIUSBYMEMBER none Palermo x y") == []


@pytest.mark.usefixtures("sicily")
def test_what_a_search_tells_besides_the_member(run: Run) -> None:
    reply = run("GEORADIUS geo 15 37 200 km WITHCOORD WITHHASH WITHDIST")
    palermo = [b"Palermo", b"190.4424", 3479099956230698, [13.361389338970184, 38.1155563954963]]
    catania = [b"Catania", b"56.4413", 3479447370796909, [15.087267458438873, 37.50266842333162]]
    assert places(reply) == [palermo, catania]
    reply = run("GEOSEARCH geo FROMMEMBER Palermo BYRADIUS 1 m WITHDIST")
    assert reply == [[b"Palermo", b"0.0000"]]


@pytest.mark.usefixtures("sicily")
def test_count_is_nearest_first_and_any_is_not(run: Run) -> None:
    around = "GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km"
    assert run(f"{around} COUNT 1") == [b"Catania"]
    assert run(f"{around} COUNT 2") == [b"Catania", b"Palermo"]
    assert run(f"{around} COUNT 1 DESC") == [b"Palermo"]
    assert run(f"{around} COUNT 1 ANY") == [b"Palermo"]
    assert run(f"{around} COUNT 5 ANY ASC") == [b"Catania", b"Palermo"]
    assert run(f"{around} ASC DESC") == [b"Palermo", b"Catania"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("GEORADIUS str x 1 1 km", WRONGTYPE),
        ("GEORADIUS geo x 1 1 km", "ERR value is not a valid float"),
        ("GEORADIUS geo 1 99 1 km", "ERR invalid longitude,latitude pair 1.000000,99.000000"),
        ("GEORADIUS geo 1 1 x km", "ERR need numeric radius"),
        ("GEORADIUS geo 1 1 -1 km", "ERR radius cannot be negative"),
        ("GEORADIUS geo 1 1 1 in", NO_UNIT),
        ("GEORADIUS geo 1 1 1 km NEAR", SYNTAX),
        ("GEORADIUS geo 1 1 1 km COUNT", SYNTAX),
        ("GEORADIUS geo 1 1 1 km COUNT x", "ERR value is not an integer or out of range"),
        ("GEORADIUS geo 1 1 1 km COUNT 0", "ERR COUNT must be > 0"),
        ("GEORADIUS geo 1 1 1 km ANY", "ERR the ANY argument requires COUNT argument"),
        ("GEORADIUS geo 1 1 1 km STORE", SYNTAX),
        ("GEORADIUS_RO geo 1 1 1 km STORE k", SYNTAX),
        ("GEORADIUSBYMEMBER_RO geo Palermo 1 km STOREDIST k", SYNTAX),
        ("GEORADIUS geo 1 1 1 km STORE k WITHDIST", f"ERR STORE option in GEORADIUS {NOT_WITH}"),
        ("GEORADIUSBYMEMBER geo none 1 in", NO_MEMBER),
        ("GEORADIUSBYMEMBER geo Palermo 1 in", NO_UNIT),
        ("GEOSEARCH geo FROMMEMBER none x y z", NO_MEMBER),
        ("GEOSEARCH geo FROMMEMBER Palermo FROMLONLAT 1 1", SYNTAX),
        ("GEOSEARCH geo FROMLONLAT 1 1 FROMMEMBER Palermo", SYNTAX),
        ("GEOSEARCH geo BYRADIUS 1 m BYBOX 1 1 m", SYNTAX),
        ("GEOSEARCH geo BYBOX 1 1 m BYRADIUS 1 m", SYNTAX),
        ("GEOSEARCH geo BYBOX x 1 m 1", "ERR need numeric width"),
        ("GEOSEARCH geo BYBOX 1 x m 1", "ERR need numeric height"),
        ("GEOSEARCH geo BYBOX 1 -1 in 1", "ERR height or width cannot be negative"),
        ("GEOSEARCH geo BYBOX 1 1 in 1", NO_UNIT),
        ("GEOSEARCH geo FROMMEMBER Palermo BYBOX 1 1 m STOREDIST", SYNTAX),
        (
            "geoSearch none BYRADIUS 1 m ASC WITHDIST",
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geoSearch",
        ),
        (
            "GEOSEARCH geo FROMMEMBER Palermo ASC WITHDIST WITHHASH",
            "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
        ),
        (
            "GEOSEARCHSTORE k geo FROMMEMBER Palermo BYBOX 1 1 m WITHHASH",
            f"ERR GEOSEARCHSTORE {NOT_WITH}",
        ),
    ],
)
@pytest.mark.usefixtures("sicily")
def test_a_search_refuses(run: Run, line: str, message: str) -> None:
    assert error(run(line)) == message


# -- storing


@pytest.mark.usefixtures("sicily")
def test_the_result_of_a_search_is_stored(run: Run, heard: Heard, fired: Fired) -> None:
    line = "GEORADIUS geo 15 37 200 km STORE k"
    assert run(line) == 2
    assert heard()[-1] == line.encode()
    assert fired == [("new", b"k", 0), ("georadiusstore", b"k", 0)]
    assert run("ZSCORE k Catania") == 3479447370796909.0
    fired.clear()
    line = "GEOSEARCHSTORE k geo FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 STOREDIST"
    assert run(line) == 1
    assert heard() == [line.encode()]
    assert fired == [("geosearchstore", b"k", 0)]
    score = run("ZSCORE k Catania")
    assert isinstance(score, float)
    assert round(score, 4) == 56.4413
    assert run("GEORADIUSBYMEMBER geo Palermo 1 km STOREDIST geo") == 1
    assert run("ZRANGE geo 0 -1") == [b"Palermo"]


@pytest.mark.usefixtures("sicily")
def test_an_empty_result_deletes_the_target(run: Run, heard: Heard, fired: Fired) -> None:
    run("SET k x")
    heard()
    fired.clear()
    line = "GEOSEARCHSTORE k none FROMMEMBER a BYRADIUS 1 m"
    assert run(line) == 0
    assert heard() == [line.encode()]
    assert fired == [("keymiss", b"none", 0), ("del", b"k", 0)]
    fired.clear()
    assert run("GEORADIUS geo 0 0 1 m STORE k") == 0
    assert (heard(), fired) == ([], [])


def test_every_stored_member_counts_as_a_change(run: Run, client: Client) -> None:
    run("GEOADD geo 1 1 a 1 1 b 1 1 c")
    dirty = client.server.dirty
    run("GEORADIUS geo 1 1 1 m STORE k")
    assert client.server.dirty == dirty + 3


# -- cost


def test_a_search_looks_only_at_what_is_near(
    run: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20,000 members all over the earth a search in one city looks at a few."""
    rng = Random(7)
    zset = SortedSet()
    thresholds = client.server.thresholds
    for i in range(20_000):
        score = float(encode(rng.uniform(-180, 180), rng.uniform(-85, 85)))
        zset.add(b"%d" % i, score, thresholds)
    client.db.set(b"geo", zset)
    run("GEOADD geo 13.4 52.5 Berlin")
    ranges: list[int] = []
    items = SortedSet.items

    def counted(self: SortedSet, start: int, stop: int) -> list[tuple[bytes, float]]:
        found = items(self, start, stop)
        ranges.append(len(found))
        return found

    try:
        monkeypatch.setattr(SortedSet, "items", counted)
    except TypeError:
        pytest.skip("a method of a compiled class cannot be replaced")
    assert run("GEOSEARCH geo FROMMEMBER Berlin BYRADIUS 30 km") == [b"Berlin"]
    if not ranges:
        pytest.skip("compiled code calls what a method was when it was compiled")
    assert sum(ranges) < 20
    ranges.clear()
    reply = run("GEOSEARCH geo FROMMEMBER Berlin BYRADIUS 20000 km COUNT 10 ANY")
    assert isinstance(reply, list)
    assert len(reply) == 10
    assert sum(ranges) <= 256
