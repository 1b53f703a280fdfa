"""ACL rules on a real server and on ours: the same rules make the same users.

A user is drawn rule by rule. What is compared depends on the real server: 7.0 describes commands by
another method, and has no `sanitize-payload` in the flags of every user, so that only from 7.2 on
descriptions are the same to the byte. What a user may do is the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import redis_trio.commands  # noqa: F401  (declares every command)
from redis_trio.command import DECLARATIONS
from redis_trio.protocol.reply import Reply, SetReply
from tests.interop.compare import Both, Peer, error_code, parse, plain

RULES = st.sampled_from(
    """on off nopass resetpass reset allkeys resetkeys ~* ~a ~b* ~c?[xy] %R~a %W~a %RW~z %wr~y %R~*
    %W~b* %~a %RR~a %R %X~a allchannels resetchannels &* &a &ch* &b allcommands nocommands +@all
    -@all +get -get +set -set +SET +config -config +config|get -config|get +config|set -config|SET
    +client -client|kill +client|list +select|0 +select|1 -select +object|encoding -object
    +@read -@read +@write -@write +@string -@string +@slow -@slow +@fast -@dangerous +@admin
    +@connection -@keyspace +@set -@set +@pubsub -@scripting +@nosuch -@nosuch +nosuch -nosuch
    +get|x -get|x +config|nosuch +config|get|x +config| | + - ~ & ( ) () clearselectors
    >p >q <p #0 !0 sanitize-payload skip-sanitize-payload nonsense
    #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 <x
    !2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 (+get (~a (%R~a ~b) +set)
    (+@read ~b*) (+@all ~*) (&ch* +subscribe) (+nosuch) (on) (allkeys) (~*""".split()
) | st.sampled_from(["(+get ~a)", "( +set %W~b* )", "(+@string -get ~c)", "(&a +publish)", "~ x"])

TRIED = [
    "GET a",
    "GET b1",
    "SET a 1",
    "SET b1 1",
    "SET a 1 GET",
    "COPY a b1",
    "COPY b1 a",
    "MGET a b1",
    "DEL a z",
    "EXISTS y",
    "BITFIELD a GET u4 0",
    "BITFIELD a SET u4 0 1",
    "SORT a STORE b1",
    "EVAL x 2 a b1",
    "EVAL x 0",
    "XREAD STREAMS a b1 0 0",
    "XREADGROUP GROUP g c STREAMS a >",
    "GEORADIUS a 1 1 1 m STORE b1",
    "PUBLISH a x",
    "PUBLISH chat x",
    "SPUBLISH b x",
    "SUBSCRIBE a b",
    "PSUBSCRIBE a",
    "PSUBSCRIBE ch*",
    "UNSUBSCRIBE nothing",
    "CONFIG GET x",
    "CONFIG SET x y",
    "CLIENT KILL x",
    "CLIENT LIST",
    "SELECT 0",
    "SELECT 1",
    "SELECT 2",
    "OBJECT ENCODING a",
    "AUTH x",
    "HELLO",
    "RESET",
    "WATCH a",
    "KEYS *",
    "FLUSHALL",
    "PING",
    "SADD b1 x",
    "RENAME a b1",
    "OBJECT FREQ c1x",
    "SUNIONSTORE b1 a z",
    "ZUNIONSTORE b1 2 a z",
    "MIGRATE h 1 a 0 10",
    'MIGRATE h 1 "" 0 10 KEYS a b1',
    'MIGRATE h 1 "" 0 10 KEYS a KEYS b1',
    "GEOSEARCHSTORE a b1 FROMMEMBER x BYRADIUS 1 m",
    "XADD a * f v",
    "GETEX a",
    "HSCAN y 0",
    "PFCOUNT a b1",
    "PFMERGE a b1",
    "LMOVE a b1 LEFT LEFT",
    "BLMPOP 0 2 a b1 LEFT",
    "FCALL f 1 a",
    "FCALL_RO f 1 a",
    "LMPOP 2 a b1 LEFT",
    "GET",
    "NOSUCH x",
    "CONFIG NOSUCH",
]


def version(port: int) -> tuple[int, ...]:
    peer = Peer(port)
    info = parse(peer.command("INFO server"))
    peer.close()
    assert isinstance(info, bytes)
    found = re.search(rb"redis_version:(\d+)\.(\d+)", info)
    assert found is not None
    return int(found[1]), int(found[2])


@pytest.fixture
def users(both: Both) -> Iterator[Both]:
    """`both`, on which there are no users but the default one before and afterwards."""
    yield both
    both("ACL DELUSER u")


def older(reply: Reply) -> object:
    """Normalize: what ACL GETUSER says in 7.0, too."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    if not isinstance(reply, dict):
        return plain(reply)
    flags = reply[b"flags"]
    words = flags.members if isinstance(flags, SetReply) else flags
    assert isinstance(words, list | tuple)
    shown = {name: value for name, value in reply.items() if name != b"commands"}
    shown[b"flags"] = [word for word in words if word != b"sanitize-payload"]
    shown[b"selectors"] = [_without_commands(item) for item in _items(reply[b"selectors"])]
    return plain(shown)


def _items(reply: Reply) -> list[Reply]:
    assert isinstance(reply, list)
    return reply


def _without_commands(reply: Reply) -> Reply:
    if isinstance(reply, dict):
        return [
            item for name, value in reply.items() if name != b"commands" for item in (name, value)
        ]
    items = _items(reply)
    return items[2:]


def verdict(reply: Reply) -> object:
    """Normalize: whether the command, a key or a channel is refused, which 7.0 words otherwise."""
    return reply.split()[-2:] if isinstance(reply, bytes) else plain(reply)


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rules=st.lists(st.lists(RULES, min_size=1, max_size=6), min_size=1, max_size=4))
def test_the_same_rules_make_the_same_user(users: Both, rules: list[list[str]]) -> None:
    exact = version(users.real_port) >= (7, 2)
    users("ACL DELUSER u", "ACL SETUSER u")
    for words in rules:
        if not exact:  # 7.0 joins the words of a selector by other rules
            words = [word for word in words if word.startswith("(") == word.endswith(")")]
        users.one(["ACL", "SETUSER", "u", *words], None if exact else error_code)
        if exact:
            users("ACL LIST", "ACL GETUSER u")
        else:
            users.one("ACL GETUSER u", older)
    tried: Callable[[Reply], object] | None = None if exact else verdict
    for line in [line for line in TRIED if line.split()[0] in DECLARATIONS or "NOSUCH" in line]:
        users.one(f"ACL DRYRUN u {line}", tried)


def test_commands_of_a_category_are_those_of_redis(both: Both) -> None:
    """But for what only one of the two has."""
    categories = both.one("ACL CAT")
    assert isinstance(categories, list)
    assert len(categories) == 21
    every = _all_commands(both)
    if version(both.real_port) < (7, 2):
        every.discard(b"wait")  # in 7.0 it does not count as blocking
    for category in categories:
        assert isinstance(category, bytes)
        line = b"ACL CAT " + category
        ours, real = (
            {word for word in _items(parse(peer.command(line))) if word in every}
            for peer in (both.ours, both.real)
        )
        assert ours == real, category


def _all_commands(both: Both) -> set[Reply]:
    """Return the commands that both have."""
    found = []
    for peer in (both.ours, both.real):
        found.append(set(_items(parse(peer.command("COMMAND LIST")))))
    return found[0] & found[1]


# -- what a user is answered


def log_entries(reply: Reply) -> object:
    """Normalize: entries of ACL LOG without times, numbers and clients, of which 7.0 has fewer."""
    found = []
    for entry in _items(reply):
        if isinstance(entry, list):
            entry = dict(zip(entry[::2], entry[1::2], strict=True))
        assert isinstance(entry, dict)
        info = entry[b"client-info"]
        assert isinstance(info, bytes)
        words = re.findall(rb" (?:flags|db|multi|user)=\S*", info)
        names = (b"count", b"reason", b"context", b"object", b"username")
        found.append(([entry[name] for name in names], words))
    return found


def test_a_restricted_user_is_answered_as_by_redis(users: Both) -> None:
    exact = version(users.real_port) >= (7, 2)
    refusal = None if exact else error_code
    users("ACL LOG RESET", "ACL SETUSER u on >p ~a* %R~b +@all -@dangerous &c (+config|get)")
    with closing(users.another()) as other:
        other("AUTH u wrong", "AUTH nobody p", "AUTH u p", "ACL WHOAMI")
        for line in (
            "SET a 1",
            "GET b",
            "SET b 1",
            "MGET a b z",
            "PUBLISH c x",
            "PUBLISH d x",
            "KEYS *",
            "CONFIG GET timeout",
            "CONFIG SET timeout 0",
            "SORT a1 BY x*",
            "SORT a1 GET #",
            'EVAL \'return redis.call("get", "z")\' 0',
            "EVAL 'return redis.call(\"flushall\")' 0",
            'EVAL \'return redis.acl_check_cmd("get", "z")\' 0',
            'EVAL \'return redis.acl_check_cmd("get", "a")\' 0',
            "EVAL 'return redis.acl_check_cmd(\"nosuch\")' 0",
            "EVAL 'return 1' 1 z",
            "MULTI",
            "SET a 2",
            "SET z 1",
            "EXEC",
            "MULTI",
            "SET a 2",
            "PUBLISH c x",
            "GET b",
        ):
            other.one(line, refusal)
        users("ACL SETUSER u resetchannels -get")
        other.one("EXEC")
        other.one("GET a", refusal)
        users.one("ACL LOG 30", log_entries)
        users("ACL LOG RESET", "ACL LOG", "ACL DELUSER u")
        for peer in (other.ours, other.real):
            with pytest.raises((EOFError, OSError)):
                peer.command("PING")


def test_calls_that_are_wrong_are_refused_as_by_redis(users: Both) -> None:
    exact = version(users.real_port) >= (7, 2)
    for line in (
        "ACL CAT nosuch",
        "ACL CAT a b",
        "ACL DELUSER default",
        "ACL DELUSER nobody",
        "ACL DRYRUN nobody get a",
        "ACL DRYRUN default nosuch",
        "ACL DRYRUN default get",
        "ACL DRYRUN default config",
        "ACL GENPASS 0",
        "ACL GENPASS 5000",
        "ACL GENPASS x",
        "ACL GENPASS 1 2",
        "ACL GETUSER nobody",
        "ACL LOAD",
        "ACL SAVE",
        "ACL LOG x",
        "ACL LOG -1",
        "ACL LOG 1 2",
        "ACL NOSUCH",
        "ACL USERS x",
        "ACL",
        'ACL SETUSER "a b"',
        'ACL SETUSER "a\\x00"',
        'ACL SETUSER u "~a b"',
        'ACL SETUSER u "on\\x00x" "+@all\\x00"',
        "AUTH",
        "AUTH a b c",
        "AUTH x",
        "CLIENT KILL USER nobody",
        "HELLO 3 AUTH nobody x",
    ):
        users.one(line, None if exact else error_code)
