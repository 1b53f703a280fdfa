"""Fields of hashes are deleted when their time has come: on access, and by themselves.

Each hash knows its next deadline (`Hash.deadlines`), each database that of every hash
(`Database.field_expires`). When it has come, a slice of the hash's fields is deleted and the hash
is entered again for the next time, so that a hash of a million fields holds nobody up. The entry of
a hash may be too early, because nobody changes it when a field loses its deadline; it is put right
then.

A field that has expired counts as not there for whoever asks for it, and is deleted then, except in
a pause or on a replica; as part of the whole (HLEN, HDEL, HEXPIRE) it is there until it is deleted.
Its deletion is fed as HDEL and fires `hexpired`; it is no command's own change and does not count
as dirty.

Source: Redis t_hash.c hashTypeGetValue, hashTypeExpire, hashTypeDbActiveExpire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.clock import perf_counter_ns
from redis_trio.data.expires import NEVER
from redis_trio.data.hash import Hash
from redis_trio.keyspace.database import GENERIC, HASH

if TYPE_CHECKING:
    from redis_trio.keyspace.database import Database
    from redis_trio.state import ServerState

FIELDS: Final = 128  # of one hash between two looks at the clock, some tenths of a ms
HASHES: Final = 2  # likewise
EVERY_FIELD: Final = 1_000_000_000


def expire_field(db: Database, key: bytes, value: Hash, field: bytes, fires: bool = True) -> bool:
    """Return whether a field's deadline has passed; such a field is deleted, except in a pause.

    A hash that has no field left is deleted as well, and is empty then.

    Args:
      fires: whether `hexpired` and `del` are fired; else the caller does so.
    """
    when_ms = value.deadline(field)
    server = db.server
    now_ms = server.clock.now_ms
    if when_ms == NEVER or when_ms > now_ms or server.persistence.loading:
        return False
    if server.replication.is_replica:
        return not server.obeys()
    if server.pause_until_ms <= now_ms:
        if db.saving is not None:
            db.saving.before_expiry(key, value)
        if server.accounting:
            server.account.touch(db, value)
        delete_field(db, key, value, field)
        if fires:
            db.notify(key, HASH, "hexpired")
        _delete_if_empty(db, key, value, fires)
        db.signal(key, True)
    return True


def delete_field(db: Database, key: bytes, value: Hash, field: bytes) -> None:
    """Delete a field whose time is over, and feed that."""
    server = db.server
    value.delete(field)
    server.stats.expired_subkeys += 1
    server.feed.add_effect(db.index, [b"HDEL", key, field])


def _delete_if_empty(db: Database, key: bytes, value: Hash, fires: bool) -> None:
    if len(value) == 0:
        db.delete(key)
        if fires:
            db.notify(key, GENERIC, "del")


def expire_all_fields(db: Database, key: bytes, value: Hash) -> None:
    """Delete all fields whose deadline has passed, and a hash that is empty then; not in a pause.

    Source: t_hash.c hashTypeExpireIfNeeded.
    """
    server = db.server
    deadlines = value.deadlines
    if deadlines is None or server.pause_until_ms > server.clock.now_ms:
        return
    next_ms = deadlines.next_ms()
    if next_ms != NEVER and server.is_past(next_ms):
        _expire_slice(db, key, value, EVERY_FIELD, False)


def _expire_slice(db: Database, key: bytes, value: Hash, limit: int, alone: bool) -> None:
    """Delete up to about `limit` fields whose deadline has passed, and note the next one.

    Args:
      alone: whether each deletion is fed as a unit of its own.
    """
    deadlines = value.deadlines
    feed = db.server.feed
    if db.saving is not None:
        db.saving.before_expiry(key, value)
    if db.server.accounting:
        db.server.account.touch(db, value)
    due = [] if deadlines is None else deadlines.pop_due(db.server.clock.now_ms, limit)
    for field in due:
        delete_field(db, key, value, field)
        if alone and feed.active:
            feed.flush()
    if due:
        db.notify(key, HASH, "hexpired")
        _delete_if_empty(db, key, value, True)
        db.signal(key, True)
    if len(value):
        db.track_fields(key, value)


def _next_database(server: ServerState) -> tuple[Database | None, int]:
    """Return the database in which there is something to do first, and when."""
    first: Database | None = None
    first_ms = NEVER
    for db in server.dbs:
        if db.field_expires.when.count:
            next_ms = db.field_expires.next_ms()
            if next_ms != NEVER and (first is None or next_ms < first_ms):
                first = db
                first_ms = next_ms
    return first, first_ms


def next_field_expiry_ms(server: ServerState) -> int:
    """Return when `expire_fields_due` has something to do, NEVER if no field ever expires."""
    if not server.active_expire or server.persistence.loading or server.replication.is_replica:
        return NEVER
    db, next_ms = _next_database(server)
    return NEVER if db is None else max(next_ms, server.pause_until_ms)


def expire_fields_due(server: ServerState, budget_ns: int) -> bool:
    """Delete fields whose time has come, for about `budget_ns`; return whether more is due now."""
    now_ms = server.clock.now_ms
    if not server.active_expire or server.pause_until_ms > now_ms or server.replication.is_replica:
        return False
    until = perf_counter_ns() + budget_ns
    while True:
        db, next_ms = _next_database(server)
        if db is None or next_ms > now_ms:
            return False
        for key in db.field_expires.pop_due(now_ms, HASHES):
            db.field_expires.remove(key)
            value = db.table.get(key)
            if isinstance(value, Hash):
                _expire_slice(db, key, value, FIELDS, True)
        if perf_counter_ns() >= until:
            server.stats.expire_time_cap_reached += 1
            return True
