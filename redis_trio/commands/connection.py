from redis_trio.client import Client
from redis_trio.command import FAST, LOADING, STALE, group
from redis_trio.protocol.reply import PONG, Reply
from redis_trio.protocol.request import Args

command = group("connection")

@command("PING", "[message]", arity=-1, flags=FAST, since="1.0.0", complexity="O(1)", summary="Ping.")
def ping(client: Client, args: Args) -> Reply:
    if len(args) == 1:
        return PONG
    return args[1]
