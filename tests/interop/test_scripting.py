"""Scripts on a real redis-server and on ours; what changed since Redis 7.0 is left out."""

# ruff: noqa: E501

from __future__ import annotations

import pytest
import redis

from tests.interop.compare import Both
from tests.interop.conftest import Start

SCRIPTS = [
    'return 1',
    "return {1,2,3.7,-1.5,'a',true,false}",
    'return {true,false,1}',
    'return {false}',
    'return nil',
    'return {1,nil,3}',
    "return {ok='a\\r\\nb'}",
    "return {err='MY x\\ny'}",
    "return {err='x'}",
    "return redis.error_reply('x')",
    "return redis.error_reply('-x y')",
    "return redis.error_reply('')",
    "return redis.status_reply('x')",
    'return redis.status_reply()',
    'return {double=1/0}',
    "return {big_number='123456789012345678901234567890'}",
    "return {verbatim_string={string='abc',format='txt'}}",
    'return {map={a=1}}',
    'return {set={a=true}}',
    'redis.setresp(3) return {true,false}',
    'redis.setresp(3) return true',
    "redis.setresp(3) return redis.call('get','nosuch')",
    "redis.setresp(3) redis.call('hset','h','a','b') return redis.call('hgetall','h')",
    "redis.setresp(3) redis.call('hset','h','a','b') return redis.call('hgetall','h').map.a",
    "redis.setresp(3) redis.call('zadd','z',1.5,'b') return redis.call('zscore','z','b')",
    "redis.setresp(3) redis.call('zadd','z',1.5,'b') return redis.call('zrange','z',0,-1,'withscores')",
    "redis.call('zadd','z',1.5,'b') return redis.call('zrange','z',0,-1,'withscores')",
    "redis.setresp(3) redis.call('sadd','s','b') return redis.call('smembers','s')",
    'redis.setresp(4)',
    'redis.setresp()',
    'redis.set_repl(9)',
    'redis.log(1)',
    "redis.log('x','y')",
    'return redis.call()',
    "return redis.call('get')",
    "return redis.call('get',true)",
    "return redis.call('nosuch','a')",
    "return redis.call('config','nosuch')",
    "return redis.call('config')",
    "return redis.call('subscribe','a')",
    "return redis.pcall('incr','h')",
    "return redis.call('incr','h')",
    "local ok,e=pcall(redis.call,'incr','h') return e",
    "local ok,e=pcall(redis.call,'incr','h') return type(e)",
    "local ok,e=pcall(function() error({err='A b',x=1}) end) return e",
    'local ok,e=pcall(function() error({x=1}) end) return type(e)',
    'return {pcall(error)}',
    "return {xpcall(function() error('x') end, function(e) return e end)}",
    "error('x')",
    "error({err='A b'})",
    'error(7)',
    'local t=nil return t.x',
    'local t={} return t.x.y',
    "return 'a'+1",
    "return {}..'x'",
    'return #5',
    'return foo',
    'foo=1',
    'function foo() end',
    '_G.foo=1',
    'return _G.foo',
    'return type(_G)',
    "return rawget(_G,'foo')",
    "rawset(_G,'a',1)",
    'setmetatable(_G,{})',
    'getmetatable(_G).__index=1',
    'redis.call=1',
    'redis.foo=1',
    'string.x=1',
    'math.x=1',
    'cjson.encode=1',
    'cmsgpack.x=1',
    'bit.x=1',
    'struct.x=1',
    'table.insert(string,1)',
    'return redis.foo',
    'return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL,redis.LOG_DEBUG,redis.LOG_WARNING}',
    "return redis.sha1hex('abc')",
    'return redis.sha1hex()',
    'return redis.sha1hex(5)',
    'return redis.replicate_commands()',
    'return redis.breakpoint()',
    "return redis.debug('x')",
    "return redis.acl_check_cmd('get','x')",
    "return redis.acl_check_cmd('nosuch','x')",
    'return redis.acl_check_cmd()',
    "print('x')",
    "return loadstring('return 5')()",
    "return {loadstring('x =')}",
    "return {loadstring('x =','name')}",
    'return {loadstring(string.dump(function() return 1 end))}',
    'return {load(function() return nil end)}',
    "return string.format('%d %s %5.2f %q','3','x',2.5,'a\\nb')",
    "return tostring(1e15)..' '..tostring(2^53)..' '..tostring(0.1)..' '..tostring(1e100)",
    "return {tonumber('0x10'),tonumber('  12  '),tonumber('z',36)}",
    'return 2^53',
    'return -2^63',
    'return 2^63',
    'return 1e300',
    'return 0/0',
    "return string.rep('x',10)",
    "return ('x'):rep(3)",
    "return {string.find('hello world','o w')}",
    "return string.gsub('hello','l',{l='L'})",
    "return table.concat({1,2,3},',')",
    'local t={3,1,2} table.sort(t) return t',
    'return {unpack({1,2,3})}',
    "local t = {} for i = 1, 7999 do t[i] = i end return #{unpack(t)}",
    "local t = {} for i = 1, 8000 do t[i] = i end return #{unpack(t)}",
    "local t = {} for i = 1, 7998 do t[i] = i end return #{unpack(t, 1)}",
    "local t = {} for i = 1, 7999 do t[i] = i end return #{unpack(t, 1)}",
    "local t = {} for i = 1, 7997 do t[i] = i end return #{unpack(t, 1, 7997)}",
    "local t = {} for i = 1, 7998 do t[i] = i end return #{unpack(t, 1, 7998)}",
    "return select('#',1,2,3)",
    'return {KEYS[1],ARGV[1],ARGV[2],KEYS[2]}',
    "KEYS[2]='x' return KEYS",
    'return type(coroutine.create)',
    'local co=coroutine.create(function(a) local b=coroutine.yield(a+1) return b*2 end) local _,x=coroutine.resume(co,1) local _,y=coroutine.resume(co,5) return {x,y,coroutine.status(co)}',
    "local f=coroutine.wrap(function() error('in co') end) f()",
    "local f=coroutine.wrap(function() return redis.call('ping') end) return f()",
    'return cjson.encode({1,2,3})',
    'return cjson.encode({})',
    'return cjson.encode({a=1})',
    'return cjson.encode({[1]=1,[2]=2,[4]=4})',
    'return cjson.encode({[1]=1,[100]=2})',
    'return cjson.encode({[1.5]=1})',
    'return cjson.encode({[true]=1})',
    'return cjson.encode(1/3)',
    'return cjson.encode(1e20)',
    'return cjson.encode(123456789012345)',
    'return cjson.encode(12345678901234567)',
    'return cjson.encode(0/0)',
    'return cjson.encode(1/0)',
    'return cjson.encode(\'a"b\\\\c/d\\n\\t\\r\\b\\f\\127\\1\xe9\')',
    'return cjson.encode(cjson.null)',
    'return cjson.encode(nil)',
    'return cjson.encode()',
    'return cjson.encode(1,2)',
    'return cjson.encode(print)',
    'return cjson.encode(function() end)',
    'return cjson.encode({function() end})',
    'local t={} for i=1,1001 do t={t} end return cjson.encode(t)',
    'local t={} t[1]=t return cjson.encode(t)',
    'return cjson.decode(\'{"a":1,"b":[1,2,{"c":null}]}\').b',
    'return cjson.decode(\'[1,2.5,-3e2,true,false,null,"x"]\')',
    "return tostring(cjson.decode('0x1F'))",
    "return tostring(cjson.decode('1e309'))",
    "return tostring(cjson.decode('-inf'))",
    "return tostring(cjson.decode('infinity'))",
    "return tostring(cjson.decode('+1'))",
    "return cjson.decode('01')",
    'return cjson.decode(\'"\\\\u0041\\\\u00e9\\\\u20ac\\\\ud83d\\\\ude00"\')',
    'return cjson.decode(\'"\\\\ud83d"\')',
    'return cjson.decode(\'"\\\\x"\')',
    'return cjson.decode(\'"abc\')',
    'return cjson.decode(\'{"a"}\')',
    "return cjson.decode('{a:1}')",
    'return cjson.decode(\'{"a":1,}\')',
    "return cjson.decode('[1,]')",
    "return cjson.decode('[1 2]')",
    "return cjson.decode('')",
    "return cjson.decode('  ')",
    "return cjson.decode('nul')",
    "return cjson.decode('truex')",
    "return cjson.decode('1 2')",
    'return cjson.decode(5)',
    'return cjson.decode({})',
    'return cjson.decode()',
    "return cjson.decode(string.rep('[',1001)..string.rep(']',1001))",
    "return type(cjson.decode('null'))",
    "return cjson.decode('null')",
    'return {cjson.encode_sparse_array()}',
    'return {cjson.encode_sparse_array(true,3,5)}',
    'return cjson.encode({[1]=1,[1000]=2})',
    'return {cjson.encode_sparse_array(false,2,10)}',
    'return cjson.encode_max_depth()',
    'return cjson.encode_max_depth(0)',
    'return cjson.encode_number_precision(15)',
    'return cjson.encode_number_precision(3)',
    'return cjson.encode(3.14159)',
    'return cjson.encode_number_precision(14)',
    'return tostring(cjson.encode_invalid_numbers())',
    'return tostring(cjson.decode_invalid_numbers())',
    'return tostring(cjson.encode_keep_buffer())',
    'return cjson._VERSION..cjson._NAME',
    'return cjson.new().encode({1})',
    "return cmsgpack.pack({1,2,3,'x',{a=1.5},true,false})",
    'return cmsgpack.pack(1,-1,-33,128,256,65536,2^32,-129,-32769,-2^31-1,2^53,0.1,1.5)',
    "return cmsgpack.pack(string.rep('x',40),string.rep('y',300))",
    'return cmsgpack.pack()',
    'return cmsgpack.pack(nil,print)',
    'local t={} for i=1,20 do t={t} end return cmsgpack.pack(t)',
    "return {cmsgpack.unpack('\\147\\1\\2\\3')}",
    "return {cmsgpack.unpack('\\1\\2\\3')}",
    "return {cmsgpack.unpack_one('\\1\\2\\3',1)}",
    "return {cmsgpack.unpack_limit('\\1\\2\\3',2,0)}",
    "return {cmsgpack.unpack_limit('\\1\\2\\3',2)}",
    "return cmsgpack.unpack('\\147\\1')",
    "return cmsgpack.unpack('\\193')",
    'return cmsgpack.unpack({})',
    "return cmsgpack.unpack_one('x',-1)",
    "return cmsgpack.unpack_one('x',10)",
    "return {cmsgpack.unpack('\\207\\255\\255\\255\\255\\255\\255\\255\\255')}",
    "return {cmsgpack.unpack('\\211\\255\\255\\255\\255\\255\\255\\255\\254')}",
    "return cmsgpack.unpack('\\130\\161a\\1\\161b\\2').b",
    'return cmsgpack._VERSION..cmsgpack._COPYRIGHT',
    "return struct.pack('>I4',1)",
    "return struct.pack('<i2hHbBlLTfdsc3x',1,2,3,4,5,6,7,8,1.5,2.5,'abc','defg')",
    "return struct.pack('!4bi4',1,2)",
    "return struct.pack('!8bd',1,2)",
    "return struct.pack('i33',1)",
    "return struct.pack('y',1)",
    "return struct.pack('!3i',1)",
    "return struct.pack('i')",
    "return struct.pack('i','x')",
    "return struct.pack('c5','abc')",
    "return struct.pack('i99999999999',1)",
    "return {struct.unpack('>I2I2','\\1\\2\\3\\4')}",
    "return {struct.unpack('<i8','\\255\\255\\255\\255\\255\\255\\255\\255')}",
    "return {struct.unpack('bc0','\\3abcd')}",
    "return {struct.unpack('s','abc\\0def')}",
    "return {struct.unpack('s','abc')}",
    "return {struct.unpack('i','ab')}",
    "return {struct.unpack('c0','ab')}",
    "return {struct.unpack('B','ab',0)}",
    "return {struct.unpack('B','ab',2)}",
    "return {struct.size('!8bdi'),struct.size('c10')}",
    "return struct.size('s')",
    "return struct.size('c0')",
    'return {bit.band(5,3),bit.bor(5,3),bit.bxor(5,3),bit.bnot(5),bit.lshift(1,33),bit.rshift(-1,4),bit.arshift(-8,1),bit.rol(0x12345678,8),bit.ror(0x12345678,8),bit.bswap(0x12345678),bit.tobit(0xffffffff)}',
    'return {bit.tohex(255),bit.tohex(255,-4),bit.tohex(-1,2)}',
    'return bit.band()',
    "return bit.band('x')",
    'return bit.band({},1)',
    'return bit.lshift(1)',
    'return math.random(1,0)',
    'return math.random(1,2,3)',
    'math.randomseed(1) return type(math.random())',
    'return table.insert(nil,1)',
    'return string.rep()',
    "return tostring(setmetatable({},{__tostring=function() return 'tt' end}))",
    'return setmetatable({1,2},{__index=function() return 5 end})',
    "return type(getmetatable(''))",
    "return collectgarbage('count') > 0",
    'return {type(next),type(gcinfo),_VERSION}',
    "return redis.call('set','num',1e9)",
    "return redis.call('set','num',3.0) and redis.call('get','num')",
    "return redis.call('echo',1/0)",
    "return redis.call('select',3)",
    "return redis.call('lrange','nolist',0,-1)",
    "return redis.call('time')[1] ~= nil",
    "return redis.call('set','a','b','get')",
    "return redis.call('hello','3')",
    '#!lua\nreturn 1',
    "#!lua flags=no-writes\nreturn redis.call('set','a',1)",
    '#!lua flags=\nreturn 5',
    '#!lua foo=bar\nreturn 5',
    '#!python\nreturn 5',
    '#!lua name=x',
]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts(both: Both, script: str) -> None:
    both(["EVAL", script, "1", "key1", "arg1", "arg2"])


@pytest.mark.parametrize(
    "script",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do redis.pcall('ping') end",
    ],
)
def test_a_slow_script_is_busy_until_it_is_killed(start_ours: Start, script: str) -> None:
    """Even a client that comes while the script runs is told so, and can end it."""
    port = start_ours()
    with redis.Redis(port=port) as slow, redis.Redis(port=port) as other:
        other.config_set("busy-reply-threshold", 1)
        waiting = slow.connection_pool.get_connection()
        waiting.send_command("EVAL", script, "0")
        wait_until_busy(other)
        with redis.Redis(port=port) as late:
            with pytest.raises(redis.ResponseError, match=r"^BUSY Redis is busy"):
                late.get("a")
            assert late.script_kill()
        with pytest.raises(redis.ResponseError, match=r"^Script killed by user"):
            waiting.read_response()
        slow.connection_pool.release(waiting)
        assert other.ping()
        assert slow.eval("return 1", 0) == 1


def wait_until_busy(client: redis.Redis) -> None:
    """Ask until the server says BUSY: the script was sent on another connection."""
    for _ in range(10_000):
        try:
            client.ping()
        except redis.ResponseError as error:
            assert str(error).startswith("BUSY")  # noqa: PT017  (it is what is waited for)
            return
    raise AssertionError("the script has not become slow")


def test_a_script_that_has_written_is_not_killed(start_ours: Start) -> None:
    port = start_ours()
    with redis.Redis(port=port) as slow, redis.Redis(port=port) as other:
        other.config_set("busy-reply-threshold", 1)
        waiting = slow.connection_pool.get_connection()
        script = "redis.call('set', 'a', 1) for i = 1, 3e7 do end return redis.call('get', 'a')"
        waiting.send_command("EVAL", script, "0")
        wait_until_busy(other)
        with pytest.raises(redis.ResponseError, match=r"^UNKILLABLE"):
            other.script_kill()
        assert waiting.read_response() == b"1"
        slow.connection_pool.release(waiting)
        assert other.get("a") == b"1"
