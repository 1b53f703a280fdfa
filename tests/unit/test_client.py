"""CLIENT: the lines of CLIENT LIST, killing, pausing, unblocking, silencing."""

from __future__ import annotations

import re

import pytest

from redis_trio.blocking import (
    FOREVER_MS,
    MIGRATION,
    Block,
    next_pause_deadline,
    pause,
    unpause,
    unpause_if_due,
)
from redis_trio.client import BLOCKED, CLOSING, PAUSED, Client, request_size
from redis_trio.command import BLOCKING, Command, Declaration
from redis_trio.data.expires import NEVER
from redis_trio.feed import encode_command
from redis_trio.idle import close_idle_clients, next_idle_deadline, timeout_changed
from redis_trio.protocol.reply import OK, PONG, RedisError, Reply, Status, Verbatim
from redis_trio.protocol.request import Args
from redis_trio.state import ServerState
from tests.unit.conftest import FakeTime, Run
from tests.unit.peer import Peer

FIELDS = (
    "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem "
    "multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver"
)
SYNTAX = "ERR syntax error"
NO_SPACES = "cannot contain spaces, newlines or special characters."


def message(reply: Reply) -> str:
    """Return the text of an error reply."""
    assert isinstance(reply, RedisError), reply
    return reply.message


def lines(reply: Reply) -> list[dict[str, str]]:
    """Return the fields of each client that CLIENT LIST or INFO shows."""
    assert isinstance(reply, Verbatim), reply
    text = reply.text.decode()
    assert text.endswith("\n") or not text
    return [dict(pair.split("=", 1) for pair in line.split(" ")) for line in text.splitlines()]


def info(run: Run) -> dict[str, str]:
    """Return the fields of CLIENT INFO."""
    return lines(run("CLIENT INFO"))[0]


def wait_command(state: ServerState) -> None:
    """Give the server a command WAITFOR that blocks, and answers LATE at its timeout."""

    def handler(client: Client, args: Args) -> Reply | Block:
        return Block([(0, args[1])], 10.0, Status(b"LATE"))

    declaration = Declaration(
        "WAITFOR",
        "generic",
        "",
        2,
        BLOCKING,
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
    state.commands[b"WAITFOR"] = Command(declaration, "waitfor", None)


def answer(peer: Peer) -> Reply:
    """Return what is in the mailbox of a client that was blocked."""
    waiter = peer.client.waiter
    assert waiter is not None
    return waiter.mailbox.receive_nowait()


# -- CLIENT LIST and INFO


def test_a_line_has_every_field_of_redis_in_its_order(run: Run) -> None:
    assert " ".join(info(run)) == FIELDS


def test_a_new_client_looks_as_in_redis(state: ServerState) -> None:
    peer = Peer(state)
    assert re.fullmatch(
        r"\$\d+\r\nid=1 addr=127\.0\.0\.1:50001 laddr=127\.0\.0\.1:6379 fd=-1 name= age=0 idle=0 "
        r"flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 watch=0 qbuf=26 qbuf-free=\d+ argv-mem=10 "
        r"multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=\d+ events=r cmd=client\|list "
        r"user=default redir=-1 resp=2 lib-name= lib-ver=\n\r\n",
        peer.send("CLIENT LIST").decode(),
    )


def test_the_list_is_a_verbatim_string(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("HELLO 3")
    assert peer.send("CLIENT LIST")[:1] == b"="
    assert b"txt:id=1 addr" in peer.send("CLIENT INFO")


def test_the_line_says_what_the_client_has_done(run: Run, client: Client, time: FakeTime) -> None:
    for line in ("SELECT 5", "HELLO 3", "CLIENT SETNAME me", "CLIENT NO-EVICT ON"):
        run(line)
    run("CLIENT SETINFO LIB-NAME lib")
    run("CLIENT SETINFO LIB-VER 1.2")
    run("CLIENT NO-TOUCH ON")
    client.unix = True
    time.advance(90)
    fields = info(run)
    assert (fields["db"], fields["resp"], fields["name"]) == ("5", "3", "me")
    assert (fields["lib-name"], fields["lib-ver"]) == ("lib", "1.2")
    assert (fields["age"], fields["idle"], fields["flags"]) == ("90", "90", "UeT")
    assert fields["cmd"] == "client|info"


def test_cmd_is_the_last_one_refused_or_not_and_null_if_unknown(state: ServerState) -> None:
    peer = Peer(state)
    seen = []
    for line in ("PING", "GET", "NOPE", "CLIENT NOPE"):
        peer.send(line)
        command = peer.client.command
        seen.append(None if command is None else command.fullname)
    assert seen == ["ping", "get", None, None]
    watcher = Peer(state)
    assert b" cmd=NULL " in watcher.send(f"CLIENT LIST ID {peer.client.id}")


def test_idle_begins_anew_with_each_request(state: ServerState, time: FakeTime) -> None:
    peer = Peer(state)
    watcher = Peer(state)
    time.advance(5)
    peer.send("PING")
    time.advance(3)
    assert b" age=8 idle=3 " in watcher.send(f"CLIENT LIST ID {peer.client.id}")


def test_a_request_that_is_not_complete_is_in_the_query_buffer(
    run: Run, state: ServerState
) -> None:
    peer = Peer(state)
    peer.send_raw(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$100\r\nabcdef")
    (fields,) = lines(run(f"CLIENT LIST ID {peer.client.id}"))
    assert fields["argv-mem"] == "6"
    assert fields["qbuf"] == "6"


def test_output_that_waits_is_measured(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    peer.backlog.append(b"x" * 1000)
    peer.backlog.append(b"y")
    peer.backlog_bytes = 1001
    peer.client.out.append(b"z" * 7)
    (fields,) = lines(run(f"CLIENT LIST ID {peer.client.id}"))
    assert (fields["obl"], fields["oll"], fields["omem"]) == ("7", "2", "1001")
    assert fields["events"] == "rw"
    assert int(fields["tot-mem"]) > 1008


def test_a_request_is_measured_as_it_is_sent() -> None:
    for args in ([b"PING"], [b"SET", b"k" * 9, b"v" * 10], [b"x"] * 100):
        assert request_size(args) == len(encode_command(args))


def test_list_shows_all_or_those_asked_for(run: Run, state: ServerState) -> None:
    peers = [Peer(state) for _ in range(3)]
    ids = [str(peer.client.id) for peer in peers]
    assert [line["id"] for line in lines(run("CLIENT LIST"))] == ids
    assert [line["id"] for line in lines(run("CLIENT LIST TYPE NORMAL"))] == ids
    for kind in ("master", "replica", "slave", "pubsub"):
        assert lines(run("CLIENT", "LIST", "TYPE", kind)) == []
    asked = run("CLIENT", "LIST", "ID", ids[2], "9999", ids[0], ids[0])
    assert [line["id"] for line in lines(asked)] == [ids[2], ids[0], ids[0]]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("CLIENT LIST ID", SYNTAX),
        ("CLIENT LIST TYPE", SYNTAX),
        ("CLIENT LIST NOPE", SYNTAX),
        ("CLIENT LIST TYPE normal ID 1", SYNTAX),
        ("CLIENT LIST TYPE nope", "ERR Unknown client type 'nope'"),
        ("CLIENT LIST ID x", "ERR Invalid client ID"),
        ("CLIENT NO-EVICT x", SYNTAX),
        ("CLIENT NO-TOUCH x", SYNTAX),
        ("CLIENT REPLY x", SYNTAX),
        ("CLIENT PAUSE x", "ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE -1", "ERR timeout is negative"),
        ("CLIENT PAUSE 9223372036854775807", "ERR timeout is out of range"),
        ("CLIENT PAUSE 1 x", "ERR CLIENT PAUSE mode must be WRITE or ALL"),
        (
            "client PAUSE 1 ALL x",
            "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
        ),
        ("CLIENT UNBLOCK x", "ERR value is not an integer or out of range"),
        ("CLIENT UNBLOCK 1 x", "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        (
            "CLIENT unblock 1 ERROR x",
            "ERR unknown subcommand or wrong number of arguments for 'unblock'. Try CLIENT HELP.",
        ),
        ("CLIENT KILL x", "ERR No such client"),
        ("CLIENT KILL ID", "ERR No such client"),
        ("CLIENT KILL ID 1 TYPE", SYNTAX),
        ("CLIENT KILL NOPE 1", SYNTAX),
        ("CLIENT KILL ID 0", "ERR client-id should be greater than 0"),
        ("CLIENT KILL ID x", "ERR client-id should be greater than 0"),
        ("CLIENT KILL TYPE nope", "ERR Unknown client type 'nope'"),
        ("CLIENT KILL USER alice", "ERR No such user 'alice'"),
        ("CLIENT KILL SKIPME x", SYNTAX),
        ("CLIENT KILL MAXAGE x", "ERR maxage is not an integer or out of range"),
        ("CLIENT KILL MAXAGE 0", "ERR maxage should be greater than 0"),
        ("CLIENT SETINFO a b", "ERR Unrecognized option 'a'"),
        ("CLIENT SETINFO Lib-Name 'a b'", f"ERR Lib-Name {NO_SPACES}"),
        ("CLIENT SETNAME 'a b'", f"ERR Client names {NO_SPACES}"),
        ('CLIENT SETNAME "a\\n"', f"ERR Client names {NO_SPACES}"),
        ('CLIENT SETNAME "\\xc3\\xa9"', f"ERR Client names {NO_SPACES}"),
        ("CLIENT KILL", "ERR wrong number of arguments for 'client|kill' command"),
        ("CLIENT", "ERR wrong number of arguments for 'client' command"),
        (
            "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip",
            "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.",
        ),
    ],
)
def test_client_refuses(run: Run, line: str, error: str) -> None:
    assert message(run(line)) == error


def test_help_lists_every_sub_command(run: Run, state: ServerState) -> None:
    reply = run("CLIENT HELP")
    assert isinstance(reply, list)
    text = [line.text for line in reply if isinstance(line, Status)]
    assert text[0] == b"CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    subcommands = state.commands[b"CLIENT"].subcommands
    assert subcommands is not None
    shown = {line.split()[0].lower() for line in text[1:] if not line.startswith(b" ")}
    assert shown == set(subcommands)


# -- names


def test_id_is_unique_and_never_used_again(run: Run, state: ServerState) -> None:
    first = Peer(state).client
    first.close()
    assert Peer(state).client.id > first.id
    assert isinstance(run("CLIENT ID"), int)


def test_a_name_can_be_set_and_taken_away(run: Run) -> None:
    assert run("CLIENT GETNAME") is None
    assert run("CLIENT SETNAME me") is OK
    assert run("CLIENT GETNAME") == b"me"
    assert run("CLIENT SETNAME ''") is OK
    assert run("CLIENT GETNAME") is None


def test_a_name_is_checked_and_shown_up_to_a_nul(run: Run) -> None:
    """Redis checks and prints C strings but stores all of it."""
    assert run("CLIENT", "SETNAME", b"me\0 x") is OK
    assert run("CLIENT GETNAME") == b"me\0 x"
    assert info(run)["name"] == "me"


# -- CLIENT KILL


def test_killing_by_address_is_answered_with_ok(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    assert run("CLIENT", "KILL", peer.client.addr) is OK
    assert peer.client.closes_now
    assert peer.attended == 1


def test_a_killed_client_is_gone_at_once(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    peer.client.out.append(b"not sent any more")
    assert run(f"CLIENT KILL ID {peer.client.id}") == 1
    assert lines(run("CLIENT LIST")) == []
    assert run(f"CLIENT KILL ID {peer.client.id}") == 0
    state.end()
    assert peer.sent == b""


def test_kill_filters_must_all_match(run: Run, state: ServerState, time: FakeTime) -> None:
    old = Peer(state)
    time.advance(10)
    state.begin()
    young = Peer(state)
    young.client.laddr = "127.0.0.1:7000"
    assert run("CLIENT KILL MAXAGE 11") == 0
    assert run(f"CLIENT KILL MAXAGE 10 ID {young.client.id}") == 0
    assert run("CLIENT KILL TYPE pubsub") == 0
    assert run("CLIENT KILL LADDR 127.0.0.1:7001") == 0
    assert run("CLIENT KILL maxage 10 user default type normal") == 1
    assert old.client.closes_now
    assert run("CLIENT KILL LADDR 127.0.0.1:7000 ADDR 127.0.0.1:50003") == 1
    assert young.client.closes_now


def test_kill_skips_the_one_who_asks_unless_told_otherwise(state: ServerState) -> None:
    peer = Peer(state)
    others = [Peer(state), Peer(state)]
    assert peer.send("CLIENT KILL TYPE normal") == b":2\r\n"
    assert all(other.client.closes_now for other in others)
    assert peer.send("CLIENT KILL TYPE normal SKIPME no", "PING") == b":1\r\n"
    assert peer.client.close_after_reply


def test_the_old_form_kills_the_one_who_asks_after_its_ok(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send(f"CLIENT KILL {peer.client.addr}", "PING") == b"+OK\r\n"
    assert peer.client.close_after_reply


def test_the_last_of_two_equal_filters_counts(run: Run, state: ServerState) -> None:
    first, second = Peer(state), Peer(state)
    assert run(f"CLIENT KILL ID {first.client.id} ID {second.client.id}") == 1
    assert second.client.closes_now
    assert not first.client.halted


# -- CLIENT REPLY


def test_reply_off_silences_everything_until_on(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("CLIENT REPLY OFF", "PING", "NOPE", "GET") == b""
    assert peer.send("CLIENT REPLY SKIP", "PING", "PING") == b""
    assert peer.send("CLIENT REPLY ON", "PING") == b"+OK\r\n+PONG\r\n"
    assert not peer.client.gated


def test_reply_skip_silences_one_command(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("CLIENT REPLY SKIP", "PING 1", "PING 2") == b"$1\r\n2\r\n"
    assert peer.send("CLIENT REPLY SKIP", "NOPE", "PING 2") == b"$1\r\n2\r\n"
    assert not peer.client.gated


def test_a_skip_may_be_skipped_and_on_is_heard(state: ServerState) -> None:
    peer = Peer(state)
    skip = "CLIENT REPLY SKIP"
    assert peer.send(skip, skip, "PING 1", "PING 2") == b"$1\r\n2\r\n"
    assert peer.send(skip, "CLIENT REPLY ON", "PING") == b"+OK\r\n+PONG\r\n"
    assert peer.send(skip, "CLIENT REPLY x", "PING") == b"+PONG\r\n"
    assert peer.send(skip, "CLIENT REPLY OFF", "PING", "PING") == b""


def test_reset_is_heard_after_off_but_not_after_skip(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("CLIENT REPLY OFF", "RESET", "PING") == b"+RESET\r\n+PONG\r\n"
    assert peer.send("CLIENT REPLY SKIP", "RESET", "PING") == b"+PONG\r\n"


def test_the_skipped_reply_is_that_of_the_command_that_had_to_wait(
    run: Run, state: ServerState
) -> None:
    peer = Peer(state)
    run("CLIENT PAUSE 1000 WRITE")
    assert peer.send("CLIENT REPLY SKIP", "SET k v", "GET k") == b""
    run("CLIENT UNPAUSE")
    assert peer.go_on() == b"$1\r\nv\r\n"


# -- CLIENT NO-TOUCH


def test_no_touch_leaves_access_times_alone(run: Run, state: ServerState, time: FakeTime) -> None:
    run("SET k v")
    access = state.dbs[0].access
    before = access.get(b"k")
    time.advance(5)
    run("CLIENT NO-TOUCH ON")
    run("GET k")
    run("SET k w")
    assert access.get(b"k") == before
    assert not state.no_touch
    run("CLIENT NO-TOUCH OFF")
    run("GET k")
    assert access.get(b"k") == before + 5000


def test_no_touch_gives_new_keys_an_access_time(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CLIENT NO-TOUCH ON")
    time.advance(5)
    run("SET k v")
    assert state.dbs[0].access.get(b"k") == state.clock.now_ms


# -- CLIENT PAUSE


def test_a_pause_holds_everybody_up_and_its_end_lets_them_go_on(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    peer = Peer(state)
    assert run("CLIENT PAUSE 1000") is OK
    assert peer.send("PING 1", "PING 2") == b""
    assert peer.client.halted == PAUSED
    assert len(state.paused_clients) == 1
    assert next_pause_deadline(state) == state.clock.now_ms + 1000
    time.advance(1)
    state.begin()
    assert unpause_if_due(state)
    assert peer.go_on() == b"$1\r\n1\r\n$1\r\n2\r\n"
    assert next_pause_deadline(state) == NEVER
    assert not state.gated


def test_a_pause_of_writes_lets_reads_and_admin_commands_pass(state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("CLIENT PAUSE 1000 WRITE", "GET k", "PING", "CLIENT ID") == (
        b"+OK\r\n$-1\r\n+PONG\r\n:1\r\n"
    )
    assert peer.send("SET k v") == b""
    assert b" flags=b " in Peer(state).send("CLIENT LIST ID 1")


def test_pauses_for_several_purposes_end_one_by_one(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    peer = Peer(state)
    run("CLIENT PAUSE 1000 ALL")
    pause(state, FOREVER_MS, False, MIGRATION)
    assert next_pause_deadline(state) == state.clock.now_ms + 1000
    assert peer.send("GET k", "SET k v") == b""
    time.advance(1)
    state.begin()
    assert not unpause_if_due(state)
    assert next_pause_deadline(state) == NEVER
    assert peer.go_on() == b"$-1\r\n"
    run("CLIENT UNPAUSE")
    assert not peer.resumed
    assert state.gated
    unpause(state, MIGRATION)
    assert peer.go_on() == b"+OK\r\n"
    assert not state.gated


def test_mistakes_are_answered_in_a_pause(state: ServerState) -> None:
    peer = Peer(state)
    peer.send("CLIENT PAUSE 1000")
    assert peer.send("SET k", "NOPE") == (
        b"-ERR wrong number of arguments for 'set' command\r\n"
        b"-ERR unknown command 'NOPE', with args beginning with: \r\n"
    )


def test_paused_clients_go_on_in_the_order_in_which_they_came(run: Run, state: ServerState) -> None:
    run("CLIENT PAUSE 1000 WRITE")
    order: list[int] = []

    class Noting(Peer):
        def resume(self) -> None:
            order.append(self.client.id)

    peers = [Noting(state) for _ in range(5)]
    for peer in reversed(peers):
        peer.send("SET k v")
    run("CLIENT UNPAUSE")
    assert order == [peer.client.id for peer in reversed(peers)]


def test_the_longer_end_and_the_stricter_kind_of_two_pauses_hold(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CLIENT PAUSE 5000 WRITE")
    first_end = next_pause_deadline(state)
    run("CLIENT PAUSE 10 WRITE")
    assert (next_pause_deadline(state), state.pause_all) == (first_end, False)
    time.advance(1)
    peer = Peer(state)
    peer.send("CLIENT PAUSE 0 ALL")
    assert (next_pause_deadline(state), state.pause_all) == (first_end, True)
    time.advance(4)
    state.begin()
    assert peer.send("PING") == b"+PONG\r\n"


def test_a_weaker_pause_does_not_weaken_one_that_is_on(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    assert peer.send("CLIENT PAUSE 1000 ALL") == b"+OK\r\n"
    assert state.pause_all
    assert peer.send("GET k") == b""
    run("CLIENT UNPAUSE")


def test_a_pause_that_is_over_is_forgotten_without_the_keeper(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CLIENT PAUSE 1000 ALL")
    waiting = Peer(state)
    waiting.send("SET k v")
    time.advance(1)
    assert run("PING") is PONG
    assert waiting.go_on() == b"+OK\r\n"
    assert run("CLIENT PAUSE 1000 WRITE") is OK
    assert not state.pause_all


def test_pause_zero_pauses_nothing(run: Run, state: ServerState) -> None:
    run("CLIENT PAUSE 0")
    assert (next_pause_deadline(state), state.gated, state.pause_all) == (NEVER, False, False)
    assert run("PING") is PONG


def test_keys_expire_to_the_eye_only_while_writes_are_paused(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("SET k v")
    state.dbs[0].expires.set(b"k", state.clock.now_ms + 100)
    run("CLIENT PAUSE 1000 WRITE")
    time.advance(0.5)
    assert run("GET k") is None
    assert state.dbs[0].table.get(b"k") == b"v"
    assert state.stats.expired_keys == 0
    run("CLIENT UNPAUSE")
    assert run("GET k") is None
    assert state.dbs[0].table.get(b"k") is None
    assert state.stats.expired_keys == 1


def test_a_paused_client_that_is_killed_or_hangs_up_runs_nothing(
    run: Run, state: ServerState
) -> None:
    run("CLIENT PAUSE 1000 WRITE")
    killed, gone = Peer(state), Peer(state)
    killed.send("SET k v")
    gone.send("SET k v")
    assert run(f"CLIENT KILL ID {killed.client.id}") == 1
    gone.client.disconnected()
    run("CLIENT UNPAUSE")
    assert not killed.resumed
    assert not gone.resumed
    assert run("GET k") is None


def test_a_command_that_was_paused_is_checked_again(run: Run, state: ServerState) -> None:
    peer = Peer(state)
    run("CLIENT PAUSE 1000 WRITE")
    peer.send("SET k v")
    run("CLIENT UNPAUSE")
    run("CLIENT PAUSE 1000 WRITE")
    assert peer.go_on() == b""
    run("CLIENT UNPAUSE")
    assert peer.go_on() == b"+OK\r\n"


# -- CLIENT UNBLOCK


def test_unblock_answers_as_the_timeout_does(run: Run, state: ServerState) -> None:
    wait_command(state)
    peer = Peer(state)
    assert peer.send("WAITFOR x", "PING") == b""
    assert peer.client.halted == BLOCKED
    assert run(f"CLIENT UNBLOCK {peer.client.id}") == 1
    reply = answer(peer)
    assert isinstance(reply, Status)
    assert reply.text == b"LATE"
    assert state.waiting.lines == {}
    assert run(f"CLIENT UNBLOCK {peer.client.id} TIMEOUT") == 0


def test_unblock_with_an_error_counts_it(run: Run, state: ServerState) -> None:
    wait_command(state)
    peer = Peer(state)
    peer.send("WAITFOR x")
    command = state.commands[b"WAITFOR"]
    assert command.calls == 0
    assert run(f"CLIENT UNBLOCK {peer.client.id} error") == 1
    assert message(answer(peer)) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert state.stats.errors == {"UNBLOCKED": 1}
    assert (command.calls, command.failed_calls) == (1, 1)


def test_unblock_leaves_others_alone(run: Run, state: ServerState) -> None:
    """Who is not blocked, not there, or only held up by a pause is not unblocked."""
    peer = Peer(state)
    assert run(f"CLIENT UNBLOCK {peer.client.id}") == 0
    assert run("CLIENT UNBLOCK 999") == 0
    run("CLIENT PAUSE 1000 WRITE")
    peer.send("SET k v")
    assert run(f"CLIENT UNBLOCK {peer.client.id}") == 0


def test_a_blocked_client_that_is_killed_waits_for_nothing_any_more(
    run: Run, state: ServerState
) -> None:
    wait_command(state)
    peer = Peer(state)
    peer.send("WAITFOR x")
    (fields,) = lines(run(f"CLIENT LIST ID {peer.client.id}"))
    assert (fields["flags"], fields["argv-mem"], fields["cmd"]) == ("b", "8", "waitfor")
    assert run(f"CLIENT KILL ID {peer.client.id}") == 1
    assert peer.client.halted & CLOSING
    assert (state.waiting.lines, state.waiting.count) == ({}, 0)


# -- the timeout of idle clients


def test_clients_that_are_silent_for_too_long_are_closed(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CONFIG SET timeout 10")
    silent, talking = Peer(state), Peer(state)
    timeout_changed(state)
    close_idle_clients(state)
    start_s = state.clock.now_ms // 1000
    assert next_idle_deadline(state) == (start_s + 11) * 1000
    time.advance(9)
    talking.send("PING")
    time.advance(2)
    state.begin()
    close_idle_clients(state)
    assert silent.client.closes_now
    assert not talking.client.halted
    assert next_idle_deadline(state) == (talking.client.active_ms // 1000 + 11) * 1000


def test_exactly_the_timeout_is_not_too_long(run: Run, state: ServerState, time: FakeTime) -> None:
    run("CONFIG SET timeout 10")
    peer = Peer(state)
    time.advance(10)
    state.begin()
    close_idle_clients(state)
    assert not peer.client.halted


def test_a_client_that_has_quit_and_takes_nothing_is_closed_too(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    run("CONFIG SET timeout 10")
    peer = Peer(state)
    peer.send("QUIT")
    assert not peer.client.closes_now
    time.advance(11)
    state.begin()
    close_idle_clients(state)
    assert peer.client.closes_now


def test_blocked_and_paused_clients_may_be_silent(
    run: Run, state: ServerState, time: FakeTime
) -> None:
    wait_command(state)
    run("CONFIG SET timeout 10")
    blocked, paused = Peer(state), Peer(state)
    blocked.send("WAITFOR x")
    run("CLIENT PAUSE 100000 WRITE")
    paused.send("SET k v")
    time.advance(20)
    state.begin()
    close_idle_clients(state)
    assert not blocked.client.halted & CLOSING
    assert not paused.client.halted & CLOSING
    assert next_idle_deadline(state) == NEVER
    run("CLIENT UNPAUSE")
    assert next_idle_deadline(state) == (state.clock.now_ms // 1000 + 11) * 1000


def test_without_a_timeout_nothing_is_ever_due(run: Run, state: ServerState) -> None:
    Peer(state)
    state.counts_as_idle()
    assert next_idle_deadline(state) == NEVER
    run("CONFIG SET timeout 10")
    timeout_changed(state)
    assert next_idle_deadline(state) == state.clock.now_ms
    run("CONFIG SET timeout 0")
    timeout_changed(state)
    assert next_idle_deadline(state) == NEVER


def test_the_keeper_is_woken_for_the_first_deadline_only(run: Run, state: ServerState) -> None:
    woken: list[int] = []
    state.wake_keeper = lambda: woken.append(state.idle_ms)
    run("CONFIG SET timeout 10")
    state.counts_as_idle()
    state.counts_as_idle()
    assert woken == [(state.clock.now_ms // 1000 + 11) * 1000]
