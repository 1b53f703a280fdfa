"""CLUSTER and MODULE: what a server says that has neither."""

from __future__ import annotations

import pytest

from redis_trio.command import DECLARATIONS
from redis_trio.protocol.reply import OK, RedisError
from redis_trio.state import ServerState
from tests.unit.conftest import Run

CLUSTER = [
    "ASKING",
    "CLUSTER ADDSLOTS 1",
    "CLUSTER ADDSLOTSRANGE 1 1",
    "CLUSTER BUMPEPOCH",
    "CLUSTER COUNT-FAILURE-REPORTS 1",
    "CLUSTER COUNTKEYSINSLOT 1",
    "CLUSTER DELSLOTS 1",
    "CLUSTER DELSLOTSRANGE 1 1",
    "CLUSTER FAILOVER",
    "CLUSTER FLUSHSLOTS",
    "CLUSTER FORGET 1",
    "CLUSTER GETKEYSINSLOT 1 1",
    "CLUSTER HELP",
    "CLUSTER INFO",
    "CLUSTER KEYSLOT 1",
    "CLUSTER LINKS",
    "CLUSTER MEET 1 1",
    "CLUSTER MYID",
    "CLUSTER MYSHARDID",
    "CLUSTER NODES",
    "CLUSTER REPLICAS 1",
    "CLUSTER REPLICATE 1",
    "CLUSTER RESET",
    "CLUSTER SAVECONFIG",
    "CLUSTER SET-CONFIG-EPOCH 1",
    "CLUSTER SETSLOT 1 1",
    "CLUSTER SHARDS",
    "CLUSTER SLAVES 1",
    "CLUSTER SLOTS",
    "READONLY",
    "READWRITE",
]


@pytest.mark.parametrize("line", CLUSTER)
def test_without_a_cluster_it_is_refused(run: Run, line: str) -> None:
    reply = run(line)
    assert isinstance(reply, RedisError)
    assert reply.message == "ERR This instance has cluster support disabled"


def test_every_command_of_the_group_is_refused() -> None:
    declared = {
        name
        for name, declaration in DECLARATIONS.items()
        if declaration.group == "cluster" and declaration.handler is not None
    }
    assert {line.rstrip("1 ") for line in CLUSTER} == declared


def test_what_cluster_does_not_know_is_another_error(run: Run) -> None:
    reply = run("CLUSTER NOSUCH")
    assert isinstance(reply, RedisError)
    assert reply.message.startswith("ERR unknown subcommand 'NOSUCH'")


def test_restore_asking_is_restore(run: Run) -> None:
    run("SET k v")
    payload = run("DUMP k")
    assert isinstance(payload, bytes)
    assert run("RESTORE-ASKING", "other", 0, payload) is OK
    assert run("GET other") == b"v"


def test_there_are_no_modules(run: Run) -> None:
    assert run("MODULE LIST") == []


NOT_LOADED = "ERR Error loading the extension. Please check the server logs."


@pytest.mark.parametrize(
    ("line", "message", "logged"),
    [
        ("MODULE LOAD x.so a", NOT_LOADED, "x.so failed to load"),
        ("MODULE LOADEX x.so CONFIG a b", NOT_LOADED, "x.so failed to load"),
        ("MODULE UNLOAD x", "ERR Error unloading module: no such module with that name", "x: no"),
    ],
)
def test_no_module_can_be_loaded_or_unloaded(
    run: Run,
    state: ServerState,
    caplog: pytest.LogCaptureFixture,
    line: str,
    message: str,
    logged: str,
) -> None:
    refused = run(line)
    assert isinstance(refused, RedisError)
    assert refused.message.startswith("ERR MODULE command not allowed.")
    state.config.enable_module_command = "yes"
    reply = run(line)
    assert isinstance(reply, RedisError)
    assert reply.message == message
    assert logged in caplog.text
