"""Active expiry: keys are deleted when their time has come, whether anybody looks or not.

Redis looks at random keys ten times a second. Here each database knows its next deadline, so that
the keeper sleeps until it, and every key goes at its own time, in the order of the deadlines. How
much is done at once is bounded by time: whoever expires a million keys does so in slices.

Source: Redis expire.c activeExpireCycle, whose place this takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState

STEPS: Final = 30  # between two looks at the clock, some tens of us


def next_expiry_ms(server: ServerState) -> int:
    """Return when `expire_due` has something to do, NEVER if nothing ever expires by itself."""
    if not server.active_expire or server.persistence.loading or server.replication.is_replica:
        return NEVER
    db, next_ms, _ = _next_database(server)
    return NEVER if db is None else max(next_ms, server.pause_until_ms)


def expire_due(server: ServerState, budget_ns: int) -> bool:
    """Expire what is due, for about `budget_ns`; return whether more is due now."""
    now_ms = server.clock.now_ms
    if not server.active_expire or server.pause_until_ms > now_ms or server.replication.is_replica:
        return False
    until = perf_counter_ns() + budget_ns
    feed = server.feed
    worked = False
    while True:
        db, next_ms, other_ms = _next_database(server)
        if db is None or next_ms > now_ms:
            return False
        if worked and perf_counter_ns() >= until:
            server.stats.expire_time_cap_reached += 1
            return True
        worked = True
        until_ms = now_ms if other_ms == NEVER else min(now_ms, other_ms)
        for key in db.expires.pop_due(until_ms, STEPS):
            db.delete_expired(key)
            if feed.active:
                feed.flush()  # each is a unit of its own, not part of a transaction


def _next_database(server: ServerState) -> tuple[Database | None, int, int]:
    """Return the database in which something is due first, when, and when in another one."""
    first: Database | None = None
    first_ms = NEVER
    other_ms = NEVER
    for db in server.dbs:
        if db.expires.when.count:
            next_ms = db.expires.next_ms()
            if first is None or next_ms < first_ms:
                other_ms = first_ms
                first = db
                first_ms = next_ms
            elif other_ms == NEVER or next_ms < other_ms:
                other_ms = next_ms
    return first, first_ms, other_ms
