"""Geo commands with random places and options: redis-server and ours give the same bytes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.interop.compare import Both, Word, doubles

Script = list[list[Word]]

LONGITUDES = st.floats(-180, 180)
LATITUDES = st.floats(-85.05112878, 85.05112878)
UNITS = ["m", "km", "ft", "MI"]
RADIUS_OPTIONS: list[list[Word]] = [
    ["WITHDIST"],
    ["WITHCOORD"],
    ["WITHHASH"],
    ["ASC"],
    ["DESC"],
    ["COUNT", 3],
    ["COUNT", 1],
    ["COUNT", 5, "ANY"],
    ["COUNT", 100],
]

EXAMPLES = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@EXAMPLES
@given(st.lists(st.tuples(LONGITUDES, LATITUDES), min_size=2, max_size=8))
def test_any_place_has_the_same_score_and_comes_back_the_same(
    both: Both, places: list[tuple[float, float]]
) -> None:
    script: Script = [["DEL", "geo"]]
    names = [f"m{i}" for i in range(len(places))]
    for name, (longitude, latitude) in zip(names, places, strict=True):
        script.append(["GEOADD", "geo", repr(longitude), repr(latitude), name])
    script += [["ZRANGE", "geo", 0, -1, "WITHSCORES"], ["GEOPOS", "geo", *names, "none"]]
    script.append(["GEOHASH", "geo", *names, "none"])
    for unit in UNITS:
        script.append(["GEODIST", "geo", names[0], names[1], unit])
    both.pipeline(*script)


def fill(rng: random.Random, key: str, count: int, spread: float) -> Script:
    """Members around one place or all over the earth, some at the same place."""
    center = (rng.uniform(-180, 180), rng.uniform(-85, 85))
    script: Script = []
    for i in range(count):
        longitude = (center[0] + rng.gauss(0, spread) + 180) % 360 - 180
        latitude = max(-85.0, min(85.0, center[1] + rng.gauss(0, spread)))
        if rng.random() < 0.2:
            longitude, latitude = round(longitude), round(latitude)
        script.append(["GEOADD", key, repr(longitude), repr(latitude), f"m{i}"])
    return script


def options(rng: random.Random) -> list[Word]:
    chosen = rng.sample(RADIUS_OPTIONS, rng.randrange(4))
    return [word for option in chosen for word in option]


def size(rng: random.Random, spread: float) -> str:
    return f"{rng.uniform(0, 3) * spread * 111_000:.3f}"


@pytest.mark.parametrize("seed", range(6))
def test_searches_find_the_same_in_the_same_order(both: Both, seed: int) -> None:
    rng = random.Random(seed)
    spread = [0.001, 0.1, 3.0, 60.0][seed % 4]
    count = [60, 300][seed % 2]
    script = fill(rng, "geo", count, spread)
    script += [["GEORADIUSBYMEMBER", "geo", f"m{i}", 0, "m"] for i in range(0, count, 10)]
    for _ in range(60):
        member = f"m{rng.randrange(count)}"
        unit = rng.choice(UNITS)
        metres = {"m": 1.0, "km": 1000.0, "ft": 0.3048, "MI": 1609.34}[unit]
        radius, width, height = (float(size(rng, spread)) / metres for _ in range(3))
        box: list[Word] = ["BYBOX", width, height, unit]
        script += [
            ["GEORADIUSBYMEMBER", "geo", member, radius, unit, *options(rng)],
            ["GEOSEARCH", "geo", "FROMMEMBER", member, "BYRADIUS", radius, unit, *options(rng)],
            ["GEOSEARCH", "geo", *box, "FROMMEMBER", member, *options(rng)],
        ]
        place = [repr(rng.uniform(-180, 180)), repr(rng.uniform(-85, 85))]
        far = rng.uniform(0, 7_000_000) / metres
        script += [
            ["GEORADIUS", "geo", *place, far, unit, *options(rng)],
            ["GEORADIUS_RO", "geo", *place, far, unit, *options(rng)],
            ["GEOSEARCH", "geo", "FROMLONLAT", *place, "BYBOX", far, far, unit, *options(rng)],
        ]
    both.pipeline(*script)


def test_equal_distances_come_in_the_same_order(both: Both) -> None:
    script: Script = []
    for i in range(200):
        script.append(["GEOADD", "geo", i % 5, i % 3, f"m{i * 37 % 200}"])
    for count in (1, 2, 5, 7, 20, 60, 199, 200, 500):
        for order in ("ASC", "DESC"):
            search: list[Word] = ["GEOSEARCH", "geo", "FROMLONLAT", 0, 0, "BYRADIUS", 2000, "km"]
            script.append([*search, "COUNT", count, order])
            script.append([*search, "COUNT", count, "ANY", order])
        script.append([*search, "COUNT", count])
    both.pipeline(*script)


@pytest.mark.parametrize("seed", range(2))
def test_what_is_stored(both: Both, seed: int) -> None:
    rng = random.Random(seed)
    script = fill(rng, "geo", 200, 1.0)
    for _ in range(25):
        member = f"m{rng.randrange(200)}"
        radius = float(size(rng, 1.0)) / 1000
        counts: list[list[Word]] = [[], ["COUNT", 5], ["COUNT", 20, "DESC"], ["COUNT", 4, "ANY"]]
        count = rng.choice(counts)
        store = rng.choice(["STORE", "STOREDIST"])
        tail: list[Word] = [] if store == "STORE" else ["STOREDIST"]
        key = rng.choice(["t", "t", "geo2", "none"])
        shape: list[Word] = ["BYBOX", radius, radius, "km"]
        script += [
            ["GEORADIUSBYMEMBER", "geo", member, radius, "km", *count, store, key],
            ["ZRANGE", key, 0, -1, "WITHSCORES"],
            ["OBJECT", "ENCODING", key],
            ["GEOSEARCHSTORE", key, "geo", "FROMMEMBER", member, *shape, *count, *tail],
            ["ZRANGE", key, 0, -1, "WITHSCORES"],
            ["GEORADIUS", "nothing", 0, 0, 1, "m", store, key],
            ["EXISTS", key],
        ]
    both(*script, normalize=doubles)


def test_huge_tiny_and_odd_sizes(both: Both) -> None:
    script = fill(random.Random(3), "geo", 150, 80.0)
    script += [
        ["ZADD", "geo", score, f"odd{score}"] for score in ("1.5", "0", "1e300", "-5", "inf")
    ]
    for radius in ("0", "-0", "1e-320", "1e-9", "20000", "30000", "1e300", "inf", "0x10", "1e400"):
        for place in ((0, 0), (180, 85), (-180, -85), (13.5, 70), (20, -82)):
            script += [
                ["GEORADIUS", "geo", *place, radius, "km", "WITHHASH"],
                ["GEOSEARCH", "geo", "FROMLONLAT", *place, "BYBOX", radius, radius, "km"],
                ["GEOSEARCH", "geo", "FROMLONLAT", *place, "BYBOX", 10000, radius, "km"],
                ["GEOSEARCH", "geo", "FROMLONLAT", *place, "BYBOX", radius, 10000, "km"],
            ]
    for score in ("1.5", "0", "1e300", "-5", "inf"):
        script.append(["GEOPOS", "geo", f"odd{score}"])
        script.append(["GEOHASH", "geo", f"odd{score}"])
        script.append(["GEODIST", "geo", f"odd{score}", "odd0"])
        script.append(["GEORADIUSBYMEMBER", "geo", f"odd{score}", 1, "m"])
    both.pipeline(*script)


WORDS: list[str] = [
    *("WITHDIST", "withcoord", "WITHHASH", "ASC", "DESC", "COUNT", "ANY", "STORE", "STOREDIST"),
    *("FROMMEMBER", "FROMLONLAT", "BYRADIUS", "BYBOX", "m0", "none", "1", "0", "-1", "200", "km"),
    *("m", "xx", "181", "-86", "nan", "k", "", "ANY\0x"),
]


@pytest.mark.parametrize("seed", range(4))
def test_random_arguments(both: Both, seed: int) -> None:
    """Nearly all of them are errors, which come in the same order."""
    rng = random.Random(seed)
    script = fill(rng, "geo", 20, 1.0)
    script.append(["SET", "str", "x"])
    starts: list[list[Word]] = [
        ["GEORADIUS", "geo", 1, 1, 100, "km"],
        ["georadius_ro", "geo", 1, 1, 100, "km"],
        ["GEORADIUSBYMEMBER", "geo", "m1", 100, "km"],
        ["GEORADIUSBYMEMBER_RO", "missing", "m1", 100, "km"],
        ["GEORADIUSBYMEMBER", "missing", "m1", "x", "y"],
        ["GEORADIUS", "str", 1, 1, 1, "km"],
        ["geosearch", "geo"],
        ["GEOSEARCH", "geo", "FROMMEMBER", "m0"],
        ["GEOSEARCH", "geo", "BYRADIUS", 100, "km"],
        ["GEOSEARCH", "geo", "FROMMEMBER", "m0", "BYRADIUS", 100, "km"],
        ["GEOSEARCH", "missing", "FROMMEMBER", "m0", "BYBOX", 100, 100, "km"],
        ["GeoSearchStore", "k", "geo", "FROMMEMBER", "m0", "BYRADIUS", 100, "km"],
        ["GEOSEARCHSTORE", "k", "geo"],
        ["GEOSEARCHSTORE", "k", "missing", "FROMMEMBER", "m0", "BYRADIUS", 100, "km"],
        ["GEOADD", "added"],
        ["GEOADD", "added", "NX", 1, 2, "m"],
        ["GEODIST", "geo", "m0", "m1"],
    ]
    for _ in range(700):
        start = rng.choice(starts)
        if rng.random() < 0.2:
            start = [rng.choice(WORDS) if rng.random() < 0.2 and i > 1 else word
                     for i, word in enumerate(start)]  # fmt: skip
        script.append([*start, *[rng.choice(WORDS) for _ in range(rng.randrange(5))]])
    both.pipeline(*script)


def test_geoadd_with_its_options(both: Both) -> None:
    both("GEOADD k 1 2 a", "GEOADD k 1 2 a", "GEOADD k CH 1 3 a", "GEOADD k NX 5 5 a 6 6 b")
    both("GEOADD k XX CH 7 7 a 8 8 c", "GEOADD k xx nx 1 1 a", "GEOADD k nx ch 1 1 z 1 1 z")
    both("GEOADD k XX 1 1", "GEOADD k CH CH CH", "GEOADD k 1 2 a 3", "GEOADD k 181 0 a")
    both("GEOADD k 0 85.06 a", "GEOADD k inf -inf a", "GEOADD k x 0 a", "GEOADD k 1 1 a 1 x b")
    both("ZRANGE k 0 -1 WITHSCORES", "SET s x", "GEOADD s 1 1 a", "GEOADD s XX 1 1 a", "GEOPOS k")
    both("GEOADD none XX 1 1 a", "EXISTS none", "GEOHASH none a", "GEOPOS none a", "GEOPOS s a")
    both(
        "GEODIST none a b", "GEODIST k a none", "GEODIST s a b", "GEODIST k a a", "GEODIST k a b x"
    )


@pytest.mark.parametrize("step", range(27))
def test_places_at_the_borders_of_boxes(both: Both, step: int) -> None:
    """A search from a corner where boxes of every size meet finds the same in the same order."""
    rng = random.Random(step)
    cell = 360 / 2**step
    script: Script = []
    for i in range(30):
        column, row = rng.choice([-1, 0, 1]), rng.choice([-1, 0, 1])
        longitude = min(180.0, max(-180.0, cell * column + rng.choice([0, 1e-6, -1e-6])))
        latitude = min(85.0, max(-85.0, 170.10225756 / 2**step * row))
        script.append(["GEOADD", "geo", repr(longitude), repr(latitude), f"m{i}"])
    for factor in (0.5, 1.0, 2.0):
        radius = repr(math.radians(cell) * 6372797.560856 * factor)
        script.append(["GEORADIUS", "geo", 0, 0, radius, "m", "WITHDIST"])
        script.append(["GEOSEARCH", "geo", "FROMLONLAT", 0, 0, "BYBOX", radius, radius, "m"])
    both.pipeline(*script)
