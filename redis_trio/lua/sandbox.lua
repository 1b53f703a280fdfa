-- Makes the state it runs in safe for strangers' code, and returns what the engine works with.
--
-- What scripts see are proxies: tables that are empty for ever, whose metatables read the real ones
-- and refuse every write. No script sees the state's own globals, so neither io nor debug nor
-- anything of Python's; host functions stand in upvalues alone, behind functions that pass on
-- strings and numbers only.

local interrupt, every, pack_double, unpack_double, bits = ...

local debug, error, getfenv, getmetatable, loadstring = debug, error, getfenv, getmetatable, loadstring
local load, next, pairs, pcall, rawget, rawset = load, next, pairs, pcall, rawget, rawset
local select, setfenv, setmetatable, tostring, type = select, setfenv, setmetatable, tostring, type
local newproxy, xpcall, tonumber, unpack, match = newproxy, xpcall, tonumber, unpack, string.match
local collectgarbage, sub, byte = collectgarbage, string.sub, string.byte
local create, resume, gmatch = coroutine.create, coroutine.resume, string.gmatch
local getinfo, sethook, setmetatable_of_all = debug.getinfo, debug.sethook, debug.setmetatable

local READONLY = 'Attempt to modify a readonly table'
local real = setmetatable({}, {__mode = 'k'}) -- proxy: the table behind it

-- What getmetatable answers for whatever is protected: it can be looked at and not be changed.
local guard = {}
local guard_meta = {__metatable = guard, __newindex = function() error(READONLY, 2) end}
setmetatable(guard, guard_meta)
real[guard] = {}

local function protect(t)
  local proxy = {}
  real[proxy] = t
  local meta = {__index = t, __metatable = guard, __newindex = guard_meta.__newindex}
  return setmetatable(proxy, meta), meta
end

local function no_global(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

-- Globals of one kind: a store and the proxy in front of it.
local function new_store(t)
  return setmetatable(t, {__index = no_global, __metatable = guard})
end

local function expect_table(t, name)
  if type(t) ~= 'table' then
    error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(t) .. ')', 3)
  end
  if real[t] then error(READONLY, 0) end
end

local safe = {}

-- What is compiled sees `safe.G`. The state's own globals are then empty: lupa looks for a traceback
-- there, in front of each call.
local function compiled(f, e)
  if not f then return nil, e end
  return setfenv(f, safe.G)
end

function safe.setmetatable(t, meta)
  expect_table(t, 'setmetatable')
  if meta ~= nil and type(meta) ~= 'table' then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  return setmetatable(t, meta)
end

function safe.rawset(t, key, value)
  expect_table(t, 'rawset')
  if key == nil or key ~= key then error('table index is ' .. (key == nil and 'nil' or 'NaN'), 2) end
  return rawset(t, key, value)
end

function safe.rawget(t, key)
  return rawget(real[t] or t, key)
end

local function next_(t, key)
  return next(real[t] or t, key)
end
safe.next = next_

function safe.pairs(t)
  local behind = real[t]
  if behind then return next_, t, nil end
  return pairs(t)
end

-- The environment of a C function, or of whoever called the script, is the state's own.
function safe.getfenv(f)
  if f == nil then f = 1 end
  if type(f) == 'number' and f >= 1 then f = f + 1 end
  local env = getfenv(f)
  if env == safe.G or real[env] or safe.seen[env] then return env end
  return safe.G
end

function safe.setfenv(f, env)
  if type(env) ~= 'table' then
    error("bad argument #2 to 'setfenv' (table expected, got " .. type(env) .. ')', 2)
  end
  if type(f) == 'number' then
    if f < 1 then error("'setfenv' cannot change environment of given object", 2) end
    f = getinfo(f + 1, 'f')
    f = f and f.func
  end
  if type(f) ~= 'function' or safe.own[f] or getinfo(f, 'S').what == 'C' then
    error("'setfenv' cannot change environment of given object", 2)
  end
  safe.seen[env] = true
  return setfenv(f, env)
end
safe.seen = setmetatable({}, {__mode = 'k'}) -- environments that scripts have set
safe.own = setmetatable({}, {__mode = 'k'}) -- functions that are not theirs

-- Bytecode can do anything; with a space in front it is bad source.
local function as_text(code)
  if type(code) == 'string' and byte(code) == 27 then return ' ' .. code end
  return code
end

-- How a chunk is called is held by nobody while Lua parses, but for who has passed it on; that is
-- not the same string if it goes on behind a zero byte.
local function chunk_name(name)
  return type(name) == 'string' and match(name, '^[^%z]*') or name
end

-- Lua's own counts the results in 32 bits, and writes over the stack when they are too many for that.
-- Its limit is for the results and the arguments together.
function safe.unpack(t, first, last)
  local i = first == nil and 1 or tonumber(first)
  local j = last == nil and (type(t) == 'table' and #t or 0) or tonumber(last)
  local given = last ~= nil and 3 or first ~= nil and 2 or 1
  if i and j and not (i > -2 ^ 31 and i < 2 ^ 31 and j > -2 ^ 31 and j < 2 ^ 31 - 1 and j - i + given < 8000) then
    error('too many results to unpack', 2)
  end
  if given == 1 then return unpack(t) end
  if given == 2 then return unpack(t, first) end
  return unpack(t, first, last)
end

function safe.loadstring(code, name)
  if type(code) == 'number' then code = tostring(code) end
  if type(code) ~= 'string' then
    error("bad argument #1 to 'loadstring' (string expected, got "
      .. (code == nil and 'no value' or type(code)) .. ')', 2)
  end
  return compiled(loadstring(as_text(code), chunk_name(name or code)))
end

function safe.load(reader, name)
  if type(reader) ~= 'function' then
    error("bad argument #1 to 'load' (function expected, got "
      .. (reader == nil and 'no value' or type(reader)) .. ')', 2)
  end
  local first = true
  return compiled(load(function()
    local piece = reader()
    if first and type(piece) == 'string' and piece ~= '' then
      first = false
      return as_text(piece)
    end
    return piece
  end, chunk_name(name or '=(load)')))
end

function safe.collectgarbage(option, arg)
  if option == 'stop' or option == 'setpause' or option == 'setstepmul' then return 0 end
  return collectgarbage(option, arg)
end

-- The hook of a state counts for its main thread; each coroutine needs its own. A script that is
-- being ended is stopped at every line, and wherever it comes back to another thread, so that no
-- pcall and no coroutine gets around it.
local ending = false
local hook

local function stop()
  sethook(hook, 'l', 0)
  error({err = 'ERR Script killed by user with SCRIPT KILL...'})
end

function hook(event)
  if event == 'line' and getinfo(2, 'S').source == '=engine' then return end
  if interrupt() then
    ending = true
    stop()
  end
end
sethook(hook, '', every)

-- What has been raised, as scripts see it: a bug behind a host function would be an object of Python.
local function raised(e)
  if ending then stop() end
  if type(e) == 'userdata' then return tostring(e) end
  return e
end

-- An error is caught as a message where it has one (`err` of a table).
local function caught(ok, e, ...)
  if ok then return true, e, ... end
  e = raised(e)
  if type(e) == 'table' then
    local message = e.err
    if type(message) == 'string' or type(message) == 'number' then return false, message end
  end
  return false, e
end

function safe.pcall(...)
  return caught(pcall(...))
end

local function resumed(ok, e, ...)
  if ending then stop() end
  if not ok then return false, raised(e) end
  return true, e, ...
end

-- No hook runs inside of a hook, and so none while the handler has an error that the hook raised: a
-- script that is being ended has no handlers any more.
function safe.xpcall(...)
  local f, handler = ...
  if type(handler) ~= 'function' then return resumed(xpcall(...)) end
  return resumed(xpcall(f, function(e)
    if ending then return e end
    return handler(raised(e))
  end))
end

-- A metatable of a userdata could have `__gc`, which runs wherever there is an allocation, even in
-- the middle of lupa, and which no hook can stop. So what getmetatable shows cannot be changed.
local userdata = newproxy(true)
getmetatable(userdata).__metatable = guard
local bare = newproxy(false)
function safe.newproxy(kind)
  if kind == nil or kind == false or kind == bare then return newproxy(false) end
  if kind ~= true and type(kind) ~= 'userdata' then
    error("bad argument #1 to 'newproxy' (boolean or proxy expected)", 2)
  end
  return newproxy(userdata)
end

local function new_coroutine(f)
  local co = create(f)
  sethook(co, hook, '', every)
  return co
end

local function result(ok, e, ...)
  if ending then stop() end
  if not ok then
    e = raised(e)
    error(e, type(e) == 'string' and 3 or 0)
  end
  return e, ...
end

local coroutines = {
  create = new_coroutine,
  resume = function(...) return resumed(resume(...)) end,
  running = coroutine.running,
  status = coroutine.status,
  yield = coroutine.yield,
  wrap = function(f)
    local co = new_coroutine(f)
    return function(...) return result(resume(co, ...)) end
  end,
}

local insert, remove, sort = table.insert, table.remove, table.sort
local tables = {}
for name, f in pairs(table) do tables[name] = f end
function tables.insert(t, ...)
  expect_table(t, 'insert')
  return insert(t, ...)
end
function tables.remove(t, ...)
  expect_table(t, 'remove')
  return remove(t, ...)
end
function tables.sort(t, ...)
  expect_table(t, 'sort')
  return sort(t, ...)
end

local kit = {
  protect = protect, new_store = new_store, guard = guard, real = real, own = safe.own,
  loadstring = function(...) return compiled(loadstring(...)) end, dump = string.dump, pack_double = pack_double,
  unpack_double = unpack_double, bits = bits,
}

-- Ready to be called with the libraries; from then on what is compiled sees nothing else.
function kit.close(libraries)
  local globals = {
    assert = assert, error = error, ipairs = ipairs, rawequal = rawequal, select = select,
    tonumber = tonumber, tostring = tostring, type = type, unpack = safe.unpack, xpcall = safe.xpcall,
    gcinfo = gcinfo, newproxy = safe.newproxy, getmetatable = getmetatable, _VERSION = _VERSION,
    setmetatable = safe.setmetatable, rawset = safe.rawset, rawget = safe.rawget, next = safe.next,
    pairs = safe.pairs, getfenv = safe.getfenv, setfenv = safe.setfenv, pcall = safe.pcall,
    loadstring = safe.loadstring, load = safe.load, collectgarbage = safe.collectgarbage,
  }
  local strings = {}
  for name, f in pairs(string) do strings[name] = f end
  globals.string = protect(strings)
  getmetatable('').__index = strings
  getmetatable('').__metatable = guard
  local maths = {}
  for name, f in pairs(math) do maths[name] = f end
  globals.math = protect(maths)
  globals.table = protect(tables)
  globals.coroutine = protect(coroutines)
  globals.os = protect({clock = os.clock})
  for name, library in pairs(libraries) do globals[name] = protect(library) end
  local store = new_store(globals)
  local G, meta = protect(store)
  globals._G = G
  safe.G = G
  for _, t in pairs({globals, coroutines, tables, maths, kit, unpack(kit.modules)}) do
    for _, f in pairs(t) do
      if type(f) == 'function' then safe.own[f] = true end
    end
  end
  setfenv(0, {})
  return store, meta, maths
end

-- Compiling makes garbage: what is compiled is kept, so a collection need not be a whole one.
function kit.collect_some()
  collectgarbage('step', 50)
end

-- A script has failed: if it was ended, count again.
function kit.calm()
  if ending then
    ending = false
    sethook(hook, '', every)
  end
end

-- Where an error arose: the nearest function that is a script's.
function kit.handler(e)
  local level = 2
  local info = getinfo(level, 'Sl')
  while info and (info.what == 'C' or info.what == 'tail' or info.source == '=engine') do
    level = level + 1
    info = getinfo(level, 'Sl')
  end
  if type(e) ~= 'table' then e = {err = 'ERR ' .. tostring(e)} end
  if info and not real[e] then
    e.source = info.source
    e.line = info.currentline
  end
  return e
end

setfenv(1, guard)
return kit
