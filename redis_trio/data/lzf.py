"""LZF compression, as RDB files have it: the same bytes that Redis writes.

The format is a sequence of runs. A literal run is a byte `n - 1` (n = 1..32) and n bytes. A
reference copies 3 to 264 bytes from up to 8192 bytes back: three bits of length - 2 and thirteen of
distance - 1; length bits of 7 mean that a byte with the rest of the length stands in between.

Candidates come from a hash of the next three bytes; each slot knows the last place only. After a
reference two places inside of it are entered, not all. The first byte is never referred to. These
choices decide which bytes come out, and they are Redis's, so that sizes agree.

Source: the LZF format, liblzf; Redis lzf_c.c for the choices.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

MAX_LITERAL: Final = 32
MAX_DISTANCE: Final = 8192
MAX_LENGTH: Final = 264


def compress(data: bytes, limit: int) -> bytes | None:
    """Return `data` compressed, None if that takes more than `limit` bytes."""
    size = len(data)
    if size == 0 or limit <= 0:
        return None
    last: dict[int, int] = {}
    out = bytearray(1)  # the first byte of the run in hand is filled in when it ends
    run = 0
    place = 0
    while place < size - 2:
        slot = _slot(data, place)
        found = last.get(slot, 0)
        last[slot] = place
        distance = place - found - 1
        if found and distance < MAX_DISTANCE and data[found : found + 3] == data[place : place + 3]:
            if len(out) - (run == 0) + 4 >= limit:
                return None
            _end_run(out, run)
            length = _match_length(data, found, place, size - place - 2)
            _refer(out, distance, length - 2)
            out.append(0)
            run = 0
            place += length
            if place >= size - 2:
                break
            last[_slot(data, place - 2)] = place - 2
            last[_slot(data, place - 1)] = place - 1
        else:
            if len(out) >= limit:
                return None
            run = _literal(out, run, data[place])
            place += 1
    if len(out) + 3 > limit:
        return None
    for byte in data[place:]:
        run = _literal(out, run, byte)
    _end_run(out, run)
    return bytes(out)


def _slot(data: bytes, place: int) -> int:
    value = data[place] << 16 | data[place + 1] << 8 | data[place + 2]
    return ((value >> 8) - value * 5) & 0xFFFF


def _match_length(data: bytes, found: int, place: int, room: int) -> int:
    """Return how many bytes agree; the first three do. Sixteen are compared without a limit."""
    room = min(room, MAX_LENGTH)
    if room > 16:
        room = max(room, 19)
    length = 3
    while length < room and data[found + length] == data[place + length]:
        length += 1
    return length


def _literal(out: bytearray, run: int, byte: int) -> int:
    """Append a byte to the run in hand, which is `run` bytes long; return its length now."""
    out.append(byte)
    run += 1
    if run == MAX_LITERAL:
        _end_run(out, run)
        out.append(0)
        return 0
    return run


def _end_run(out: bytearray, run: int) -> None:
    if run:
        out[-run - 1] = run - 1
    else:
        out.pop()


def _refer(out: bytearray, distance: int, length: int) -> None:
    high = distance >> 8
    if length < 7:
        out.append(high | length << 5)
    else:
        out.append(high | 7 << 5)
        out.append(length - 7)
    out.append(distance & 0xFF)


def decompress(data: bytes, size: int) -> bytes:
    """Return what was compressed, which must have `size` bytes.

    Raises:
      ValueError: the data is damaged; no more memory was taken than a valid result needs.
    """
    out = bytearray()
    end: i64 = len(data)
    place: i64 = 0
    while place < end:
        control: i64 = data[place]
        place += 1
        if control < MAX_LITERAL:
            stop = place + control + 1
            if stop > end:
                raise ValueError("a literal run is cut off")
            out += data[place:stop]
            place = stop
        else:
            length = control >> 5
            if length == 7 and place < end:
                length += data[place]
                place += 1
            if place >= end:
                raise ValueError("a reference is cut off")
            start = len(out) - ((control & 0x1F) << 8 | data[place]) - 1
            place += 1
            if start < 0:
                raise ValueError("a reference points in front of the beginning")
            _repeat(out, start, length + 2)
        if len(out) > size:
            raise ValueError("there is more than there should be")
    if len(out) != size:
        raise ValueError("there is less than there should be")
    return bytes(out)


def _repeat(out: bytearray, start: i64, length: i64) -> None:
    """Append `length` bytes from `start` on, some of which may be among those appended."""
    distance = len(out) - start
    found = out[start : start + length]
    if distance < length:
        found = (found * (length // distance + 1))[:length]
    out += found
