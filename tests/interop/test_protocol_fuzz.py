"""Malformed requests to redis-server and to ours: the same bytes come back."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutate import malformed
from tests.interop.compare import Both

STREAMS = 300


@pytest.mark.parametrize("seed", range(5))
def test_malformed_requests_are_answered_as_redis_does(
    seed: int, real_port: int, our_port: int
) -> None:
    rng = random.Random(1000 + seed)
    both = Both(real_port, our_port, 2)
    try:
        both("FLUSHALL")
        for _ in range(STREAMS):
            both.raw(malformed(rng))
    finally:
        both.close()
