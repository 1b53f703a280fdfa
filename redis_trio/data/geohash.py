"""Places on the earth as scores of a sorted set, areas as ranges of scores, distances.

A coordinate is cut into 2**26 cells; the bits of the two cells, latitude first from below, are
interleaved to a number of 52 bits, which a double holds exactly. A prefix of it is a box on the
map, so that a box is one range of scores. An area is searched in the box of about its size that
its center is in, and in those of the eight boxes around it that it can reach into.

1. The results are Redis's to the last bit, and so are the boxes and their order, which the order
   of unsorted replies shows. So each operation on doubles is done in Redis's order.
2. Where C's functions and conversions return something for every argument, so do these.

Source: Redis geohash.c, geohash_helper.c; G. Niemeyer, geohash.org.
"""

from __future__ import annotations

import math
from typing import Final

from mypy_extensions import i64

from redis_trio.data.partial_sort import first_places

LONGITUDE_MIN: Final = -180.0
LONGITUDE_MAX: Final = 180.0
LATITUDE_MIN: Final = -85.05112878  # of the Mercator projection of web maps
LATITUDE_MAX: Final = 85.05112878
STEP_MAX: Final = 26  # bits of a coordinate

_LONGITUDE_SCALE: Final = LONGITUDE_MAX - LONGITUDE_MIN
_LATITUDE_SCALE: Final = LATITUDE_MAX - LATITUDE_MIN
_CELLS: Final = float(1 << STEP_MAX)
_RADIANS: Final = math.pi / 180.0
_EARTH_RADIUS_M: Final = 6372797.560856
_MERCATOR_MAX: Final = 20037726.37
_ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"
_TWO_63: Final = 2.0**63
_TWO_64: Final = 2.0**64

_AROUND: Final = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
"""The boxes of a search in the order in which they are searched, as (north, east)."""


def _spread(cell: i64) -> i64:
    """Move bit n of a 32-bit number to bit 2n."""
    x: i64 = cell & 0xFFFFFFFF
    x = (x | x << 16) & 0x0000FFFF0000FFFF
    x = (x | x << 8) & 0x00FF00FF00FF00FF
    x = (x | x << 4) & 0x0F0F0F0F0F0F0F0F
    x = (x | x << 2) & 0x3333333333333333
    return (x | x << 1) & 0x5555555555555555


def _gather(bits: i64) -> i64:
    """Move bit 2n to bit n; the odd bits are left out."""
    x: i64 = bits & 0x5555555555555555
    x = (x | x >> 1) & 0x3333333333333333
    x = (x | x >> 2) & 0x0F0F0F0F0F0F0F0F
    x = (x | x >> 4) & 0x00FF00FF00FF00FF
    x = (x | x >> 8) & 0x0000FFFF0000FFFF
    return (x | x >> 16) & 0xFFFFFFFF


def _bits(score: float) -> i64:
    """Return the bits of the unsigned 64-bit integer that C makes of any double (on x86-64)."""
    if -_TWO_63 < score < _TWO_63:
        return int(score)
    if score >= _TWO_64:
        return 0
    return int(score - _TWO_64) if score > 0.0 else -1 << 63


def encode(longitude: float, latitude: float) -> int:
    """Return the score of a place within the limits of both coordinates."""
    lat_offset = (latitude - LATITUDE_MIN) / _LATITUDE_SCALE
    lon_offset = (longitude - LONGITUDE_MIN) / _LONGITUDE_SCALE
    return _spread(int(lat_offset * _CELLS)) | _spread(int(lon_offset * _CELLS)) << 1


def decode(score: float) -> tuple[float, float]:
    """Return (longitude, latitude) of the middle of a score's cell; any score has one."""
    bits: i64 = _bits(score)
    lat_cell: i64 = _gather(bits)
    lon_cell: i64 = _gather(bits >> 1)
    low = LATITUDE_MIN + (float(lat_cell) / _CELLS) * _LATITUDE_SCALE
    high = LATITUDE_MIN + (float((lat_cell + 1) & 0xFFFFFFFF) / _CELLS) * _LATITUDE_SCALE
    west = LONGITUDE_MIN + (float(lon_cell) / _CELLS) * _LONGITUDE_SCALE
    east = LONGITUDE_MIN + (float((lon_cell + 1) & 0xFFFFFFFF) / _CELLS) * _LONGITUDE_SCALE
    longitude = (west + east) / 2.0
    latitude = (low + high) / 2.0
    return (
        min(max(longitude, LONGITUDE_MIN), LONGITUDE_MAX),
        min(max(latitude, LATITUDE_MIN), LATITUDE_MAX),
    )


def geohash_text(score: float) -> bytes:
    """Return the standard geohash of a score's place, as 11 letters.

    The standard divides latitudes from -90 to 90. There are bits for ten letters; the last is 0.
    """
    longitude, latitude = decode(score)
    lat_offset = (latitude + 90.0) / 180.0
    lon_offset = (longitude - LONGITUDE_MIN) / _LONGITUDE_SCALE
    bits: i64 = _spread(int(lat_offset * _CELLS)) | _spread(int(lon_offset * _CELLS)) << 1
    text = bytearray(b"00000000000")
    place = 10
    while place:
        place -= 1
        text[place] = _ALPHABET[(bits >> (47 - 5 * place)) & 31]
    return bytes(text)


def distance(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Return the great-circle distance of two places in meters, by the haversine formula."""
    v = math.sin((lon2 * _RADIANS - lon1 * _RADIANS) / 2.0)
    if v == 0.0:
        return latitude_distance(lat1, lat2)
    lat1_r = lat1 * _RADIANS
    lat2_r = lat2 * _RADIANS
    u = math.sin((lat2_r - lat1_r) / 2.0)
    a = u * u + math.cos(lat1_r) * math.cos(lat2_r) * v * v
    root = math.sqrt(a)
    if root > 1.0:  # by rounding, for opposite places
        return math.nan
    return 2.0 * _EARTH_RADIUS_M * math.asin(root)


def latitude_distance(lat1: float, lat2: float) -> float:
    """Return the distance of two places on one meridian in meters."""
    return _EARTH_RADIUS_M * abs(lat2 * _RADIANS - lat1 * _RADIANS)


class Point:
    """A member that a search has found."""

    __slots__ = ("distance_m", "latitude", "longitude", "member", "score")

    def __init__(
        self, member: bytes, score: float, longitude: float, latitude: float, distance_m: float
    ) -> None:
        self.member = member
        self.score = score
        self.longitude = longitude
        self.latitude = latitude
        self.distance_m = distance_m


def nearest(points: list[Point], count: i64, descending: bool) -> list[Point]:
    """Return the `count` nearest points, the nearest first, or the farthest if `descending`.

    Equal distances are in Redis's order: as they were found, unless only a part is wanted.
    """
    if count >= len(points):
        return sorted(points, key=_distance, reverse=descending)
    if descending:
        keys = [-point.distance_m for point in points]
    else:
        keys = [point.distance_m for point in points]
    return [points[place] for place in first_places(keys, count)]


def _distance(point: Point) -> float:
    return point.distance_m


class Area:
    """A circle, or a box whose sides are parallel to the meridians, around a place.

    Attributes:
      unit_m: of `radius`, `width` and `height`, in meters.
      radius: of the circle, negative for a box.
      width, height: of the box.
    """

    __slots__ = ("height", "latitude", "longitude", "radius", "unit_m", "width")

    def __init__(self) -> None:
        self.longitude = 0.0
        self.latitude = 0.0
        self.unit_m = 1.0
        self.radius = -1.0
        self.width = 0.0
        self.height = 0.0

    def select(self, candidates: list[tuple[bytes, float]], found: list[Point], limit: i64) -> None:
        """Append those of the (member, score) pairs that are in the area.

        Args:
          limit: stop when `found` has so many; 0: never.
        """
        is_circle = self.radius >= 0.0
        radius_m = self.radius * self.unit_m
        width_m = self.width * self.unit_m
        height_m = self.height * self.unit_m
        longitude = self.longitude
        latitude = self.latitude
        for member, score in candidates:
            lon, lat = decode(score)
            if is_circle:
                distance_m = distance(longitude, latitude, lon, lat)
                inside = not distance_m > radius_m
            else:
                inside = not (
                    latitude_distance(lat, latitude) > height_m / 2.0
                    or distance(lon, lat, longitude, lat) > width_m / 2.0
                )
                distance_m = distance(longitude, latitude, lon, lat) if inside else 0.0
            if inside:
                found.append(Point(member, score, lon, lat, distance_m))
                if limit and len(found) >= limit:
                    return

    def ranges(self) -> list[tuple[float, float]]:
        """Return the ranges of scores to search, (first, one after the last), in Redis's order.

        Source: geohash_helper.c geohashCalculateAreasByShapeWGS84; geo.c membersOfAllNeighbors.
        """
        west, south, east, north = self._bounds()
        step: i64 = self._step()
        row, column = self._cell(step)
        mask: i64 = (1 << step) - 1
        if step > 1 and (
            _latitude(((row + 1) & mask) + 1, step) < north
            or _latitude((row - 1) & mask, step) > south
            or _longitude(((column + 1) & mask) + 1, step) < east
            or _longitude((column - 1) & mask, step) > west
        ):  # the boxes around are too small
            step -= 1
            row, column = self._cell(step)
            mask = (1 << step) - 1
        fits_north = step > 1 and _latitude(row + 1, step) > north
        fits_south = step > 1 and _latitude(row, step) < south
        fits_east = step > 1 and _longitude(column + 1, step) > east
        fits_west = step > 1 and _longitude(column, step) < west
        shift: i64 = 2 * (STEP_MAX - step)
        ranges: list[tuple[float, float]] = []
        last: i64 = -1
        for up, right in _AROUND:
            if (up > 0 and fits_north) or (up < 0 and fits_south):
                continue
            if (right > 0 and fits_east) or (right < 0 and fits_west):
                continue
            next_row: i64 = (row + up) & mask if up else row
            next_column: i64 = (column + right) & mask if right else column
            bits: i64 = _spread(next_row) | _spread(next_column) << 1
            if bits == last:  # of a few big boxes two neighbours may be the same one
                continue
            ranges.append((float(bits << shift), float((bits + 1) << shift)))
            if up or right:  # Redis does not compare with the one in the middle
                last = bits
        return ranges

    def _bounds(self) -> tuple[float, float, float, float]:
        """Return the (west, south, east, north) ends of the area (geohashBoundingBox)."""
        is_circle = self.radius >= 0.0
        height_m = self.unit_m * (self.radius if is_circle else self.height / 2.0)
        width_m = self.unit_m * (self.radius if is_circle else self.width / 2.0)
        latitude = self.latitude
        lat_delta = height_m / _EARTH_RADIUS_M / _RADIANS
        nearer_pole = latitude - lat_delta if latitude < 0.0 else latitude + lat_delta
        lon_delta = width_m / _EARTH_RADIUS_M / _cos(nearer_pole * _RADIANS) / _RADIANS
        return (
            self.longitude - lon_delta,
            latitude - lat_delta,
            self.longitude + lon_delta,
            latitude + lat_delta,
        )

    def _step(self) -> int:
        """Return how many bits of a coordinate say in which box of about this size it is.

        Source: geohash_helper.c geohashEstimateStepsByRadius.
        """
        range_m = self.radius
        if range_m < 0.0:
            half_width = self.width / 2.0
            half_height = self.height / 2.0
            range_m = math.sqrt(half_width * half_width + half_height * half_height)
        range_m *= self.unit_m
        if range_m == 0.0:
            return STEP_MAX
        step = -1
        while range_m < _MERCATOR_MAX:
            range_m *= 2.0
            step += 1
        beyond = abs(self.latitude)
        if beyond > 66.0:  # meridians are near each other
            step -= 2 if beyond > 80.0 else 1
        return min(max(step, 1), STEP_MAX)

    def _cell(self, step: i64) -> tuple[i64, i64]:
        """Return the (row, column) of the center where a coordinate is cut into 2**step cells."""
        cells = float(1 << step)
        lat_offset = (self.latitude - LATITUDE_MIN) / _LATITUDE_SCALE
        lon_offset = (self.longitude - LONGITUDE_MIN) / _LONGITUDE_SCALE
        return int(lat_offset * cells), int(lon_offset * cells)


def _latitude(row: i64, step: i64) -> float:
    """Return the latitude at which a row of 2**step begins."""
    return LATITUDE_MIN + (float(row) / float(1 << step)) * _LATITUDE_SCALE


def _longitude(column: i64, step: i64) -> float:
    """Return the longitude at which a column of 2**step begins."""
    return LONGITUDE_MIN + (float(column) / float(1 << step)) * _LONGITUDE_SCALE


def _cos(angle: float) -> float:
    """Return C's cos(): that of an infinity is no number."""
    return math.nan if math.isinf(angle) else math.cos(angle)
