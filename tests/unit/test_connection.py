"""AUTH, HELLO, PING, ECHO, SELECT, QUIT, RESET, and who is let in."""

from __future__ import annotations

import logging

import pytest

from redis_trio.client import CLOSING, Client
from redis_trio.client import Transport as NoTransport
from redis_trio.command import PROTECTED, Command, Declaration
from redis_trio.protocol.reply import OK, PONG, RedisError, Reply
from redis_trio.protocol.request import Args
from redis_trio.protocol.response import ReplyParser
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run
from tests.unit.peer import Peer

NOAUTH = "NOAUTH Authentication required."
WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."
BIG = [b"GET", *[b"word"] * 20]  # more words than a stranger may send
BIG_TAKEN = b"-ERR wrong number of arguments for 'get' command\r\n"


def message(reply: Reply) -> str:
    """Return the text of an error reply."""
    assert isinstance(reply, RedisError), reply
    return reply.message


def test_ping_answers_pong_or_its_argument(run: Run) -> None:
    assert run("PING") is PONG
    assert run("PING hello") == b"hello"
    assert message(run("PING a b")) == "ERR wrong number of arguments for 'ping' command"


def test_echo_answers_any_bytes(run: Run) -> None:
    assert run("ECHO", b"\0\xff") == b"\0\xff"


# -- SELECT


def test_select_changes_the_database_of_this_client_only(run: Run, state: ServerState) -> None:
    other = state.new_client(NoTransport())
    run("SET k zero")
    assert run("SELECT 9") is OK
    assert run("GET k") is None
    assert other.db.index == 0


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ("16", "ERR DB index is out of range"),
        ("-1", "ERR DB index is out of range"),
        ("abc", "ERR value is not an integer or out of range"),
        (
            "2147483648",
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
    ],
)
def test_select_refuses(run: Run, client: Client, index: str, error: str) -> None:
    assert message(run("SELECT", index)) == error
    assert client.db.index == 0


# -- AUTH


def test_auth_without_a_password_configured_is_an_error(run: Run) -> None:
    assert message(run("AUTH secret")) == (
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?"
    )


def test_the_default_user_without_a_password_takes_any(run: Run) -> None:
    assert run("AUTH default anything") is OK


def test_only_the_default_user_exists(run: Run) -> None:
    assert message(run("AUTH alice secret")) == WRONGPASS


def test_auth_takes_the_password_with_and_without_the_user_name(run: Run) -> None:
    run("CONFIG SET requirepass secret")
    assert run("AUTH secret") is OK
    assert run("AUTH default secret") is OK
    assert message(run("AUTH Secret")) == WRONGPASS
    assert message(run("AUTH default ''")) == WRONGPASS
    assert message(run("AUTH DEFAULT secret")) == WRONGPASS
    assert message(run("AUTH default secret x")) == "ERR syntax error"


def test_a_password_may_be_any_bytes(run: Run) -> None:
    run("CONFIG", "SET", "requirepass", b"\xff\xc3\xa9")
    assert run("AUTH", b"\xff\xc3\xa9") is OK
    assert message(run("AUTH", b"\xff\xc3")) == WRONGPASS


def test_failed_logins_are_counted_as_errors_and_failed_calls(run: Run, state: ServerState) -> None:
    run("AUTH alice secret")
    assert state.stats.errors == {"WRONGPASS": 1}
    assert state.commands[b"AUTH"].failed_calls == 1


# -- requirepass


def test_a_password_set_at_run_time_is_asked_of_new_clients_only(
    run: Run, state: ServerState
) -> None:
    run("CONFIG SET requirepass secret")
    assert run("PING") is PONG
    stranger = Peer(state)
    assert stranger.send("PING") == f"-{NOAUTH}\r\n".encode()
    assert stranger.send("AUTH secret", "PING") == b"+OK\r\n+PONG\r\n"
    assert not stranger.client.gated


def test_taking_the_password_away_lets_everybody_in(run: Run, state: ServerState) -> None:
    run("CONFIG SET requirepass secret")
    stranger = Peer(state)
    run("CONFIG SET requirepass ''")
    assert stranger.send("PING") == b"+PONG\r\n"
    assert stranger.send(BIG) == BIG_TAKEN


def test_hello_wants_a_login_even_after_the_password_was_taken_away(
    run: Run, state: ServerState
) -> None:
    run("CONFIG SET requirepass secret")
    stranger = Peer(state)
    run("CONFIG SET requirepass ''")
    assert stranger.send("HELLO 3").startswith(b"-NOAUTH HELLO must be called")
    assert stranger.send("HELLO 3 AUTH default x").startswith(b"%7\r\n")


def test_a_stranger_may_auth_hello_reset_and_quit(run: Run, state: ServerState) -> None:
    run("CONFIG SET requirepass secret")
    stranger = Peer(state)
    assert stranger.send("GET k", "CLIENT ID", "COMMAND") == f"-{NOAUTH}\r\n".encode() * 3
    assert stranger.send("RESET") == b"+RESET\r\n"
    assert stranger.send("QUIT") == b"+OK\r\n"


def test_a_stranger_hears_of_unknown_commands_and_arity_first(run: Run, state: ServerState) -> None:
    run("CONFIG SET requirepass secret")
    stranger = Peer(state)
    assert stranger.send("NOPE") == (b"-ERR unknown command 'NOPE', with args beginning with: \r\n")
    assert stranger.send("GET") == b"-ERR wrong number of arguments for 'get' command\r\n"


def test_refusals_are_counted(run: Run, state: ServerState) -> None:
    run("CONFIG SET requirepass secret")
    Peer(state).send("GET k")
    assert state.stats.errors == {"NOAUTH": 1}
    get = state.commands[b"GET"]
    assert (get.rejected_calls, get.calls, get.failed_calls) == (1, 0, 0)


def test_a_stranger_sends_small_requests_only_until_auth(run: Run, state: ServerState) -> None:
    """The limits hold up to the very AUTH in a pipeline, and not behind it."""
    run("CONFIG SET requirepass secret")
    stranger = Peer(state)
    refused = b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    assert stranger.send(BIG) == refused
    assert stranger.client.halted & CLOSING
    assert Peer(state).send("AUTH secret", BIG) == b"+OK\r\n" + BIG_TAKEN
    assert Peer(state).send("AUTH nope", BIG) == f"-{WRONGPASS}\r\n".encode() + refused


def test_a_wrong_password_in_a_pipeline_has_its_reply(run: Run, state: ServerState) -> None:
    assert Peer(state).send("PING", "AUTH alice x", "PING") == (
        f"+PONG\r\n-{WRONGPASS}\r\n+PONG\r\n".encode()
    )


# -- HELLO


def test_hello_tells_what_clients_choose_features_by(run: Run, client: Client) -> None:
    assert run("HELLO 3") == {
        b"server": b"redis",
        b"version": b"7.4.1",
        b"proto": 3,
        b"id": client.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }
    assert client.resp == 3


def test_hello_alone_changes_nothing(run: Run, client: Client) -> None:
    run("HELLO 3")
    reply = run("HELLO")
    assert isinstance(reply, dict)
    assert reply[b"proto"] == 3


def test_hello_replies_in_the_version_it_switches_to(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("HELLO 3").startswith(b"%7\r\n$6\r\nserver\r\n")
    assert peer.send("HELLO 2").startswith(b"*14\r\n$6\r\nserver\r\n")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("HELLO abc", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 1", "NOPROTO unsupported protocol version"),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO 3 nope", "ERR Syntax error in HELLO option 'nope'"),
        ("HELLO 3 AUTH default", "ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO AUTH default x", "ERR Protocol version is not an integer or out of range"),
        (
            "HELLO 3 SETNAME 'a b'",
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        ("HELLO 3 SETNAME me AUTH alice x", WRONGPASS),
    ],
)
def test_hello_refuses_and_changes_nothing(run: Run, client: Client, line: str, error: str) -> None:
    assert message(run(line)) == error
    assert (client.resp, client.name) == (2, b"")


@pytest.mark.parametrize(
    "line",
    ["hello 3 setname me auth default secret", "HELLO 3 Auth default secret SetName me"],
)
def test_hello_logs_in_and_names_in_any_order_and_case(
    run: Run, state: ServerState, line: str
) -> None:
    run("CONFIG SET requirepass secret")
    peer = Peer(state)
    assert peer.send(line).startswith(b"%7\r\n")
    assert (peer.client.name, peer.client.authenticated) == (b"me", True)


def test_hello_of_a_stranger_is_refused_with_its_own_text(run: Run, state: ServerState) -> None:
    run("CONFIG SET requirepass secret")
    assert Peer(state).send("HELLO 3 SETNAME me") == (
        b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
        b"HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
        b"select the RESP protocol version at the same time\r\n"
    )


# -- QUIT and RESET


def test_quit_is_answered_and_ends_the_pipeline(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("SET k v", "QUIT", "SET k w") == b"+OK\r\n+OK\r\n"
    assert peer.client.close_after_reply
    assert state.dbs[0].peek(b"k") == b"v"


def test_reset_forgets_everything_but_the_library(run: Run, client: Client) -> None:
    for line in (
        "SELECT 3",
        "HELLO 3 SETNAME me",
        "CLIENT SETINFO LIB-NAME lib",
        "CLIENT NO-TOUCH ON",
        "CLIENT NO-EVICT ON",
    ):
        assert not isinstance(run(line), RedisError)
    run("RESET")
    assert (client.db.index, client.resp, client.name) == (0, 2, b"")
    assert (client.no_touch, client.no_evict, client.gated) == (False, False, False)
    assert client.lib_name == b"lib"


def test_reset_logs_out_if_there_is_a_password(run: Run, state: ServerState) -> None:
    run("CONFIG SET requirepass secret")
    peer = Peer(state)
    assert peer.send("AUTH secret", "RESET", "PING") == (f"+OK\r\n+RESET\r\n-{NOAUTH}\r\n".encode())


# -- what is refused before anything else


@pytest.mark.parametrize("line", ["POST / HTTP/1.1", "Host: example.com", "post", "HOST: x"])
def test_http_is_hung_up_on_without_a_word(state: ServerState, line: str) -> None:
    peer = Peer(state)
    assert peer.send("PING", line, "SET k v") == b""
    assert peer.client.closes_now
    assert peer.client.id not in state.clients
    assert state.dbs[0].peek(b"k") is None


def test_http_is_logged_once_a_minute(
    state: ServerState, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for seconds in (0, 30, 31):
            time.advance(seconds)
            Peer(state).send("POST /")
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("setting", "addr", "is_allowed"),
    [
        ("no", "127.0.0.1:5", False),
        ("yes", "10.0.0.1:5", True),
        ("local", "127.0.0.1:5", True),
        ("local", "[::1]:5", True),
        ("local", "10.0.0.1:5", False),
    ],
)
@pytest.mark.parametrize("name", ["debug", "module"])
def test_protected_commands_run_where_the_configuration_allows_it(
    run: Run,
    state: ServerState,
    client: Client,
    name: str,
    setting: str,
    addr: str,
    is_allowed: bool,
) -> None:
    def handler(client: Client, args: Args) -> Reply:
        return OK

    declaration = Declaration(
        name.upper(),
        "server",
        "",
        -2,
        PROTECTED,
        handler,
        (),
        None,
        "",
        "1.0.0",
        "",
        "",
        "",
        "",
        "",
        "",
    )
    state.commands[name.encode()] = Command(declaration, name, None)
    setattr(state.config, f"enable_{name}_command", setting)
    client.addr = addr
    reply = run(f"{name} x")
    if is_allowed:
        assert reply is OK
    else:
        assert message(reply) == (
            f"ERR {name.upper()} command not allowed. If the enable-{name}-command option is set "
            'to "local", you can run it from a local connection, otherwise you need to set this '
            "option in the configuration file, and then restart the server."
        )


# -- what clients send when they connect


CONNECTING = {
    "redis-py": [
        "HELLO 3 AUTH default secret",
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip",
        "CLIENT SETINFO LIB-NAME redis-py",
        "CLIENT SETINFO LIB-VER 8.1.0",
        "SELECT 1",
    ],
    "node-redis": [
        "HELLO 3 AUTH default secret SETNAME n",
        "SELECT 1",
        "CLIENT SETINFO LIB-VER 6.0.0",
        "CLIENT SETINFO LIB-NAME node-redis",
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip",
    ],
    "ioredis": [
        "auth secret",
        "hello 3",
        "select 1",
        "client setname me",
        "client SETINFO LIB-VER 6",
        "client SETINFO LIB-NAME ioredis",
    ],
    "lettuce": [
        "HELLO 3 AUTH default secret SETNAME me",
        "SELECT 1",
        "CLIENT SETINFO lib-name lettuce",
        "CLIENT SETINFO lib-ver 7.0",
        "CLIENT MAINT_NOTIFICATIONS on",
    ],
    "StackExchange.Redis": [
        "AUTH wrong",
        "AUTH secret",
        "HELLO 3",
        "CLIENT SETNAME me",
        "CLIENT SETINFO lib-name SE.Redis",
        "CLIENT SETINFO lib-ver 2.9",
        "CLIENT ID",
        "CONFIG GET timeout",
        "CONFIG GET replica-read-only",
        "CONFIG GET databases",
        "SENTINEL MASTERS",
        "GET __Booksleeve_TieBreak",
        "ECHO unique",
    ],
}


@pytest.mark.parametrize("name", list(CONNECTING))
def test_each_command_of_a_connecting_client_has_one_reply(
    run: Run, state: ServerState, name: str
) -> None:
    run("CONFIG SET requirepass secret")
    peer = Peer(state)
    lines = CONNECTING[name]
    parser = ReplyParser()
    parser.feed(peer.send(*lines))
    assert len(parser.parse()) == len(lines)
    assert parser.take_rest() == b""
    assert peer.client.resp == 3
    assert peer.send("PING") == b"+PONG\r\n"
