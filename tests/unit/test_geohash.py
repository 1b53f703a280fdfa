"""Geohashes, distances and the areas of a search; every figure is that of redis-server 7.4."""

from __future__ import annotations

import math

import pytest

from redis_trio.data.geohash import Area, Point, decode, distance, encode, geohash_text, nearest
from redis_trio.data.partial_sort import first_places

PALERMO = (13.361389, 38.115556)
CATANIA = (15.087269, 37.502669)


def circle(longitude: float, latitude: float, radius: float, unit_m: float = 1.0) -> Area:
    area = Area()
    area.longitude, area.latitude = longitude, latitude
    area.radius, area.unit_m = radius, unit_m
    return area


def box(longitude: float, latitude: float, width: float, height: float) -> Area:
    area = Area()
    area.longitude, area.latitude = longitude, latitude
    area.width, area.height = width, height
    return area


def point(distance_m: float, name: bytes = b"") -> Point:
    return Point(name, 0.0, 0.0, 0.0, distance_m)


@pytest.mark.parametrize(
    ("place", "score", "decoded", "text"),
    [
        (PALERMO, 3479099956230698, (13.361389338970184, 38.1155563954963), b"sqc8b49rny0"),
        (CATANIA, 3479447370796909, (15.087267458438873, 37.50266842333162), b"sqdtr74hyu0"),
        ((0.0, 0.0), 3377699720527872, (2.682209014892578e-06, 1.2673605809254695e-06), None),
        ((-180.0, -85.05112878), 0, (-179.99999731779099, -85.05112751263943), None),
        ((180.0, 85.05112878), 13510798882111488, (180.0, 85.05112878), None),
    ],
)
def test_a_place_its_score_and_its_geohash(
    place: tuple[float, float], score: int, decoded: tuple[float, float], text: bytes | None
) -> None:
    assert encode(*place) == score
    assert decode(float(score)) == decoded
    if text is not None:
        assert geohash_text(float(score)) == text


@pytest.mark.parametrize(
    ("score", "bits"),
    [
        (-1.0, 2**64 - 1),
        (-0.5, 0),
        (1.75, 1),
        (2.0**63, 2**63),
        (-(2.0**63), 2**63),
        (-1e30, 2**63),
        (2.0**64 - 2048, 2**64 - 2048),
        (2.0**64, 0),
        (math.inf, 0),
        (-math.inf, 2**63),
    ],
)
def test_a_score_that_is_no_geohash_is_read_as_the_hardware_casts_it(
    score: float, bits: int
) -> None:
    row = sum((bits >> 2 * i & 1) << i for i in range(32))
    column = sum((bits >> 2 * i + 1 & 1) << i for i in range(32))
    west, east = (-180 + (column + i) % 2**32 / 2**26 * 360 for i in (0, 1))
    low = 85.05112878
    south, north = (-low + (row + i) % 2**32 / 2**26 * (2 * low) for i in (0, 1))
    assert decode(score) == (
        max(-180.0, min(180.0, (west + east) / 2)),
        max(-low, min(low, (south + north) / 2)),
    )


def test_distances() -> None:
    assert distance(*PALERMO, *CATANIA) == 166274.25779140723
    assert distance(10.0, 20.0, 10.0, 21.0) == 6372797.560856 * abs(
        21.0 * (math.pi / 180) - 20.0 * (math.pi / 180)
    )
    assert distance(0.0, 0.0, 180.0, 0.0) == 6372797.560856 * math.pi
    assert distance(5.0, 5.0, 5.0, 5.0) == 0.0


def boxes(area: Area) -> list[tuple[int, int]]:
    """The ranges of an area as (prefix, bits of the prefix)."""
    found = []
    for first, end in area.ranges():
        size = int(end - first)
        step = (53 - size.bit_length()) // 2
        assert size == 1 << 52 - 2 * step
        found.append((int(first) // size, 2 * step))
    return found


@pytest.mark.parametrize(
    ("area", "bits", "prefixes"),
    [
        (circle(13.361389, 38.115556, 100000.0), 14, [12656, 12657, 12658, 12659]),
        (circle(0.0, 0.0, 1000.0), 28, [201326592, 156587349, 111848106, 67108863]),
        (circle(-179.99, 10.0, 5000.0), 20, [263504, 263493, 962554, 962543]),
        (circle(20.0, 84.0, 50000.0), 10, [855, 861]),
        (circle(5.0, -70.0, 300000.0), 10, [516, 517, 518, 174, 519, 175]),
        (circle(13.361389, 38.115556, 0.0), 52, [3479099956230698]),
        (box(15.0, 37.0, 400000.0, 200000.0), 12, [3161, 3164, 3163, 3166]),
        (box(2.0, 48.0, 1000.0, 3000000.0), 6, [52, 49]),
        (circle(10.0, 10.0, 4000000.0), 4, [12, 13, 9, 6, 7, 3]),
    ],
)
def test_the_boxes_of_an_area_in_redis_order(area: Area, bits: int, prefixes: list[int]) -> None:
    """The one with the center, then north, south, east, west, the corners; none is useless."""
    assert boxes(area) == [(prefix, bits) for prefix in prefixes]


@pytest.mark.parametrize("radius", [3e7, 1e300, math.inf])
def test_the_whole_earth_is_four_boxes(radius: float) -> None:
    assert sorted(boxes(circle(*PALERMO, radius))) == [(i, 2) for i in range(4)]
    assert sorted(boxes(box(*PALERMO, radius, radius))) == [(i, 2) for i in range(4)]


def select(area: Area, places: list[tuple[float, float]], limit: int = 0) -> list[bytes]:
    found: list[Point] = []
    pairs = [(b"%d" % i, float(encode(*place))) for i, place in enumerate(places)]
    area.select(pairs, found, limit)
    return [item.member for item in found]


def test_what_is_in_a_circle() -> None:
    places = [PALERMO, CATANIA, (12.758489, 38.788135)]
    assert select(circle(15.0, 37.0, 200.0, 1000.0), places) == [b"0", b"1"]
    assert select(circle(15.0, 37.0, 56.4412, 1000.0), places) == []
    assert select(circle(15.0, 37.0, 56.4413, 1000.0), places) == [b"1"]
    assert select(circle(15.0, 37.0, math.inf), places, 2) == [b"0", b"1"]


def test_what_is_in_a_box() -> None:
    places = [PALERMO, CATANIA]
    assert select(box(15.0, 37.0, 400_000.0, 400_000.0), places) == [b"0", b"1"]
    assert select(box(15.0, 37.0, 400_000.0, 200_000.0), places) == [b"1"]
    assert select(box(15.0, 37.0, 200_000.0, 400_000.0), places) == [b"1"]
    assert select(box(15.0, 37.0, 400_000.0, 0.0), places) == []


def test_equal_distances_stay_in_order_when_all_are_sorted() -> None:
    points = [point(d, b"%d" % i) for i, d in enumerate([2.0, 1.0, 2.0, 1.0, 0.0])]
    assert [p.member for p in nearest(points, 5, False)] == [b"4", b"1", b"3", b"0", b"2"]
    assert [p.member for p in nearest(points, 9, True)] == [b"0", b"2", b"1", b"3", b"4"]


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ([1.0] * 5, [0, 1, 2]),
        ([1.0] * 7, [3, 1, 2]),
        ([1.0] * 50, [49, 1, 2, 3, 4, 5]),
        ([float(i % 3) for i in range(20)], [0, 15, 9, 3, 12, 18, 6, 19, 1]),
        (
            [float(i * 7 % 5) for i in range(60)],
            [30, 35, 50, 15, 5, 55, 20, 40, 0, 45, 10, 25, 18, 48],
        ),
        ([float(i // 4) for i in range(48)], [1, 2, 0, 3, 6, 4, 5, 7, 8, 9]),
        ([float(-i // 5) for i in range(100)], [97, 98, 99, 96, 91, 92, 95, 94, 93, 87, 90, 89]),
    ],
)
def test_equal_distances_are_where_redis_leaves_them_when_some_are_wanted(
    keys: list[float], places: list[int]
) -> None:
    assert first_places(keys, len(places)) == places
    points = [point(key, b"%d" % i) for i, key in enumerate(keys)]
    assert [int(p.member) for p in nearest(points, len(places), False)] == places
