-- cjson: JSON as lua-cjson reads and writes it.
--
-- Source: lua-cjson 2.1 (lua_cjson.c).

local kit = ...
local concat, error, floor, format, next = table.concat, error, math.floor, string.format, next
local pcall, rawget, select, type, tonumber = pcall, rawget, select, type, tonumber
local byte, char, find, gsub, match, sub = string.byte, string.char, string.find, string.gsub, string.match, string.sub
local huge, lower = math.huge, string.lower
local tostring = tostring

local null = newproxy(true)
getmetatable(null).__tostring = function() return 'userdata: (nil)' end
getmetatable(null).__metatable = false
kit.null = null

local escapes = {
  ['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n',
  ['\r'] = '\\r', ['\t'] = '\\t', ['\127'] = '\\u007f',
}
for i = 0, 31 do
  local c = char(i)
  if not escapes[c] then escapes[c] = format('\\u%04x', i) end
end
local unescapes = {
  ['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', f = '\f', n = '\n', r = '\r', t = '\t',
}

local function fail(message)
  error({message})
end

-- Run a library function; its errors are those of the script's line.
local function guarded(ok, value)
  if ok then return value end
  if type(value) == 'table' and value[1] then error(value[1], 3) end
  error(value, 0)
end

local function quote(s)
  return '"' .. gsub(s, '[%c"\\/%z\127]', escapes) .. '"'
end

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64,
    0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

local function arguments(name, count, ...)
  if select('#', ...) > count then
    error("bad argument #" .. count + 1 .. " to '" .. name .. "' (found too many arguments)", 3)
  end
end

local function integer(name, value, index, low, high)
  local n = tonumber(value)
  if n == nil or type(value) == 'boolean' then
    error('bad argument #' .. index .. " to '" .. name .. "' (number expected, got " .. type(value) .. ')', 3)
  end
  n = n < 0 and -floor(-n) or floor(n)
  if n < low or n > high then
    error(format("bad argument #1 to '%s' (expected integer between %d and %d)", name, low, high), 3)
  end
  return n
end

local function choice(name, value, index, options)
  if value == true then return 1 end
  if value == false then return 0 end
  if type(value) ~= 'string' then
    error('bad argument #' .. index .. " to '" .. name .. "' (string expected, got " .. type(value) .. ')', 3)
  end
  if not options[value] then
    error('bad argument #' .. index .. " to '" .. name .. "' (invalid option '" .. value .. "')", 3)
  end
  return options[value]
end

local OFF_ON = {off = 0, on = 1}
local OFF_ON_NULL = {off = 0, on = 1, null = 2}
local MAX = 2147483647

local function new()
  local sparse_convert, sparse_ratio, sparse_safe = 0, 2, 10
  local encode_depth, decode_depth = 1000, 1000
  local encode_invalid, decode_invalid, keep_buffer = 0, 1, 1
  local number_format, precision = '%.14g', 14
  local cjson = {_NAME = 'cjson', _VERSION = '2.1.0', null = null}
  local out, size

  local function number(n)
    if n ~= n or n == huge or n == -huge then
      if encode_invalid == 0 then fail('Cannot serialise number: must not be NaN or Inf') end
      if encode_invalid == 2 then return 'null' end
      if n ~= n then return 'nan' end
    end
    return format(number_format, n)
  end

  -- How long an array is; nil if the table is an object.
  local function length(t)
    local max, items = 0, 0
    for k in next, t do
      if type(k) ~= 'number' or k < 1 or floor(k) ~= k then return nil end
      if k > max then max = k end
      items = items + 1
    end
    if sparse_ratio > 0 and max > items * sparse_ratio and max > sparse_safe then
      if sparse_convert == 0 then fail('Cannot serialise table: excessively sparse array') end
      return nil
    end
    return max
  end

  local append

  local function append_table(t, depth)
    if depth > encode_depth then
      fail('Cannot serialise, excessive nesting (' .. depth .. ')')
    end
    local max = length(t)
    if max and max > 0 then
      size = size + 1
      out[size] = '['
      for i = 1, max do
        if i > 1 then
          size = size + 1
          out[size] = ','
        end
        append(rawget(t, i), depth)
      end
      size = size + 1
      out[size] = ']'
      return
    end
    size = size + 1
    out[size] = '{'
    local comma = ''
    for k, v in next, t do
      size = size + 1
      if type(k) == 'number' then
        out[size] = comma .. '"' .. number(k) .. '":'
      elseif type(k) == 'string' then
        out[size] = comma .. quote(k) .. ':'
      else
        fail('Cannot serialise ' .. type(k) .. ': table key must be a number or string')
      end
      comma = ','
      append(v, depth)
    end
    size = size + 1
    out[size] = '}'
  end

  function append(value, depth)
    local kind = type(value)
    if kind == 'table' then return append_table(kit.real[value] or value, depth + 1) end
    size = size + 1
    if kind == 'string' then
      out[size] = quote(value)
    elseif kind == 'number' then
      out[size] = number(value)
    elseif kind == 'boolean' then
      out[size] = value and 'true' or 'false'
    elseif value == nil or value == null then
      out[size] = 'null'
    else
      fail('Cannot serialise ' .. kind .. ': type not supported')
    end
  end

  function cjson.encode(...)
    if select('#', ...) ~= 1 then error("bad argument #1 to 'encode' (expected 1 argument)", 2) end
    out, size = {}, 0
    local ok, e = pcall(append, (...), 0)
    local pieces = out
    out = nil
    guarded(ok, e)
    return concat(pieces)
  end

  -- Decoding. A token is (kind, value, next position); errors are (error, text, position).

  local function string_token(s, start)
    local pos = start + 1
    local pieces, n
    while true do
      local stop = find(s, '["\\%z]', pos)
      if not stop then return 'error', 'unexpected end of string', #s + 1 end
      local c = sub(s, stop, stop)
      if c == '"' then
        if not pieces then return 'string', sub(s, pos, stop - 1), stop + 1 end
        pieces[n + 1] = sub(s, pos, stop - 1)
        return 'string', concat(pieces), stop + 1
      end
      if c ~= '\\' then return 'error', 'unexpected end of string', stop end
      if not pieces then pieces, n = {}, 0 end
      local escape = sub(s, stop + 1, stop + 1)
      local text
      if escape == 'u' then
        local hex = match(s, '^%x%x%x%x', stop + 2)
        local code = hex and tonumber(hex, 16)
        pos = stop + 6
        if code and code >= 0xD800 and code < 0xE000 then
          local second = code < 0xDC00 and match(s, '^\\u(%x%x%x%x)', pos)
          local low_half = second and tonumber(second, 16)
          code = low_half and low_half >= 0xDC00 and low_half < 0xE000
            and (code - 0xD800) * 1024 + low_half - 0xDC00 + 0x10000
          pos = pos + 6
        end
        if not code then return 'error', 'invalid unicode escape code', stop end
        text = utf8(code)
      else
        text = unescapes[escape]
        if not text then return 'error', 'invalid escape code', stop end
        pos = stop + 2
      end
      pieces[n + 1] = sub(s, start + 1, stop - 1)
      pieces[n + 2] = text
      n = n + 2
      start = pos - 1
    end
  end

  -- Numbers that C reads and JSON does not have.
  local function is_odd(s, pos)
    if sub(s, pos, pos) == '+' then return true end
    if sub(s, pos, pos) == '-' then pos = pos + 1 end
    if find(s, '^0[xX%d]', pos) then return true end
    local word = lower(sub(s, pos, pos + 2))
    return word == 'inf' or word == 'nan'
  end

  local function number_token(s, pos)
    local sign, from = match(s, '^([+-]?)()', pos)
    local stop = match(s, '^0[xX]%x*%.?%x*()', from)
    if stop and find(s, '^0[xX]%.?%x', from) then
      stop = match(s, '^[pP][+-]?%d+()', stop) or stop
    else
      stop = match(s, '^%d+%.?%d*()', from) or match(s, '^%.%d+()', from)
      if stop then
        stop = match(s, '^[eE][+-]?%d+()', stop) or stop
      else
        local word = lower(sub(s, from, from + 7))
        if word == 'infinity' then
          stop = from + 8
        elseif sub(word, 1, 3) == 'inf' or sub(word, 1, 3) == 'nan' then
          stop = from + 3
        end
      end
    end
    local value = stop and tonumber(sub(s, from, stop - 1))
    if not value then return 'error', 'invalid number', pos end
    return 'number', sign == '-' and -value or value, stop
  end

  local SINGLE = {
    ['{'] = "'{'", ['}'] = "'}'", ['['] = "'['", [']'] = "']'", [','] = ',', [':'] = ':',
  }

  local function token(s, pos)
    pos = find(s, '[^ \t\n\r]', pos)
    if not pos then return 'end', nil, #s + 1, #s + 1 end
    local c = sub(s, pos, pos)
    if c == '"' then
      local kind, value, stop = string_token(s, pos)
      return kind, value, stop, kind == 'error' and stop or pos
    end
    if SINGLE[c] then return c, nil, pos + 1, pos end
    if find(c, '[-%d]') then
      if decode_invalid == 0 and is_odd(s, pos) then return 'error', 'invalid number', pos, pos end
      local kind, value, stop = number_token(s, pos)
      return kind, value, stop, pos
    end
    if c == 't' and sub(s, pos, pos + 3) == 'true' then return 'boolean', true, pos + 4, pos end
    if c == 'f' and sub(s, pos, pos + 4) == 'false' then return 'boolean', false, pos + 5, pos end
    if c == 'n' and sub(s, pos, pos + 3) == 'null' then return 'null', null, pos + 4, pos end
    if c == '\0' then return 'end', nil, pos, pos end
    if find(c, '[+iInN]') and decode_invalid == 1 and is_odd(s, pos) then
      local kind, value, stop = number_token(s, pos)
      return kind, value, stop, pos
    end
    return 'error', 'invalid token', pos, pos
  end

  local NAMES = {
    ['{'] = 'T_OBJ_BEGIN', ['}'] = 'T_OBJ_END', ['['] = 'T_ARR_BEGIN', [']'] = 'T_ARR_END',
    [','] = 'T_COMMA', [':'] = 'T_COLON', string = 'T_STRING', number = 'T_NUMBER',
    boolean = 'T_BOOLEAN', null = 'T_NULL', ['end'] = 'T_END',
  }

  local function unexpected(wanted, kind, value, at)
    local found = kind == 'error' and value or NAMES[kind]
    fail('Expected ' .. wanted .. ' but found ' .. found .. ' at character ' .. at)
  end

  local parse

  local function object(s, pos, depth)
    local t = {}
    local kind, value, at
    kind, value, pos, at = token(s, pos)
    if kind == '}' then return t, pos end
    while true do
      if kind ~= 'string' then unexpected('object key string', kind, value, at) end
      local key = value
      kind, value, pos, at = token(s, pos)
      if kind ~= ':' then unexpected('colon', kind, value, at) end
      kind, value, pos, at = token(s, pos)
      t[key], pos = parse(s, kind, value, pos, at, depth)
      kind, value, pos, at = token(s, pos)
      if kind == '}' then return t, pos end
      if kind ~= ',' then unexpected('comma or object end', kind, value, at) end
      kind, value, pos, at = token(s, pos)
    end
  end

  local function array(s, pos, depth)
    local t = {}
    local kind, value, at
    kind, value, pos, at = token(s, pos)
    if kind == ']' then return t, pos end
    local i = 1
    while true do
      t[i], pos = parse(s, kind, value, pos, at, depth)
      kind, value, pos, at = token(s, pos)
      if kind == ']' then return t, pos end
      if kind ~= ',' then unexpected('comma or array end', kind, value, at) end
      kind, value, pos, at = token(s, pos)
      i = i + 1
    end
  end

  function parse(s, kind, value, pos, at, depth)
    if kind == '{' or kind == '[' then
      depth = depth + 1
      if depth > decode_depth then
        fail(format('Found too many nested data structures (%d) at character %d', depth, pos - 1))
      end
      if kind == '{' then return object(s, pos, depth) end
      return array(s, pos, depth)
    end
    if kind == 'string' or kind == 'number' or kind == 'boolean' or kind == 'null' then
      return value, pos
    end
    unexpected('value', kind, value, at)
  end

  local function document(s)
    local kind, value, pos, at = token(s, 1)
    local result
    result, pos = parse(s, kind, value, pos, at, 0)
    kind, value, pos, at = token(s, pos)
    if kind ~= 'end' then unexpected('the end', kind, value, at) end
    return result
  end

  function cjson.decode(...)
    if select('#', ...) ~= 1 then error("bad argument #1 to 'decode' (expected 1 argument)", 2) end
    local s = ...
    if type(s) == 'number' then s = tostring(s) end
    if type(s) ~= 'string' then
      error("bad argument #1 to 'decode' (string expected, got " .. type(s) .. ')', 2)
    end
    if #s >= 2 and (byte(s, 1) == 0 or byte(s, 2) == 0) then
      error('JSON parser does not support UTF-16 or UTF-32', 2)
    end
    local ok, value = pcall(document, s)
    return guarded(ok, value)
  end

  function cjson.encode_sparse_array(...)
    arguments('encode_sparse_array', 3, ...)
    local convert, ratio, safe = ...
    if convert ~= nil then sparse_convert = choice('encode_sparse_array', convert, 1, OFF_ON) end
    if ratio ~= nil then sparse_ratio = integer('encode_sparse_array', ratio, 2, 0, MAX) end
    if safe ~= nil then sparse_safe = integer('encode_sparse_array', safe, 3, 0, MAX) end
    return sparse_convert == 1, sparse_ratio, sparse_safe
  end

  function cjson.encode_max_depth(...)
    arguments('encode_max_depth', 1, ...)
    if (...) ~= nil then encode_depth = integer('encode_max_depth', (...), 1, 1, MAX) end
    return encode_depth
  end

  function cjson.decode_max_depth(...)
    arguments('decode_max_depth', 1, ...)
    if (...) ~= nil then decode_depth = integer('decode_max_depth', (...), 1, 1, MAX) end
    return decode_depth
  end

  function cjson.encode_number_precision(...)
    arguments('encode_number_precision', 1, ...)
    if (...) ~= nil then
      precision = integer('encode_number_precision', (...), 1, 1, 14)
      number_format = '%.' .. precision .. 'g'
    end
    return precision
  end

  function cjson.encode_keep_buffer(...)
    arguments('encode_keep_buffer', 1, ...)
    if (...) ~= nil then keep_buffer = choice('encode_keep_buffer', (...), 1, OFF_ON) end
    return keep_buffer == 1
  end

  function cjson.encode_invalid_numbers(...)
    arguments('encode_invalid_numbers', 1, ...)
    if (...) ~= nil then encode_invalid = choice('encode_invalid_numbers', (...), 1, OFF_ON_NULL) end
    if encode_invalid == 2 then return 'null' end
    return encode_invalid == 1
  end

  function cjson.decode_invalid_numbers(...)
    arguments('decode_invalid_numbers', 1, ...)
    if (...) ~= nil then decode_invalid = choice('decode_invalid_numbers', (...), 1, OFF_ON) end
    return decode_invalid == 1
  end

  cjson.new = new
  return cjson
end

return new()
