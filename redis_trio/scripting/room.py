"""What runs scripts: one Lua state for EVAL, one for functions, each made when first needed.

A script runs inside its caller's command, on a stack of its own (aside.py). What it calls goes
through `execute.call` by a client of its own, which is in the caller's database, speaks RESP2 until
`redis.setresp`, and never blocks. Each write is fed as it happens; the script itself is not fed.

1. Nothing of a call is kept in the Lua state but KEYS and ARGV, which the next call replaces.
2. A bug in a command ends the script like an error; what interrupts Python (KeyboardInterrupt) ends
   it, too, and is raised again once Lua has been left.
3. Scripts of EVAL are kept in the order of use; the 500 used last stay. Those of SCRIPT LOAD stay
   until SCRIPT FLUSH.

Source: Redis script.c, script_lua.c, eval.c.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from redis_trio.blocking import Block
from redis_trio.client import Client, Transport
from redis_trio.clock import perf_counter_ns
from redis_trio.errors import BUSY_EVAL, BUSY_FUNCTION, RedisError
from redis_trio.feed import BOTH
from redis_trio.lua.engine import MEMORY_LIMIT, Engine, Function, LuaSyntaxError
from redis_trio.protocol.reply import Encoded, Reply
from redis_trio.protocol.request import Args
from redis_trio.scripting.aside import Aside, Work
from redis_trio.scripting.calls import Calls
from redis_trio.scripting.flags import COMPATIBLE, NO_WRITES, script_flags
from redis_trio.scripting.refusals import refuse_script

if TYPE_CHECKING:
    from redis_trio.scripting.functions import Functions
    from redis_trio.state import ServerState

CACHED_SCRIPTS: Final = 500
ARGUMENTS_MAX: Final = 200  # passed one by one; more go in tables


class Script:
    """A compiled script of EVAL."""

    __slots__ = ("body", "evicts", "flags", "function", "sha")

    def __init__(self, sha: bytes, body: bytes, flags: int, function: object, evicts: bool) -> None:
        self.sha = sha
        self.body = body
        self.flags = flags
        self.function = function
        self.evicts = evicts  # it makes room for others when it has not been used for long


class Run(Work):
    """A script that runs.

    Attributes:
      args: the command of its caller; `name`: the script's SHA1, or the function's name.
      function, passed: what is called in Lua, and with what.
      lingers: whether it has been doing something else than calling commands for some time.
      targets: who is fed what it writes (feed.py).
      allow_all: whether it may call what is not for scripts.
      minds_memory: whether it may not begin to write while there is too little memory: one that
        says nothing of itself. Others are refused as a whole, or allowed to.
      written, killed, timed_out: whether it has called a command that writes, is to be ended, and
        takes longer than busy-reply-threshold.
    """

    __slots__ = (
        "_room",
        "allow_all",
        "args",
        "caller",
        "engine",
        "function",
        "is_eval",
        "killed",
        "lingers",
        "minds_memory",
        "name",
        "passed",
        "read_only",
        "started_ns",
        "targets",
        "timed_out",
        "written",
    )

    def __init__(
        self,
        room: Room,
        caller: Client,
        args: Args,
        name: bytes,
        is_eval: bool,
        read_only: bool,
        engine: Engine,
        function: Function,
        passed: tuple[object, ...],
    ) -> None:
        self._room = room
        self.caller = caller
        self.args = args
        self.name = name
        self.is_eval = is_eval
        self.read_only = read_only
        self.engine = engine
        self.function = function
        self.passed = passed
        self.targets: i64 = BOTH
        self.allow_all = room.allow_all
        self.minds_memory = False
        self.written = False
        self.killed = False
        self.lingers = False
        self.timed_out = False
        self.started_ns: i64 = caller.server.last_ns

    @property
    def elapsed_ms(self) -> int:
        """How long it has been running."""
        return (perf_counter_ns() - self.started_ns) // 1_000_000

    def perform(self) -> Reply:
        return self._room.perform(self)


class Room:
    """The scripts of one server.

    Attributes:
      scripts: those of EVAL and SCRIPT LOAD by SHA1.
      functions: the libraries.
      running: the script that is running, even if it stands still.
      aside: where it runs.
      evicted: how many scripts have made room for others.
      allow_all: whether scripts may call what is not for them (DEBUG set-disable-deny-scripts).
      memory_limit: of each Lua state, in bytes.
      bug: what is raised once Lua has been left.
    """

    def __init__(self, server: ServerState) -> None:
        from redis_trio.scripting.functions import Functions

        self.server = server
        self.scripts: OrderedDict[bytes, Script] = OrderedDict()
        self._by_body: dict[bytes, Script] = {}
        self.evictable = 0
        self.scripts_bytes = 0
        self.evicted = 0
        self.running: Run | None = None
        self.aside = Aside(server)
        self.functions: Functions = Functions(self)
        self.allow_all = False
        self.memory_limit = MEMORY_LIMIT
        self.bug: BaseException | None = None
        self._client = Client(server, Transport(), 0)
        self._client.addr = "lua"
        self._client.executing = True
        self._client.is_script = True
        self._engine: Engine | None = None

    # -- engines

    @property
    def engine(self) -> Engine:
        """The Lua state of EVAL."""
        engine = self._engine
        if engine is None:
            engine = self._engine = self.new_engine(True)
        return engine

    @property
    def eval_memory(self) -> int:
        """What the Lua state of EVAL takes; 0 while there is none."""
        return 0 if self._engine is None else self._engine.memory_bytes

    def new_engine(self, is_eval: bool) -> Engine:
        """Make a Lua state."""
        calls = Calls(self.server, self, self._client)
        host = calls.host(is_eval)
        calls.engine = Engine(
            "redis_trio.scripting", "api.lua", host, calls.interrupt, self.memory_limit
        )
        return calls.engine

    # -- the cache

    def load(self, body: bytes, evicts: bool) -> Script:
        """Return the script with this body, compiled.

        Raises: RedisError if it does not compile.
        """
        known = self._by_body.get(body)
        if known is not None:
            return known
        sha = hashlib.sha1(body).hexdigest().encode()
        flags, skipped = script_flags(body)
        try:
            function = self.engine.compile(body[skipped:], b"@user_script")
        except LuaSyntaxError as exc:
            raise RedisError(f"ERR Error compiling script (new function): {exc}") from None
        if evicts:
            self._evict()
            self.evictable += 1
        script = self.scripts[sha] = Script(sha, body, flags, function, evicts)
        self._by_body[body] = script
        self.scripts_bytes += sys.getsizeof(sha) + sys.getsizeof(body)
        return script

    def _evict(self) -> None:
        while self.evictable >= CACHED_SCRIPTS:
            oldest = next(script for script in self.scripts.values() if script.evicts)
            del self.scripts[oldest.sha]
            del self._by_body[oldest.body]
            self.scripts_bytes -= sys.getsizeof(oldest.sha) + sys.getsizeof(oldest.body)
            self.evictable -= 1
            self.evicted += 1

    def flush(self) -> None:
        """Forget all scripts of EVAL, and their Lua state."""
        self.scripts = OrderedDict()
        self._by_body = {}
        self.evictable = self.scripts_bytes = 0
        self._engine = None

    # -- running

    def evaluate(
        self, client: Client, args: Args, script: Script, keys: int, ro: bool
    ) -> Reply | Block:
        """Run a script of EVAL with the arguments of its command; return its reply."""
        if script.evicts:
            self.scripts.move_to_end(script.sha)
        refuse_script(client, script.flags, ro)
        engine = self.engine
        read_only = ro or bool(not script.flags & COMPATIBLE and script.flags & NO_WRITES)
        passed: tuple[object, ...]
        if len(args) - 3 > ARGUMENTS_MAX:
            function = engine.functions["eval_tables"]
            tables = self._tables(engine, args, keys)
            passed = (script.function, client.resp, tables[0], tables[1])
        else:
            self._make_room(engine, args)
            function = engine.functions["eval"]
            passed = (script.function, client.resp, keys, *args[3:])
        run = Run(self, client, args, script.sha, True, read_only, engine, function, passed)
        run.minds_memory = script.flags & COMPATIBLE != 0
        return self.aside.run(client, args, run)

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
    ) -> Reply | Block:
        """Run a function with the arguments of FCALL; return its reply."""
        refuse_script(client, flags, ro)
        tables = self._tables(engine, args, keys)
        passed = (callback, client.resp, tables[0], tables[1])
        function = engine.functions["fcall"]
        read_only = ro or flags & NO_WRITES != 0
        run = Run(self, client, args, name, False, read_only, engine, function, passed)
        return self.aside.run(client, args, run)

    def _tables(self, engine: Engine, args: Args, keys: int) -> tuple[object, object]:
        self._make_room(engine, args)
        return engine.table(list(args[3 : 3 + keys])), engine.table(list(args[3 + keys :]))

    def _make_room(self, engine: Engine, args: Args) -> None:
        size = 64 * len(args)
        for arg in args:
            size += len(arg)
        if not engine.make_room(size):
            raise RedisError("ERR not enough memory for the script's arguments")

    def perform(self, run: Run) -> Reply:
        """Run a script that is ready to run; return its reply."""
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
        try:
            result = run.function(*run.passed)
        finally:
            self.running = outer
            server.last_ns = began_ns  # the time of the commands is the script's, too
            server.feed.rewrite()  # they have been fed one by one
            client.out.clear()
            if run.timed_out:
                self._is_fast_again()
        if self.bug is not None:
            bug = self.bug
            self.bug = None
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

    # -- scripts that take long

    def go_on(self) -> None:
        """Go on with the script that stands still, for a slice."""
        run = self.running
        if run is not None and not run.timed_out:
            elapsed_ms = run.elapsed_ms
            threshold_ms = self.server.config.busy_reply_threshold
            if 0 < threshold_ms <= elapsed_ms:
                self._is_slow(run, elapsed_ms)
        self.aside.go_on()

    def _is_slow(self, run: Run, elapsed_ms: int) -> None:
        """Answer others from now on."""
        server = self.server
        run.timed_out = True
        server.script_is_slow = True
        server.update_gate()
        server.answering.open()
        server.log.warning(
            "Slow script detected: still in execution after %d milliseconds. You can try "
            "killing the script using the %s command. Script name is: %s.",
            elapsed_ms,
            "SCRIPT KILL" if run.is_eval else "FUNCTION KILL",
            run.name.decode("utf-8", "surrogateescape"),
        )

    def _is_fast_again(self) -> None:
        """Have a script that took long ended; others in the same transaction may follow."""
        server = self.server
        server.script_is_slow = False
        server.update_gate()
        server.answering.close()

    def busy_error(self) -> RedisError:
        """Return what others are told while a script is slow."""
        run = self.running
        return RedisError(BUSY_EVAL if run is None or run.is_eval else BUSY_FUNCTION)

    def abandon(self) -> None:
        """End a script that stands still, for good: the server ends, and nothing of it is kept."""
        while self.aside.standing:
            if self.running is not None:
                self.running.killed = True
            self.aside.abandon()


def scripting(server: ServerState) -> Room:
    """Return what runs the scripts of a server."""
    room = server.scripting
    if room is None:
        room = server.scripting = Room(server)
    return room
