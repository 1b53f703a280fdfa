-- cmsgpack: MessagePack as lua-cmsgpack reads and writes it.
--
-- Source: lua-cmsgpack 0.4.0 (lua_cmsgpack.c).

local kit = ...
local byte, char, sub, floor = string.byte, string.char, string.sub, math.floor
local concat, error, next, pcall, select = table.concat, error, next, pcall, select
local tonumber, tostring, type, unpack = tonumber, tostring, type, unpack
local pack_double, unpack_double = kit.pack_double, kit.unpack_double

local MAX_NESTING = 16
local out, size

-- `count` bytes of a whole number, biggest first; negative numbers in two's complement.
local function big(n, count)
  if count == 8 then
    local high = floor(n / 4294967296)
    return big(high, 4) .. big(n - high * 4294967296, 4)
  end
  if n < 0 then n = n + 256 ^ count end
  if count == 1 then return char(n) end
  if count == 2 then return char(floor(n / 256), n % 256) end
  return char(floor(n / 16777216) % 256, floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end

local function integer(n)
  if n >= 0 then
    if n <= 127 then return char(n) end
    if n <= 255 then return '\204' .. char(n) end
    if n <= 65535 then return '\205' .. big(n, 2) end
    if n <= 4294967295 then return '\206' .. big(n, 4) end
    return '\207' .. big(n, 8)
  end
  if n >= -32 then return char(256 + n) end
  if n >= -128 then return '\208' .. big(n, 1) end
  if n >= -32768 then return '\209' .. big(n, 2) end
  if n >= -2147483648 then return '\210' .. big(n, 4) end
  return '\211' .. big(n, 8)
end

local function number(n)
  if n == floor(n) and n >= -9223372036854775808 and n < 9223372036854775808 then
    return integer(n)
  end
  local short = pack_double(n, 4, false)
  if short and unpack_double(short, false) == n then return '\202' .. short end
  return '\203' .. pack_double(n, 8, false)
end

local function text(s)
  local n = #s
  if n < 32 then return char(160 + n) .. s end
  if n <= 255 then return '\217' .. char(n) .. s end
  if n <= 65535 then return '\218' .. big(n, 2) .. s end
  return '\219' .. big(n, 4) .. s
end

-- The head of an array or a map.
local function head(n, short, long)
  if n <= 15 then return char(short + n) end
  if n <= 65535 then return char(long) .. big(n, 2) end
  return char(long + 1) .. big(n, 4)
end

local function is_array(t)
  local count, max = 0, 0
  for k in next, t do
    if type(k) ~= 'number' or k <= 0 or k ~= floor(k) or k > 2147483647 then return false end
    if k > max then max = k end
    count = count + 1
  end
  return max == count
end

local function append(value, level)
  local kind = type(value)
  size = size + 1
  if kind == 'string' then
    out[size] = text(value)
  elseif kind == 'number' then
    out[size] = number(value)
  elseif kind == 'boolean' then
    out[size] = value and '\195' or '\194'
  elseif kind ~= 'table' or level == MAX_NESTING then
    out[size] = '\192'
  elseif is_array(value) then
    local n = #value
    out[size] = head(n, 144, 220)
    for i = 1, n do append(value[i], level + 1) end
  else
    local n = 0
    for _ in next, value do n = n + 1 end
    out[size] = head(n, 128, 222)
    for k, v in next, value do
      append(k, level + 1)
      append(v, level + 1)
    end
  end
end

local cmsgpack = {
  _NAME = 'cmsgpack', _VERSION = 'lua-cmsgpack 0.4.0',
  _COPYRIGHT = 'Copyright (C) 2012, Salvatore Sanfilippo',
  _DESCRIPTION = 'MessagePack C implementation for Lua',
}

function cmsgpack.pack(...)
  local count = select('#', ...)
  if count == 0 then
    error("bad argument #0 to 'pack' (MessagePack pack needs input.)", 2)
  end
  out, size = {}, 0
  for i = 1, count do append((select(i, ...)), 0) end
  local pieces = out
  out = nil
  return concat(pieces)
end

local MISSING = {'Missing bytes in input.'}
local BAD = {'Bad data format in input.'}

local function need(s, pos, count)
  if #s - pos + 1 < count then error(MISSING) end
end

-- An unsigned number of `count` bytes, and the position behind it.
local function unsigned(s, pos, count)
  need(s, pos, count)
  local n = 0
  for i = pos, pos + count - 1 do n = n * 256 + byte(s, i) end
  return n, pos + count
end

local function signed(s, pos, count)
  local n, stop
  if count == 8 then
    local high, low
    need(s, pos, 8)
    high = signed(s, pos, 4)
    low, stop = unsigned(s, pos + 4, 4)
    return high * 4294967296 + low, stop
  end
  n, stop = unsigned(s, pos, count)
  if n >= 256 ^ count / 2 then n = n - 256 ^ count end
  return n, stop
end

local function slice(s, pos, count)
  need(s, pos, count)
  return sub(s, pos, pos + count - 1), pos + count
end

local read

local function read_array(s, pos, count)
  local t = {}
  for i = 1, count do t[i], pos = read(s, pos) end
  return t, pos
end

local function read_map(s, pos, count)
  local t = {}
  for _ = 1, count do
    local k, v
    k, pos = read(s, pos)
    v, pos = read(s, pos)
    if k == nil then error({'table index is nil'}) end
    if k ~= k then error({'table index is NaN'}) end
    t[k] = v
  end
  return t, pos
end

function read(s, pos)
  need(s, pos, 1)
  local tag = byte(s, pos)
  pos = pos + 1
  if tag < 0x80 then return tag, pos end
  if tag < 0x90 then return read_map(s, pos, tag - 0x80) end
  if tag < 0xa0 then return read_array(s, pos, tag - 0x90) end
  if tag < 0xc0 then return slice(s, pos, tag - 0xa0) end
  if tag >= 0xe0 then return tag - 256, pos end
  if tag == 0xc0 then return nil, pos end
  if tag == 0xc2 then return false, pos end
  if tag == 0xc3 then return true, pos end
  if tag == 0xca or tag == 0xcb then
    local data
    data, pos = slice(s, pos, tag == 0xca and 4 or 8)
    return unpack_double(data, false), pos
  end
  if tag == 0xcf then return signed(s, pos, 8) end -- read as signed, as cmsgpack does
  if tag >= 0xcc and tag <= 0xce then return unsigned(s, pos, 2 ^ (tag - 0xcc)) end
  if tag >= 0xd0 and tag <= 0xd3 then return signed(s, pos, 2 ^ (tag - 0xd0)) end
  local count
  if tag >= 0xd9 and tag <= 0xdb then
    count, pos = unsigned(s, pos, 2 ^ (tag - 0xd9))
    return slice(s, pos, count)
  end
  if tag == 0xdc or tag == 0xdd then
    count, pos = unsigned(s, pos, 2 ^ (tag - 0xdb))
    return read_array(s, pos, count)
  end
  if tag == 0xde or tag == 0xdf then
    count, pos = unsigned(s, pos, 2 ^ (tag - 0xdd))
    return read_map(s, pos, count)
  end
  error(BAD)
end

local function read_all(s, limit, offset)
  local values, count, pos = {}, 0, offset + 1
  while pos <= #s and count < limit do
    count = count + 1
    values[count], pos = read(s, pos)
  end
  return values, count, pos
end

local function full(name, s, limit, offset)
  if type(s) == 'number' then s = tostring(s) end
  if type(s) ~= 'string' then
    local got = s == nil and 'no value' or type(s)
    error("bad argument #1 to '" .. name .. "' (string expected, got " .. got .. ')', 3)
  end
  if offset < 0 or limit < 0 then
    error('Invalid request to unpack with offset of ' .. offset .. ' and limit of ' .. #s .. '.', 3)
  elseif offset > #s then
    error('Start offset ' .. offset .. ' greater than input length ' .. #s .. '.', 3)
  end
  local all = limit == 0 and offset == 0
  local ok, values, count, pos = pcall(read_all, s, all and 2147483647 or limit, offset)
  if not ok then
    if type(values) == 'table' and values[1] then error(values[1], 3) end
    error(values, 0)
  end
  if count > 7000 then
    error('stack overflow (too many return values at once; '
      .. 'use unpack_one or unpack_limit instead.)', 3)
  end
  if all then return unpack(values, 1, count) end
  return pos > #s and -1 or pos - 1, unpack(values, 1, count)
end

local function whole(name, value, index, default)
  if value == nil and default then return default end
  local n = (type(value) == 'number' or type(value) == 'string') and tonumber(value)
  if not n then
    local got = value == nil and 'no value' or type(value)
    error('bad argument #' .. index .. " to '" .. name .. "' (number expected, got " .. got .. ')', 3)
  end
  return n < 0 and -floor(-n) or floor(n)
end

function cmsgpack.unpack(s)
  return full('unpack', s, 0, 0)
end

function cmsgpack.unpack_one(s, offset)
  return full('unpack_one', s, 1, whole('unpack_one', offset, 2, 0))
end

function cmsgpack.unpack_limit(s, limit, offset)
  limit = whole('unpack_limit', limit, 2)
  return full('unpack_limit', s, limit, whole('unpack_limit', offset, 3, 0))
end

return cmsgpack
