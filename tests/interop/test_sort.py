"""SORT on a real redis-server and on ours."""

from __future__ import annotations

import pytest

from tests.interop.compare import Both

OPTIONS = [
    "", "DESC", "ALPHA", "ALPHA DESC", "LIMIT 1 2", "LIMIT -1 100", "LIMIT 2 0", "BY nosort",
    "BY nosort DESC LIMIT 1 2", "BY w*", "BY w* DESC", "BY w* ALPHA LIMIT 0 3", "BY h*->w",
    "BY w* GET #", "GET w*", "BY h*->w GET h*->name GET # GET none*", "BY *->w", "GET *",
    "LIMIT a 1", "BY", "STORE l3 GET w*", "ALPHA STORE l3", "STORE none LIMIT 9 9",
    "BY w* ALPHA STORE l3",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_options(both: Both, options: str) -> None:
    both(
        "RPUSH l 3 10 -1 2.5 7",
        "ZADD z 3 10 2 -1 1 2.5 0 7",
        "SADD s 1 2 3 10 9",
        "MSET w3 5 w10 4 w-1 3 w2.5 2 w1 9 w2 8 w9 1",
        "HSET h3 w 1 name three",
        "HSET h10 w 2 name ten",
        "HSET h2 w 0",
    )
    for key in ("l", "z", "none"):
        both(f"SORT {key} {options}", "LRANGE l3 0 -1", "OBJECT ENCODING z", "DBSIZE")
    if "nosort" not in options:
        both(f"SORT s {options}", "LRANGE l3 0 -1")


@pytest.mark.parametrize(
    "element",
    [b"", b" ", b" 1", b"1 ", b"1x", b"nan", b"inf", b"-Infinity", b"0x1p3", b"1e400", b"1e-400",
     b"1e-310", b"1_0", b"1\0x", b"--1", b".5", b"5.", b".", b"e5"],
)  # fmt: skip
def test_what_is_a_number(both: Both, element: bytes) -> None:
    both(["RPUSH", "l", "2", element, "1"], "SORT l", "SORT l DESC", "SORT l ALPHA")
    both(["SET", "w1", element], "SET w2 1.5", "RPUSH m 1 2", "SORT m BY w*")
