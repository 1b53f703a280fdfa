"""LATENCY: the latency monitor (redis_trio/latency.py), and how long the calls of a command took.

Source: Redis latency.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis_trio.client import Client
from redis_trio.command import ADMIN, LOADING, NOSCRIPT, STALE, group
from redis_trio.errors import RedisError, error_text
from redis_trio.help import declare_help
from redis_trio.info import all_commands
from redis_trio.protocol.reply import Counts, Reply, Verbatim
from redis_trio.protocol.request import Args

command = group("server")

FIRST_NS: Final = 1 << 10  # the first step of a histogram; the others are twice the one before
LAST_NS: Final = 1 << 30  # whatever took longer is counted here

command.container(
    "LATENCY",
    arity=-2,
    since="2.8.13",
    summary="A container for commands about what took long.",
)


@command(
    "LATENCY DOCTOR",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    summary="Tells what has taken long, and what may help.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:SPECIAL",
)
def latency_doctor(client: Client, args: Args) -> Reply:
    """Return a report for people."""
    return Verbatim(client.server.latency.report().encode())


@command(
    "LATENCY GRAPH",
    "event",
    arity=3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    summary="Draws how long an event took, and when.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:SPECIAL",
)
def latency_graph(client: Client, args: Args) -> Reply:
    """Return a graph for people. Errors: there are no samples of this event."""
    graph = client.server.latency.graph(_name(args[2]))
    if graph is None:
        raise RedisError(f"ERR No samples available for event '{error_text(args[2])}'")
    return Verbatim(graph.encode())


@command(
    "LATENCY HISTORY",
    "event",
    arity=3,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    summary="Returns when an event took long, and how long.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:SPECIAL",
)
def latency_history(client: Client, args: Args) -> Reply:
    """Return pairs of time (s) and duration (ms), oldest first."""
    series = client.server.latency.events.get(_name(args[2]))
    if series is None:
        return []
    return [[when_s, ms] for when_s, ms in series.samples]


@command(
    "LATENCY LATEST",
    arity=2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    summary="Returns the last time that each event took long.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:SPECIAL",
)
def latency_latest(client: Client, args: Args) -> Reply:
    """Return for each event its name, the last time (s) and duration (ms), the longest (ms)."""
    return [
        [event.encode(), *series.samples[-1], series.max_ms]
        for event, series in client.server.latency.events.items()
    ]


@command(
    "LATENCY RESET",
    "[event...]",
    arity=-2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    summary="Forgets what took long, of all events or of some.",
    tips="REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:AGG_SUM",
)
def latency_reset(client: Client, args: Args) -> Reply:
    """Forget events; return of how many there was something to forget."""
    return client.server.latency.forget([_name(arg) for arg in args[2:]])


@command(
    "LATENCY HISTOGRAM",
    "[COMMAND:string...]",
    arity=-2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    summary="Returns how many calls of commands took at most how long.",
    tips="NONDETERMINISTIC_OUTPUT REQUEST_POLICY:ALL_NODES RESPONSE_POLICY:SPECIAL",
)
def latency_histogram(client: Client, args: Args) -> Reply:
    """Return for each command, all unless some are named, its number of calls and a histogram."""
    server = client.server
    found = all_commands(server)
    if len(args) > 2:
        named = [_name(arg).lower() for arg in args[2:]]
        found = [
            one
            for name in named
            for one in found
            if one.fullname == name or (one.parent is not None and one.parent.fullname == name)
        ]
    reply: dict[bytes, Reply] = {}
    for one in found:
        histogram = one.histogram
        if histogram is not None:
            shown: dict[bytes, Reply] = {
                b"calls": sum(histogram),
                b"histogram_usec": Counts(cumulative(histogram)),
            }
            reply[one.fullname.encode()] = shown
    return reply


def cumulative(histogram: Sequence[int]) -> list[tuple[int, int]]:
    """Return durations (us) and how many calls took at most so long.

    Each duration is twice the one before, one without further calls is left out. The durations are
    those of Redis, whose histogram has buckets of a 128th of their value.
    """
    found: list[tuple[int, int]] = []
    total = sum(histogram)
    level_ns = FIRST_NS
    counted = shown = 0
    for index, calls in enumerate(histogram):
        shift = 0 if index < 128 else index // 64 - 1
        lowest_ns = (index - 64 * shift) << shift
        while lowest_ns > level_ns and level_ns < LAST_NS:
            if counted > shown:
                found.append(((level_ns + level_ns // 128 - 1) // 1000, counted))
                shown = counted
            level_ns *= 2
        counted += calls
        if counted == total:
            break
    if counted > shown:
        found.append(((level_ns + level_ns // 128 - 1) // 1000, counted))
    return found


def _name(arg: bytes) -> str:
    return arg.decode("utf-8", "surrogateescape")


declare_help(command, "LATENCY", since="2.8.13")
