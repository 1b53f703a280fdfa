"""SORT and SORT_RO by value: what is compared with what, the patterns, the bounds, STORE."""

from __future__ import annotations

import locale
from collections.abc import Callable
from random import Random

import pytest

from redis_trio.commands import sort
from redis_trio.protocol.plain import plain_reply
from redis_trio.protocol.reply import RedisError, Reply
from redis_trio.state import ServerState
from tests.unit.conftest import Run

Fired = list[tuple[str, bytes, int]]
Heard = Callable[[], list[bytes]]

NOT_A_SCORE = "ERR One or more scores can't be converted into double"


def error(reply: Reply) -> str:
    assert isinstance(reply, RedisError), reply
    return reply.message


def words(text: str) -> list[bytes]:
    return text.encode().split()


class TestOrder:
    def test_numbers_are_sorted_as_numbers(self, run: Run) -> None:
        run("RPUSH l 10 9 -1 1.5 1e1 0x10 inf -inf 007")
        assert run("SORT l") == words("-inf -1 1.5 007 9 10 1e1 0x10 inf")
        assert run("SORT l DESC") == words("inf 0x10 1e1 10 9 007 1.5 -1 -inf")

    def test_equal_numbers_are_told_apart_by_their_bytes(self, run: Run) -> None:
        run("RPUSH l 1.0 1 01 1")
        assert run("SORT l") == words("01 1 1 1.0")

    @pytest.mark.parametrize(
        "element", ["a", "1a", "nan", "1 ", " ", "1e400", "1e-400", "1e-310", "1_0"]
    )
    def test_what_is_no_number_is_an_error(self, run: Run, element: str) -> None:
        run("RPUSH", "l", "1", element)
        assert error(run("SORT l")) == NOT_A_SCORE

    def test_an_empty_element_is_zero_and_a_nul_ends_a_number(self, run: Run) -> None:
        run("RPUSH", "l", "1", "", "-1", " 0.5", b"0.25\0x")
        assert run("SORT l") == [b"-1", b"", b"0.25\0x", b" 0.5", b"1"]

    def test_texts_are_sorted_by_their_bytes(self, run: Run) -> None:
        run("RPUSH", "l", "b", "a", "B", "10", "9", b"\xff", "")
        assert run("SORT l ALPHA") == [b"", b"10", b"9", b"B", b"a", b"b", b"\xff"]
        assert run("SORT l ALPHA DESC") == [b"\xff", b"b", b"a", b"B", b"9", b"10", b""]

    def test_texts_are_compared_up_to_a_nul_unless_stored(self, run: Run) -> None:
        run("RPUSH", "l", b"a\0z", b"a\0b", b"a")
        assert run("SORT l ALPHA") == [b"a\0z", b"a\0b", b"a"]
        run("SORT l ALPHA STORE m")
        assert run("LRANGE m 0 -1") == [b"a", b"a\0b", b"a\0z"]

    def test_a_locale_decides_about_texts(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(locale, "setlocale", lambda category: "xx_XX")
        run("RPUSH l b a B")
        assert run("SORT l ALPHA") == [b"B", b"a", b"b"]  # strxfrm() itself is that of C

    def test_many_elements(self, run: Run) -> None:
        numbers = list(range(-500, 500))
        Random(1).shuffle(numbers)
        run("RPUSH", "l", *numbers)
        assert run("SORT l LIMIT 100 3") == [b"-400", b"-399", b"-398"]

    def test_sets_and_sorted_sets_are_sorted_too(self, run: Run) -> None:
        run("SADD s 3 1 2 x")
        run("ZADD z 1 c 2 a 3 b")
        assert run("SORT s ALPHA") == words("1 2 3 x")
        assert run("SORT z ALPHA") == words("a b c")

    def test_a_key_that_is_not_there_has_no_elements(self, run: Run) -> None:
        assert run("SORT none") == []
        assert run("SORT none BY nosort LIMIT 3 4") == []


class TestLimit:
    @pytest.mark.parametrize(
        ("limit", "expected"),
        [
            ("0 2", "1 2"),
            ("1 1", "2"),
            ("2 9", "3 4"),
            ("-5 2", "1 2"),
            ("1 -1", "2 3 4"),
            ("1 -9", "2 3 4"),
            ("0 0", ""),
            ("4 1", ""),
            ("9223372036854775807 9223372036854775807", ""),
        ],
    )
    def test_offset_and_count(self, run: Run, limit: str, expected: str) -> None:
        run("RPUSH l 4 3 2 1")
        run("RPUSH sorted 1 2 3 4")
        run("ZADD z 1 1 2 2 3 3 4 4")
        assert run(f"SORT l LIMIT {limit}") == words(expected)
        assert run(f"SORT sorted BY nosort LIMIT {limit}") == words(expected)
        assert run(f"SORT z BY nosort LIMIT {limit}") == words(expected)
        assert run(f"SORT l BY nosort DESC LIMIT {limit}") == words(expected)

    def test_a_sorted_set_that_is_not_sorted_is_in_the_order_of_its_scores(self, run: Run) -> None:
        run("ZADD z 1 c 2 a 3 b")
        assert run("SORT z BY nosort") == words("c a b")
        assert run("SORT z BY nosort DESC") == words("b a c")
        assert run("SORT z BY nosort DESC LIMIT 1 1") == words("a")


class TestPatterns:
    def test_by_other_keys(self, run: Run) -> None:
        run("RPUSH l 1 2 3")
        run("MSET w1 30 w2 10 w3 20")
        assert run("SORT l BY w*") == words("2 3 1")
        assert run("SORT l BY w* DESC LIMIT 0 1") == words("1")

    def test_an_element_without_a_weight_weighs_nothing(self, run: Run) -> None:
        run("RPUSH l 1 2 3")
        run("MSET w1 1 w3 -1")
        assert run("SORT l BY w*") == words("3 2 1")
        run("MSET w1 b w3 a")
        assert run("SORT l BY w* ALPHA") == words("2 3 1")
        assert run("SORT l BY w* ALPHA STORE m") == 3
        assert run("LRANGE m 0 -1") == words("2 3 1")
        run("SET w2 ''")
        assert run("SORT l BY w* ALPHA") == words("2 3 1")

    def test_equal_texts_stay_in_their_order(self, run: Run) -> None:
        run("RPUSH l 3 1 2")
        run("MSET w1 a w2 a w3 a")
        assert run("SORT l BY w* ALPHA") == words("3 1 2")
        assert run("SORT l BY w* ALPHA DESC") == words("3 1 2")

    def test_by_the_fields_of_hashes(self, run: Run) -> None:
        run("RPUSH l 1 2 3")
        run("HSET h1 w 3 name a")
        run("HSET h2 w 2 name b")
        run("SET h3 1")
        assert run("SORT l BY h*->w") == words("3 2 1")
        assert run("SORT l BY h*->w GET h*->name GET #") == [None, b"3", b"b", b"2", b"a", b"1"]

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("v*", [b"x", b"y"]),
            ("*", [b"one", None]),
            ("#", [b"1", b"2"]),
            (b"#\0x", [b"1", b"2"]),
            ("v1", [None, None]),
            ("v*->", [b"arrow", None]),
            ("h*x->f", [b"f1", None]),
            ("v*->f", [None, None]),
            ("h*x", [None, None]),
        ],
    )
    def test_get(self, run: Run, pattern: str | bytes, expected: list[bytes | None]) -> None:
        run("RPUSH l 1 2")
        run("MSET v1 x v2 y 1 one v1-> arrow")
        run("HSET h1x f f1")
        assert run("SORT", "l", "GET", pattern) == expected

    def test_only_the_first_star_is_replaced(self, run: Run) -> None:
        run("RPUSH l 1")
        run("SET a1* x")
        assert run("SORT l GET a**") == [b"x"]

    def test_a_value_that_was_changed_in_place_is_found(self, run: Run) -> None:
        run("RPUSH l 1")
        run("SET v1 a")
        run("APPEND v1 b")
        assert run("SORT l GET v*") == [b"ab"]

    def test_a_field_that_has_expired_is_not_there(self, run: Run) -> None:
        run("RPUSH l 1")
        run("HSET h1 f v g w")
        run("HEXPIREAT h1 1 FIELDS 1 f")
        assert run("SORT l GET h*->f GET h*->g") == [None, b"w"]

    def test_one_pattern_without_a_star_is_enough_not_to_sort(self, run: Run) -> None:
        run("RPUSH l 3 1 2")
        run("MSET w1 1 w2 2 w3 3")
        assert run("SORT l BY nosort BY w*") == words("3 1 2")
        assert run("SORT l BY w* BY nosort") == words("3 1 2")


class TestStore:
    def test_the_result_is_stored_as_a_list(
        self, run: Run, state: ServerState, fired: Fired, heard: Heard
    ) -> None:
        run("RPUSH l 3 1 2")
        run("SET m x EX 100")
        fired.clear()
        heard()
        before = state.dirty
        assert run("SORT l STORE m") == 3
        assert run("LRANGE m 0 -1") == words("1 2 3")
        assert run("TTL m") == -1
        assert state.dirty == before + 3
        assert fired == [("sortstore", b"m", 0)]
        assert heard()[-1] == b"SORT l STORE m"

    def test_what_get_does_not_find_is_stored_empty(self, run: Run) -> None:
        run("RPUSH l 1 2")
        run("SET v1 x")
        assert run("SORT l GET v* GET # STORE m") == 4
        assert run("LRANGE m 0 -1") == [b"x", b"1", b"", b"2"]

    def test_nothing_to_store_deletes_the_destination(
        self, run: Run, state: ServerState, fired: Fired
    ) -> None:
        run("SET m x")
        fired.clear()
        before = state.dirty
        assert run("SORT none STORE m") == 0
        assert fired == [("keymiss", b"none", 0), ("del", b"m", 0)]
        assert run("EXISTS m") == 0
        assert state.dirty == before + 1
        assert run("SORT none STORE m") == 0
        assert state.dirty == before + 1

    def test_a_list_may_be_stored_over_itself(self, run: Run) -> None:
        run("RPUSH l 3 1 2")
        assert run("SORT l STORE l") == 3
        assert run("LRANGE l 0 -1") == words("1 2 3")

    def test_a_set_that_is_not_sorted_is_stored_in_order(self, run: Run) -> None:
        run("SADD s b a c")
        assert run("SORT s BY nosort STORE m") == 3
        assert run("LRANGE m 0 -1") == words("a b c")

    def test_a_long_list_is_a_quicklist(self, run: Run) -> None:
        run("RPUSH", "l", *range(5000))
        run("SORT l STORE m")
        assert run("OBJECT ENCODING m") == b"quicklist"
        run("SORT l LIMIT 0 5 STORE m")
        assert run("OBJECT ENCODING m") == b"listpack"

    def test_the_read_only_form_does_not_store(self, run: Run) -> None:
        run("RPUSH l 3 1 2")
        assert run("SORT_RO l DESC") == words("3 2 1")
        assert error(run("SORT_RO l STORE m")) == "ERR syntax error"


@pytest.mark.parametrize("line", ["LIMIT 1", "BY", "GET", "STORE", "x", "LIMIT", "ASC ALPHA y"])
def test_syntax_errors(run: Run, line: str) -> None:
    assert error(run(f"SORT l {line}")) == "ERR syntax error"


def test_a_limit_is_an_integer(run: Run) -> None:
    assert error(run("SORT l LIMIT a 1")) == "ERR value is not an integer or out of range"
    assert error(run("SORT l LIMIT 1 b")) == "ERR value is not an integer or out of range"


@pytest.mark.parametrize("setting", ["SET k 1", "HSET k f v", "XADD k 1-1 f v"])
def test_other_types_cannot_be_sorted(run: Run, setting: str) -> None:
    run(setting)
    assert error(run("SORT k")).startswith("WRONGTYPE")


def test_a_sorted_set_becomes_a_skiplist(run: Run) -> None:
    """Redis converts it on the way, and it stays so."""
    run("ZADD z 1 1")
    run("SORT z")
    assert run("OBJECT ENCODING z") == b"skiplist"


def test_plain_numbers_take_the_short_way() -> None:
    assert sort.read_scores([b"1", b"-2.5", b"007"]) == [1.0, -2.5, 7.0]
    assert sort.read_scores([b"", b"1"]) == [0.0, 1.0]
    with pytest.raises(RedisError):
        sort.read_scores([b"1-1"])


def test_what_a_script_gets_of_a_set_is_in_order(run: Run) -> None:
    members = [b"%d" % number for number in range(0, 2000, 7)]
    run("SADD", "s", *members)
    script = "return redis.call('SORT', KEYS[1], 'BY', 'nosort')"
    assert plain_reply(run("EVAL", script, 1, "s")) == sorted(members)
    script = "return redis.call('SORT', KEYS[1], 'BY', 'nosort', 'LIMIT', 0, 3, 'DESC')"
    assert plain_reply(run("EVAL", script, 1, "s")) == sorted(members, reverse=True)[:3]
