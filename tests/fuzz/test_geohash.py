"""What geohashes promise: places come back, and the boxes of an area hold all that is in it."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.geohash import (
    LATITUDE_MAX,
    LATITUDE_MIN,
    LONGITUDE_MAX,
    LONGITUDE_MIN,
    Area,
    Point,
    decode,
    distance,
    encode,
)
from redis_trio.data.partial_sort import first_places
from tests.fuzz import FACTOR

SETTINGS = settings(max_examples=300 * FACTOR, derandomize=True, deadline=None)

LONGITUDES = st.floats(LONGITUDE_MIN, LONGITUDE_MAX)
LATITUDES = st.floats(LATITUDE_MIN, LATITUDE_MAX)
CELL_DEGREES = 360 / 2**26


@SETTINGS
@given(LONGITUDES, LATITUDES)
def test_a_place_comes_back_as_the_middle_of_its_cell(longitude: float, latitude: float) -> None:
    lon, lat = decode(float(encode(longitude, latitude)))
    assert abs(lon - longitude) <= CELL_DEGREES / 2 + 1e-13
    assert abs(lat - latitude) <= CELL_DEGREES / 2 + 1e-13


@SETTINGS
@given(st.integers(0, 2**52 - 1))
def test_a_geohash_comes_back_from_its_place(score: int) -> None:
    assert encode(*decode(float(score))) == score


@SETTINGS
@given(st.floats(allow_nan=False))
def test_any_score_is_some_place(score: float) -> None:
    longitude, latitude = decode(score)
    assert LONGITUDE_MIN <= longitude <= LONGITUDE_MAX
    assert LATITUDE_MIN <= latitude <= LATITUDE_MAX


@SETTINGS
@given(LONGITUDES, LATITUDES, LONGITUDES, LATITUDES)
def test_a_distance_is_symmetric_and_fits_on_the_earth(
    lon1: float, lat1: float, lon2: float, lat2: float
) -> None:
    found = distance(lon1, lat1, lon2, lat2)
    assert found == distance(lon2, lat2, lon1, lat1)
    assert 0.0 <= found <= 6372797.560856 * math.pi


@SETTINGS
@given(
    st.floats(-150, 150),
    st.floats(-60, 60),
    st.floats(0, 1_000_000),
    st.floats(0, 1),
    st.floats(0, 2 * math.pi),
    st.booleans(),
)
def test_the_boxes_of_an_area_do_not_overlap_and_hold_all_that_is_in_it(
    longitude: float, latitude: float, radius: float, part: float, angle: float, is_box: bool
) -> None:
    """Away from the poles and from the 180th meridian, where Redis leaves something out."""
    area = Area()
    area.longitude, area.latitude = longitude, latitude
    if is_box:
        area.width, area.height = radius, radius * 1.5
    else:
        area.radius = radius
    reach = math.degrees(radius * part / 6372797.560856)
    score = float(
        encode(
            longitude + reach * math.sin(angle) / math.cos(math.radians(latitude)),
            latitude + reach * math.cos(angle),
        )
    )
    found: list[Point] = []
    area.select([(b"m", score)], found, 0)
    ranges = sorted(area.ranges())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))
    if found:
        assert any(start <= score < end for start, end in ranges)


@SETTINGS
@given(st.lists(st.integers(0, 20).map(float), min_size=2, max_size=300), st.data())
def test_a_partial_sort_finds_the_smallest(keys: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(keys) - 1))
    places = first_places(keys, count)
    assert len(set(places)) == count
    assert [keys[place] for place in places] == sorted(keys)[:count]
