"""serve_redis: the server as one task in the caller's nursery, and all that hangs on it."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable

import trio

from redis_trio import commands as commands  # registers every command
from redis_trio.clock import Clock
from redis_trio.config import Config
from redis_trio.connection import Connection, SocketConnection, StreamConnection
from redis_trio.hub import run_hub
from redis_trio.state import ServerState
from redis_trio.transport import Poller


class RedisServer:
    def __init__(self, config: Config) -> None:
        self.state = ServerState(config, Clock(), logging.getLogger("redis_trio"))
        self.poller = Poller(self.state)

    async def run(self, host: str, port: int, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        sock = socket.create_server((host, port), backlog=511)
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        self.state.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_hub, self.poller)
            task_status.started(self)
            while True:
                await trio.lowlevel.wait_readable(sock)
                for _ in range(1000):
                    try:
                        conn, addr = sock.accept()
                    except BlockingIOError:
                        break
                    conn.setblocking(False)
                    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    nursery.start_soon(self.serve, SocketConnection(self.state, conn, self.poller))

    async def serve(self, connection: Connection) -> None:
        self.state.clients[connection.client.id] = connection.client
        try:
            await connection.run()
        finally:
            del self.state.clients[connection.client.id]
