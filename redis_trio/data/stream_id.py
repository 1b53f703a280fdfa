"""The ids of stream entries and their text.

An id is a pair of unsigned 64-bit numbers, a time in ms and a sequence number, written `ms-seq`;
pairs compare as ids do. Redis reads what is not plain decimal with strtoull(), which takes leading
spaces, signs and zeros; so does this reader.

Source: Redis t_stream.c streamGenericParseIDOrReply, streamIncrID; util.c string2ull.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from redis_trio.data.numbers import parse_integer

StreamId: TypeAlias = tuple[int, int]
"""Milliseconds and a sequence number, each 64 bits without sign."""

SEQ_MAX: Final = 2**64 - 1
ZERO_ID: Final[StreamId] = (0, 0)
MAX_ID: Final[StreamId] = (SEQ_MAX, SEQ_MAX)

_TEXT_MAX: Final = 127
_SPACES: Final = b" \t\n\v\f\r"


def format_id(entry_id: StreamId) -> bytes:
    """Return the text of an id."""
    return b"%d-%d" % entry_id


def next_id(entry_id: StreamId) -> StreamId | None:
    """Return the id behind another one, None behind the last possible one."""
    ms, seq = entry_id
    if seq != SEQ_MAX:
        return ms, seq + 1
    return None if ms == SEQ_MAX else (ms + 1, 0)


def previous_id(entry_id: StreamId) -> StreamId | None:
    """Return the id in front of another one, None in front of 0-0."""
    ms, seq = entry_id
    if seq:
        return ms, seq - 1
    return (ms - 1, SEQ_MAX) if ms else None


def parse_id(text: bytes, missing_seq: int = 0) -> StreamId | None:
    """Return the id that `text` is, `ms-seq` or `ms` alone; None if it is none.

    Args:
      missing_seq: the sequence number if there is the time alone.
    """
    dash = text.find(b"-")
    seq: int | None = missing_seq
    if dash < 0:
        ms = parse_integer(text)
    else:
        ms = parse_integer(text[:dash])
        seq = parse_integer(text[dash + 1 :])
    if ms is None or seq is None or ms < 0 or seq < 0:
        return _parse_odd_id(text, missing_seq)
    return ms, seq


def parse_id_time(text: bytes) -> int | None:
    """Return the time of an id of the form `ms-*`, in ms; None if `text` has another form."""
    if len(text) > _TEXT_MAX:
        return None
    ms_text, _, seq_text = _c_string(text).partition(b"-")
    return _parse_unsigned(ms_text) if seq_text == b"*" else None


def _parse_odd_id(text: bytes, missing_seq: int) -> StreamId | None:
    if len(text) > _TEXT_MAX:
        return None
    ms_text, dash, seq_text = _c_string(text).partition(b"-")
    ms = _parse_unsigned(ms_text)
    seq = _parse_unsigned(seq_text) if dash else missing_seq
    return None if ms is None or seq is None else (ms, seq)


def _c_string(text: bytes) -> bytes:
    return text if 0 not in text else text[: text.index(0)]


def _parse_unsigned(text: bytes) -> int | None:
    """Return an unsigned 64-bit number as strtoull() reads it, None if there is none.

    A minus turns it round, except in front of a number in its canonical form.
    """
    digits = text.lstrip(_SPACES)
    sign = digits[:1]
    if sign == b"-" or sign == b"+":
        digits = digits[1:]
    if not digits.isdigit():
        return None
    value = int(digits)
    if value > SEQ_MAX:
        return None
    if sign == b"-":
        return None if parse_integer(text) is not None else -value & SEQ_MAX
    return value
