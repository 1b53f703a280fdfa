"""The grammar of arguments: what is written, what is guessed, and how HELP shows it."""

from __future__ import annotations

import pytest

from redis_trio.syntax import Argument, parse_syntax, usage


def one(text: str) -> Argument:
    """Parse a syntax that is one argument."""
    (argument,) = parse_syntax(text)
    return argument


def tree(arguments: list[Argument]) -> list[object]:
    """Arguments as `name`, and `[name, ...]` for what has others in it."""
    return [
        [item.name, *tree(item.arguments)] if item.arguments else item.name for item in arguments
    ]


def test_the_type_follows_from_the_name_unless_it_is_said() -> None:
    types = [item.type for item in parse_syntax("key value count radius min min:double pattern")]
    assert types == ["key", "string", "integer", "double", "string", "double", "pattern"]


def test_a_token_belongs_to_the_name_behind_it() -> None:
    item = one("[EX seconds]")
    assert (item.name, item.token, item.type, item.optional) == ("seconds", "EX", "integer", True)


def test_a_token_alone_is_an_argument_by_its_lower_case_name() -> None:
    item = one("[KEEPTTL]")
    assert (item.name, item.token, item.type) == ("keepttl", "KEEPTTL", "pure-token")
    assert one("=:equal").token == "="
    assert one("'lib-name' libname").token == "lib-name"
    assert one("ID:string").type == "string"


def test_tokens_in_a_row_stand_for_themselves() -> None:
    assert [item.type for item in parse_syntax("NO ONE")] == ["pure-token", "pure-token"]


def test_brackets_make_blocks_and_choices() -> None:
    assert tree(parse_syntax("key (score member):data...")) == ["key", ["data", "score", "member"]]
    choice = one("[NX | XX]")
    assert (choice.type, choice.name, choice.optional) == ("oneof", "condition", True)
    assert one("<NX | XX>").optional is False
    assert one("[offset count]").type == "block"
    assert one("[(offset)]").type == "block"
    assert one("[offset]").type == "integer"
    assert one("LIMIT (a b)").name == "limit"


def test_repetition_is_of_the_argument_or_of_the_token_too() -> None:
    item = one("WEIGHTS weight...")
    assert (item.multiple, item.multiple_token) == (True, False)
    item = one("GET... pattern")
    assert (item.multiple, item.multiple_token) == (True, True)
    assert one("(a b):x...").multiple


def test_annotations_stand_in_any_order() -> None:
    item = one("addr...!6.0.0@2.8.12/ip:port")
    assert (item.since, item.deprecated_since, item.display_text, item.multiple) == (
        "2.8.12",
        "6.0.0",
        "ip:port",
        True,
    )
    assert one("[GET]@6.2.0").since == "6.2.0"


def test_keys_are_numbered_in_their_order_unless_it_is_said() -> None:
    def specs(text: str) -> list[int]:
        return [item.key_spec_index for item in parse_syntax(text)]

    assert specs("destination numkeys key...") == [0, -1, 1]
    assert specs("key destination#2 newkey") == [0, 2, 3]
    assert specs("key#- pattern#1") == [-1, 1]


@pytest.mark.parametrize("text", ["(a b)", "<a b | c>:x", ":x", "[a", "()", "a ) b"])
def test_what_is_not_well_formed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="in"):
        parse_syntax(text)


@pytest.mark.parametrize(
    ("syntax", "shown"),
    [
        ("key [NX | XX] [EX seconds]", "<key> [NX|XX] [EX <seconds>]"),
        ("<LEFT | RIGHT> key...", "(LEFT|RIGHT) <key> [<key> ...]"),
        ("[key...]", "[<key> ...]"),
        ("[GET... pattern/text]", "[GET <text> [GET <text> ...]]"),
        ("(score member):data...", "<score> <member> [<score> <member> ...]"),
        ("[AGGREGATE <SUM | MIN>]", "[AGGREGATE (SUM|MIN)]"),
    ],
)
def test_usage_reads_like_the_help_of_redis(syntax: str, shown: str) -> None:
    assert usage(parse_syntax(syntax)) == shown
