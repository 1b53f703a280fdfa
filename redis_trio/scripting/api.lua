-- What scripts have of Redis: the table `redis`, KEYS and ARGV; and how their results are replies.
--
-- Source: Redis script_lua.c, eval.c, function_lua.c.

local kit, libraries, host = ...

local concat, error, floor, format = table.concat, error, math.floor, string.format
local gsub, lower, match, sub = string.gsub, string.lower, string.match, string.sub
local next, pairs, rawget, select = next, pairs, rawget, select
local tostring, type, tonumber, unpack, xpcall = tostring, type, tonumber, unpack, xpcall
local setmetatable = setmetatable
local protect, handler, real, calm = kit.protect, kit.handler, kit.real, kit.calm
local host_call, host_log, host_double = host.call, host.log, host.double
local host_call2, host_call3 = host.call2, host.call3
local host_call_many, host_items = host.call_many, host.items
local host_count, host_register, host_check = host.count_error, host.register, host.check
local host_setresp, host_setrepl, host_sha1 = host.setresp, host.setrepl, host.sha1
local host_random, host_seed = host.random, host.seed

local resp = 2 -- of the script, not of the client
local client_resp = 2

-- An error as scripts have it. A message that begins with `-` has its code in front.
local function error_table(message)
  message = match(message, '^[^%z]*')
  local code = 'ERR'
  if sub(message, 1, 1) == '-' then
    local first, rest = match(message, '^%-([^ ]*) (.*)$')
    if first then
      code, message = first, rest
    else
      message = sub(message, 2)
    end
  end
  message = match(gsub(message, '^[\r\n]+', ''), '^(.-)[\r\n]*$')
  return {err = code .. ' ' .. message}
end

local function fail(message)
  error(error_table(message))
end

-- These come from Python when there may be no memory left: as constants they are there already.
kit.kept = {'not enough memory', 'internal error', 'refused', 'error', 'array', 'status', 'table'}

-- What is no simple value has been returned with its kind.
local function special(raise, value, kind)
  if kind == 'array' then return {host_items()} end
  if kind == 'status' then return {ok = value} end
  if kind == 'table' then return value end
  local e = kind == 'error' and {err = value} or error_table(value)
  e.ignore_error_stats_update = true
  if raise then error(e) end
  return e
end

-- Whether arguments can be those of a command.
local function check(raise, ...)
  local n = select('#', ...)
  if n == 0 then
    local e = error_table('Please specify at least one argument for this redis lib call')
    if raise then error(e) end
    return e
  end
  for i = 1, n do
    local kind = type((select(i, ...)))
    if kind ~= 'string' and kind ~= 'number' then
      local e = error_table('Lua redis lib command arguments must be strings or integers')
      if raise then error(e) end
      return e
    end
  end
end

local redis = {}

local fits = {string = true, number = true}

-- The usual numbers of arguments are looked at without a loop: a call of a command costs half.
local function caller(raise)
  return function(...)
    local n = select('#', ...)
    local value, kind
    local a, b, c, d = ...
    if n == 2 and type(a) == 'string' and type(b) == 'string' then
      value, kind = host_call2(a, b)
    elseif n == 3 and type(a) == 'string' and type(b) == 'string' and fits[type(c)] then
      value, kind = host_call3(a, b, c)
    elseif n == 4 and type(a) == 'string' and type(b) == 'string' and fits[type(c)]
      and fits[type(d)] then
      value, kind = host_call(a, b, c, d)
    else
      local e = check(raise, ...)
      if e then return e end
      if n > 200 then
        value, kind = host_call_many({...})
      else
        value, kind = host_call(...)
      end
    end
    if kind == nil then return value end
    return special(raise, value, kind)
  end
end

redis.call, redis.pcall = caller(true), caller(false)

function redis.sha1hex(...)
  if select('#', ...) ~= 1 then fail('wrong number of arguments') end
  local s = ...
  s = (type(s) == 'string' or type(s) == 'number') and tostring(s) or ''
  return (host_sha1(s))
end

function redis.error_reply(...)
  local s = ...
  if select('#', ...) ~= 1 or type(s) ~= 'string' then
    return error_table('wrong number or type of arguments')
  end
  if sub(s, 1, 1) ~= '-' then s = '-' .. s end
  return error_table(s)
end

function redis.status_reply(...)
  local s = ...
  if select('#', ...) ~= 1 or type(s) ~= 'string' then
    return error_table('wrong number or type of arguments')
  end
  return {ok = s}
end

local function as_integer(value)
  local n = (type(value) == 'number' or type(value) == 'string') and tonumber(value) or 0
  if n ~= n then return 0 end
  return n < 0 and -floor(-n) or floor(n)
end

function redis.set_repl(...)
  if select('#', ...) ~= 1 then fail('redis.set_repl() requires one argument.') end
  local flags = as_integer((...))
  if flags < 0 or flags > 3 then
    fail('Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.')
  end
  host_setrepl(flags)
end

function redis.setresp(...)
  if select('#', ...) ~= 1 then fail('redis.setresp() requires one argument.') end
  local version = as_integer((...))
  if version ~= 2 and version ~= 3 then fail('RESP version must be 2 or 3.') end
  resp = version
  host_setresp(version)
end

function redis.acl_check_cmd(...)
  check(true, ...)
  local allowed = host_check(...)
  if allowed == nil then fail('Invalid command passed to redis.acl_check_cmd()') end
  return allowed
end

local function log(...)
  local n = select('#', ...)
  if n < 2 then fail('redis.log() requires two arguments or more.') end
  local level = tonumber((...))
  if not level then fail('First argument must be a number (log level).') end
  level = as_integer(level)
  if level < 0 or level > 3 then fail('Invalid log level.') end
  local words = {}
  for i = 2, n do
    local word = select(i, ...)
    if type(word) == 'string' or type(word) == 'number' then words[#words + 1] = tostring(word) end
  end
  host_log(level, concat(words, ' '))
end

local function constants(t)
  t.log = log
  t.LOG_DEBUG, t.LOG_VERBOSE, t.LOG_NOTICE, t.LOG_WARNING = 0, 1, 2, 3
  t.REDIS_VERSION, t.REDIS_VERSION_NUM = host.version, host.version_number
end

constants(redis)
redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL = 0, 1, 2, 2, 3

-- What one of the two kinds of scripts has and the other has not.
if host.is_eval then
  function redis.breakpoint() return false end
  function redis.debug() end
  function redis.replicate_commands() return true end
  libraries.__redis__err__handler = nil
end

-- Functions: what FUNCTION LOAD registers.

local callbacks = {}
local loading = false
local last_id = 0

local NAMED = 'calling redis.register_function with a single argument is only applicable to Lua '
  .. 'table (representing named arguments).'

local function text(value)
  if type(value) == 'string' then return value end
  if type(value) == 'number' then return tostring(value) end
end

local function read_flags(t)
  local flags = {}
  local i = 1
  while true do
    local flag = t[i]
    if flag == nil then return concat(flags, ',') end
    flag = text(flag)
    if not flag then return nil end
    flags[i] = flag
    i = i + 1
  end
end

local function named_arguments(t)
  if type(t) ~= 'table' then fail(NAMED) end
  local name, description, callback
  local flags = ''
  for key, value in next, t do
    key = text(key)
    if not key then
      fail('named argument key given to redis.register_function is not a string')
    end
    key = lower(key)
    if key == 'function_name' then
      name = text(value)
      if not name then
        fail('function_name argument given to redis.register_function must be a string')
      end
    elseif key == 'description' then
      description = text(value)
      if not description then
        fail('description argument given to redis.register_function must be a string')
      end
    elseif key == 'callback' then
      callback = value
      if type(callback) ~= 'function' then
        fail('callback argument given to redis.register_function must be a function')
      end
    elseif key == 'flags' then
      if type(value) ~= 'table' then
        fail('flags argument to redis.register_function must be a table representing function flags')
      end
      flags = read_flags(value)
      if not flags then fail('unknown flag given') end
    else
      fail('unknown argument given to redis.register_function')
    end
  end
  if not name then fail('redis.register_function must get a function name argument') end
  if not callback then fail('redis.register_function must get a callback argument') end
  return name, callback, description, flags
end

local function register_function(...)
  if not loading then
    fail('redis.register_function can only be called on FUNCTION LOAD command')
  end
  local n = select('#', ...)
  if n < 1 or n > 2 then fail('wrong number of arguments to redis.register_function') end
  local name, callback, description, flags
  if n == 1 then
    name, callback, description, flags = named_arguments((...))
  else
    name, callback = ...
    name = text(name)
    flags = ''
    if not name then fail('first argument to redis.register_function must be a string') end
    if type(callback) ~= 'function' then
      fail('second argument to redis.register_function must be a function')
    end
  end
  local id = last_id + 1
  local problem = host_register(id, name, description or false, flags)
  if problem then fail(problem) end
  last_id = id
  callbacks[id] = callback
end

local math_table
local random = {}
function random.random(...)
  local n = select('#', ...)
  local r = host_random()
  if n == 0 then return r end
  if n > 2 then error('wrong number of arguments', 2) end
  local low, high = ...
  if n == 1 then low, high = 1, low end
  for i, value in pairs({low, high}) do
    local index = n == 1 and 1 or i
    if not ((type(value) == 'number' or type(value) == 'string') and tonumber(value)) then
      error('bad argument #' .. index .. " to 'random' (number expected, got " .. type(value) .. ')', 2)
    end
  end
  low, high = as_integer(low), as_integer(high)
  if low > high then error('bad argument #' .. n .. " to 'random' (interval is empty)", 2) end
  return floor(r * (high - low + 1)) + low
end
function random.randomseed(seed)
  if not ((type(seed) == 'number' or type(seed) == 'string') and tonumber(seed)) then
    local got = seed == nil and 'no value' or type(seed)
    error("bad argument #1 to 'randomseed' (number expected, got " .. got .. ')', 2)
  end
  host_seed(as_integer(seed))
end

libraries.redis = redis
kit.modules = {redis, random, unpack(kit.modules)}
local store, global_meta, maths = kit.close(libraries)
maths.random, maths.randomseed = random.random, random.randomseed

local library_redis = {register_function = register_function}
constants(library_redis)
local library_store = kit.new_store({redis = (protect(kit.new_store(library_redis)))})
kit.own[register_function] = true

-- Results.

local OVER = 7990 -- how deep a result may be

local function bulk(s)
  return '$' .. #s .. '\r\n' .. s .. '\r\n'
end

local function line(s)
  return (gsub(match(s, '^[^%z]*'), '[\r\n]', ' '))
end

local wire

local function wire_table(t, out, n, depth)
  local value = rawget(t, 'err')
  if type(value) == 'string' then
    if rawget(t, 'ignore_error_stats_update') == nil then host_count(value) end
    out[n] = '-' .. line(value) .. '\r\n'
    return n
  end
  value = rawget(t, 'ok')
  if type(value) == 'string' then
    out[n] = '+' .. line(value) .. '\r\n'
    return n
  end
  value = rawget(t, 'double')
  if type(value) == 'number' then
    local digits = host_double(value)
    out[n] = client_resp == 2 and bulk(digits) or ',' .. digits .. '\r\n'
    return n
  end
  value = rawget(t, 'big_number')
  if type(value) == 'string' then
    value = gsub(value, '[\r\n]', ' ')
    out[n] = client_resp == 2 and bulk(value) or '(' .. value .. '\r\n'
    return n
  end
  value = rawget(t, 'verbatim_string')
  if type(value) == 'table' then
    local s, kind = rawget(value, 'string'), rawget(value, 'format')
    if type(s) == 'string' and type(kind) == 'string' then
      kind = sub(kind .. '\0\0\0', 1, 3)
      out[n] = client_resp == 2 and bulk(s)
        or '=' .. #s + 4 .. '\r\n' .. kind .. ':' .. s .. '\r\n'
      return n
    end
  end
  local head, count = n, 0
  value = rawget(t, 'map')
  if type(value) == 'table' then
    for k, v in next, value do
      n = wire(k, out, n + 1, depth)
      n = wire(v, out, n + 1, depth)
      count = count + 1
    end
    out[head] = (client_resp == 2 and '*' .. 2 * count or '%' .. count) .. '\r\n'
    return n
  end
  value = rawget(t, 'set')
  if type(value) == 'table' then
    for k in next, value do
      n = wire(k, out, n + 1, depth)
      count = count + 1
    end
    out[head] = (client_resp == 2 and '*' or '~') .. count .. '\r\n'
    return n
  end
  local item = rawget(t, 1)
  while item ~= nil do
    count = count + 1
    n = wire(item, out, n + 1, depth)
    item = rawget(t, count + 1)
  end
  out[head] = '*' .. count .. '\r\n'
  return n
end

-- Write a value behind out[n - 1]; returns the index of what was written last.
function wire(value, out, n, depth)
  local kind = type(value)
  if depth > OVER then
    host_count('ERR')
    out[n] = '-ERR reached lua stack limit\r\n'
  elseif kind == 'string' then
    out[n] = bulk(value)
  elseif kind == 'number' then
    out[n] = format(':%d\r\n', value)
  elseif kind == 'table' then
    return wire_table(real[value] or value, out, n, depth + 1)
  elseif kind == 'boolean' and resp == 3 then
    if client_resp == 2 then
      out[n] = value and ':1\r\n' or ':0\r\n'
    else
      out[n] = value and '#t\r\n' or '#f\r\n'
    end
  elseif value == true then
    out[n] = ':1\r\n'
  else
    out[n] = client_resp == 2 and '$-1\r\n' or '_\r\n'
  end
  return n
end

local function encode(value)
  local out = {}
  wire(value, out, 1, 0)
  return concat(out)
end

-- A script has ended: its result alone if that is simple, else nil, a kind and what that needs.
local function finish(ok, value)
  if ok then
    local kind = type(value)
    if kind == 'string' or kind == 'number' then return value end
    if kind == 'boolean' then
      if resp == 3 then return value end
      return value and 1 or nil
    end
    if kind ~= 'table' then return nil end
    local message = rawget(value, 'err')
    if type(message) == 'string' then
      return nil, 'error', message, rawget(value, 'ignore_error_stats_update') ~= nil
    end
    local done, s = xpcall(function() return encode(value) end, tostring)
    if done then return nil, 'wire', s end
    return nil, 'broken', s
  end
  calm()
  if type(value) ~= 'table' then return nil, 'broken', tostring(value) end
  local message, source, at = value.err, value.source, value.line
  return nil, 'failed', text(message) or '(null)', text(source) or false, text(at) or false,
    value.ignore_error_stats_update and true or false
end

local api = {}

function api.eval(f, version, count, ...)
  resp, client_resp = 2, version
  local n = select('#', ...)
  local all = {...}
  if count == n then
    store.KEYS, store.ARGV = all, {}
  elseif count == 0 then
    store.KEYS, store.ARGV = {}, all
  else
    local keys, args = {}, {}
    for i = 1, count do keys[i] = all[i] end
    for i = count + 1, n do args[i - count] = all[i] end
    store.KEYS, store.ARGV = keys, args
  end
  return finish(xpcall(f, handler))
end

function api.eval_tables(f, version, keys, args)
  resp, client_resp = 2, version
  store.KEYS, store.ARGV = keys, args
  return finish(xpcall(f, handler))
end

function api.fcall(id, version, keys, args)
  resp, client_resp = 2, version
  local f = callbacks[id]
  return finish(xpcall(function() return f(keys, args) end, handler))
end

-- Run a library; nil, or what went wrong.
function api.load(f)
  loading = true
  global_meta.__index = library_store
  local ok, e = xpcall(f, function(e) return e end)
  global_meta.__index = store
  loading = false
  if ok then return nil end
  calm()
  if type(e) == 'table' then
    local message = text(e.err)
    return message or '(null)'
  end
  return 'ERR ' .. tostring(e)
end

function api.forget(id)
  callbacks[id] = nil
end

for _, f in pairs(api) do kit.own[f] = true end
return api
