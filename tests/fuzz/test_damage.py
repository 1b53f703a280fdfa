"""What the fuzzers do, a few hundred cases of each, and the cases that once failed."""

from __future__ import annotations

import random
from types import ModuleType

import pytest

from tests.fuzz import FACTOR, acl, aof, check, config, rdb, requests, restore
from tests.fuzz.damage import case

CASES = 150 * FACTOR
FUZZERS = [requests, rdb, aof, restore, config, acl, check]

ONCE_FAILED: list[tuple[ModuleType, bytes]] = [
    (config, b"replicaof\x00a\n"),  # the reader did not get past the zero byte
    (aof, b"*1\r\n$4\r\nXEC\r\n"),  # cut off, or of a bad format, by how it was read
]
"""A fuzzer and the input of the case."""


@pytest.mark.parametrize("fuzzer", FUZZERS, ids=lambda fuzzer: fuzzer.__name__.split(".")[-1])
def test_damage_is_noticed_or_harmless(fuzzer: ModuleType) -> None:
    for number in range(CASES):
        data, rng = case(fuzzer.make, f"suite:{number}")
        fuzzer.check(data, rng)


@pytest.mark.parametrize(
    ("fuzzer", "data"), ONCE_FAILED, ids=[f"{i}" for i in range(len(ONCE_FAILED))]
)
def test_what_once_failed(fuzzer: ModuleType, data: bytes) -> None:
    for seed in range(5):
        fuzzer.check(data, random.Random(seed))
