"""HyperLogLogs: how many different elements there were, estimated. The value is a string.

Source: Redis hyperloglog.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_trio.args import option_name
from redis_trio.command import ADMIN, DENYOOM, FAST, MAY_REPLICATE, READONLY, WRITE, group, key
from redis_trio.data import hyperloglog
from redis_trio.errors import WRONGTYPE, RedisError, error_text
from redis_trio.keyspace.database import STRING
from redis_trio.protocol.reply import OK, Reply, Status
from redis_trio.protocol.request import Args

if TYPE_CHECKING:
    from redis_trio.client import Client

command = group("hyperloglog")

INVALID: Final = "INVALIDOBJ Corrupted HLL object detected"
NOT_ONE: Final = "WRONGTYPE Key is not a valid HyperLogLog string value."


def _checked(value: object) -> bytes | bytearray:
    """Return the value found under a key if it is a HyperLogLog. Errors: it is none."""
    if not isinstance(value, (bytes, bytearray)):
        raise RedisError(WRONGTYPE)
    if not hyperloglog.is_valid(value):
        raise RedisError(NOT_ONE)
    return value


def _changeable(client: Client, name: bytes, value: object) -> bytearray:
    """Return the HyperLogLog found under a key as one that can be changed in place."""
    found = _checked(value)
    if isinstance(found, bytearray):
        return found
    changeable = bytearray(found)
    client.db.overwrite(name, changeable)
    return changeable


@command(
    "PFADD",
    "key [element...]",
    arity=-2,
    flags=WRITE | DENYOOM | FAST,
    keys=[key(1, "RW INSERT")],
    acl="HYPERLOGLOG",
    since="2.8.9",
    complexity="O(1) to add every element.",
    summary="Counts elements in; returns 1 if that changed anything, as a new key does.",
)
def pfadd(client: Client, args: Args) -> Reply:
    """Errors: what is there is no HyperLogLog; it is corrupted: elements in front stay added."""
    db = client.db
    name = args[1]
    server = client.server
    found = db.lookup_write(name)
    updated = 0
    if found is None:
        value = hyperloglog.new_value()
        db.set(name, value)
        updated = 1
    else:
        value = _changeable(client, name, found)
    changed = hyperloglog.add_all(value, args, 2, server.thresholds.hll_sparse_bytes)
    if changed == hyperloglog.CORRUPTED:
        raise RedisError(INVALID)
    updated += changed
    if not updated:
        return 0
    hyperloglog.forget_estimate(value)
    db.modified(name, STRING, "pfadd")
    server.dirty += updated - 1
    return 1


@command(
    "PFCOUNT",
    "key...",
    arity=-2,
    flags=READONLY | MAY_REPLICATE,
    keys=[
        key(
            1,
            "RW ACCESS",
            last=-1,
            notes="RW because an estimate is kept in the key, and that is propagated",
        )
    ],
    acl="HYPERLOGLOG",
    since="2.8.9",
    complexity="O(1) with a very small average constant time when called with a single key. O(N)"
    " with N being the number of keys, and much bigger constant times, when called with multiple"
    " keys.",
    summary="Estimates how many different elements were counted in, over all keys.",
)
def pfcount(client: Client, args: Args) -> Reply:
    """Of one key the estimate is kept in its value; putting it there counts as a change."""
    if len(args) > 2:
        registers, _ = _merged(client, args)
        return _as_signed(hyperloglog.count_registers(registers))
    db = client.db
    name = args[1]
    found = db.lookup_read(name)
    if found is None:
        return 0
    if db.saving is not None:
        found = db.saving.before_change(name, found)
    value = _changeable(client, name, found)
    estimate = hyperloglog.known_estimate(value)
    if estimate is None:
        estimate = hyperloglog.count(value)
        if estimate is None:
            raise RedisError(INVALID)
        hyperloglog.store_estimate(value, estimate)
        db.signal(name)
        client.server.dirty += 1
    return _as_signed(estimate)


def _as_signed(estimate: int) -> int:
    """Return an estimate as Redis replies it: as a signed integer of 64 bits."""
    return estimate - (1 << 64) if estimate >> 63 else estimate


def _merged(client: Client, args: Args) -> tuple[bytes, bool]:
    """Return the registers of all keys in one, and whether any of them is dense."""
    db = client.db
    merged = bytes(hyperloglog.REGISTERS)
    any_dense = False
    for i in range(1, len(args)):
        found = db.lookup_read(args[i])
        if found is None:
            continue
        value = _checked(found)
        registers = hyperloglog.registers_of(value)
        if registers is None:
            raise RedisError(INVALID)
        merged = hyperloglog.merge_registers(merged, registers)
        any_dense = any_dense or value[4] == hyperloglog.DENSE
    return merged, any_dense


@command(
    "PFMERGE",
    "destkey [sourcekey...]",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=[key(1, "RW ACCESS INSERT"), key(2, "RO ACCESS", last=-1)],
    acl="HYPERLOGLOG",
    since="2.8.9",
    complexity="O(N) to merge N HyperLogLogs, but with high constant times.",
    summary="Counts what several keys have counted into one, as if that had seen all elements.",
)
def pfmerge(client: Client, args: Args) -> Reply:
    """The destination counts as a source if it is there; it is dense if one of them is."""
    registers, any_dense = _merged(client, args)
    db = client.db
    name = args[1]
    found = db.lookup_write(name)
    if found is None:
        value = hyperloglog.new_value()
        db.set(name, value)
    else:
        value = _changeable(client, name, found)
    if any_dense:
        hyperloglog.make_dense(value)
    sparse_max = client.server.thresholds.hll_sparse_bytes
    hyperloglog.raise_registers(value, registers, sparse_max)
    hyperloglog.forget_estimate(value)
    db.modified(name, STRING, "pfadd")
    return OK


@command(
    "PFDEBUG",
    "subcommand key",
    arity=3,
    flags=WRITE | DENYOOM | ADMIN,
    keys=[key(2, "RW ACCESS")],
    acl="HYPERLOGLOG",
    since="2.8.9",
    complexity="N/A",
    summary="Shows the inside of a HyperLogLog: GETREG, DECODE, ENCODING; or makes it dense.",
    doc_flags="SYSCMD",
)
def pfdebug(client: Client, args: Args) -> Reply:
    """GETREG makes the value dense, too, as TODENSE does; that counts as a change without event."""
    name = args[2]
    found = client.db.lookup_write(name)
    if found is None:
        raise RedisError("ERR The specified key does not exist")
    value = _changeable(client, name, found)
    is_sparse = value[4] == hyperloglog.SPARSE
    what = option_name(args[1])
    if what == b"ENCODING":
        return Status(b"sparse" if is_sparse else b"dense")
    if what == b"DECODE":
        if not is_sparse:
            raise RedisError("ERR HLL encoding is not sparse")
        return hyperloglog.decode(value)
    if what not in (b"GETREG", b"TODENSE"):
        shown = error_text(args[1].partition(b"\0")[0])
        raise RedisError(f"ERR Unknown PFDEBUG subcommand '{shown}'")
    if is_sparse:
        if not hyperloglog.make_dense(value):
            raise RedisError(INVALID)
        client.server.dirty += 1
    if what == b"TODENSE":
        return 1 if is_sparse else 0
    registers = hyperloglog.registers_of(value)
    assert registers is not None
    return list(registers)


@command(
    "PFSELFTEST",
    arity=1,
    flags=ADMIN,
    acl="HYPERLOGLOG",
    since="2.8.9",
    complexity="N/A",
    summary="Tries the inside of HyperLogLogs with random data.",
    doc_flags="SYSCMD",
)
def pfselftest(client: Client, args: Args) -> Reply:
    server = client.server
    wrong = hyperloglog.self_test(server.rng, server.thresholds.hll_sparse_bytes)
    if wrong is not None:
        raise RedisError(f"ERR TESTFAILED {wrong}")
    return OK
