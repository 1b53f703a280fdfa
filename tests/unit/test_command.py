"""COMMAND and its sub-commands, by value and by shape."""

from __future__ import annotations

from typing import Any

import pytest

from redis_trio.client import Client
from redis_trio.command import DECLARATIONS, acl_categories
from redis_trio.protocol.reply import RedisError, Reply, SetReply, Status, encode
from tests.unit.conftest import Run

CONTAINERS = sorted({name.partition(" ")[0] for name in DECLARATIONS if " " in name})


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError)
    return reply.message


def names(reply: Reply) -> list[str]:
    """The texts of a set of simple strings."""
    assert isinstance(reply, SetReply)
    texts = []
    for member in reply.members:
        assert isinstance(member, Status)
        texts.append(member.text.decode())
    return texts


def items(reply: Reply) -> list[Any]:
    assert isinstance(reply, list)
    return reply


def test_info_tells_arity_flags_keys_and_categories(run: Run) -> None:
    (get,) = items(run("COMMAND INFO get"))
    assert get[:2] == [b"get", 2]
    assert names(get[2]) == ["readonly", "fast"]
    assert get[3:6] == [1, 1, 1]
    assert names(get[6]) == ["@read", "@string", "@fast"]
    (spec,) = get[8].members
    assert list(spec) == [b"flags", b"begin_search", b"find_keys"]
    assert names(spec[b"flags"]) == ["RO", "access"]
    assert spec[b"begin_search"] == {b"type": b"index", b"spec": {b"index": 1}}
    assert spec[b"find_keys"] == {
        b"type": b"range",
        b"spec": {b"lastkey": 0, b"keystep": 1, b"limit": 0},
    }
    assert get[9].members == ()


def test_info_finds_by_any_case_and_subcommands_by_a_bar(run: Run) -> None:
    found = items(run("COMMAND INFO Get command|COUNT nosuch get|x command|list|x command|x"))
    assert [item and item[0] for item in found] == [
        b"get",
        b"command|count",
        None,
        None,
        None,
        None,
    ]


def test_info_of_a_container_has_its_subcommands(run: Run) -> None:
    (container,) = items(run("COMMAND INFO command"))
    assert [item[0] for item in container[9]][:3] == [
        b"command|count",
        b"command|list",
        b"command|info",
    ]
    assert container[7].members == [b"nondeterministic_output_order"]


def test_command_info_and_docs_without_names_describe_every_command_once(run: Run) -> None:
    top = sorted(name.lower().encode() for name in DECLARATIONS if " " not in name)
    assert run("COMMAND COUNT") == len(top)
    assert sorted(item[0] for item in items(run("COMMAND"))) == top
    assert sorted(item[0] for item in items(run("COMMAND INFO"))) == top
    docs = run("COMMAND DOCS")
    assert isinstance(docs, dict)
    assert sorted(docs) == top


def test_docs_have_the_arguments_as_a_tree(run: Run) -> None:
    docs: Any = run("COMMAND DOCS nosuch command|list")
    assert list(docs) == [b"command|list"]
    doc = docs[b"command|list"]
    assert list(doc) == [b"summary", b"since", b"group", b"complexity", b"arguments"]
    (filterby,) = doc[b"arguments"]
    assert names(filterby.pop(b"flags")) == ["optional"]
    assert [item[b"token"] for item in filterby.pop(b"arguments")] == [
        b"MODULE",
        b"ACLCAT",
        b"PATTERN",
    ]
    assert filterby == {b"name": b"filterby", b"type": b"oneof", b"token": b"FILTERBY"}


def test_docs_of_a_key_tell_its_spec_and_its_text(run: Run) -> None:
    docs: Any = run("COMMAND DOCS get")
    assert docs[b"get"][b"arguments"] == [
        {b"name": b"key", b"type": b"key", b"display_text": b"key", b"key_spec_index": 0}
    ]


def test_list_has_subcommands_too_and_can_be_filtered(run: Run) -> None:
    everything = sorted(name.lower().replace(" ", "|").encode() for name in DECLARATIONS)
    assert sorted(items(run("COMMAND LIST"))) == everything
    assert run("COMMAND LIST FILTERBY MODULE x") == []
    assert run("COMMAND LIST filterby pattern COMMAND|G*KEYS") == [b"command|getkeys"]
    assert run("COMMAND LIST FILTERBY ACLCAT nosuch") == []
    connection = items(run("COMMAND LIST FILTERBY ACLCAT Connection"))
    assert b"command|docs" in connection
    assert b"get" not in connection


@pytest.mark.parametrize("rest", ["FILTERBY PATTERN", "x", "FILTERBY x y", "FILTERBY PATTERN a b"])
def test_list_refuses_other_filters(run: Run, rest: str) -> None:
    assert error(run(f"COMMAND LIST {rest}")) == "ERR syntax error"


def test_getkeys_returns_the_keys_of_a_command(run: Run) -> None:
    assert run("COMMAND GETKEYS GET k") == [b"k"]
    ((name, flags),) = items(run("COMMAND GETKEYSANDFLAGS GET k"))
    assert name == b"k"
    assert names(flags) == ["RO", "access"]


@pytest.mark.parametrize("subcommand", ["GETKEYS", "GETKEYSANDFLAGS"])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nosuch a", "ERR Invalid command specified"),
        ("command nosuch", "ERR Invalid command specified"),
        ("ping", "ERR The command has no key arguments"),
        ("command", "ERR The command has no key arguments"),
        ("get", "ERR Invalid number of arguments specified for command"),
        ("get a b", "ERR Invalid number of arguments specified for command"),
    ],
)
def test_getkeys_says_why_there_are_none(
    run: Run, subcommand: str, line: str, message: str
) -> None:
    assert error(run(f"COMMAND {subcommand} {line}")) == message


@pytest.mark.parametrize("name", sorted({*CONTAINERS} - {"CLUSTER"}))
def test_help_is_lines_between_a_head_and_help_itself(run: Run, name: str) -> None:
    lines = items(run(f"{name} HELP"))
    assert all(isinstance(line, Status) for line in lines)
    texts = [line.text.decode() for line in lines]
    assert texts[0] == f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert texts[-2:] == ["HELP", "    Print this help."]
    words = {text.partition(" ")[0] for text in texts if not text.startswith(" ")}
    declared = {item.split()[1] for item in DECLARATIONS if item.startswith(f"{name} ")}
    assert declared <= words
    assert error(run(f"{name} HELP x")) == (
        f"ERR wrong number of arguments for '{name.lower()}|help' command"
    )


def test_categories_follow_from_the_flags(run: Run) -> None:
    assert acl_categories(DECLARATIONS["COMMAND COUNT"]) == ("slow", "connection")
    assert acl_categories(DECLARATIONS["PING"]) == ("fast", "connection")


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("line", ["COMMAND", "COMMAND DOCS", "COMMAND LIST"])
def test_every_description_can_be_sent(run: Run, client: Client, line: str, resp: int) -> None:
    out: list[bytes] = []
    encode(out, run(line), resp)
    assert b"".join(out).count(b"\r\n") > 100
