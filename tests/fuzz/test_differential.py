"""This server answers what a real redis-server answers, whatever the commands: a short run.

The long run is made by hand, see tests/fuzz/differential.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import FACTOR
from tests.fuzz.differential import NEWER, OPTIONS, Pair, flags, known_commands, shorten, with_ends
from tests.fuzz.grammar import GRAMMAR, Generator
from tests.interop.conftest import (  # noqa: F401  (fixtures)
    Start,
    redis_server,
    start_ours,
    start_real,
)

LENGTH = 40


@pytest.fixture(scope="module")
def ports(start_real: Start, start_ours: Start) -> tuple[int, int]:  # noqa: F811
    """The two servers, with small thresholds."""
    return start_real(*flags(OPTIONS)), start_ours(*flags(OPTIONS | NEWER))


@pytest.fixture(scope="module", params=[2, 3], ids=["resp2", "resp3"])
def pair(request: pytest.FixtureRequest, ports: tuple[int, int]) -> Iterator[Pair]:
    """Connections to both."""
    connections = Pair(*ports, request.param)
    yield connections
    connections.close()


@pytest.mark.parametrize("group", [*GRAMMAR, "all"])
def test_random_commands_are_answered_as_redis_answers(
    pair: Pair, ports: tuple[int, int], group: str
) -> None:
    """Each group alone, where values live longest, and all of them together."""
    known = known_commands(ports[0]) & known_commands(ports[1])
    generator = Generator(known, None if group == "all" else [group])

    @settings(
        max_examples=5 * FACTOR,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        rng = Random(seed)
        commands = [generator.command(rng) for _ in range(LENGTH)]
        try:
            pair.run(commands)
        except AssertionError as wrong:
            short, message = shorten(pair, commands, str(wrong))
            shown = b"\n".join(b" ".join(command) for command in with_ends(short))
            pytest.fail(f"{message}\n\n{shown!r}")

    check()
