"""LOLWUT: a picture by chance, and the version.

`VERSION 5 [columns [squares-per-row [squares-per-column]]]` draws in braille dots a grid of squares
that come loose towards the bottom, after Georg Nees. `VERSION 6 [columns [rows]]` draws in terminal
colours a town at night and its reflection in the water. Every other version, and none, has only
the line with the version, as Redis 7.4 has. The sizes are kept small enough that the server does
not notice the drawing.

Source: Redis lolwut.c, lolwut5.c, lolwut6.c for the arguments.
"""

from __future__ import annotations

import itertools
import math
from random import Random
from typing import Final

from redis_trio.args import read_integer
from redis_trio.client import Client
from redis_trio.command import FAST, READONLY, group
from redis_trio.protocol.reply import Reply, Verbatim
from redis_trio.protocol.request import Args
from redis_trio.version import REDIS_VERSION

command = group("server")

COLUMNS_MAX: Final = 250
SQUARES_MAX: Final = 40
ROWS_MAX: Final = 100
_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by y % 4 and x % 2

# Colours of the 256-colour palette.
_SKY: Final = (17, 17, 18, 54, 90)  # from the top down
_STAR: Final = 255
_MOON: Final = 230
_WALLS: Final = (233, 234, 236)
_WINDOW: Final = 221
_WATER: Final = 18
_GLITTER: Final = 24


@command(
    "LOLWUT",
    "[VERSION version]",
    arity=-1,
    flags=READONLY | FAST,
    since="5.0.0",
    complexity="",
    summary="Draws a picture and tells the version.",
)
def lolwut(client: Client, args: Args) -> Reply:
    """Draw the picture of the version asked for."""
    picture = ""
    if len(args) >= 3 and args[1].lower() == b"version":
        version = read_integer(args[2]) & 0xFFFFFFFF
        sizes = args[3:]
        rng = client.server.rng
        if version == 5:
            columns = _size(sizes, 0, 66, COLUMNS_MAX)
            per_row = _size(sizes, 1, 8, SQUARES_MAX)
            per_column = _size(sizes, 2, 12, SQUARES_MAX)
            picture = loose_squares(rng, columns, per_row, per_column)
            picture += "\nSquares coming loose, after Georg Nees (Schotter, 1968). "
        elif version == 6:
            columns = _size(sizes, 0, 80, COLUMNS_MAX)
            rows = _size(sizes, 1, 20, ROWS_MAX)
            picture = town_at_night(rng, columns, rows) + "\nA town at night, seen from a boat. "
    return Verbatim(f"{picture}Redis ver. {REDIS_VERSION}\n".encode())


def _size(sizes: Args, index: int, default: int, limit: int) -> int:
    """Return an optional argument, at least 1 and at most `limit`."""
    if index >= len(sizes):
        return default
    return max(1, min(limit, read_integer(sizes[index])))


class Dots:
    """A canvas of braille characters: each cell is 2 dots wide and 4 high."""

    __slots__ = ("cells", "columns", "height", "width")

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.width = 2 * columns
        self.height = 4 * rows
        self.cells = bytearray(columns * rows)

    def line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a line; what is outside of the canvas is left out."""
        steps = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0))))
        for step in range(steps + 1):
            x = round(x0 + (x1 - x0) * step / steps)
            y = round(y0 + (y1 - y0) * step / steps)
            if 0 <= x < self.width and 0 <= y < self.height:
                self.cells[(y >> 2) * self.columns + (x >> 1)] |= _DOTS[y & 3][x & 1]

    def text(self) -> str:
        """Return the rows of characters."""
        rows: list[str] = []
        for start in range(0, len(self.cells), self.columns):
            row = self.cells[start : start + self.columns]
            rows.append("".join([chr(_BRAILLE + cell) for cell in row]))
        return "\n".join(rows)


def loose_squares(rng: Random, columns: int, per_row: int, per_column: int) -> str:
    """Draw squares that turn and wander the more, the lower they are."""
    margin = 2 if columns > 2 else 0
    side = (2 * columns - 2 * margin) / per_row
    height = math.ceil(side * per_column) + 2 * margin
    dots = Dots(columns, (height + 3) // 4)
    radius = side / math.sqrt(2)
    for row in range(per_column):
        looseness = max(0, row - 1) / per_column
        for column in range(per_row):
            x = margin + side * (column + 0.5 + looseness * rng.uniform(-0.35, 0.35))
            y = margin + side * (row + 0.5 + looseness * rng.uniform(-0.35, 0.35))
            turn = math.pi / 4 + looseness * rng.uniform(-1, 1)
            corners: list[tuple[float, float]] = []
            for quarter in range(5):
                angle = turn + quarter * math.pi / 2
                corners.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
            for (x0, y0), (x1, y1) in itertools.pairwise(corners):
                dots.line(x0, y0, x1, y1)
    return dots.text()


def town_at_night(rng: Random, columns: int, rows: int) -> str:
    """Draw a sky with a moon, houses with lit windows, and both again in the water."""
    shore = max(1, rows * 2 // 3)
    sky: list[list[int]] = []
    for row in range(shore):
        colour = _SKY[row * len(_SKY) // shore]
        sky.append([_STAR if rng.random() < 0.012 else colour for _ in range(columns)])
    moon_row = shore // 5
    moon_column = int(columns * rng.uniform(0.1, 0.8))
    for row in range(moon_row, min(shore, moon_row + 2)):
        for column in range(moon_column, min(columns, moon_column + 4)):
            sky[row][column] = _MOON
    left = -rng.randint(0, 4)
    while left < columns:
        width = rng.randint(6, 13)
        _house(rng, sky, left, width, rng.randint(1, max(1, shore * 3 // 4)))
        left += width + rng.choice((0, 0, 1, 3))
    water: list[list[int]] = []
    for row in range(rows - shore):
        above = sky[shore - 1 - row % shore]
        water.append([_mirrored(rng, colour) for colour in above])
    return "\n".join([_coloured(row) for row in sky + water])


def _house(rng: Random, sky: list[list[int]], left: int, width: int, height: int) -> None:
    wall = rng.choice(_WALLS)
    top = len(sky) - height
    for row in range(top, len(sky)):
        for column in range(max(0, left), min(len(sky[row]), left + width)):
            place = column - left
            inside = 0 < place < width - 1 and (row - top) % 2 == 1 and place % 3 != 0
            sky[row][column] = _WINDOW if inside and rng.random() < 0.4 else wall


def _mirrored(rng: Random, colour: int) -> int:
    if colour in (_WINDOW, _MOON, _STAR):
        return _GLITTER if rng.random() < 0.7 else _WATER
    return _GLITTER if rng.random() < 0.02 else _WATER


def _coloured(row: list[int]) -> str:
    """Return a row of cells as spaces on coloured ground."""
    parts: list[str] = []
    last = -1
    for colour in row:
        if colour != last:
            parts.append(f"\x1b[48;5;{colour}m")
            last = colour
        parts.append(" ")
    parts.append("\x1b[0m")
    return "".join(parts)
