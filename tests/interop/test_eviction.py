"""What is refused for want of memory, beside a real server: the same words, the same order.

Before Redis 7.4 nothing at all could be queued then, so what may be queued is not compared.
"""

from __future__ import annotations

from tests.interop.compare import Both

SCRIPT = [
    "SET plain value",
    "SET timed value EX 1000",
    "CONFIG SET maxmemory-policy noeviction maxmemory 1",
    "SET new value",
    "LPUSH new value",
    "GET plain",
    "DEL nothing",
    "MULTI",
    "SET new value",
    "EXEC",
    "EVAL \"return redis.call('SET', 'new', 'value')\" 1 new",
    "EVAL \"return redis.call('GET', 'plain')\" 1 plain",
    "EVAL \"redis.call('DEL', 'none') return redis.call('SET', 'new', 'value')\" 1 new",
    'EVAL "#!lua\\nreturn 1" 0',
    'EVAL "#!lua flags=allow-oom\\nreturn 1" 0',
    'EVAL "#!lua flags=no-writes\\nreturn 1" 0',
    "CONFIG SET maxmemory 0",
    "SET new value",
    "OBJECT FREQ new",
    "CONFIG SET maxmemory-policy allkeys-lfu",
    "OBJECT IDLETIME new",
    "SET newer value",
    "OBJECT FREQ newer",
    "CONFIG SET maxmemory-policy noeviction",
    "MEMORY USAGE none",
    "MEMORY USAGE new SAMPLES -1",
    "CLIENT NO-EVICT maybe",
]


def test_both_refuse_the_same(both: Both) -> None:
    both(*SCRIPT)
