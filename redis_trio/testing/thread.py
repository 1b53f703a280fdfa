"""A server that runs in a thread of its own, with a Trio loop of its own.

The thread owns the server; the other side talks to it through sockets, as any client, and through
`RunningServer`, whose methods have the loop do what they say and wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

import trio

from redis_trio.config import Config
from redis_trio.protocol.plain import PlainReply
from redis_trio.server import RedisServer, Word, serve_redis

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class RunningServer:
    """A server in a thread; see `running_server`. Its methods may be called from any other thread.

    Attributes:
      server: the server; use it in its own loop only, with `call`.
    """

    server: RedisServer

    def __init__(self, port: int, host: str | Sequence[str], config: dict[str, Any]):
        self._options = (port, host, config)
        self._token: trio.lowlevel.TrioToken | None = None
        self._stop: trio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="redis server", daemon=True)
        self._defaults: dict[str, str] = {}

    @property
    def port(self) -> int:
        """The TCP port it listens on; 0 if there is none."""
        return self.server.port

    @property
    def url(self) -> str:
        """The URL that clients connect to."""
        return self.server.url

    def execute(self, *words: Word) -> PlainReply:
        """Run one command inside the server; see `RedisServer.execute`."""
        return self.call(self.server.execute, *words)

    def call(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Have the server's loop run an async function, and return what it returns.

        Raises:
          RunFinishedError: the server has ended.
        """
        return trio.from_thread.run(function, *args, trio_token=self._token)

    @property
    def time(self) -> RunningTime:
        """Moves and stops the server's time."""
        return RunningTime(self)

    def reset(self) -> None:
        """Make it as it was at its start: no data, scripts or users, the same configuration."""
        self.call(self._reset)

    async def _reset(self) -> None:
        server = self.server
        server.time.resume()
        await server.execute("FLUSHALL", "ASYNC")
        if server.state.scripting is not None:
            await server.execute("FUNCTION", "FLUSH")
            await server.execute("SCRIPT", "FLUSH")
        users = await server.execute("ACL", "USERS")
        assert isinstance(users, list)
        others = [user for user in users if isinstance(user, bytes) and user != b"default"]
        if others:
            await server.execute("ACL", "DELUSER", *others)
        changed = [
            word
            for name, text in texts(server.config).items()
            if self._defaults[name] != text
            for word in (name, self._defaults[name])
        ]
        if changed:
            await server.execute("CONFIG", "SET", *changed)

    # -- the thread

    def start(self) -> None:
        """Start it, and return when it listens. Raises what `serve_redis` raises."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def close(self) -> None:
        """End it, and return when nothing of it is left. Raises what has ended it before."""
        if self._token is not None and self._stop is not None:
            try:
                self._token.run_sync_soon(self._stop.set)
            except trio.RunFinishedError:
                pass  # it has ended by itself
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as exc:  # noqa: BLE001  (raised in the thread that waits for it)
            self._failure = alone(exc)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        port, host, config = self._options
        async with trio.open_nursery() as nursery:
            self.server = await serve_redis(nursery, port, host=host, **config)
            self._defaults = texts(self.server.config)
            self._stop = trio.Event()
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set()
            await self._stop.wait()
            await self.server.aclose()


class RunningTime:
    """The time of a server in a thread; see `ServerTime`, whose methods these are."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server

    def time(self) -> float:
        """Return the server's time, in seconds since the epoch."""
        return self._server.server.time.time()

    def freeze(self) -> None:
        """Stop time: only `advance` moves it from now on."""
        self._server.call(self._do, self._server.server.time.freeze)

    def resume(self) -> None:
        """Let time pass again, from where it is."""
        self._server.call(self._do, self._server.server.time.resume)

    def advance(self, seconds: float) -> None:
        """Move time on; what is due until then has happened when this returns.

        Raises:
          ValueError: `seconds` is negative.
        """
        self._server.call(self._server.server.time.advance, seconds)

    @staticmethod
    async def _do(change: Callable[[], None]) -> None:
        change()


def alone(exc: BaseException) -> BaseException:
    """Return what an exception group is about, if that is one exception; nurseries make them."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def texts(config: Config) -> dict[str, str]:
    """Return the parameters that can be changed, and their values as redis.conf has them."""
    return {name: parameter.text(config) for name, parameter in Config.parameters.items()}


@contextmanager
def running_server(
    port: int = 0, *, host: str | Sequence[str] = "127.0.0.1", **config: Any
) -> Iterator[RunningServer]:
    """Run a server in a thread for the time of a `with` block; the arguments are `serve_redis`'s.

    Raises:
      OSError, LoadError, ConfigError: see `serve_redis`.
    """
    server = RunningServer(port, host, config)
    server.start()
    try:
        yield server
    finally:
        server.close()
