"""What runs scripts: one Lua state for EVAL, one for functions, each made when first needed.

A script runs inside its caller's command. What it calls goes through `execute.call` by a client of
its own, which is in the caller's database, speaks RESP2 until `redis.setresp`, and never blocks.
Each write is fed as it happens; the script itself is not fed.

1. Nothing of a call is kept in the Lua state but KEYS and ARGV, which the next call replaces.
2. A bug in a command ends the script like an error; what interrupts Python (KeyboardInterrupt) ends
   it, too, and is raised again once Lua has been left.
3. Scripts of EVAL are kept in the order of use; the 500 used last stay. Those of SCRIPT LOAD stay
   until SCRIPT FLUSH.

Source: Redis script.c, script_lua.c, eval.c.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from redis_trio.client import BUSY, Client, Transport
from redis_trio.command import (
    MAY_REPLICATE,
    NOSCRIPT,
    WRITE,
    Command,
    lookup,
)
from redis_trio.data.numbers import format_double
from redis_trio.errors import AOF_ERROR, BUSY_EVAL, BUSY_FUNCTION, RedisError
from redis_trio.execute import call
from redis_trio.log import VERBOSE
from redis_trio.lua.engine import MEMORY_LIMIT, Engine, LuaSyntaxError
from redis_trio.protocol.reply import Encoded, Reply, Status
from redis_trio.protocol.request import Args
from redis_trio.scripting.conversion import Converter, argument
from redis_trio.scripting.flags import COMPATIBLE, NO_WRITES, script_flags
from redis_trio.version import REDIS_VERSION

if TYPE_CHECKING:
    from redis_trio.scripting.functions import Functions
    from redis_trio.state import ServerState

CACHED_SCRIPTS: Final = 500
ARGUMENTS_MAX: Final = 200  # passed one by one; more go in tables
UNPACKED_MAX: Final = 200
REPL_AOF: Final = 1
_LOG_LEVELS: Final = (10, VERBOSE, 25, 30)
KILLED: Final = "ERR Script killed by user with SCRIPT KILL..."


class Script:
    """A compiled script of EVAL."""

    __slots__ = ("body", "evicts", "flags", "function", "sha")

    def __init__(self, sha: bytes, body: bytes, flags: int, function: object, evicts: bool) -> None:
        self.sha = sha
        self.body = body
        self.flags = flags
        self.function = function
        self.evicts = evicts  # it makes room for others when it has not been used for long


class Run:
    """A script that is running."""

    __slots__ = (
        "args",
        "caller",
        "is_eval",
        "killed",
        "name",
        "read_only",
        "repl",
        "started",
        "timed_out",
        "written",
    )

    def __init__(
        self, caller: Client, args: Args, name: bytes, is_eval: bool, read_only: bool
    ) -> None:
        self.caller = caller
        self.args = args
        self.name = name
        self.is_eval = is_eval
        self.read_only = read_only
        self.repl = 3
        self.written = False
        self.killed = False
        self.timed_out = False
        self.started = time.monotonic()

    @property
    def elapsed_ms(self) -> int:
        """How long it has been running."""
        return int((time.monotonic() - self.started) * 1000)


class Room:
    """The scripts of one server.

    Attributes:
      scripts: those of EVAL and SCRIPT LOAD by SHA1.
      functions: the libraries.
      running: the script that is running.
      evicted: how many scripts have made room for others.
      allow_all: whether scripts may call what is not for them (DEBUG set-disable-deny-scripts).
    """

    def __init__(self, server: ServerState) -> None:
        from redis_trio.scripting.functions import Functions

        self.server = server
        self.scripts: OrderedDict[bytes, Script] = OrderedDict()
        self.evictable = 0
        self.scripts_bytes = 0
        self.evicted = 0
        self.running: Run | None = None
        self.functions: Functions = Functions(self)
        self.allow_all = False
        self._client = Client(server, Transport(), 0)
        self._client.addr = "lua"
        self._client.executing = True
        self._client.is_script = True
        self._engine: Engine | None = None
        self._bug: BaseException | None = None
        self._calling: Engine | None = None  # the engine that runs

    # -- engines

    @property
    def engine(self) -> Engine:
        """The Lua state of EVAL."""
        if self._engine is None:
            self._engine = self.new_engine(True)
        return self._engine

    @property
    def eval_memory(self) -> int:
        """What the Lua state of EVAL takes; 0 while there is none."""
        return 0 if self._engine is None else self._engine.memory_bytes

    def new_engine(self, is_eval: bool) -> Engine:
        """Make a Lua state."""
        number = 0
        for part in REDIS_VERSION.split("."):
            number = number << 8 | int(part)
        rng = self.server.rng
        host: dict[str, Callable[..., object]] = {
            "call": self._call,
            "call_many": self._call_many,
            "log": self._log,
            "double": format_double,
            "count_error": self._count_error,
            "register": self.functions.register,
            "check": self._check,
            "setresp": self._set_resp,
            "setrepl": self._set_repl,
            "sha1": lambda data: hashlib.sha1(data).hexdigest().encode(),
            "random": rng.random,
            "seed": rng.seed,
            "version": REDIS_VERSION.encode(),  # type: ignore[dict-item]
            "version_number": number,  # type: ignore[dict-item]
            "is_eval": is_eval,  # type: ignore[dict-item]
        }
        return Engine("redis_trio.scripting", "api.lua", host, self._interrupt, MEMORY_LIMIT)

    # -- the cache

    def load(self, body: bytes, evicts: bool) -> Script:
        """Return the script with this body, compiled.

        Raises: RedisError if it does not compile.
        """
        sha = hashlib.sha1(body).hexdigest().encode()
        script = self.scripts.get(sha)
        if script is not None:
            return script
        flags, skipped = script_flags(body)
        try:
            function = self.engine.compile(body[skipped:], b"@user_script")
        except LuaSyntaxError as exc:
            raise RedisError(f"ERR Error compiling script (new function): {exc}") from None
        if evicts:
            self._evict()
            self.evictable += 1
        script = self.scripts[sha] = Script(sha, body, flags, function, evicts)
        self.scripts_bytes += sys.getsizeof(sha) + sys.getsizeof(body)
        return script

    def _evict(self) -> None:
        while self.evictable >= CACHED_SCRIPTS:
            oldest = next(script for script in self.scripts.values() if script.evicts)
            del self.scripts[oldest.sha]
            self.scripts_bytes -= sys.getsizeof(oldest.sha) + sys.getsizeof(oldest.body)
            self.evictable -= 1
            self.evicted += 1

    def flush(self) -> None:
        """Forget all scripts of EVAL, and their Lua state."""
        self.scripts = OrderedDict()
        self.evictable = self.scripts_bytes = 0
        self._engine = None

    # -- running

    def evaluate(self, client: Client, args: Args, script: Script, keys: int, ro: bool) -> Reply:
        """Run a script of EVAL with the arguments of its command; return its reply."""
        if script.evicts:
            self.scripts.move_to_end(script.sha)
        self._admit(client, script.flags, ro)
        engine = self.engine
        read_only = ro or bool(not script.flags & COMPATIBLE and script.flags & NO_WRITES)
        run = Run(client, args, script.sha, True, read_only)
        if len(args) - 3 > ARGUMENTS_MAX:
            tables = self._tables(engine, args, keys)
            return self._run(run, engine, "eval_tables", script.function, client.resp, *tables)
        return self._run(run, engine, "eval", script.function, client.resp, keys, *args[3:])

    def call_function(
        self,
        client: Client,
        args: Args,
        engine: Engine,
        name: bytes,
        callback: int,
        flags: int,
        keys: int,
        ro: bool,
    ) -> Reply:
        """Run a function with the arguments of FCALL; return its reply."""
        self._admit(client, flags, ro)
        run = Run(client, args, name, False, ro or flags & NO_WRITES != 0)
        return self._run(
            run, engine, "fcall", callback, client.resp, *self._tables(engine, args, keys)
        )

    def _tables(self, engine: Engine, args: Args, keys: int) -> tuple[object, object]:
        self._make_room(engine, args)
        return engine.table(list(args[3 : 3 + keys])), engine.table(list(args[3 + keys :]))

    def _make_room(self, engine: Engine, args: Args) -> None:
        if not engine.make_room(sum([len(arg) + 64 for arg in args])):
            raise RedisError("ERR not enough memory for the script's arguments")

    def _admit(self, client: Client, flags: int, ro: bool) -> None:
        """Refuse a script whose flags do not go with the state of the server, or the command."""
        if flags & (COMPATIBLE | NO_WRITES):
            return
        server = self.server
        if server.aof.error and not client.obeyed:
            raise RedisError(
                "MISCONF Redis is configured to persist data to AOF, but it's currently unable to "
                "persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only "
                f"scripts. AOF error: {os.strerror(server.aof.error)}"
            )
        if ro:
            raise RedisError("ERR Can not execute a script with write flag using *_ro command.")

    def _run(self, run: Run, engine: Engine, function: str, *args: object) -> Reply:
        self._make_room(engine, run.args)
        server = self.server
        caller = run.caller
        client = self._client
        client.db = caller.db
        client.resp = 2
        client.user = caller.user
        client.obeyed = caller.obeyed
        client.halted = 0
        began_ns = server.last_ns
        outer = self.running
        self.running = run
        self._calling = engine
        try:
            result = engine.functions[function](*args)
        finally:
            self.running = outer
            self._calling = None
            server.last_ns = began_ns  # the time of the commands is the script's, too
            server.feed.rewrite()  # they have been fed one by one
            client.out.clear()
            if run.timed_out:
                self._resume(caller)
        if self._bug is not None:
            bug = self._bug
            self._bug = None
            raise bug
        return self._reply(run, result)

    def _reply(self, run: Run, result: object) -> Reply:
        """Make a reply of what a script has returned."""
        if isinstance(result, (bytes, bool)) or result is None:
            return result
        if isinstance(result, int):
            return result if -(1 << 63) <= result < 1 << 63 else -(1 << 63)
        if isinstance(result, float):
            if result != result or not -(2.0**63) <= result < 2.0**63:
                return -(1 << 63)
            return int(result)
        assert isinstance(result, tuple)
        kind = result[1]
        if kind == b"wire":
            return Encoded(result[2])
        message = result[2].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        if kind == b"broken":
            name = run.name.decode("utf-8", "surrogateescape")
            raise RedisError(f"ERR Error running script {name}, {message[:100]}")
        counted = result[-1]
        if kind == b"failed" and result[3] is not False and result[4] is not False:
            name = run.name.decode("utf-8", "surrogateescape")
            source = result[3].decode("utf-8", "surrogateescape")
            message += f" script: {name}, on {source}:{result[4].decode()}."
        error = RedisError(message)
        if counted:  # when the command failed
            run.caller.server.stats.error_replies -= 1
            errors = run.caller.server.stats.errors
            if errors.get(error.code, 0) > 0:
                errors[error.code] -= 1
        raise error

    # -- what scripts call

    def _call(self, *words: object) -> object:
        """Run a command of a script; see api.lua for what is returned."""
        try:
            return self._call_command([argument(word) for word in words])
        except BaseException as bug:
            if not isinstance(bug, Exception):
                self._bug = bug
            else:
                self.server.log.error("internal error in a script", exc_info=bug)
            return None, b"refused", b"internal error"

    def _call_many(self, words: Iterable[object]) -> object:
        """`_call` with more arguments than Lua passes on to C, in a table."""
        try:
            listed = list(words.values())  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001  (none may reach the script)
            return None, b"refused", b"internal error"
        return self._call(*listed)

    def _call_command(self, args: Args) -> object:
        run = self.running
        engine = self._calling
        assert run is not None
        assert engine is not None
        server = self.server
        command = server.commands.get(args[0])
        if command is None or command.subcommands is not None:
            command = lookup(server.commands, args)
        refusal = self._refusal(run, command, args)
        if refusal is not None:
            if command is not None:
                command.rejected_calls += 1
            server.count_error("ERR" if refusal[0] != "-" else refusal[1:].split(" ", 1)[0])
            return None, b"refused", refusal.encode("utf-8", "surrogateescape")
        assert command is not None
        if command.flags & WRITE:
            run.written = True
        client = self._client
        if run.repl & REPL_AOF:
            client.command = command
            reply = call(client, command, args)
        else:
            reply = self._call_unfed(command, args)
        client.halted = 0
        client.close_after_reply = False
        if isinstance(reply, bytes):
            if (len(reply) < 1024 and engine.has_room(1024)) or engine.has_room(len(reply)):
                return reply
            return None, b"refused", b"not enough memory"
        if isinstance(reply, int) and not isinstance(reply, bool):
            return reply
        if reply is None:
            return False if client.resp == 2 else None
        if isinstance(reply, Status):
            return None, b"status", reply.text
        if isinstance(reply, RedisError):
            return None, b"error", reply.message.encode("utf-8", "surrogateescape")
        return self._convert(engine, reply)

    def _call_unfed(self, command: Command, args: Args) -> Reply:
        feed = self.server.feed
        active = feed.active
        feed.active = False
        try:
            return call(self._client, command, args)
        finally:
            feed.active = active

    def _convert(self, engine: Engine, reply: Reply) -> object:
        converter = Converter(engine, self._client.resp)
        value = converter.value(reply)
        if not engine.has_room(2 * converter.size):
            return None, b"refused", b"not enough memory"
        if isinstance(value, list) and len(value) <= UNPACKED_MAX:
            return (None, b"array", *[converter.table(item) for item in value])
        if isinstance(value, (list, dict)):
            return None, b"table", converter.table(value)
        return value

    def _refusal(self, run: Run, command: Command | None, args: Args) -> str | None:
        """Return why a script may not call a command, None if it may."""
        if command is None:
            return "Unknown Redis command called from script"
        arity = command.arity
        count = len(args)
        if command.handler is None or (arity != count if arity > 0 else count < -arity):
            return "Wrong number of args calling Redis command from script"
        flags = command.flags
        if flags & NOSCRIPT and not self.allow_all:
            return "This Redis command is not allowed from script"
        if run.read_only and flags & (WRITE | MAY_REPLICATE):
            return "Write commands are not allowed from read-only scripts."
        error = self.server.aof.error
        if error and flags & WRITE and not run.written:
            return "-" + AOF_ERROR + os.strerror(error)
        return None

    def _check(self, *words: object) -> bool | None:
        """Whether the caller may call a command; None if there is no such command."""
        args = [argument(word) for word in words]
        command = lookup(self.server.commands, args)
        return None if command is None else True

    def _log(self, level: int, text: bytes) -> None:
        self.server.log.log(_LOG_LEVELS[level], "%s", text.decode("utf-8", "surrogateescape"))

    def _count_error(self, message: bytes) -> None:
        self.server.count_error(message.split(b" ", 1)[0].decode("utf-8", "surrogateescape"))

    def _set_resp(self, version: int) -> None:
        self._client.resp = version

    def _set_repl(self, flags: int) -> None:
        if self.running is not None:
            self.running.repl = flags

    # -- scripts that take long

    def _interrupt(self) -> bool:
        """Called while Lua runs; returns whether the script is to end."""
        if self._bug is not None:
            return True
        if self.functions.load_timed_out():
            return True
        run = self.running
        if run is None:
            return False
        try:
            self._serve_others(run)
        except BaseException as bug:  # noqa: BLE001  (none may reach the script)
            self._bug = bug
            return True
        return run.killed

    def _serve_others(self, run: Run) -> None:
        threshold = self.server.config.busy_reply_threshold
        if threshold == 0:
            return
        if not run.timed_out:
            elapsed = run.elapsed_ms
            if elapsed < threshold:
                return
            run.timed_out = True
            run.caller.halted |= BUSY
            self.server.script_is_slow = True
            self.server.update_gate()
            self.server.log.warning(
                "Slow script detected: still in execution after %d milliseconds. You can try "
                "killing the script using the %s command. Script name is: %s.",
                elapsed,
                "SCRIPT KILL" if run.is_eval else "FUNCTION KILL",
                run.name.decode("utf-8", "surrogateescape"),
            )
        if self.server.serve_meanwhile is not None:
            self.server.serve_meanwhile()

    def busy_error(self) -> RedisError:
        """Return what others are told while a script is slow."""
        run = self.running
        return RedisError(BUSY_EVAL if run is None or run.is_eval else BUSY_FUNCTION)

    def _resume(self, caller: Client) -> None:
        """Go on as usual after a script that took long."""
        self.server.script_is_slow = False
        self.server.update_gate()
        caller.halted &= ~BUSY
        caller.transport.resume()


def scripting(server: ServerState) -> Room:
    """Return what runs the scripts of a server."""
    room = server.scripting
    if room is None:
        room = server.scripting = Room(server)
    return room
