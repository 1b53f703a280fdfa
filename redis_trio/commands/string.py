from redis_trio.client import Client
from redis_trio.command import FAST, READONLY, WRITE, DENYOOM, group, key
from redis_trio.keyspace.database import STRING
from redis_trio.protocol.reply import OK, Reply
from redis_trio.protocol.request import Args
from redis_trio.errors import *

command = group("string")

@command("GET", "key", arity=2, flags=READONLY|FAST, keys=[key(1, "RO ACCESS")], since="1.0.0", complexity="O(1)", summary="Ping.")
def get(client: Client, args: Args) -> Reply:
    value = client.db.lookup_read(args[1])
    if value is None or isinstance(value, bytes):
        return value
    raise RedisError(WRONGTYPE)

@command("SET", "key value", arity=-3, flags=WRITE|DENYOOM, since="1.0.0", complexity="O(1)", summary="Ping.")
def set_(client: Client, args: Args) -> Reply:
    if len(args) == 3:
        db = client.db
        db.replace(args[1], args[2])
        db.modified(args[1], STRING, "set")
        return OK
    raise RedisError(SYNTAX)

@command("INCR", "key", arity=2, flags=WRITE|DENYOOM|FAST, since="1.0.0", complexity="O(1)", summary="Ping.")
def incr(client: Client, args: Args) -> Reply:
    db = client.db
    value = db.lookup_write(args[1])
    n = int(value) + 1 if isinstance(value, bytes) else 1
    db.set(args[1], b"%d" % n)
    db.modified(args[1], STRING, "incrby")
    return n
