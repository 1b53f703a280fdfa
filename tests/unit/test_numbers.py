"""Numbers are read and written as Redis does it, to the last digit.

The expected texts of doubles come from Redis 7.4's own routine (deps/fpconv), those of long doubles
from INCRBYFLOAT of a redis-server on x86-64.
"""

from __future__ import annotations

import math
import random
import struct

import pytest

from redis_trio.args import option_name, read_double, read_integer, read_integer_in
from redis_trio.data.long_double import (
    INFINITY,
    add,
    format_long_double,
    from_double,
    is_infinite,
    parse_long_double,
)
from redis_trio.data.numbers import format_double, format_human, parse_double, parse_integer
from redis_trio.data.string import integer_string, string_encoding, text_string
from redis_trio.errors import RedisError


@pytest.mark.parametrize(
    "value",
    [0, 1, -1, 9, 10, 12345, -12345, 10**17, 10**18 - 1, 10**18, -(10**18), 2**63 - 1, -(2**63)],
)
def test_an_integer_is_read_in_its_canonical_form(value: int) -> None:
    assert parse_integer(b"%d" % value) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-",
        b"+",
        b"+1",
        b"-0",
        b"00",
        b"01",
        b"-01",
        b" 1",
        b"1 ",
        b"1\n",
        b"1\0",
        b"1.0",
        b"1e3",
        b"0x1",
        b"1_0",
        b"\xb2",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"18446744073709551616",
        b"0000000000000000001",
        b"-000000000000000001",
        b"123456789012345678901",
        b"12345678901234567a",
        b"123456789012345678a",
    ],
)
def test_no_other_form_is_an_integer(text: bytes) -> None:
    assert parse_integer(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"0", 0.0),
        (b"-0", -0.0),
        (b"1", 1.0),
        (b"+1.5", 1.5),
        (b".5", 0.5),
        (b"5.", 5.0),
        (b"-1e3", -1000.0),
        (b"1E+3", 1000.0),
        (b"007", 7.0),
        (b"0e99999999999999999999", 0.0),
        (b"5e-324", 5e-324),
        (b"3e-324", 5e-324),
        (b"1.7976931348623157e308", 1.7976931348623157e308),
        (b"0.1" + b"0" * 5000, 0.1),
        (b"inf", math.inf),
        (b"+INF", math.inf),
        (b"-Infinity", -math.inf),
        (b"0x10", 16.0),
        (b"-0X.8p1", -1.0),
        (b"0x1.", 1.0),
        (b"0x1.8P-1", 0.75),
        (b"0x0p99999999999999999999", 0.0),
        (b"-0x0", -0.0),
        (b"0x1p-1074", 5e-324),
    ],
)
def test_a_double_is_read_as_strtod_reads_it(text: bytes, value: float) -> None:
    read = parse_double(text)
    assert read is not None
    assert struct.pack("d", read) == struct.pack("d", value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" 1",
        b"1 ",
        b"1\n",
        b"1\0",
        b"1_0",
        b".",
        b"-",
        b"e5",
        b"1e",
        b"1e+",
        b"1 e5",
        b"--1",
        b"+-1",
        b"0x",
        b"0x.",
        b"0x1p",
        b"x1",
        b"0xg",
        b"nan",
        b"-nan",
        b"nan(1)",
        b"infinit",
        b"infx",
        b"1e400",
        b"-1e400",
        b"2e-324",
        b"1e-99999999999999999999",
        b"0x1p1024",
        b"0x1p-1076",
        b"0x1p99999999999999999999",
        b"0x1p-99999999999999999999",
    ],
)
def test_what_is_no_double_or_out_of_range_is_refused(text: bytes) -> None:
    assert parse_double(text) is None


DOUBLES = [
    (0.0, b"0"),
    (-0.0, b"-0"),
    (math.inf, b"inf"),
    (-math.inf, b"-inf"),
    (math.nan, b"nan"),
    (3.0, b"3"),
    (-3.0, b"-3"),
    (0.1, b"0.1"),
    (1e17, b"100000000000000000"),
    (1234567890123456789.0, b"1234567890123456768"),
    (2.0**62, b"4611686018427387904"),
    (2.0**62 * (1 + 2**-52), b"4611686018427389000"),
    (2.0**63, b"9223372036854776000"),
    (-(2.0**64), b"-18446744073709552000"),
    (-3.0168212434893705e21, b"-3016821243489370500000"),
    (2.0499726170452804e23, b"204997261704528040000000"),
    (1e21, b"1e+21"),
    (1e100, b"1e+100"),
    (1.5e300, b"1.5e+300"),
    (1e-5, b"0.00001"),
    (1e-6, b"0.000001"),
    (1e-7, b"1e-7"),
    (1.234e-6, b"1.234e-6"),
    (-9.87654321e-5, b"-9.87654321e-5"),
    (5e-324, b"5e-324"),
    (2.2250738585072014e-308, b"2.2250738585072014e-308"),
    (1.7976931348623157e308, b"1.7976931348623157e+308"),
    (1 / 3, b"0.3333333333333333"),
    (100 / 3, b"33.333333333333336"),
    # Where Grisu2 does not find the fewest digits:
    (54.844221305704, b"54.844221305703996"),
    (914.00394, b"914.0039399999999"),
    (35.4491695, b"35.449169500000004"),
    (0.4274409079665, b"0.42744090796650003"),
    (4.5616087508773, b"4.5616087508772996"),
    (1 / 123456, b"8.100051840331778e-6"),
]


@pytest.mark.parametrize(("value", "text"), DOUBLES)
def test_a_double_is_written_as_redis_writes_it(value: float, text: bytes) -> None:
    assert format_double(value) == text


def test_every_double_reads_back_as_itself() -> None:
    rng = random.Random(7)
    for _ in range(5000):
        (value,) = struct.unpack("<d", rng.randbytes(8))
        if math.isfinite(value):
            assert float(format_double(value)) == value


SUMS = [
    ("3", "1.1", "4.1"),
    ("0.1", "0.2", "0.3"),
    ("1", "1e-17", "1.00000000000000001"),
    ("1", "5e-18", "1"),
    ("1", "1.5e-17", "1.00000000000000001"),
    ("-1.1", "1.1", "0"),
    ("5.0e3", "2.0e2", "5200"),
    ("0", "1e-18", "0"),
    ("0", "-1e-18", "0"),
    ("-0.0", "-0.0", "0"),
    ("+1", "+2", "3"),
    (".5", "5.", "5.5"),
    ("9223372036854775807", "1", "9223372036854775808"),
    ("18446744073709551615", "1", "18446744073709551616"),
    ("18446744073709551616", "1", "18446744073709551616"),
    ("36893488147419103232", "3", "36893488147419103236"),
    ("0x1p3", "0x.8p1", "9"),
    ("0x1.8p-3", "0", "0.1875"),
    ("1e20", "0.00000000000000001", "100000000000000000000"),
    ("123456789.123456789", "987654321.987654321", "1111111111.11111110995989293"),
    ("2.718281828459045", "3.141592653589793", "5.859874482048838"),
    ("1e-5", "1e-6", "0.000011"),
    ("0.000000000000000005", "0", "0"),
    ("0.0000000000000000151", "0", "0.00000000000000002"),
    ("100000000000000000000000", "1", "100000000000000000000000"),
]


@pytest.mark.parametrize(("a", "b", "total"), SUMS)
def test_long_doubles_add_as_the_x87_adds_them(a: str, b: str, total: str) -> None:
    x = parse_long_double(a.encode())
    y = parse_long_double(b.encode())
    assert x is not None
    assert y is not None
    assert add(x, y) == add(y, x)
    value = add(x, y)
    assert value is not None
    assert format_long_double(value) == total.encode()


def test_a_long_double_may_have_thousands_of_digits() -> None:
    value = parse_long_double(b"1e4000")
    assert value is not None
    text = format_long_double(value)
    assert len(text) == 4000
    assert text.startswith(b"999999999999999999996546387309")
    assert text.endswith(b"272729951206648276349901340672")
    assert parse_long_double(text) == value
    assert parse_long_double(b"0" * 5118 + b"7") == parse_long_double(b"7")


def test_the_greatest_and_the_smallest_long_double() -> None:
    greatest = parse_long_double(b"1.18973149535723176502e4932")
    assert greatest == (2**64 - 1, 16384 - 64)
    assert greatest is not None
    assert add(greatest, (1, 0)) == greatest
    assert add(greatest, greatest) is None
    assert parse_long_double(b"1.18973149535723176508e4932") is None
    assert parse_long_double(b"3.6e-4951") == (1, -16445)
    assert parse_long_double(b"1e-4951") is None
    assert parse_long_double(b"0x1p-16445") == (1, -16445)
    assert parse_long_double(b"0x1p-16446") is None
    assert parse_long_double(b"0x1p16384") is None


def test_halves_round_to_the_even_mantissa() -> None:
    one = 2**64
    assert parse_long_double(b"%d" % (2 * one + 2)) == (2**63, 2)
    assert parse_long_double(b"%d" % (2 * one + 6)) == (2**63 + 2, 2)
    assert parse_long_double(b"%d.0000000000000000000000001" % (2 * one + 2)) == (2**63 + 1, 2)


@pytest.mark.parametrize("text", [b"inf", b"-inf", b"+Infinity"])
def test_an_infinity_is_read_and_never_added(text: bytes) -> None:
    value = parse_long_double(text)
    assert value is not None
    assert is_infinite(value)
    assert add(value, (1, 0)) is None
    assert add((1, 0), value) is None
    assert add(INFINITY, (-1, INFINITY[1])) is None


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" 1", b"1 ", b"1\0", b"1_0", b".", b"e5", b"1e", b"nan", b"0x", b"++inf"),
        *(b"1e5000", b"1e-5000", b"1e999999999999", b"1e-999999999999", b"0" * 5120),
    ],
)
def test_what_is_no_long_double_is_refused(text: bytes) -> None:
    assert parse_long_double(text) is None


def test_a_double_is_a_long_double() -> None:
    assert format_long_double(from_double(0.1)) == b"0.10000000000000001"
    assert format_long_double(from_double(-1.5)) == b"-1.5"
    assert format_long_double(from_double(13.361389338970184)) == b"13.36138933897018433"
    assert format_long_double(from_double(2.0**100)) == b"1267650600228229401496703205376"


def test_readers_fail_in_the_words_they_are_given() -> None:
    assert read_integer(b"-5") == -5
    assert read_integer_in(b"5", 0, 5) == 5
    assert read_double(b"1.5") == 1.5
    with pytest.raises(RedisError, match=r"^ERR value is not an integer or out of range$"):
        read_integer(b"5.0")
    with pytest.raises(RedisError, match=r"^ERR too big$"):
        read_integer_in(b"6", 0, 5, "ERR too big")
    with pytest.raises(RedisError, match=r"^ERR value is not a valid float$"):
        read_double(b"five")


def test_an_option_ends_at_a_nul_as_in_c() -> None:
    assert option_name(b"keepttl") == b"KEEPTTL"
    assert option_name(b"nx\0rest") == b"NX"
    assert option_name(b"\0") == b""


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b"0", b"int"),
        (b"-9223372036854775808", b"int"),
        (b"9223372036854775808", b"embstr"),
        (b"01", b"embstr"),
        (b"", b"embstr"),
        (b"x" * 44, b"embstr"),
        (b"x" * 45, b"raw"),
        (bytearray(b"1"), b"raw"),
        (text_string(b"3"), b"embstr"),
        (text_string(b"3.5"), b"embstr"),
        (integer_string(9999), b"int"),
        (integer_string(10000), b"int"),
    ],
)
def test_the_encoding_of_a_string_is_what_redis_would_choose(
    value: bytes | bytearray, encoding: bytes
) -> None:
    assert string_encoding(value) == encoding


def test_small_integers_are_held_once() -> None:
    assert integer_string(7) is integer_string(7)
    assert [integer_string(n) for n in (0, 9999, 10000, -1)] == [b"0", b"9999", b"10000", b"-1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (13.361389338970184, b"13.36138933897018433"),
        (-122.27652043104172, b"-122.27652043104171753"),
        (-180.0, b"-180"),
        (100.0, b"100"),
        (1e-5, b"0.00001"),
        (1e-18, b"0"),
        (-1e-18, b"0"),
        (-0.0, b"0"),
    ],
)
def test_a_double_for_people_has_no_exponent_and_17_digits(value: float, text: bytes) -> None:
    assert format_human(value) == text
