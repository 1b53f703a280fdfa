"""Scripts that try to get out: known escapes, and generated ones.

A script gets out if it has an object of Python, a function that reaches the file system or the
process, bytecode of its own, or a way to change what other scripts see. `PROBE` looks for all of
that, from whatever values a script has got hold of: it walks tables, metatables, environments and
upvalues that can be reached, calls nothing but reads, and says what it has found.
"""

# ruff: noqa: E501, F811

from __future__ import annotations

import random

import pytest

from redis_trio.protocol.reply import RedisError, Status
from redis_trio.scripting.room import scripting
from redis_trio.state import ServerState
from tests.fuzz import FACTOR
from tests.unit.conftest import Run, client, run, state, time  # noqa: F401  (fixtures)

PROBE = """
local forbidden = {execute = 1, popen = 1, open = 1, rename = 1, tmpname = 1, exit = 1,
  getenv = 1, setlocale = 1, loadlib = 1, require = 1, dofile = 1, loadfile = 1, getregistry = 1,
  sethook = 1, setupvalue = 1, getupvalue = 1, eval = 1, builtins = 1, as_attrgetter = 1, import = 1,
  preload = 1, loaded = 1, getlocal = 1, upvalueid = 1, _TRACEBACK = 1}
local seen = {}
local function walk(value, depth)
  local kind = type(value)
  if kind == 'userdata' then
    local s = tostring(value)
    if not string.find(s, '^userdata: ') then return 'an object: ' .. s end
    local ok, x = pcall(function() return value.__class__ end)
    if ok and x then return 'an attribute of ' .. s end
    if pcall(function() return value() end) then return 'a callable ' .. s end
  end
  if (kind ~= 'table' and kind ~= 'function' and kind ~= 'thread') or seen[value] or depth > 12 then return end
  seen[value] = true
  if kind == 'function' then
    local ok, env = pcall(getfenv, value)
    if ok then return walk(env, depth + 1) end
    return
  end
  if kind == 'table' then
    local k, v = next(value)
    local n = 0
    while k ~= nil and n < 2000 do
      if forbidden[k] and type(v) == 'function' then return 'forbidden ' .. tostring(k) end
      local found = walk(k, depth + 1) or walk(v, depth + 1)
      if found then return found end
      k, v = next(value, k)
      n = n + 1
    end
  end
  local ok, meta = pcall(getmetatable, value)
  if ok and meta then
    local found = walk(meta, depth + 1)
    if found then return found end
  end
end
local function probe(...)
  for i = 1, select('#', ...) do
    local found = walk((select(i, ...)), 0)
    if found then return found end
  end
  return walk(_G, 0) or walk(getfenv(0), 0) or walk(getfenv(1), 0) or walk(getmetatable(''), 0)
end
"""

ESCAPES = {
    # CVE-2015-4335: bytecode that is not checked
    "bytecode": r"return loadstring('\27Lua\81\0\1\4\8\4\8\0')",
    "dumped bytecode": "return loadstring(string.dump(function() return 1 end))",
    "bytecode in pieces": r"local d, n = string.dump(function() end), 0 return load(function() n = n + 1 return n <= #d and string.sub(d, n, n) or nil end)",
    "bytecode behind nothing": r"local d, n = string.dump(function() end), 0 return load(function() n = n + 1 if n == 1 then return '' end if n == 2 then return d end end)",
    # CVE-2022-24735, CVE-2022-24736, CVE-2025-46818: what other scripts see
    "redefine a library": "string.format = function() end return string.format",
    "redefine redis": "redis.call = function() end return redis.call",
    "rawset into globals": "rawset(_G, 'x', 1) return x",
    "setmetatable of globals": "setmetatable(_G, nil) x = 1 return x",
    "metatable of strings": "getmetatable('').__index = function() end return ('').x",
    "rawset metatable of strings": "rawset(getmetatable(''), '__index', nil) return 1",
    "metatable of a number": "return getmetatable(1) or getmetatable(nil) or getmetatable(true) or getmetatable(print)",
    "metatable of functions": "local m = getmetatable(redis.call) m.__index = m return m",
    "setfenv of the host": "setfenv(redis.call, {}) return 1",
    "setfenv of the thread": "setfenv(0, {x = 1}) return x",
    "setfenv of a library": "setfenv(string.format, {}) return 1",
    "loadstring with a hostile environment": "local f = loadstring('x = 1 return x') return f()",
    "newproxy with a finalizer": "local p = newproxy(true) getmetatable(p).__gc = function() error('x') end return p",
    "finalizer in a loop": "for i = 1, 1000 do local p = newproxy(true) local m = getmetatable(p) pcall(function() m.__gc = function() while true do end end end) end collectgarbage() return 1",
    # CVE-2021-32626, CVE-2020-14147, struct and cmsgpack: the Lua stack, sizes that overflow
    "deep cjson": "return cjson.decode(string.rep('[', 100000))",
    "deep cjson out": "local t = {} for i = 1, 100000 do t = {t} end return cjson.encode(t)",
    "deep cmsgpack": "return cmsgpack.unpack(string.rep('\\145', 100000))",
    "deep cmsgpack out": "local t = {} for i = 1, 100000 do t = {t} end return cmsgpack.pack(t)",
    "many values of cmsgpack": "return cmsgpack.unpack(string.rep('\\1', 1000000))",
    "huge array of cmsgpack": "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
    "huge map of cmsgpack": "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
    "cmsgpack behind the end": "return cmsgpack.unpack_limit('\\1', 1, 2147483647)",
    "struct sizes": "return struct.pack('I2147483647', 1)",
    "struct pads": "return struct.pack('!2147483648i', 1)",
    "struct of many": "return struct.unpack(string.rep('i4', 100000), string.rep('x', 400000))",
    "struct behind the end": "return struct.unpack('i4', 'abcd', 2147483645)",
    "struct c0 of a number": "return struct.unpack('dc0', struct.pack('d', -1) .. 'x')",
    # CVE-2022-0543: package and io
    "package": "return package", "io": "return io", "debug": "return debug", "require": "return require('os')",
    "os": "return os.execute or os.exit or os.getenv or os.remove",
    "environment of the caller": "return getfenv(2)", "of its caller": "return getfenv(3)", "far up": "return getfenv(20)",
    "environment of a library": "return getfenv(string.format)", "of the host": "return getfenv(redis.call)",
    "environment of a coroutine": "return coroutine.wrap(function() return getfenv(0), getfenv(1) end)()",
    "caller through a coroutine": "return coroutine.wrap(getfenv)(1)",
    # CVE-2024-31449: bit.tohex with a number that cannot be negated
    "bit.tohex": "return bit.tohex(65535, -2147483648)", "bit.tohex wide": "return bit.tohex(1, 2147483647)",
    "bit of infinity": "return bit.lshift(1/0, -1)",
    # CVE-2024-46981, CVE-2025-49844: the collector and the parser
    "collector in the reader": "local n = 0 return load(function() n = n + 1 collectgarbage() if n < 50 then return 'local a' .. n .. ' = ' .. n .. ' ' end end)",
    "collector while it loads": "local s = string.rep('x', 100) .. ' = ' collectgarbage('collect') return loadstring(s .. s)",
    "collector options": "return collectgarbage('stop') or collectgarbage('setpause', 1)",
    "the collector with a bad option": "return collectgarbage('nosuch')",
    # CVE-2025-46817: unpack with sizes that overflow
    "unpack": "return unpack({}, 0, 2147483647)", "unpack backwards": "return unpack({}, -2147483648, 2147483647)",
    "unpack many": "return unpack({1}, 1, 1e6)",
    # CVE-2025-46819: long strings of the lexer
    "long string": "return loadstring('return [' .. string.rep('=', 100000) .. '[x')", "long comment": "return loadstring('--[' .. string.rep('=', 100000))",
    "long string that never ends": "return loadstring('[==[')",
    # lupa: attributes, builtins, error objects
    "python": "return python", "python.builtins": "return python.builtins.open", "python.eval": "return python.eval('1')",
    "class of a host function": "return redis.call.__class__", "error object": "return select(2, pcall(redis.call, {}))",
    "error object of a bad call": "return select(2, pcall(redis.call, 'get', 1/0, nil))",
    "error object of the library": "return select(2, pcall(cjson.decode, newproxy()))",
    "error object of xpcall": "return select(2, xpcall(function() redis.call(newproxy()) end, function(e) return e end))",
    "error object of a coroutine": "local co = coroutine.create(redis.call) return select(2, coroutine.resume(co, {}))",
    "handler of xpcall": "return xpcall(function() error(newproxy()) end, function(e) return e end)",
    "redis.log of objects": "return redis.log(redis.LOG_DEBUG, newproxy(), {}, print)",
    "__tostring": "return tostring(setmetatable({}, {__tostring = function() return getfenv(2) end}))",
    "__index of the result": "return setmetatable({}, {__index = function(t, k) return getfenv(2) end})",
    "__eq and __lt": "local m = {__lt = function() return getfenv(2) end} return setmetatable({}, m) < setmetatable({}, m)",
    "gsub with a function": "return string.gsub('abc', '.', function() return getfenv(2) end)",
    "table.sort": "return table.sort({3, 2, 1}, function() return getfenv(2) ~= nil end)",
    "table.foreach": "return table.foreach and table.foreach(_G, function(k, v) return v end)",
    "string.format": "return string.format('%s %q %99.99f', 'x', 'y', 1/3)", "string.format wide": "return string.format('%999999999d', 1)",
    "string.rep": "return string.rep('x', 1e10)",
    "pattern with a back reference": "return string.gsub('x', '%f[%z', '%9')",
    "module": "return module('x')", "gcinfo": "return gcinfo()", "concat": "return table.concat({{}})",
    "setn": "return table.setn and table.setn({}, 1)", "__gc of a table": "return setmetatable({}, {__gc = function() error('x') end})",
    "__mode": "return next(setmetatable({[{}] = 1}, {__mode = 'k'}))", "math.random": "return math.random(-1e308, 1e308)",
    "sha1hex of an object": "return redis.sha1hex(newproxy())", "setresp of NaN": "return redis.setresp(0/0)",
    "set_repl of an object": "return redis.set_repl({})", "error_reply of an object": "return redis.error_reply(newproxy())",
    "KEYS with a metatable": "setmetatable(KEYS, {__index = function() return getfenv(2) end}) return KEYS[99]",
    "err of a table with __index": "error(setmetatable({}, {__index = function() return newproxy() end}))",
    "a script in a script": "return redis.call('eval', 'return 1', 0)", "a function in a script": "return redis.call('function', 'load', 'x')",
}  # fmt: skip


def outcome(run: Run, script: str) -> None:
    """Run a script, and look at what it has left to the next one."""
    reply = run("EVAL", script, "1", "key", "argument")
    text = reply.message if isinstance(reply, RedisError) else ""
    for word in (
        "object at 0x",
        "Traceback",
        "internal error",
        "<built-in",
        "<function",
        "redis_trio",
        "lupa",
    ):
        assert word not in text, text
    assert run("EVAL", PROBE + "return probe()", "0") is None
    assert (
        run("EVAL", "return string.format('%d', 1) .. type(redis.call) .. #KEYS", "0")
        == b"1function0"
    )


@pytest.fixture
def limited(state: ServerState) -> ServerState:
    """A server whose scripts have little memory."""
    scripting(state).memory_limit = 64 << 20
    return state


@pytest.mark.parametrize("name", ESCAPES)
def test_no_known_escape_works(run: Run, limited: ServerState, name: str) -> None:
    found = run("EVAL", f"{PROBE} return probe(pcall(function() {ESCAPES[name]} end))", "0")
    if isinstance(found, RedisError):
        assert "not enough memory" in found.message or "user_script" in found.message
    else:
        assert found is None or isinstance(found, Status)
    outcome(run, ESCAPES[name])


def test_the_probe_finds_what_it_looks_for(run: Run) -> None:
    found = run("EVAL", PROBE + "return probe({{execute = tostring}})", "0")
    assert found == b"forbidden execute"


VALUES = """_G KEYS ARGV redis cjson cmsgpack struct bit string table math os coroutine getmetatable('')
    newproxy(true) newproxy() 0/0 1/0 -1 0 1 2 3 2^31 -2^31 2^53 1e308 '' 'x' '\\0' ('x'):rep(999) nil true false {} {1,2,3}
    {err='e'} {ok='o'} {map={a=1}} {double=1/0} function(...)return(...)end redis.call redis.pcall
    string.dump(function()end) coroutine.create(function()return(getfenv(1))end) cjson.null getfenv(0)
    setmetatable({},{__index=function()return(getfenv(2))end}) '%s%d%q' '(.-)%1' '[[[[{{' '\\147\\1\\2' '>i4c0s' """.split()  # fmt: skip
FUNCTIONS = """tostring tonumber type next pairs ipairs select unpack rawget rawset rawequal pcall xpcall
    setmetatable getmetatable setfenv getfenv loadstring load error assert newproxy collectgarbage gcinfo
    string.format string.gsub string.gmatch string.find string.rep string.dump string.sub string.byte
    string.char string.len string.reverse table.insert table.remove table.sort table.concat table.getn table.maxn
    table.foreach math.random math.floor math.fmod math.ldexp coroutine.create coroutine.resume
    coroutine.wrap coroutine.status coroutine.running cjson.encode cjson.decode cjson.new
    cmsgpack.pack cmsgpack.unpack cmsgpack.unpack_one cmsgpack.unpack_limit struct.pack struct.unpack
    struct.size bit.tohex bit.band bit.lshift bit.bswap redis.call redis.pcall redis.log
    redis.sha1hex redis.error_reply redis.status_reply redis.setresp redis.set_repl redis.breakpoint
    redis.debug redis.acl_check_cmd redis.replicate_commands os.clock""".split()  # fmt: skip


def expression(chance: random.Random, depth: int) -> str:
    """Make an expression of calls, fields, tables and functions."""
    kind = chance.randrange(9)
    if depth == 0 or kind == 0:
        return "(" + chance.choice(VALUES) + ")"
    inner = [expression(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind <= 4:
        return f"{chance.choice(FUNCTIONS)}({','.join(inner)})"
    if kind == 5:
        key = chance.choice(
            ["__index", "__newindex", "__gc", "__metatable", "io", "err", "call", "1"]
        )
        return f"({expression(chance, depth - 1)})[{key!r}]"
    if kind == 6:
        return "{" + ",".join(inner) + "}"
    if kind == 7:
        return f"(function(...) return {expression(chance, depth - 1)} end)"
    return f"select(2,pcall({expression(chance, depth - 1)}{''.join(',' + one for one in inner)}))"


def statement(chance: random.Random) -> str:
    """Make a statement that keeps what an expression was in `t`."""
    value = expression(chance, chance.randrange(1, 5))
    if chance.randrange(4) == 0:
        target = chance.choice(
            ["x", "_G.x", "redis.call", "string.format", "KEYS[1]", "getmetatable('').x"]
        )
        return f"pcall(function() {target} = {value} end)"
    return f"pcall(function() t[#t + 1] = {value} end)"


def test_generated_scripts_find_no_way_out(run: Run, limited: ServerState) -> None:
    """Each is several statements, all of which a probe follows."""
    chance = random.Random(20)
    ran = 0
    for _ in range(120 * FACTOR):
        body = " ".join(statement(chance) for _ in range(chance.randrange(1, 6)))
        reply = run(
            "EVAL", f"{PROBE} local t = {{}} {body} return probe(t, unpack(t))", "1", "key", "a"
        )
        if isinstance(reply, RedisError):
            for word in ("object at 0x", "Traceback", "internal error", "<built-in", "redis_trio"):
                assert word not in reply.message, (body, reply.message)
        else:
            assert reply is None, (body, reply)
            ran += 1
        outcome(run, "return 1")
    assert ran
