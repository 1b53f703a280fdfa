-- bit: operations on 32 bits.
--
-- Source: Lua BitOp 1.0.2 (lua_bit.c).

local kit = ...
local error, format, select, sub, tonumber, type = error, string.format, select, string.sub, tonumber, type
local upper = string.upper
local host = kit.bits

local function number(value, index, name, absent)
  local n = (type(value) == 'number' or type(value) == 'string') and tonumber(value)
  if not n then
    local got = absent and 'no value' or type(value)
    error('bad argument #' .. index .. " to '" .. name .. "' (number expected, got " .. got .. ')', 3)
  end
  return n
end

local bit = {}

for _, name in ipairs({'tobit', 'bnot', 'bswap'}) do
  bit[name] = function(...)
    local n = number((...), 1, name, select('#', ...) < 1)
    return (host(name, n, 0))
  end
end

for _, name in ipairs({'lshift', 'rshift', 'arshift', 'rol', 'ror'}) do
  bit[name] = function(...)
    local a, b = ...
    local count = select('#', ...)
    a = number(a, 1, name, count < 1)
    b = number(b, 2, name, count < 2)
    return (host(name, a, b))
  end
end

for _, name in ipairs({'band', 'bor', 'bxor'}) do
  bit[name] = function(...)
    local count = select('#', ...)
    local result = number((...), 1, name, count < 1)
    if count == 1 then return (host('tobit', result, 0)) end
    for i = 2, count do
      local n = number((select(i, ...)), i, name)
      result = host(name, result, n)
    end
    return result
  end
end

function bit.tohex(...)
  local count = select('#', ...)
  local b, n = ...
  b = number(b, 1, 'tohex', count < 1)
  n = count < 2 and 8 or host('tobit', number(n, 2, 'tohex'), 0)
  local text = format('%08x', host('tobit', b, 0) % 4294967296)
  if n < 0 then
    n = -n
    text = upper(text)
  end
  if n >= 8 then return text end
  return sub(text, 9 - n)
end

return bit
