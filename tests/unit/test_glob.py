"""Glob patterns: what matches, and that the ways to match agree."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.glob import glob_filter, glob_match

MATCHES = [
    (b"", b""),
    (b"*", b"a"),
    (b"**", b"abc"),
    (b"a*", b"a"),
    (b"*a", b"bca"),
    (b"h?llo", b"hello"),
    (b"h[ae]llo", b"hallo"),
    (b"h[^e]llo", b"hbllo"),
    (b"h[a-c]llo", b"hbllo"),
    (b"h[c-a]llo", b"hbllo"),
    (b"h\\*llo", b"h*llo"),
    (b"a\\", b"a\\"),
    (b"[\\]]", b"]"),
    (b"[a", b"a"),
    (b"[a-", b"-"),
    (b"[^", b"x"),
    (b"a[^]b", b"axb"),
    (b"[a-]]", b"^"),
    (b"[\xff-a]", b"\xff"),
    (b"[a-\xff]", b"A"),
    (b"x*y*z", b"x1y2y3z"),
    (b"*\xc3\xa4*", b"h\xc3\xa4llo"),
]

MISMATCHES = [
    (b"*", b""),
    (b"**", b""),
    (b"?", b""),
    (b"", b"a"),
    (b"a", b"A"),
    (b"h?llo", b"hllo"),
    (b"h[^e]llo", b"hello"),
    (b"[]", b"]"),
    (b"[", b"["),
    (b"[a-\xff]", b"b"),
    (b"h\\*llo", b"hello"),
    (b"a*b", b"a"),
    (b"x*y*z", b"x1z2y"),
]


@pytest.mark.parametrize(("pattern", "text"), MATCHES)
def test_matches(pattern: bytes, text: bytes) -> None:
    assert glob_match(pattern, text)
    assert glob_filter(pattern, [text, text]) == [text, text]


@pytest.mark.parametrize(("pattern", "text"), MISMATCHES)
def test_does_not_match(pattern: bytes, text: bytes) -> None:
    assert not glob_match(pattern, text)
    assert glob_filter(pattern, [text]) == []


def test_nocase_is_for_ascii_letters() -> None:
    assert glob_match(b"MaxMem*", b"maxmemory", True)
    assert glob_match(b"[A-C]x", b"bX", True)
    assert glob_match(b"a[B]", b"Ab", True)
    assert not glob_match(b"\xc4", b"\xe4", True)


def test_nocase_folds_the_ends_of_a_range_after_ordering_them() -> None:
    """[Z-a] becomes z to a, in which there is nothing."""
    assert glob_match(b"[Z-a]", b"[")
    assert not glob_match(b"[Z-a]", b"[", True)


def test_filter_keeps_order_and_takes_shortcuts() -> None:
    keys = [b"user:2", b"user:10", b"other", b"user:1", b""]
    assert glob_filter(b"user:*", keys) == [b"user:2", b"user:10", b"user:1"]
    assert glob_filter(b"*1", keys) == [b"user:1"]
    assert glob_filter(b"*er*", keys) == [b"user:2", b"user:10", b"other", b"user:1"]
    assert glob_filter(b"other", keys) == [b"other"]
    assert glob_filter(b"", keys) == [b""]
    assert glob_filter(b"user:?", keys) == [b"user:2", b"user:1"]


def test_many_stars_do_not_blow_up() -> None:
    text = b"a" * 5000
    start = perf_counter()
    assert not glob_match(b"a*" * 100 + b"b", text)
    assert glob_filter(b"a*" * 100 + b"b", [text]) == []
    assert perf_counter() - start < 2


def test_more_than_a_thousand_stars_match_nothing() -> None:
    text = b"a" * 2000
    assert glob_match(b"*a" * 1000, text)
    assert not glob_match(b"*a" * 1001, text)
    assert glob_match(b"*a" * 1000 + b"*", text)


PATTERNS = st.lists(st.sampled_from(list(b"**??[]^-\\abcZ\xff\x80\x00")), max_size=12).map(bytes)
TEXTS = st.lists(st.sampled_from(list(b"abcZ\xff\x80\x00]-\\^*[")), max_size=8).map(bytes)


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(PATTERNS, TEXTS)
def test_the_regular_expression_means_what_the_matcher_does(pattern: bytes, text: bytes) -> None:
    assert glob_filter(pattern, [text]) == ([text] if glob_match(pattern, text) else [])
