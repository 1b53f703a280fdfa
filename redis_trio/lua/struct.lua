-- struct: values in C's layouts.
--
-- Source: Roberto Ierusalimschy's struct 0.2 (lua_struct.c).

local kit = ...
local byte, char, find, reverse, sub = string.byte, string.char, string.find, string.reverse, string.sub
local concat, error, floor, pcall, rep = table.concat, error, math.floor, pcall, string.rep
local select, tonumber, tostring, type, unpack = select, tonumber, tostring, type, unpack
local pack_double, unpack_double = kit.pack_double, kit.unpack_double

local MAX_INTEGER = 32
local SIZES = {B = 1, b = 1, H = 2, h = 2, L = 8, l = 8, T = 8, f = 4, d = 8, x = 1}

local function fail(message)
  error({message})
end

local function bad(index, name, reason)
  fail('bad argument #' .. index .. " to '" .. name .. "' (" .. reason .. ')')
end

local function number_at(format, pos, default)
  local first, last = find(format, '^%d+', pos)
  if not first then return default, pos end
  local n = tonumber(sub(format, first, last))
  if n > 2147483647 then fail('integral size overflow') end
  return n, last + 1
end

-- The size of an option, and the position behind it.
local function option_size(opt, format, pos)
  local known = SIZES[opt]
  if known then return known, pos end
  if opt == 'c' then return number_at(format, pos, 1) end
  if opt == 'i' or opt == 'I' then
    local size
    size, pos = number_at(format, pos, 4)
    if size > MAX_INTEGER then
      fail('integral size ' .. size .. ' is larger than limit of ' .. MAX_INTEGER)
    end
    return size, pos
  end
  return 0, pos
end

local function padding(length, align, opt, size)
  if size == 0 or opt == 'c' then return 0 end
  if size > align then size = align end
  -- as `(size - (length & (size - 1))) & (size - 1)`, which only makes sense for powers of two
  local mask, anded, place, result = size - 1, 0, 1, 0
  local a, b = length, mask
  while b > 0 do
    if a % 2 == 1 and b % 2 == 1 then anded = anded + place end
    a, b, place = floor(a / 2), floor(b / 2), place * 2
  end
  a, b, place = size - anded, mask, 1
  while b > 0 do
    if a % 2 == 1 and b % 2 == 1 then result = result + place end
    a, b, place = floor(a / 2), floor(b / 2), place * 2
  end
  return result
end

-- What an option that stands for no value changes: little end first or not, alignment, position.
local function control(name, opt, format, pos, little, align)
  if opt == ' ' then return little, align, pos end
  if opt == '>' then return false, align, pos end
  if opt == '<' then return true, align, pos end
  if opt == '!' then
    local a
    a, pos = number_at(format, pos, 8)
    local power = 1
    while power < a do power = power * 2 end
    if a <= 0 or power ~= a then fail('alignment ' .. a .. ' is not a power of 2') end
    return little, a, pos
  end
  bad(1, name, "invalid format option '" .. opt .. "'")
end

local function checked_number(name, value, index, count)
  local n = (type(value) == 'number' or type(value) == 'string') and tonumber(value)
  if not n then
    bad(index, name, 'number expected, got ' .. type(value))
  end
  return n
end

local function checked_string(name, value, index, count)
  if type(value) == 'number' then return tostring(value) end
  if type(value) ~= 'string' then
    bad(index, name, 'string expected, got ' .. (index > count and 'no value' or type(value)))
  end
  return value
end

-- A whole number as C casts it to 64 bits: its upper and its lower half.
local function halves(n)
  n = n < 0 and -floor(-n) or floor(n)
  if n ~= n or n >= 18446744073709551616 or n < -9223372036854775808 then
    return n ~= n and 2147483648 or (n > 0 and 0 or 2147483648), 0
  end
  local high = floor(n / 4294967296)
  return high % 4294967296, n - high * 4294967296
end

local function integer_bytes(n, size, little)
  local high, low = halves(n)
  local bytes = {}
  for i = 1, size do
    if i <= 4 then
      bytes[i] = char(low % 256)
      low = floor(low / 256)
    elseif i <= 8 then
      bytes[i] = char(high % 256)
      high = floor(high / 256)
    else
      bytes[i] = '\0'
    end
  end
  local s = concat(bytes)
  return little and s or reverse(s)
end

local function integer_value(s, signed, little)
  if not little then s = reverse(s) end
  local size = #s
  if size > 8 then s, size = sub(s, 1, 8), 8 end
  local low, high = 0, 0
  for i = size, 1, -1 do
    if i > 4 then high = high * 256 + byte(s, i) else low = low * 256 + byte(s, i) end
  end
  if signed and size > 0 and byte(s, size) >= 128 then
    if size > 4 then
      high = high - 256 ^ (size - 4)
    else
      low = low - 256 ^ size
    end
  end
  return high * 4294967296 + low
end

local function pack(count, format, ...)
  format = checked_string('pack', format, 1, count)
  local values = {...}
  local out, n, total, arg, pos = {}, 0, 0, 1, 1
  local little, align = true, 1
  while pos <= #format do
    local opt = sub(format, pos, pos)
    if opt == '\0' then break end
    pos = pos + 1
    local size
    size, pos = option_size(opt, format, pos)
    local pad = padding(total, align, opt, size)
    total = total + pad
    n = n + 1
    out[n] = rep('\0', pad)
    n = n + 1
    if find(opt, '[bBhHlLTiI]') then
      local value = checked_number('pack', values[arg], arg + 1, count)
      out[n] = integer_bytes(value, size, little)
      arg = arg + 1
    elseif opt == 'x' then
      out[n] = '\0'
    elseif opt == 'f' or opt == 'd' then
      local value = checked_number('pack', values[arg], arg + 1, count)
      out[n] = pack_double(value, size, little)
      arg = arg + 1
    elseif opt == 'c' or opt == 's' then
      local s = checked_string('pack', values[arg], arg + 1, count)
      arg = arg + 1
      if size == 0 then size = #s end
      if #s < size then bad(arg + 1, 'pack', 'string too short') end
      out[n] = sub(s, 1, size)
      if opt == 's' then
        out[n] = out[n] .. '\0'
        size = size + 1
      end
    else
      out[n] = ''
      little, align, pos = control('pack', opt, format, pos, little, align)
    end
    total = total + size
  end
  return concat(out)
end

local function unpack_(count, format, data, offset)
  format = checked_string('unpack', format, 1, count)
  data = checked_string('unpack', data, 2, count)
  local at = 1
  if offset ~= nil then at = checked_number('unpack', offset, 3, count) end
  at = at < 0 and -floor(-at) or floor(at)
  if at == 0 then bad(3, 'unpack', 'offset must be 1 or greater') end
  at = at - 1
  local length = #data
  local values, n, pos = {}, 0, 1
  local little, align = true, 1
  while pos <= #format do
    local opt = sub(format, pos, pos)
    if opt == '\0' then break end
    pos = pos + 1
    local size
    size, pos = option_size(opt, format, pos)
    at = at + padding(at, align, opt, size)
    if size > length or at > length - size or at < 0 then bad(2, 'unpack', 'data string too short') end
    if n >= 7000 then fail('stack overflow (too many results)') end
    if find(opt, '[bBhHlLTiI]') then
      n = n + 1
      values[n] = integer_value(sub(data, at + 1, at + size), find(opt, '%l') ~= nil, little)
    elseif opt == 'f' or opt == 'd' then
      n = n + 1
      values[n] = unpack_double(sub(data, at + 1, at + size), little)
    elseif opt == 'c' then
      if size == 0 then
        size = n > 0 and tonumber(values[n])
        if not size then fail("format 'c0' needs a previous size") end
        size = size < 0 and length + 1 or floor(size)
        n = n - 1
        if size > length or at > length - size then bad(2, 'unpack', 'data string too short') end
      end
      n = n + 1
      values[n] = sub(data, at + 1, at + size)
    elseif opt == 's' then
      local stop = find(data, '%z', at + 1)
      if not stop then fail('unfinished string in data') end
      n = n + 1
      values[n] = sub(data, at + 1, stop - 1)
      size = stop - at
    elseif opt ~= 'x' then
      little, align, pos = control('unpack', opt, format, pos, little, align)
    end
    at = at + size
  end
  values[n + 1] = at + 1
  return values, n + 1
end

local function size(count, format)
  format = checked_string('size', format, 1, count)
  local total, pos = 0, 1
  local little, align = true, 1
  while pos <= #format do
    local opt = sub(format, pos, pos)
    if opt == '\0' then break end
    pos = pos + 1
    local one
    one, pos = option_size(opt, format, pos)
    total = total + padding(total, align, opt, one)
    if opt == 's' then
      bad(1, 'size', "option 's' has no fixed size")
    elseif opt == 'c' and one == 0 then
      bad(1, 'size', "option 'c0' has no fixed size")
    end
    if not find(opt, '%w') then
      little, align, pos = control('size', opt, format, pos, little, align)
    end
    total = total + one
  end
  return total
end

local function guarded(ok, value, count)
  if ok then return value, count end
  if type(value) == 'table' and value[1] then error(value[1], 3) end
  error(value, 0)
end

local struct = {}

function struct.pack(...)
  local s = guarded(pcall(pack, select('#', ...), ...))
  return s
end

function struct.unpack(...)
  local values, count = guarded(pcall(unpack_, select('#', ...), ...))
  return unpack(values, 1, count)
end

function struct.size(...)
  local n = guarded(pcall(size, select('#', ...), ...))
  return n
end

return struct
