"""Deadlines against a naive model: what is due comes out in order, once, in bounded steps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_trio.data.expires import NEVER, Expires
from redis_trio.keyspace.access import GENERATION, AccessTimes

START = 1_700_000_000_000
HOUR = 3_600_000


def drain(expires: Expires, now_ms: int, limit: int = 10) -> list[tuple[int, bytes]]:
    """Expire all that is due, as a server does; returns (deadline, key) in order."""
    due: list[tuple[int, bytes]] = []
    for _ in range(100_000):
        next_ms = expires.next_ms()
        if next_ms == NEVER or next_ms > now_ms:
            return due
        keys = expires.pop_due(now_ms, limit)
        assert len(keys) <= limit
        for key in keys:
            due.append((expires.get(key), key))
            expires.remove(key)
    raise AssertionError("there is always more to do")


def sleep_through(expires: Expires, until_ms: int) -> list[int]:
    """Wake whenever asked to, until `until_ms`; returns when something expired."""
    woken: list[int] = []
    now_ms = START
    while (next_ms := expires.next_ms()) != NEVER and next_ms <= until_ms:
        now_ms = max(now_ms, next_ms)
        if drain(expires, now_ms):
            woken.append(now_ms)
    return woken


def test_a_key_is_due_at_its_deadline_and_not_before() -> None:
    expires = Expires(START)
    expires.set(b"k", START + 5000)
    assert drain(expires, START + 4999) == []
    assert expires.get(b"k") == START + 5000
    assert drain(expires, START + 5000) == [(START + 5000, b"k")]
    assert expires.next_ms() == NEVER


def test_waking_when_told_to_expires_every_key_at_its_millisecond() -> None:
    deadlines = [START + delay for delay in (1, 999, 70_000, HOUR, 30 * HOUR, 2000 * HOUR)]
    expires = Expires(START)
    for number, when_ms in enumerate(deadlines):
        expires.set(b"%d" % number, when_ms)
    assert sleep_through(expires, START + 3000 * HOUR) == deadlines


def test_a_deadline_in_the_present_window_needs_no_preparation() -> None:
    expires = Expires(START)
    expires.set(b"k", START + 1000)
    assert expires.next_ms() == START + 1000


def test_a_deadline_in_the_past_or_before_the_epoch_is_due_at_once() -> None:
    expires = Expires(START)
    expires.set(b"old", START - HOUR)
    expires.set(b"ancient", -5)
    expires.set(b"minus one", -1)
    assert expires.next_ms() == 0
    assert [key for _, key in drain(expires, START)][2] == b"old"
    assert len(expires) == 0


def test_a_huge_deadline_never_comes() -> None:
    expires = Expires(START)
    expires.set(b"k", 2**62)
    expires.set(b"last", 2**63 - 1)
    assert drain(expires, START + 10**14) == []
    assert expires.next_ms() > START + 10**14
    assert expires.remove(b"k") == 2**62
    assert expires.remove(b"last") == 2**63 - 1
    assert expires.next_ms() == NEVER


def test_a_key_gets_another_deadline_while_its_slot_is_being_opened() -> None:
    expires = Expires(START)
    slot = ((START >> 16) + 10) << 16
    for number in range(100):
        expires.set(b"%d" % number, slot + number)
    now_ms = slot - 1000
    assert expires.pop_due(now_ms, 30) == []
    for number in range(0, 100, 2):
        expires.set(b"%d" % number, slot + 1000 + number)
    for number in range(0, 100, 5):
        expires.remove(b"%d" % number)
    due = drain(expires, slot + 999)
    assert due == [(slot + n, b"%d" % n) for n in range(1, 100, 2) if n % 5]
    later = drain(expires, slot + 2000)
    assert later == [(slot + 1000 + n, b"%d" % n) for n in range(0, 100, 2) if n % 5]


def test_what_is_due_is_not_kept_waiting_by_what_is_prepared() -> None:
    expires = Expires(START)
    slot = ((START >> 16) + 2) << 16
    for number in range(5000):
        expires.set(b"later %d" % number, slot + 1000)
    expires.set(b"now", START + 10)
    assert expires.pop_due(slot - 1500, 10) == [b"now"]


def test_a_clock_that_jumps_back_expires_nothing_early() -> None:
    expires = Expires(START)
    expires.set(b"a", START + HOUR)
    assert drain(expires, START + HOUR) == [(START + HOUR, b"a")]
    expires.set(b"b", START + 1000)
    expires.set(b"c", START + HOUR + 500)
    assert drain(expires, START) == []
    assert drain(expires, START + 1000) == [(START + 1000, b"b")]
    assert drain(expires, START + HOUR + 500) == [(START + HOUR + 500, b"c")]


def test_many_keys_of_one_millisecond_come_out_in_pieces() -> None:
    expires = Expires(START)
    for number in range(20_000):
        expires.set(b"%d" % number, START + 7)
    assert len(drain(expires, START + 7, 64)) == 20_000


def test_changing_deadlines_over_and_over_leaves_nothing_behind() -> None:
    expires = Expires(START)
    for number in range(20_000):
        expires.set(b"k", START + number % 50 * 1000)
    assert sum(len(part) for part in expires.parts()) == 2  # in `when`, and in one slot
    assert len(expires.parts()) < 100


def test_the_mean_deadline_follows_every_change() -> None:
    expires = Expires(START)
    assert expires.mean_ms() == NEVER
    expires.set(b"a", START)
    expires.set(b"b", START + 100)
    assert expires.mean_ms() == START + 50
    expires.set(b"a", START + 300)
    assert expires.mean_ms() == START + 200
    expires.remove(b"b")
    assert expires.mean_ms() == START + 300


DELAYS = st.one_of(
    st.integers(-5000, 200_000),
    st.integers(-(2**41), 2**45),
    st.sampled_from([0, 1, 65_536, 2**32, 2**48, 2**62]),
)
STEP = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 15), DELAYS),
    st.tuples(st.just("remove"), st.integers(0, 15), st.just(0)),
    st.tuples(st.just("advance"), st.integers(1, 8), st.integers(-70_000, 5_000_000)),
    st.tuples(st.just("slice"), st.integers(1, 8), st.integers(0, 3000)),
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_it_does_what_a_search_through_all_keys_would(steps: list[tuple[str, int, int]]) -> None:
    expires = Expires(START)
    model: dict[bytes, int] = {}
    now_ms = START
    for step, number, delay in steps:
        key = b"%d" % number
        if step == "set":
            expires.set(key, now_ms + delay)
            model[key] = max(0, now_ms + delay)
        elif step == "remove":
            assert expires.remove(key) == model.pop(key, NEVER)
        elif step == "slice":
            now_ms += delay
            for due in expires.pop_due(now_ms, number):
                assert model[due] == min(model.values()) <= now_ms
                assert expires.remove(due) == model.pop(due)
        else:
            now_ms += delay
            gone = drain(expires, now_ms, number)
            assert [when_ms for when_ms, _ in gone] == sorted(when_ms for when_ms, _ in gone)
            expected = {name for name, when_ms in model.items() if when_ms <= now_ms}
            assert {name for _, name in gone} == expected
            for name in expected:
                del model[name]
        assert len(expires) == len(model)
        assert all(expires.get(name) == when_ms for name, when_ms in model.items())
        if model:
            assert NEVER < expires.next_ms() <= min(model.values())
            assert expires.mean_ms() == sum(model.values()) // len(model)
        else:
            assert expires.next_ms() == NEVER


# -- access times


def test_an_access_is_remembered_exactly_while_a_key_is_in_use() -> None:
    access = AccessTimes(START)
    access.touch(b"k", START + 100)
    for number in range(GENERATION):
        access.touch(b"%d" % number, START + 200)
    assert access.get(b"k") == START + 100


def test_a_forgotten_access_never_makes_a_key_too_idle() -> None:
    access = AccessTimes(START)
    access.touch(b"k", START + 1)
    for number in range(3 * GENERATION):
        access.touch(b"%d" % number, START + 1000 + number)
    assert START + 1 < access.get(b"k") <= START + 1000 + 2 * GENERATION


def test_a_key_that_is_gone_leaves_no_access_behind() -> None:
    access = AccessTimes(START)
    access.touch(b"k", START + 500)
    access.forget(b"k")
    assert access.get(b"k") == START


def test_an_access_can_be_set_to_the_past() -> None:
    access = AccessTimes(START)
    for number in range(2 * GENERATION):
        access.touch(b"%d" % number, START)
        if number % 1000 == 0:
            access.set(b"k", START - HOUR, START)
            assert access.get(b"k") == START - HOUR
