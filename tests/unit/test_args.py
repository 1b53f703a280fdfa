"""Readers of arguments: what they take, and the error for what they do not."""

from __future__ import annotations

import pytest

from redis_trio.args import read_timeout
from redis_trio.errors import RedisError

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"0", None),
        (b"0.0", None),
        (b"1", 1.0),
        (b"0.001", 0.001),
        (b"0.0001", 0.001),
        (b"1.0004", 1.001),
        (b"-0.0001", None),
        (b"1e3", 1000.0),
        (b"0x10", 16.0),
    ],
)
def test_a_timeout_in_seconds_is_rounded_up_to_a_millisecond(
    text: bytes, seconds: float | None
) -> None:
    assert read_timeout(text, 1000, NOW_MS) == seconds


@pytest.mark.parametrize(
    ("text", "unit_ms", "error"),
    [
        (b"x", 1000, "ERR timeout is not a float or out of range"),
        (b"", 1000, "ERR timeout is not a float or out of range"),
        (b"nan", 1000, "ERR timeout is not a float or out of range"),
        (b" 1", 1000, "ERR timeout is not a float or out of range"),
        (b"-1", 1000, "ERR timeout is negative"),
        (b"-0.002", 1000, "ERR timeout is negative"),
        (b"-inf", 1000, "ERR timeout is negative"),
        (b"inf", 1000, "ERR timeout is out of range"),
        (b"1e400", 1000, "ERR timeout is out of range"),
        (b"9223372036854775", 1000, "ERR timeout is out of range"),
        (b"0x7FFFFFFFFFFFFF", 1000, "ERR timeout is out of range"),
        (b"1.5", 1, "ERR timeout is not an integer or out of range"),
        (b"-1", 1, "ERR timeout is negative"),
        (b"9223372036854775807", 1, "ERR timeout is out of range"),
        (b"9223372036854775808", 1, "ERR timeout is not an integer or out of range"),
    ],
)
def test_what_is_no_timeout(text: bytes, unit_ms: int, error: str) -> None:
    with pytest.raises(RedisError) as raised:
        read_timeout(text, unit_ms, NOW_MS)
    assert raised.value.message == error
