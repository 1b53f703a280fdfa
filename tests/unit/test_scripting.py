"""Scripts and functions, by value."""

# ruff: noqa: E501

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from redis_trio.client import PAUSED, Client
from redis_trio.protocol.plain import plain_reply
from redis_trio.protocol.reply import OK, RedisError
from redis_trio.scripting.room import scripting
from redis_trio.state import ServerState
from tests.unit.conftest import Run


@pytest.mark.parametrize("line", ["FUNCTION FLUSH", "FUNCTION FLUSH SYNC", "function flush async"])
def test_function_flush_takes_sync_and_async_and_is_a_write(
    run: Run, state: ServerState, line: str
) -> None:
    assert run(line) is OK
    assert state.dirty == 1


def test_function_flush_refuses_anything_else(run: Run) -> None:
    reply = run("FUNCTION FLUSH now")
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
    reply = run("FUNCTION FLUSH SYNC ASYNC")
    assert isinstance(reply, RedisError)
    assert reply.message == (
        "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP."
    )


def test_function_help(run: Run) -> None:
    reply = run("FUNCTION HELP")
    assert isinstance(reply, list)
    assert any(b"FLUSH" in line.text for line in reply)  # type: ignore[union-attr]


def error_of(reply: object) -> str:
    """The text of an error reply, without the script's name."""
    assert isinstance(reply, RedisError), reply
    return reply.message.partition(" script: ")[0]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("return 3.99", 3),
        ("return -3.99", -3),
        ("return 'x'", b"x"),
        ("return true", 1),
        ("return false", None),
        ("return nil", None),
        ("return {1, 'a', {2}, nil, 3}", [1, b"a", [2]]),
        ("return {}", []),
        ("return {ok = 'fine'}", b"fine"),
        ("return {double = 1.5}", b"1.5"),
        ("return {map = {a = 1}}", [b"a", 1]),
        ("return redis.call('set', 'k', 10)", b"OK"),
        ("redis.call('set', 'k', 10) return redis.call('incr', 'k')", 11),
        ("return redis.call('get', 'missing')", None),
        ("return redis.call('get', 'missing') == false and 1 or 0", 1),
        ("redis.call('rpush', 'l', 1, 2.5, 3e20) return redis.call('lrange', 'l', 0, -1)",
         [b"1", b"2.5", b"3e+20"]),
        ("return redis.sha1hex('')", b"da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("return redis.pcall('nosuch').err", b"ERR Unknown Redis command called from script"),
        ("return select(2, pcall(redis.call, 'nosuch'))",
         b"ERR Unknown Redis command called from script"),
        ("return cjson.encode({1, {a = 'b/'}, cjson.null})", b'[1,{"a":"b\\/"},null]'),
        ("return cjson.decode('[1, \"\\\\u00e9\", {\"a\": [true]}]')[2]", "\u00e9".encode()),
        ("return cmsgpack.pack({1, 'x', {a = 1.5}})",
         b"\x93\x01\xa1x\x81\xa1a\xca\x3f\xc0\x00\x00"),
        ("return {cmsgpack.unpack(cmsgpack.pack(1, -70000, 'x'))}", [1, -70000, b"x"]),
        ("return struct.pack('>I2i4s', 258, -2, 'ab')", b"\x01\x02\xff\xff\xff\xfeab\0"),
        ("return {struct.unpack('<i2B', '\\254\\255\\7')}", [-2, 7, 4]),
        ("return {bit.band(12, 10), bit.bnot(0), bit.lshift(1, 31), bit.tohex(255, 4)}",
         [8, -1, -2147483648, b"00ff"]),
        ("return redis.setresp(3) or redis.call('ping').ok", b"PONG"),
        ("local t = {} for i = 1, 7990 do t[i] = 'x' end return #{unpack(t)}", 7990),
        ("return type(os.clock()) .. type(os.time)", b"numbernil"),
    ],
)  # fmt: skip
def test_what_a_script_returns(run: Run, script: str, expected: object) -> None:
    reply = run("EVAL", script, "0")
    assert plain_reply(reply) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("return nosuch", "ERR user_script:1: Script attempted to access nonexistent global variable 'nosuch'"),
        ("x = 1", "ERR user_script:1: Attempt to modify a readonly table"),
        ("string.rep = 1", "ERR user_script:1: Attempt to modify a readonly table"),
        ("rawset(_G, 'x', 1)", "ERR Attempt to modify a readonly table"),
        ("setmetatable(_G, {})", "ERR Attempt to modify a readonly table"),
        ("getmetatable('').__index = 1", "ERR user_script:1: Attempt to modify a readonly table"),
        ("table.insert(redis, 1)", "ERR Attempt to modify a readonly table"),
        ("error('boom')", "ERR user_script:1: boom"),
        ("error({err = 'MY boom'})", "MY boom"),
        ("return redis.call()", "ERR Please specify at least one argument for this redis lib call"),
        ("return redis.call('get', {})", "ERR Lua redis lib command arguments must be strings or integers"),
        ("return redis.call('get')", "ERR Wrong number of args calling Redis command from script"),
        ("return redis.call('multi')", "ERR This Redis command is not allowed from script"),
        ("return redis.call('lpush', 's', 1)", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("return redis.error_reply('MY own')", "MY own"),
        ("return cjson.decode('[1')", "ERR user_script:1: Expected comma or array end but found T_END at character 3"),
        ("return cjson.encode({[1] = 1, [1000] = 2})", "ERR user_script:1: Cannot serialise table: excessively sparse array"),
        ("#!lua flags=nosuch\nreturn 1", "ERR Unexpected flag in script shebang: nosuch"),
        ("#!lua flags=no-writes\nreturn redis.call('set', 'a', 1)", "ERR Write commands are not allowed from read-only scripts."),
        ("x =", "ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'"),
    ],
)  # fmt: skip
def test_errors_of_scripts(run: Run, script: str, expected: str) -> None:
    run("SET s 1")
    assert error_of(run("EVAL", script, "0")) == expected


def test_an_error_names_the_script_and_its_line(run: Run) -> None:
    reply = run("EVAL", "\nreturn redis.call('nosuch')", "0")
    assert isinstance(reply, RedisError)
    sha = hashlib.sha1(b"\nreturn redis.call('nosuch')").hexdigest()
    assert reply.message.endswith(f" script: {sha}, on @user_script:2.")


def test_keys_and_arguments_are_told_apart(run: Run) -> None:
    reply = run("EVAL", "return {KEYS[1], KEYS[2], ARGV[1], #KEYS, #ARGV}", 2, "a", "b", "c")
    assert plain_reply(reply) == [b"a", b"b", b"c", 2, 1]
    many = [str(n) for n in range(1000)]
    assert plain_reply(run("EVAL", "return {#KEYS, #ARGV, ARGV[990]}", 10, *many)) == [
        10, 990, b"999",
    ]  # fmt: skip
    assert error_of(run("EVAL", "return 1", 2, "a")) == (
        "ERR Number of keys can't be greater than number of args"
    )
    assert error_of(run("EVAL", "return 1", -1)) == "ERR Number of keys can't be negative"


def test_scripts_are_kept_by_their_sha(run: Run) -> None:
    sha = run("SCRIPT", "LOAD", "return 7")
    assert isinstance(sha, bytes)
    assert run("EVALSHA", sha, "0") == 7
    assert run("EVALSHA", sha.upper(), "0") == 7
    assert run("EVALSHA_RO", sha, "0") == 7
    assert run("SCRIPT", "EXISTS", sha, "nosuch") == [1, 0]
    assert run("SCRIPT FLUSH") is OK
    assert error_of(run("EVALSHA", sha, "0")) == "NOSCRIPT No matching script. Please use EVAL."
    assert error_of(run("SCRIPT KILL")) == "NOTBUSY No scripts in execution right now."


def test_scripts_of_eval_make_room_for_each_other(run: Run, state: ServerState) -> None:
    kept = run("SCRIPT", "LOAD", "return 'kept'")
    for n in range(502):
        run("EVAL", f"return {n}", "0")
    assert state.scripting is not None
    assert len(state.scripting.scripts) == 501
    assert state.scripting.evicted == 2
    assert run("SCRIPT", "EXISTS", kept, hashlib.sha1(b"return 0").hexdigest()) == [1, 0]


def test_a_read_only_script_must_not_write(run: Run) -> None:
    assert run("EVAL_RO", "return redis.call('get', 'k')", "0") is None
    assert error_of(run("EVAL_RO", "return redis.call('set', 'k', 1)", "0")) == (
        "ERR Write commands are not allowed from read-only scripts."
    )


def test_what_a_script_writes_is_fed_as_one_unit(
    run: Run, heard: Callable[[], list[bytes]]
) -> None:
    run("EVAL", "redis.call('set', 'a', 1) redis.call('incr', 'a') return 1", "0")
    assert heard() == [b"MULTI", b"SELECT 0", b"set a 1", b"incr a", b"EXEC"]
    run("EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('set', 'a', 1)", "0")
    assert heard() == []


def test_select_in_a_script_is_for_the_script_alone(run: Run, client: Client) -> None:
    run("EVAL", "redis.call('select', 5) redis.call('set', 'a', 1)", "0")
    assert client.db.index == 0
    assert client.server.dbs[5].peek(b"a") is not None


def test_nothing_blocks_in_a_script(run: Run) -> None:
    assert run("EVAL", "return redis.call('blpop', 'missing', 0)", "0") is None


LIBRARY = """#!lua name=mylib
redis.register_function('get_it', function(keys, args) return {keys[1], args[1]} end)
redis.register_function{
  function_name = 'read_it', flags = {'no-writes'}, description = 'reads',
  callback = function(keys, args) return redis.call('get', keys[1]) end
}
"""


def test_functions(run: Run) -> None:
    assert run("FUNCTION", "LOAD", LIBRARY) == b"mylib"
    assert plain_reply(run("FCALL get_it 1 k a")) == [b"k", b"a"]
    run("SET k v")
    assert run("FCALL_RO read_it 1 k") == b"v"
    assert error_of(run("FCALL_RO get_it 1 k a")) == (
        "ERR Can not execute a script with write flag using *_ro command."
    )
    assert error_of(run("FUNCTION", "LOAD", LIBRARY)) == "ERR Library 'mylib' already exists"
    assert run("FUNCTION", "LOAD", "REPLACE", LIBRARY) == b"mylib"
    listed = plain_reply(run("FUNCTION LIST LIBRARYNAME MY* WITHCODE"))
    assert isinstance(listed, list)
    assert isinstance(listed[0], dict)
    assert listed[0][b"library_code"] == LIBRARY.encode()
    assert plain_reply(run("FUNCTION STATS")) == {
        b"running_script": None,
        b"engines": {b"LUA": {b"libraries_count": 1, b"functions_count": 2}},
    }
    assert error_of(run("FUNCTION KILL")) == "NOTBUSY No scripts in execution right now."
    payload = run("FUNCTION DUMP")
    assert run("FUNCTION DELETE mylib") is OK
    assert error_of(run("FCALL get_it 1 k a")) == "ERR Function not found"
    assert run("FUNCTION", "RESTORE", payload) is OK
    assert plain_reply(run("FCALL get_it 1 k a")) == [b"k", b"a"]
    assert error_of(run("FUNCTION", "RESTORE", payload)) == "ERR Library mylib already exists"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("return 1", "ERR Missing library metadata"),
        ("#!lua\nreturn 1", "ERR Library name was not given"),
        ("#!lua name=a name=b\nreturn 1", "ERR Invalid metadata value, name argument was given multiple times"),
        ("#!py name=a\nreturn 1", "ERR Engine 'py' not found"),
        ("#!lua name=a\nreturn 1", "ERR No functions registered"),
        ("#!lua name=a\nredis.call('ping')", "ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'"),
        ("#!lua name=a\nreturn math.random()", "ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'math'"),
        ("#!lua name=a\nredis.register_function('f', 1)", "ERR Error registering functions: ERR second argument to redis.register_function must be a function"),
    ],
)  # fmt: skip
def test_libraries_that_do_not_load(run: Run, code: str, expected: str) -> None:
    assert error_of(run("FUNCTION", "LOAD", code)) == expected


@pytest.mark.parametrize(
    "script",
    [
        "return io", "return debug", "return package", "return python", "return require",
        "return dofile", "return loadfile", "return print", "return module",
    ],
)  # fmt: skip
def test_what_is_no_part_of_a_script_is_not_there(run: Run, script: str) -> None:
    assert "nonexistent global variable" in error_of(run("EVAL", script, "0"))


@pytest.mark.parametrize(
    "script",
    [
        "return not pcall(function() return getfenv(0).io end)",
        "return rawget(getfenv(0), 'io') == nil",
        "return rawget(getfenv(redis.call), 'io') == nil",
        "return rawget(getfenv(tostring), 'io') == nil",
        "return rawget(getfenv(2), 'io') == nil",
        "return rawget(getfenv(coroutine.create), 'debug') == nil",
        "return loadstring(string.dump(function() end)) == nil",
        ("local d = string.dump(function() end) local n = 0 "
        "return load(function() n = n + 1 if n == 1 then return '' end if n == 2 then return d end end) == nil"),
        "return loadstring('return rawget(_G, \"io\")')() == nil",
        "return coroutine.wrap(function() return rawget(getfenv(0), 'io') end)() == nil",
        "return type(redis.call) == 'function' and type(select(2, pcall(redis.call, {}))) == 'string'",
        "return getmetatable(redis).__index == nil",
        "return not pcall(setfenv, redis.call, {})",
        "return not pcall(setfenv, 0, {})",
        "return not pcall(function() getmetatable(_G).__index = nil end)",
        "return os.execute == nil and os.getenv == nil and os.exit == nil",
    ],
)  # fmt: skip
def test_there_is_no_way_out_of_the_sandbox(run: Run, script: str) -> None:
    assert run("EVAL", script, "0") == 1


def test_many_calls_keep_memory_flat(run: Run, state: ServerState) -> None:
    script = "return {redis.call('get', KEYS[1]), {1}}"
    for _ in range(300):
        run("EVAL", script, 1, "k")
    assert state.scripting is not None
    state.scripting.engine.collect()
    before = state.scripting.engine.memory_bytes
    for _ in range(3000):
        run("EVAL", script, 1, "k")
    state.scripting.engine.collect()
    assert state.scripting.engine.memory_bytes - before < 2000


def test_a_script_that_wants_all_memory_fails(run: Run, state: ServerState) -> None:
    scripting(state).memory_limit = 8 << 20
    reply = run("EVAL", "local t = {} for i = 1, 1e7 do t[i] = {i} end", "0")
    assert "not enough memory" in error_of(reply)
    assert run("EVAL", "return 1", "0") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("EVAL", "#!lua flags=no-writes\nreturn 1", "0"),
        ("EVAL_RO", "return 1", "0"),
        ("FCALL", "reads", "0"),
    ],
)
def test_who_says_that_it_only_reads_runs_while_writes_are_paused(
    client: Client, run: Run, words: tuple[str, ...]
) -> None:
    """It is the script's flags that count, not those of EVAL or FCALL."""
    code = "redis.register_function{function_name='reads', callback=function() return 1 end, "
    run("FUNCTION", "LOAD", f"#!lua name=lib\n{code} flags={{'no-writes'}}}}")
    run("CLIENT", "PAUSE", "1000", "WRITE")
    assert run(*words) == 1
    run("EVAL", "return 1", "0")
    assert client.halted & PAUSED
