"""Listpacks, byte by byte."""

from __future__ import annotations

import pytest

from redis_trio.data.list import entry_size
from redis_trio.data.listpack import COUNT_MAX, pack


def test_an_empty_one_is_a_header_and_an_end() -> None:
    assert pack([]) == b"\7\0\0\0\0\0\xff"


@pytest.mark.parametrize(
    ("entry", "encoded"),
    [
        (b"0", b"\x00\x01"),
        (b"127", b"\x7f\x01"),
        (b"128", b"\xc0\x80\x02"),
        (b"-1", b"\xdf\xff\x02"),
        (b"4095", b"\xcf\xff\x02"),
        (b"-4096", b"\xd0\x00\x02"),
        (b"4096", b"\xf1\x00\x10\x03"),
        (b"-4097", b"\xf1\xff\xef\x03"),
        (b"32768", b"\xf2\x00\x80\x00\x04"),
        (b"8388608", b"\xf3\x00\x00\x80\x00\x05"),
        (b"2147483648", b"\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09"),
        (b"", b"\x80\x01"),
        (b"a", b"\x81a\x02"),
        (b"01", b"\x8201\x03"),
        (b"x" * 64, b"\xe0\x40" + b"x" * 64 + b"\x42"),
        (b"x" * 125, b"\xe0\x7d" + b"x" * 125 + b"\x7f"),
        (b"x" * 126, b"\xe0\x7e" + b"x" * 126 + b"\x01\x80"),
        (b"x" * 4096, b"\xf0\x00\x10\x00\x00" + b"x" * 4096 + b"\x20\x85"),
    ],
)
def test_entries(entry: bytes, encoded: bytes) -> None:
    packed = pack([entry])
    assert packed == (len(encoded) + 7).to_bytes(4, "little") + b"\1\0" + encoded + b"\xff"


@pytest.mark.parametrize(
    "size", [0, 1, 63, 64, 124, 125, 126, 4095, 4096, 16376, 16377, 16378, 16379, 2097145, 2097146]
)
def test_a_text_takes_as_much_as_lists_reckon(size: int) -> None:
    entry = b"x" * size
    assert len(pack([entry])) == 7 + entry_size(entry)


def test_more_entries_than_can_be_counted() -> None:
    assert pack([b"a"] * (COUNT_MAX + 1))[4:6] == b"\xff\xff"
