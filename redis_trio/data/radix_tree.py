"""How many nodes Redis's radix tree would need for the keys of a stream: XINFO shows that.

The tree has a node for each point where keys part, one for each run of bytes without a fork in
between (compressed into one node), and a leaf for each key. Its form depends on the keys alone.

Source: Redis rax.c raxGenericInsert, raxRemove.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from redis_trio.data.stream_id import StreamId

KEY_SIZE: Final = 16  # bytes: two 64-bit numbers, big end first


def _common_bytes(a: StreamId, b: StreamId) -> int:
    """Return how many bytes two different keys have in common at their beginning."""
    different = a[0] ^ b[0]
    if different:
        return (64 - different.bit_length()) >> 3
    return 8 + ((64 - (a[1] ^ b[1]).bit_length()) >> 3)


def count_tree_nodes(keys: list[StreamId]) -> int:
    """Return the number of nodes for ascending keys, in one pass."""
    if not keys:
        return 1
    nodes = 2  # one run, one leaf
    forks: list[i64] = []  # where the path to the last key forks, downwards
    for i in range(1, len(keys)):
        fork: i64 = _common_bytes(keys[i - 1], keys[i])
        below: i64 = KEY_SIZE
        while forks and forks[-1] > fork:
            below = forks.pop()
        if not forks or forks[-1] < fork:  # takes the place of the run from `above` to `below`
            above: i64 = forks[-1] if forks else -1
            nodes += (1 if fork - above > 1 else 0) + (1 if below - fork > 1 else 0)
            forks.append(fork)
        nodes += 1 + (1 if KEY_SIZE - fork > 1 else 0)
    return nodes
