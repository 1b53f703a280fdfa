"""The frame of the programs that damage valid input until something breaks.

    python -m tests.fuzz.rdb --minutes 10 --seed 1
    python -m tests.fuzz.rdb --case 1:4711

Each such program is a module with two functions: `make(rng)` returns damaged input, `check(data,
rng)` uses it and raises whatever nobody should see. A case is known by the seed and its number, and
is the same whenever it is made again. One that takes more than `CASE_S` of CPU time hangs; the
address space is limited, so that memory which is asked for by a damaged length shows as an error.

`test_damage.py` runs a few cases of each, and those that once failed.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final

Make = Callable[[random.Random], bytes]
Check = Callable[[bytes, random.Random], None]

CASE_S: Final = 20.0
MEMORY_MAX: Final = 2 * 2**30  # bytes of address space
SHOWN_MAX: Final = 2000  # bytes of input that are printed

_PIECES = [b"\0", b"\xff", b"\x7f", b"\x80", b"\0" * 8, b"\xff" * 8, b"\x81" + b"\xff" * 8]
_BIG = [0, 1, 63, 64, 127, 128, 253, 254, 255, 16383, 16384, 65535, 65536, 2**31 - 1, 2**31]
_BIG += [2**32 - 1, 2**32, 2**56, 2**63 - 1, 2**63, 2**64 - 1]


class Hang(BaseException):
    """A case takes too long."""


def _flip(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _add(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data))
    data[place] = (data[place] + rng.randint(-3, 3)) & 0xFF


def _number(rng: random.Random, data: bytearray) -> None:
    """Overwrite with a number at a limit."""
    size = rng.choice((1, 2, 4, 8))
    place = rng.randrange(len(data))
    number = (rng.choice(_BIG) + rng.randint(-1, 1)) & (1 << 8 * size) - 1
    shown = number.to_bytes(size, "big")
    data[place : place + size] = shown if rng.random() < 0.5 else shown[::-1]


def _insert(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice(_PIECES)


def _delete(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.choice((1, 1, 2, 4, 9, 50))]


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _repeat(rng: random.Random, data: bytearray) -> None:
    place = rng.randrange(len(data))
    data[place:place] = data[place : place + rng.choice((1, 2, 5, 20, 100))] * rng.randrange(1, 4)


def _swap(rng: random.Random, data: bytearray) -> None:
    a, b = rng.randrange(len(data)), rng.randrange(len(data))
    data[a], data[b] = data[b], data[a]


_SAME_SIZE = [_flip, _flip, _set, _set, _add, _number, _swap]
_MUTATIONS = [*_SAME_SIZE, _insert, _delete, _truncate, _repeat]


def damaged(rng: random.Random, data: bytes, *, start: int = 0) -> bytes:
    """Return bytes with something done to them behind `start`; half the time the size stays."""
    body = bytearray(data[start:])
    mutations = _SAME_SIZE if rng.random() < 0.5 else _MUTATIONS
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if body:
            rng.choice(mutations)(rng, body)
    return data[:start] + bytes(body)


def spliced(rng: random.Random, one: bytes, other: bytes) -> bytes:
    """Return the beginning of one and the end of the other."""
    return one[: rng.randrange(len(one) + 1)] + other[rng.randrange(len(other) + 1) :]


def case(make: Make, name: str) -> tuple[bytes, random.Random]:
    """Return the input of a case, and the generator to check it with.

    Args:
      name: seed and number, as in `1:4711`.
    """
    rng = random.Random(name)
    return make(rng), rng


def main(make: Make, check: Check) -> int:
    """Run cases for as long as the command line says; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--case", help="only this one: seed:number")
    options = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _hang)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, resource.RLIM_INFINITY))
    if options.case:
        return _failure(make, check, options.case) is not None
    failures: set[str] = set()
    number = 0
    until = time.monotonic() + 60 * options.minutes
    while time.monotonic() < until:
        failure = _failure(make, check, f"{options.seed}:{number}", failures)
        if failure is not None:
            failures.add(failure)
        number += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{number} cases, {len(failures)} kinds of failures, {peak} MB at most")
    return bool(failures)


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def _failure(
    make: Make, check: Check, name: str, known: set[str] | frozenset[str] = frozenset()
) -> str | None:
    """Run a case; return what is wrong in short, and print it at length unless it is known."""
    signal.setitimer(signal.ITIMER_VIRTUAL, CASE_S)
    data = b""
    try:
        data, rng = case(make, name)
        check(data, rng)
    except (Exception, Hang) as exc:  # noqa: BLE001  (that is what is looked for)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        last = traceback.extract_tb(exc.__traceback__)[-1]
        failure = f"{type(exc).__name__} at {last.filename}:{last.lineno}"
        if failure not in known:
            traceback.print_exc()
            print(f"--case {name}: {data[:SHOWN_MAX]!r}", file=sys.stderr, flush=True)
        return failure
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None
