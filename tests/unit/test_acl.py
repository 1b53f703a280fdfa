"""ACL by value: rules and how they are shown, who may do what, the log, the file, connections."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from redis_trio.acl.file import AclError
from redis_trio.client import Client
from redis_trio.clock import Clock
from redis_trio.command import lookup
from redis_trio.config import Config
from redis_trio.config.kinds import decode
from redis_trio.config.reader import ConfigFileError, load_config
from redis_trio.config.rewrite import rewrite_text
from redis_trio.protocol.reply import OK, RedisError, Reply, SetReply
from redis_trio.redact import shown_args
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run
from tests.unit.peer import Peer

HASH = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of x
WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
DEFAULT = b"user default on nopass sanitize-payload ~* &* +@all"


def error(reply: Reply) -> str:
    """Return the text of an error reply."""
    assert isinstance(reply, RedisError), reply
    return reply.message


def with_config(text: str, **options: str) -> ServerState:
    """Return the state of a server with this redis.conf."""
    config = Config.from_options(options)
    load_config(config, None, text.encode())
    return ServerState(config, Clock(virtual=lambda: 0.0), logging.getLogger("redis_trio.test"))


# -- rules


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        ("", "off sanitize-payload resetchannels -@all"),
        ("on nopass", "on nopass sanitize-payload resetchannels -@all"),
        ("skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
        ("skip-sanitize-payload sanitize-payload", "off sanitize-payload resetchannels -@all"),
        (">x >x", f"off sanitize-payload #{HASH} resetchannels -@all"),
        (f"#{HASH} <x", "off sanitize-payload resetchannels -@all"),
        (f">x !{HASH}", "off sanitize-payload resetchannels -@all"),
        ("nopass >x", f"off sanitize-payload #{HASH} resetchannels -@all"),
        (">x nopass", "off nopass sanitize-payload resetchannels -@all"),
        (">x resetpass", "off sanitize-payload resetchannels -@all"),
        ("~a %R~b %W~c %rw~d", "off sanitize-payload ~a %R~b %W~c ~d resetchannels -@all"),
        ("%R~a %W~a", "off sanitize-payload ~a resetchannels -@all"),
        ("%R~a ~a %W~a", "off sanitize-payload ~a resetchannels -@all"),
        ("%R", "off sanitize-payload %R~ resetchannels -@all"),
        ("~a allkeys", "off sanitize-payload ~* resetchannels -@all"),
        ("allkeys resetkeys ~a", "off sanitize-payload ~a resetchannels -@all"),
        ("%R~*", "off sanitize-payload %R~* resetchannels -@all"),
        ("&a &b* &a", "off sanitize-payload resetchannels &a &b* -@all"),
        ("&a allchannels", "off sanitize-payload &* -@all"),
        ("allchannels resetchannels &a", "off sanitize-payload resetchannels &a -@all"),
        ("+get -get", "off sanitize-payload resetchannels -@all -get"),
        ("+GET +set +get", "off sanitize-payload resetchannels -@all +set +get"),
        ("+@all -@write +set", "off sanitize-payload resetchannels +@all -@write +set"),
        ("+get allcommands", "off sanitize-payload resetchannels +@all"),
        ("+@all +get nocommands", "off sanitize-payload resetchannels -@all"),
        ("+@READ -@read", "off sanitize-payload resetchannels -@all -@read"),
        ("+config|get +config", "off sanitize-payload resetchannels -@all +config"),
        ("+config -config|set", "off sanitize-payload resetchannels -@all +config -config|set"),
        ("+select|0 +select|1", "off sanitize-payload resetchannels -@all +select|0 +select|1"),
        ("+select|0 -select", "off sanitize-payload resetchannels -@all -select"),
        (
            "+ping (+get ~a) ( +@read %W~b &c )",
            (
                "off sanitize-payload resetchannels -@all +ping (~a resetchannels -@all +get) "
                "(%W~b resetchannels &c -@all +@read)"
            ),
        ),
        ("(+get) clearselectors", "off sanitize-payload resetchannels -@all"),
        ("()", "off sanitize-payload resetchannels -@all (resetchannels -@all)"),
        ("on >x ~* &* +@all (+get) reset", "off sanitize-payload resetchannels -@all"),
    ],
)
def test_a_user_is_shown_as_redis_does(run: Run, rules: str, shown: str) -> None:
    assert run(f"ACL SETUSER u {rules}") is OK
    assert run("ACL LIST") == [DEFAULT, b"user u " + shown.encode()]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("nonsense", "Syntax error"),
        ("+nosuch", "Unknown command or category name in ACL"),
        ("-nosuch", "Unknown command or category name in ACL"),
        ("+", "Unknown command or category name in ACL"),
        ("+get|", "Syntax error"),
        ("-get|x", "Unknown command or category name in ACL"),
        ("+config|nosuch", "Unknown command or category name in ACL"),
        ("+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        ("+@nosuch", "Unknown command or category name in ACL"),
        ("-@nosuch", "Unknown command or category name in ACL"),
        ("%", "Syntax error"),
        ("%~a", "Syntax error"),
        ("%X~a", "Syntax error"),
        ("%RR~a", "Syntax error"),
        ("<x", "The password you are trying to remove from the user does not exist"),
        (f"!{HASH}", "The password you are trying to remove from the user does not exist"),
        (
            f"#{HASH.upper()}",
            (
                "The password hash must be exactly 64 characters and contain only lowercase "
                "hexadecimal characters"
            ),
        ),
        (
            "!12",
            (
                "The password hash must be exactly 64 characters and contain only lowercase "
                "hexadecimal characters"
            ),
        ),
        ("(on)", "Syntax error"),
        ("(+nosuch)", "Unknown command or category name in ACL"),
    ],
)
def test_a_wrong_rule_is_refused_and_changes_nothing(run: Run, rule: str, reason: str) -> None:
    run("ACL SETUSER u on")
    before = run("ACL LIST")
    reply = run("ACL", "SETUSER", "u", "off", "~a", rule)
    assert error(reply) == f"ERR Error in ACL SETUSER modifier '{rule}': {reason}"
    assert run("ACL LIST") == before
    assert isinstance(run("ACL", "SETUSER", "new", rule), RedisError)
    assert run("ACL GETUSER new") is None


@pytest.mark.parametrize("words", [["~*", "~a"], ["allkeys", "%R~a"]])
def test_a_key_pattern_behind_all_keys_is_refused(run: Run, words: list[str]) -> None:
    assert error(run("ACL", "SETUSER", "u", *words)) == (
        f"ERR Error in ACL SETUSER modifier '{words[1]}': Adding a pattern after the * pattern (or "
        "the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start "
        "with an empty list of patterns"
    )


def test_a_channel_pattern_behind_all_channels_is_refused(run: Run) -> None:
    assert error(run("ACL SETUSER u &* &a")) == (
        "ERR Error in ACL SETUSER modifier '&a': Adding a pattern after the * pattern (or the "
        "'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to "
        "start with an empty list of channels"
    )


def test_names_and_patterns_have_no_spaces(run: Run) -> None:
    for name in (b"a b", b"a\0b", b"a\n"):
        reply = run(b"ACL", b"SETUSER", name)
        assert error(reply) == "ERR Usernames can't contain spaces or null characters"
    for rule in (b"~a b", b"&a\nb", b"%R~a\tb", b"~a\0", b"+select|0 on", b"+select|a\nuser"):
        assert error(run(b"ACL", b"SETUSER", b"u", rule)).endswith(": Syntax error"), rule


def test_a_selector_may_come_in_several_words(run: Run) -> None:
    run("ACL", "SETUSER", "u", "(+get", "~a", ")", "( +set ~b )", "on")
    assert run("ACL LIST")[1] == (  # type: ignore[index]
        b"user u on sanitize-payload resetchannels -@all (~a resetchannels -@all +get) "
        b"(~b resetchannels -@all +set)"
    )
    assert error(run("ACL", "SETUSER", "u", "on", "(+get", "(+set")) == (
        "ERR Unmatched parenthesis in acl selector starting at '(+get'."
    )


def test_new_users_and_selectors_follow_acl_pubsub_default(run: Run) -> None:
    run("CONFIG SET acl-pubsub-default allchannels")
    run("ACL SETUSER u ()")
    run("CONFIG SET acl-pubsub-default resetchannels")
    run("ACL SETUSER v ()")
    assert run("ACL LIST")[1:] == [  # type: ignore[index]
        b"user u off sanitize-payload &* -@all (&* -@all)",
        b"user v off sanitize-payload resetchannels -@all (resetchannels -@all)",
    ]
    run("ACL SETUSER u reset")
    assert run("ACL LIST")[1] == b"user u off sanitize-payload resetchannels -@all"  # type: ignore[index]


def test_a_user_is_described_field_by_field(run: Run) -> None:
    run("ACL SETUSER u on >x ~a %R~b &c +get (+@read ~z)")
    reply = run("ACL GETUSER u")
    assert isinstance(reply, dict)
    flags = reply.pop(b"flags")
    assert isinstance(flags, SetReply)
    assert list(flags.members) == [b"on", b"sanitize-payload"]
    assert reply == {
        b"passwords": [HASH.encode()],
        b"commands": b"-@all +get",
        b"keys": b"~a %R~b",
        b"channels": b"&c",
        b"selectors": [{b"commands": b"-@all +@read", b"keys": b"~z", b"channels": b""}],
    }
    assert run("ACL GETUSER nobody") is None


def test_users_are_sorted_by_name(run: Run) -> None:
    for name in ("zoe", "Ann", "bob"):
        run(f"ACL SETUSER {name}")
    assert run("ACL USERS") == [b"Ann", b"bob", b"default", b"zoe"]


def test_categories_are_those_of_the_commands(run: Run) -> None:
    categories = run("ACL CAT")
    assert isinstance(categories, list)
    assert categories[:3] == [b"keyspace", b"read", b"write"]
    assert b"undo" in run("ACL CAT transaction")  # type: ignore[operator]
    admin = run("ACL CAT ADMIN")
    assert isinstance(admin, list)
    assert {b"config|set", b"acl|setuser", b"debug"} <= set(admin)
    assert b"get" not in admin
    assert error(run("ACL CAT nosuch")) == "ERR Unknown category 'nosuch'"
    assert error(run("ACL CAT a b")).startswith("ERR unknown subcommand or wrong number")


def test_passwords_that_are_made_have_so_many_bits(run: Run) -> None:
    for line, digits in (("", 64), ("1", 1), ("5", 2), ("4096", 1024)):
        password = run(f"ACL GENPASS {line}")
        assert isinstance(password, bytes)
        assert re.fullmatch(b"[0-9a-f]{%d}" % digits, password)
    assert run("ACL GENPASS") != run("ACL GENPASS")
    for bits in ("0", "-1", "4097"):
        assert error(run(f"ACL GENPASS {bits}")) == (
            "ERR ACL GENPASS argument must be the number of bits for the output password, a "
            "positive number up to 4096"
        )
    assert error(run("ACL GENPASS x")) == "ERR value is not an integer or out of range"


# -- what a user may do


@pytest.mark.parametrize(
    ("rules", "line", "refusal"),
    [
        ("+get ~a", "GET a", ""),
        ("+get ~a", "get b", "access the 'b' key"),
        ("+get ~a", "SET a 1", "run the 'set' command"),
        ("+@all ~a*", "MGET a1 a2 b", "access the 'b' key"),
        ("+@all ~a?", "GET ab", ""),
        ("+@all ~a?", "GET abc", "access the 'abc' key"),
        ("+@all %R~a %W~b", "COPY a b", ""),
        ("+@all %R~a %W~b", "COPY b a", "access the 'b' key"),
        ("+@all %R~a", "EXISTS a", ""),
        ("+@all %W~a", "EXISTS a", ""),
        ("+@all %W~a", "SET a 1", ""),
        ("+@all %W~a", "SET a 1 GET", "access the 'a' key"),
        ("+@all %R~a", "BITFIELD a GET u4 0", ""),
        ("+@all %R~a", "BITFIELD a SET u4 0 1", "access the 'a' key"),
        ("+@all %R~a %W~a*", "SET a 1 GET", "access the 'a' key"),
        ("+@all ~a", "SORT a STORE b", "access the 'b' key"),
        ("+@all ~a", "EVAL x 2 a b", "access the 'b' key"),
        ("+@all ~a", "EVAL x 0", ""),
        ("+@all ~a ~b", "GEORADIUS a 0 0 1 m STORE b", ""),
        ("+@all ~a ~b", "GEORADIUS a 0 0 1 m STORE b STORE c", "access the 'c' key"),
        ("+@all ~a ~b", "GEORADIUS a 0 0 1 m STORE b STOREDIST c", "access the 'c' key"),
        ("+@all ~a", "XREAD COUNT 1 STREAMS a b 0 0", "access the 'b' key"),
        ("+@all ~a", "XREADGROUP GROUP g c STREAMS a b > >", "access the 'b' key"),
        ("+@all ~a", "OBJECT ENCODING b", "access the 'b' key"),
        ("+@all ~a", "WATCH a b", "access the 'b' key"),
        ("+@all ~a", "KEYS *", ""),
        ("+@all &a*", "PUBLISH a1 x", ""),
        ("+@all &a*", "PUBLISH b x", "access the 'b' channel"),
        ("+@all &a*", "SUBSCRIBE a b", "access the 'b' channel"),
        ("+@all &a*", "SSUBSCRIBE b", "access the 'b' channel"),
        ("+@all &a*", "PSUBSCRIBE a*", ""),
        ("+@all &a*", "PSUBSCRIBE ab", "access the 'ab' channel"),
        ("+@all", "UNSUBSCRIBE b", ""),
        ("-@all", "AUTH x", ""),
        ("-@all", "HELLO 3", ""),
        ("-@all", "QUIT", ""),
        ("-@all", "RESET", ""),
        ("-@all", "PING", "run the 'ping' command"),
        ("+config|get", "CONFIG GET x", ""),
        ("+config|get", "CONFIG SET x y", "run the 'config|set' command"),
        ("+config -config|get", "CONFIG GET x", "run the 'config|get' command"),
        ("+@slow", "CONFIG GET x", ""),
        ("+select|0", "SELECT 0", ""),
        ("+select|0", "SELECT 1", "run the 'select' command"),
        ("+select|0 +select|1", "SELECT 1", ""),
        ("+get|A ~*", "GET a", ""),
        ("+get|A ~*", "GET b", "run the 'get' command"),
        ("-@all (+get ~a) (+set ~b)", "SET b 1", ""),
        ("-@all (+get ~a) (+set ~b)", "SET a 1", "access the 'a' key"),
        ("-@all (+get ~a) (+get ~b)", "MGET a b", "run the 'mget' command"),
        ("-@all (+mget ~a) (+mget ~a ~b)", "MGET a c b", "access the 'c' key"),
        ("-@all (+mget ~a) (+mget ~a ~b)", "MGET a b", ""),
    ],
)
def test_dryrun_tells_what_a_user_may_do(run: Run, rules: str, line: str, refusal: str) -> None:
    run(f"ACL SETUSER u {rules}")
    reply = run(f"ACL DRYRUN u {line}")
    if refusal:
        assert reply == f"User u has no permissions to {refusal}".encode()
    else:
        assert reply is OK


def test_dryrun_needs_a_user_and_a_valid_command(run: Run) -> None:
    assert error(run("ACL DRYRUN nobody GET a")) == "ERR User 'nobody' not found"
    assert error(run("ACL DRYRUN default NOSUCH a")) == "ERR Command 'NOSUCH' not found"
    assert error(run("ACL DRYRUN default CONFIG NOSUCH")) == "ERR Command 'CONFIG' not found"
    assert error(run("ACL DRYRUN default GET")) == (
        "ERR wrong number of arguments for 'get' command"
    )
    assert run("ACL DRYRUN default SHUTDOWN") is OK


def test_a_renamed_command_keeps_its_name_in_rules() -> None:
    state = with_config("rename-command GET fetch")
    peer = Peer(state)
    assert peer.send("ACL SETUSER u on nopass ~* +get", "AUTH u x", "fetch a", "SET a 1") == (
        b"+OK\r\n+OK\r\n$-1\r\n-NOPERM User u has no permissions to run the 'set' command\r\n"
    )


def test_sort_by_other_keys_needs_all_of_them(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("LPUSH l 2 1", "ACL SETUSER u on nopass +sort ~l %RW~w_*", "AUTH u x")
    denied = b"-ERR %b option of SORT denied due to insufficient ACL permissions.\r\n"
    assert peer.send("SORT l") == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    assert peer.send("SORT l BY nothing") == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    assert peer.send("SORT l BY w_*") == denied % b"BY"
    assert peer.send("SORT l GET #") == denied % b"GET"
    admin = Peer(state)
    admin.send("ACL SETUSER u (~* +get)")
    assert peer.send("SORT l BY w_*") == denied % b"BY"
    admin.send("ACL SETUSER u (%R~* +sort)")
    assert peer.send("SORT l BY w_*") == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"


def test_a_selector_for_everything_is_no_restriction(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on nopass (+@all ~* &*)", "AUTH u x")
    assert not peer.client.gated
    assert peer.send("GET a") == b"$-1\r\n"
    Peer(state).send("ACL SETUSER u clearselectors")
    assert peer.client.gated
    assert peer.send("GET a").startswith(b"-NOPERM")


def test_the_default_user_costs_nothing(state: ServerState) -> None:
    peer = Peer(state)
    assert not peer.client.gated
    peer.send("ACL SETUSER default -debug")
    assert peer.client.gated
    peer.send("ACL SETUSER default +@all")
    assert not peer.client.gated


def test_calls_from_inside_the_process_may_do_everything(run: Run, client: Client) -> None:
    client.server.clients[client.id] = client
    run("ACL SETUSER default -@all +acl")
    assert isinstance(run("GET a"), RedisError)
    client.set_trusted()
    assert run("GET a") is None
    assert run("ACL WHOAMI") is None
    info = run("CLIENT INFO")
    assert b" user=(superuser) " in info.text  # type: ignore[union-attr]


# -- transactions


def test_exec_looks_again_at_what_is_allowed(state: ServerState) -> None:
    admin, peer = Peer(state), Peer(state)
    admin.send("ACL SETUSER u on nopass ~* &* +@all")
    peer.send("AUTH u x", "MULTI", "SET a 1", "SET b 1", "PUBLISH c x")
    admin.send("ACL SETUSER u -set|x resetkeys ~b resetchannels")
    admin.send("ACL SETUSER u resetkeys ~b resetchannels")
    text = (
        b"-NOPERM ACLs rules changed between the moment the transaction was accumulated and the "
        b"EXEC call. This command is no longer allowed for the following reason: no permission to "
    )
    assert peer.send("EXEC") == (
        b"*3\r\n%btouch the specified keys\r\n+OK\r\n"
        b"%baccess one of the channels used as arguments\r\n" % (text, text)
    )
    assert admin.send("EXISTS a b") == b":1\r\n"
    (channel, key) = state.acl.log.entries
    assert (channel.subject, channel.context, channel.reason) == (b"c", "multi", "channel")
    assert (key.subject, key.context, key.reason) == (b"a", "multi", "key")
    assert "cmd=exec" in key.client_info


def test_exec_itself_can_be_forbidden(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on nopass ~* +@all -exec", "AUTH u x", "MULTI", "SET a 1")
    assert peer.send("EXEC") == (
        b"-EXECABORT Transaction discarded because of: NOPERM User u has no permissions to run the "
        b"'exec' command\r\n"
    )
    assert peer.client.transaction is None


# -- logging in


def test_each_password_of_a_user_is_right(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on >a >b +acl|whoami")
    assert peer.send("AUTH u c") == WRONGPASS
    assert peer.send("AUTH u a") == b"+OK\r\n"
    assert peer.send("AUTH u b") == b"+OK\r\n"
    assert peer.send("ACL WHOAMI") == b"$1\r\nu\r\n"
    assert peer.send("AUTH nobody a", "AUTH U a", 'AUTH u ""') == 3 * WRONGPASS
    assert peer.send("AUTH u a b") == b"-ERR syntax error\r\n"


def test_who_is_off_cannot_log_in_but_stays(state: ServerState) -> None:
    admin, peer = Peer(state), Peer(state)
    admin.send("ACL SETUSER u on nopass +ping")
    assert peer.send("AUTH u whatever") == b"+OK\r\n"
    admin.send("ACL SETUSER u off")
    assert peer.send("PING") == b"+PONG\r\n"
    assert peer.send("AUTH u whatever") == WRONGPASS


def test_a_user_without_password_cannot_log_in(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("ACL SETUSER u on", "AUTH u x", 'AUTH u ""') == b"+OK\r\n" + 2 * WRONGPASS


def test_a_password_may_have_any_bytes(state: ServerState) -> None:
    peer = Peer(state)
    password = bytes(range(256))
    peer.send([b"ACL", b"SETUSER", b"u", b"on", b">" + password])
    assert peer.send([b"AUTH", b"u", password]) == b"+OK\r\n"
    assert peer.send([b"AUTH", b"u", password[:-1]]) == WRONGPASS


def test_requirepass_is_the_password_of_the_default_user(state: ServerState) -> None:
    admin, peer = Peer(state), Peer(state)
    admin.send("CONFIG SET requirepass x")
    assert f"#{HASH}".encode() in admin.send("ACL LIST")
    stranger = Peer(state)
    assert stranger.send("PING") == b"-NOAUTH Authentication required.\r\n"
    assert peer.send("PING") == b"+PONG\r\n"  # who is there stays
    assert stranger.send("AUTH y", "AUTH x", "PING") == WRONGPASS + b"+OK\r\n+PONG\r\n"
    admin.send("ACL SETUSER default >y")
    assert Peer(state).send("AUTH y") == b"+OK\r\n"
    assert admin.send("CONFIG GET requirepass").endswith(b"$1\r\nx\r\n")
    admin.send("CONFIG SET requirepass ''")
    assert Peer(state).send("PING") == b"+PONG\r\n"
    assert Peer(state).send("AUTH x").startswith(b"-ERR AUTH <password> called without any")


def test_a_default_user_that_is_off_lets_nobody_in(state: ServerState) -> None:
    admin = Peer(state)
    admin.send("ACL SETUSER admin on >x +@all ~* &*", "ACL SETUSER default off")
    peer = Peer(state)
    assert peer.send("GET a") == b"-NOAUTH Authentication required.\r\n"
    assert peer.send("HELLO 3").startswith(b"-NOAUTH HELLO must be called")
    assert peer.send("HELLO 3 AUTH admin x").startswith(b"%7\r\n")
    assert peer.send("GET a") == b"_\r\n"
    assert peer.send("RESET", "GET a") == b"+RESET\r\n-NOAUTH Authentication required.\r\n"


# -- connections of users who change


def test_deleting_a_user_ends_its_connections(state: ServerState) -> None:
    admin, peer, blocked = Peer(state), Peer(state), Peer(state)
    admin.send("ACL SETUSER u on nopass +@all ~* &*", "ACL SETUSER v")
    peer.send("AUTH u x")
    blocked.send("AUTH u x", "BLPOP l 0")
    assert admin.send("ACL DELUSER u nobody v") == b":2\r\n"
    assert set(state.clients) == {admin.client.id}
    assert state.waiting.count == 0
    assert peer.client.halted
    assert admin.send("ACL USERS") == b"*1\r\n$7\r\ndefault\r\n"
    assert admin.send("ACL DELUSER v default") == b"-ERR The 'default' user cannot be removed\r\n"


def test_who_deletes_itself_has_the_reply_first(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on nopass +@all ~* &*", "AUTH u x")
    assert peer.send("ACL DELUSER u", "PING") == b":1\r\n"
    assert peer.client.close_after_reply
    assert peer.client.user is state.acl.default


@pytest.mark.parametrize(
    ("listens", "rules", "stays"),
    [
        ("SUBSCRIBE a", "resetchannels", False),
        ("SUBSCRIBE a", "resetchannels &a &b", True),
        ("SUBSCRIBE a b", "resetchannels &a", False),
        ("SSUBSCRIBE a", "resetchannels &b*", False),
        ("PSUBSCRIBE a*", "resetchannels &a* &b", True),
        ("PSUBSCRIBE a*", "resetchannels &*a*", False),
        ("SUBSCRIBE a", "resetchannels (&a +get)", True),
        ("SUBSCRIBE a", "-@all", True),
    ],
)
def test_who_may_not_listen_any_more_is_disconnected(
    state: ServerState, listens: str, rules: str, stays: bool
) -> None:
    admin, peer = Peer(state), Peer(state)
    admin.send("ACL SETUSER u on nopass +@all ~* &*")
    peer.send("AUTH u x", listens)
    admin.send(f"ACL SETUSER u {rules}")
    assert (peer.client.id in state.clients) is stays


def test_client_kill_knows_users(state: ServerState) -> None:
    admin, peer = Peer(state), Peer(state)
    admin.send("ACL SETUSER u on nopass")
    peer.send("AUTH u x")
    assert b"user=u " in admin.send("CLIENT LIST")
    assert admin.send("CLIENT KILL USER nobody") == b"-ERR No such user 'nobody'\r\n"
    assert admin.send("CLIENT KILL USER u") == b":1\r\n"
    assert set(state.clients) == {admin.client.id}


# -- the log


def entry(reply: Reply, index: int = 0) -> dict[bytes, Reply]:
    assert isinstance(reply, list)
    found = reply[index]
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if isinstance(name, bytes)}


def test_a_refusal_is_logged(state: ServerState, run: Run, time: FakeTime) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on nopass +get ~a", "AUTH u x", "CLIENT SETNAME me", "GET b")
    time.advance(1.5)
    found = entry(run("ACL LOG"))
    info = found.pop(b"client-info")
    assert isinstance(info, bytes)
    assert info.startswith(b"id=%d addr=" % peer.client.id)
    assert b" cmd=get user=u " in info
    assert not info.endswith(b"\n")
    created = found.pop(b"timestamp-created")
    assert found == {
        b"count": 1,
        b"reason": b"key",
        b"context": b"toplevel",
        b"object": b"b",
        b"username": b"u",
        b"age-seconds": 1.5,
        b"entry-id": 1,
        b"timestamp-last-updated": created,
    }
    assert entry(run("ACL LOG"), 1)[b"object"] == b"client|setname"


def test_refusals_within_a_minute_are_one_entry(
    state: ServerState, run: Run, time: FakeTime
) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on nopass +multi", "AUTH u x", "GET a", "SET a 1", "GET b")
    assert [(item.subject, item.count) for item in state.acl.log.entries] == [
        (b"get", 2),
        (b"set", 1),
    ]
    time.advance(60)
    peer.send("GET c")
    time.advance(60.001)
    peer.send("GET c", "MULTI", "GET c")
    assert [(item.context, item.subject, item.count) for item in state.acl.log.entries] == [
        ("multi", b"get", 1),
        ("toplevel", b"get", 1),
        ("toplevel", b"get", 3),
        ("toplevel", b"set", 1),
    ]
    assert [item.number for item in state.acl.log.entries] == [3, 2, 0, 1]


def test_a_failed_login_is_logged(state: ServerState, run: Run) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on >x", "auth u secret", "HELLO 3 AUTH nobody secret")
    assert [(item.reason, item.subject, item.username) for item in state.acl.log.entries] == [
        ("auth", b"HELLO", b"nobody"),
        ("auth", b"auth", b"u"),
    ]
    assert all("secret" not in item.client_info for item in state.acl.log.entries)


def test_the_log_has_a_limit(state: ServerState, run: Run) -> None:
    peer = Peer(state)
    peer.send("CONFIG SET acllog-max-len 2", "ACL SETUSER u on nopass +get", "AUTH u x")
    peer.send("GET a", "GET b", "GET c")
    assert [item.subject for item in state.acl.log.entries] == [b"c", b"b"]
    assert len(run("ACL LOG 1")) == 1  # type: ignore[arg-type]
    assert run("ACL LOG 0") == []
    assert run("ACL LOG -1") == []
    assert error(run("ACL LOG x")) == "ERR value is not an integer or out of range"
    assert run("ACL LOG reset") is OK
    assert run("ACL LOG") == []
    run("CONFIG SET acllog-max-len 0")
    peer.send("GET a")
    assert run("ACL LOG") == []


def test_info_counts_refusals(state: ServerState, run: Run) -> None:
    peer = Peer(state)
    peer.send("ACL SETUSER u on nopass +get +publish", "AUTH u wrong", "AUTH nobody x")
    peer.send("GET a", "GET b", "SET a 1", "PUBLISH c x")
    run("CONFIG RESETSTAT")
    text = run("INFO stats")
    for line in ("auth:1", "cmd:1", "key:2", "channel:1"):
        assert f"acl_access_denied_{line}\r\n".encode() in text.text  # type: ignore[union-attr]


# -- redis.conf and the file


def test_users_of_redis_conf_are_there_at_the_start() -> None:
    state = with_config("user u on >x ~a +get (+set ~b)\nuser default on nopass +ping\n")
    peer = Peer(state)
    assert peer.client.gated
    assert peer.send("GET a").startswith(b"-NOPERM User default has no permissions")
    assert peer.send("AUTH u x", "GET a") == b"+OK\r\n$-1\r\n"


@pytest.mark.parametrize(
    ("line", "word", "reason"),
    [
        ("user bob on ~* ~x", "on", "Adding a pattern after the * pattern"),
        ("user bob nonsense", "user", "Syntax error"),
        ("user bob on (+get", "bob", "Wrong format"),
        ("user bob\nuser bob", "bob", "Duplicate user found. A user can only be defined once in"),
    ],
)
def test_a_wrong_user_line_stops_the_reading(line: str, word: str, reason: str) -> None:
    with pytest.raises(ConfigFileError, match=re.escape(f"in user declaration '{word}': {reason}")):
        load_config(Config(), None, line.encode())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "user bob +nosuch",
            (
                "Error loading ACL rule '+nosuch' for the user named 'bob': Unknown command or "
                "category name in ACL"
            ),
        ),
        ('user "bo b" on', "Spaces not allowed in ACL usernames"),
        ("user bob\naclfile x", "Configuring Redis with users defined in redis.conf and at"),
        (
            "aclfile /nowhere/users.acl",
            (
                "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file "
                "'/nowhere/users.acl': No such file or directory"
            ),
        ),
    ],
)
def test_a_server_does_not_start_with_wrong_users(
    line: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AclError, match=re.escape(reason)):
        with_config(line)
    assert reason in caplog.text


def test_config_rewrite_writes_the_users() -> None:
    text = b"# users\nuser u on nopass\nport 7\nuser v\n"
    state = with_config(text.decode())
    Peer(state).send("ACL DELUSER v", "ACL SETUSER w ~a")
    written = rewrite_text(state.config, text)
    lines = [line for line in written.split(b"\n") if line.startswith(b"user ")]
    assert lines == [
        DEFAULT,
        b"user u on nopass sanitize-payload resetchannels -@all",
        b"user w off sanitize-payload ~a resetchannels -@all",
    ]
    assert written.startswith(b"# users\n" + DEFAULT)
    again = with_config(written.decode())
    written_again = rewrite_text(again.config, written).split(b"\n")
    assert [line for line in written_again if line.startswith(b"user ")] == lines


@pytest.fixture
def acl_file(tmp_path: Path) -> Path:
    path = tmp_path / "users.acl"
    path.write_bytes(b"user u on nopass ~a +get\n\nuser v on nopass +@all ~* &*\n")
    return path


@pytest.fixture
def filed(acl_file: Path) -> ServerState:
    """A server with an ACL file."""
    return with_config("", aclfile="users.acl", dir=str(acl_file.parent))


def test_the_file_is_loaded_at_the_start(filed: ServerState) -> None:
    assert Peer(filed).send("ACL USERS") == b"*3\r\n$7\r\ndefault\r\n$1\r\nu\r\n$1\r\nv\r\n"


def test_what_is_saved_is_loaded_again(filed: ServerState, acl_file: Path) -> None:
    peer = Peer(filed)
    peer.send("ACL SETUSER u >x (+set ~b) +config|get -@admin &c")
    listed = peer.send("ACL LIST")
    assert peer.send("ACL SAVE") == b"+OK\r\n"
    assert acl_file.read_bytes().startswith(DEFAULT + b"\nuser u ")
    assert [path.name for path in acl_file.parent.iterdir()] == ["users.acl"]
    peer.send("ACL SETUSER u reset", "ACL SETUSER new")
    assert peer.send("ACL LOAD", "ACL LIST") == b"+OK\r\n" + listed
    assert b"\nuser " not in rewrite_text(filed.config, b"port 7\nuser old\n")


def test_loading_ends_the_connections_that_it_concerns(filed: ServerState, acl_file: Path) -> None:
    admin, kept, gone, listening, restricted = [Peer(filed) for _ in range(5)]
    admin.send("ACL SETUSER w on nopass +@all ~* &*")
    kept.send("AUTH v x", "SUBSCRIBE a")
    gone.send("AUTH w x")
    listening.send("AUTH w x", "SUBSCRIBE b")
    restricted.send("AUTH v x")
    acl_file.write_bytes(b"user v on nopass +get ~* &a*\nuser w on nopass +@all ~* &a*\n")
    assert admin.send("ACL LOAD") == b"+OK\r\n"
    assert kept.client.id in filed.clients
    assert gone.client.id in filed.clients
    assert listening.client.id not in filed.clients
    assert restricted.send("SET a 1").startswith(b"-NOPERM User v has no")
    acl_file.write_bytes(b"user v on nopass +@all ~* &*\n")
    admin.send("ACL LOAD")
    assert gone.client.id not in filed.clients
    assert restricted.send("SET a 1") == b"+OK\r\n"


def test_the_default_user_is_as_at_first_if_the_file_has_none(filed: ServerState) -> None:
    peer = Peer(filed)
    peer.send("ACL SETUSER default -@all +acl|load")
    assert peer.client.gated
    assert peer.send("ACL LOAD", "GET a") == b"+OK\r\n$-1\r\n"
    assert not peer.client.gated


def test_a_file_with_errors_is_not_loaded_at_all(filed: ServerState, acl_file: Path) -> None:
    peer = Peer(filed)
    before = peer.send("ACL LIST")
    acl_file.write_bytes(
        b"user new on\nnonsense\nuser x +nosuch nonsense bad\nuser new\nuser y (+get\nUSER z\n"
        b"user a\tb on\n"
    )
    assert peer.send("ACL LOAD") == (
        b"-ERR users.acl:2 should start with user keyword followed by the username. "
        b"users.acl:3: Error in applying operation '+nosuch': Unknown command or category name in "
        b"ACL. users.acl:3: Syntax error. WARNING: Duplicate user 'new' found on line 4. "
        b"users.acl:5: Unmatched parenthesis in selector definition.users.acl:6 should start with "
        b"user keyword followed by the username. 'users.acl:7: username 'a\tb' contains invalid "
        b"characters. WARNING: ACL errors detected, no change to the previously active ACL rules "
        b"was performed\r\n"
    )
    assert peer.send("ACL LIST") == before


def test_without_a_file_there_is_none_to_load(run: Run) -> None:
    for line in ("ACL LOAD", "ACL SAVE"):
        assert error(run(line)).startswith(
            "ERR This Redis instance is not configured to use an ACL"
        )


def test_a_file_that_cannot_be_written_is_an_error(
    filed: ServerState, acl_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl_file.unlink()
    acl_file.mkdir()
    assert Peer(filed).send("ACL SAVE").startswith(b"-ERR There was an error trying to save the")
    assert "Renaming ACL file for ACL SAVE: " in caplog.text
    assert [path.name for path in acl_file.parent.iterdir()] == ["users.acl"]


# -- what nobody is shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("AUTH secret", "AUTH (redacted)"),
        ("AUTH u secret", "AUTH (redacted) (redacted)"),
        ("ACL SETUSER u >secret", "ACL SETUSER (redacted) (redacted)"),
        ("ACL DELUSER u", "ACL DELUSER (redacted)"),
        ("ACL GETUSER u", "ACL GETUSER (redacted)"),
        ("ACL LIST", "ACL LIST"),
    ],
)
def test_passwords_and_users_are_not_shown_to_others(
    state: ServerState, line: str, shown: str
) -> None:
    args = line.encode().split()
    command = lookup(state.commands, args)
    assert command is not None
    assert shown_args(state, command, args) == shown.encode().split()


def test_a_password_is_kept_as_its_hash_only(state: ServerState, run: Run) -> None:
    run("ACL SETUSER u on >topsecret")
    shown = [run("ACL LIST"), run("ACL GETUSER u"), run("CLIENT LIST"), run("INFO everything")]
    assert "topsecret" not in repr([getattr(reply, "text", reply) for reply in shown])
    assert "topsecret" not in repr(state.acl.users[b"u"].passwords)
    assert decode(b"topsecret") not in error(run("ACL SETUSER u >topsecret +nosuch"))
