"""What scripts call: the functions of Python behind the table `redis`, for one Lua state.

Each is called with strings and numbers, which api.lua has seen to, returns such, and never raises:
an exception would reach the script as an object. A command's reply is returned as api.lua expects
it: a value that Lua has, alone, or something and its kind. The elements of an array are fetched by
another call, `items`: Lua makes a table of many results faster than Python fills one.

What Lua cannot allocate while it is called from here would tear through Python's frames. So there
is room for each result (`Engine.has_room`), or the result is a number, or a text that api.lua has.

Source: Redis script.c scriptCall, script_lua.c luaRedisGenericCommand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from redis_trio.client import Client
from redis_trio.clock import perf_counter_ns
from redis_trio.command import WRITE, Command, lookup
from redis_trio.data.numbers import format_double
from redis_trio.execute import call
from redis_trio.feed import BOTH
from redis_trio.log import VERBOSE
from redis_trio.lua.engine import Engine
from redis_trio.protocol.reply import RedisError, Reply, Status
from redis_trio.protocol.request import Args
from redis_trio.scripting.conversion import Converter, argument
from redis_trio.scripting.refusals import refusal
from redis_trio.version import REDIS_VERSION

if TYPE_CHECKING:
    from redis_trio.scripting.room import Room
    from redis_trio.state import ServerState

UNPACKED_MAX: Final = 200  # elements that are returned one by one; more come in a table
_LOG_LEVELS: Final = (10, VERBOSE, 25, 30)
_NO_MEMORY: Final = (b"not enough memory", b"refused")
_BUG: Final = (b"internal error", b"refused")
_ARRAY: Final = (None, b"array")


class Calls:
    """What the scripts of one Lua state can call.

    Attributes:
      engine: the Lua state, once there is one.
    """

    __slots__ = ("_client", "_items", "_room", "_server", "engine")

    def __init__(self, server: ServerState, room: Room, client: Client) -> None:
        self._server = server
        self._room = room
        self._client = client
        self._items: tuple[object, ...] = ()
        self.engine: Engine | None = None

    def host(self, is_eval: bool) -> dict[str, object]:
        """Return what api.lua is given."""
        number = 0
        for part in REDIS_VERSION.split("."):
            number = number << 8 | int(part)
        rng = self._server.rng
        return {
            "call": self.call,
            "call2": self.call2,
            "call3": self.call3,
            "call_many": self.call_many,
            "items": self.items,
            "log": self.log,
            "double": format_double,
            "count_error": self.count_error,
            "register": self._room.functions.register,
            "check": self.check,
            "setresp": self.set_resp,
            "setrepl": self.set_repl,
            "sha1": self.sha1,
            "random": rng.random,
            "seed": rng.seed,
            "version": REDIS_VERSION.encode(),
            "version_number": number,
            "is_eval": is_eval,
        }

    # -- commands

    def call(self, *words: object) -> object:
        """Run a command."""
        try:
            args: Args = []
            for word in words:
                args.append(word if isinstance(word, bytes) else argument(word))
            return self._command(args)
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._note(bug)
            return _BUG

    def call2(self, name: bytes, key: bytes) -> object:
        """`call` with two strings, which costs less."""
        try:
            return self._command([name, key])
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._note(bug)
            return _BUG

    def call3(self, name: bytes, key: bytes, word: object) -> object:
        """`call` with two strings and something else."""
        try:
            return self._command([name, key, word if isinstance(word, bytes) else argument(word)])
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._note(bug)
            return _BUG

    def call_many(self, words: object) -> object:
        """`call` with more arguments than Lua passes on, in a table."""
        try:
            values: Callable[[], Iterable[object]] = words.values  # type: ignore[attr-defined]
            listed = list(values())
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._note(bug)
            return _BUG
        return self.call(*listed)

    def _note(self, bug: BaseException) -> None:
        """Log a bug in a command; what interrupts Python ends the script and is raised again."""
        if isinstance(bug, Exception):
            self._server.log.error("internal error in a script", exc_info=bug)
        else:
            self._room.bug = bug

    def _command(self, args: Args) -> object:
        server = self._server
        client = self._client
        run = self._room.running
        assert run is not None
        command = server.commands.get(args[0])
        if command is None or command.subcommands is not None:
            command = lookup(server.commands, args)
        reason = refusal(run, client, command, args)
        if reason or command is None:
            return self._refused(command, reason)
        if command.flags & WRITE:
            run.written = True
        client.command = command
        if run.lingers:  # what the script itself takes is not the command's
            run.lingers = False
            server.last_ns = perf_counter_ns()
        if run.targets == BOTH:
            reply = call(client, command, args)
        else:
            server.feed.targets = run.targets
            reply = call(client, command, args)
            server.feed.targets = BOTH
        client.halted = 0
        client.close_after_reply = False
        aside = self._room.aside
        if server.last_ns > aside.until_ns:
            aside.stand_still()
        if isinstance(reply, int) and not isinstance(reply, bool):
            return reply
        engine = self.engine
        assert engine is not None
        return self._result(engine, reply) if engine.has_room(0) else _NO_MEMORY

    def _refused(self, command: Command | None, reason: str) -> object:
        if command is not None:
            command.rejected_calls += 1
        self._server.count_error("ERR" if reason[0] != "-" else reason[1:].split(" ", 1)[0])
        engine = self.engine
        assert engine is not None
        if not engine.has_room(len(reason)):
            return _NO_MEMORY
        return reason.encode("utf-8", "surrogateescape"), b"refused"

    def _result(self, engine: Engine, reply: Reply) -> object:
        """Return a reply as api.lua expects it."""
        if isinstance(reply, bytes):
            return reply if len(reply) < 1024 or engine.has_room(len(reply)) else _NO_MEMORY
        if reply is None:
            return False if self._client.resp == 2 else None
        if isinstance(reply, Status):
            return reply.text, b"status"
        if isinstance(reply, RedisError):
            return reply.message.encode("utf-8", "surrogateescape"), b"error"
        if isinstance(reply, list) and self._fits(engine, reply):
            return _ARRAY
        converter = Converter(engine, self._client.resp)
        value = converter.value(reply)
        if not engine.has_room(2 * converter.size):
            return _NO_MEMORY
        if isinstance(value, list) and len(value) <= UNPACKED_MAX:
            self._items = tuple([converter.table(item) for item in value])
            return _ARRAY
        if isinstance(value, (list, dict)):
            return converter.table(value), b"table"
        return value

    def _fits(self, engine: Engine, reply: list[Reply]) -> bool:
        """Keep a reply for `items` that is strings only, and few; whether it is."""
        if len(reply) > UNPACKED_MAX:
            return False
        size = 0
        for item in reply:
            if not isinstance(item, bytes):
                return False
            size += len(item) + 64
        if not engine.has_room(2 * size):
            return False
        self._items = tuple(reply)
        return True

    def items(self) -> tuple[object, ...]:
        """Return the elements of the array that was the last result."""
        items = self._items
        self._items = ()
        return items

    # -- the rest of `redis`

    def check(self, *words: object) -> bool | None:
        """Whether the caller may call a command; None if there is no such command."""
        try:
            args = [argument(word) for word in words]
            command = lookup(self._server.commands, args)
            if command is None:
                return None
            count = len(args)
            if command.arity != count if command.arity > 0 else count < -command.arity:
                return None
            return self._server.acl.check(self._client.user, command, args) == 0
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._note(bug)
            return None

    def log(self, level: int, text: bytes) -> None:
        """Log a line."""
        try:
            self._server.log.log(_LOG_LEVELS[level], "%s", text.decode("utf-8", "surrogateescape"))
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._note(bug)

    def count_error(self, message: bytes) -> None:
        """Count an error that a script returns."""
        self._server.count_error(message.split(b" ", 1)[0].decode("utf-8", "surrogateescape"))

    def sha1(self, data: bytes) -> bytes | None:
        """Return the SHA1 of a string, in hex; None if there is no memory left."""
        engine = self.engine
        if engine is None or not engine.has_room(0):
            return None
        return hashlib.sha1(data).hexdigest().encode()

    def set_resp(self, version: int) -> None:
        """Have commands reply in RESP2 or RESP3."""
        self._client.resp = version

    def set_repl(self, targets: int) -> None:
        """Feed what commands write to some only: bits, the AOF 1, replicas 2."""
        run = self._room.running
        if run is not None:
            run.targets = targets

    # -- scripts that take long

    def interrupt(self) -> bool:
        """Called from time to time while Lua runs; returns whether the script is to end."""
        room = self._room
        if room.bug is not None or room.functions.load_timed_out():
            return True
        run = room.running
        if run is None:
            return False
        run.lingers = True
        try:
            if not run.killed and perf_counter_ns() > room.aside.until_ns:
                room.aside.stand_still()
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            room.bug = bug
            return True
        return run.killed
