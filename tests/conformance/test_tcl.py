"""Tcl lists and packets."""

from __future__ import annotations

import pytest

from tests.conformance.tcl import PacketReader, encode_packet, split_list


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" \t\n ", []),
        ("ok {A name} 12", ["ok", "A name", "12"]),
        ("a {} b", ["a", "", "b"]),
        ("{a {b c} d} e", ["a {b c} d", "e"]),
        (r"{keeps \{ and \n} x", [r"keeps \{ and \n", "x"]),
        (r"one\ word two\nlines", ["one word", "two\nlines"]),
        (r"\x41\u00e9\101\{\q", ["A\xe9A{q"]),
        (r"\xzz", ["xzz"]),
        (r'"quoted \" word" y', ['quoted " word', "y"]),
        ("nbsp\xa0is\x85no\x1cspace", ["nbsp\xa0is\x85no\x1cspace"]),
        ("{never closed", ["never closed"]),
        ('"never closed', ["never closed"]),
        ("ends\\", ["ends\\"]),
        ("\\", ["\\"]),
    ],
)
def test_a_list_is_split_as_tcl_does(text: str, elements: list[str]) -> None:
    assert split_list(text) == elements


def test_a_packet_is_its_length_and_a_list() -> None:
    assert encode_packet("run", "unit/expire") == b"15\nrun unit/expire"


STREAM = b"13\r\ntesting {a\r\nb}10\r\nok {a\r\nb} 1"
PACKETS = [["testing", "a\nb"], ["ok", "a\nb", "1"]]


@pytest.mark.parametrize("size", range(1, len(STREAM) + 1))
def test_packets_are_whole_however_they_arrive(size: int) -> None:
    reader = PacketReader()
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert [packet for piece in pieces for packet in reader.feed(piece)] == PACKETS


def test_bytes_beyond_ascii_are_characters() -> None:
    reader = PacketReader()
    assert reader.feed(b"5\r\nerr ") == []
    assert reader.feed(b"\xff") == [["err", "\xff"]]
