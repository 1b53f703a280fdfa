"""The longest common subsequence of two strings, and where it lies in both.

Redis fills the whole table L(i, j), the length for the first `i` bytes of `a` and the first `j` of
`b`, and walks back through it. Here a row of the table is one integer, with a bit for each column
where the length grows: neighbours in a row differ by 0 or 1, so that is all there is to know of
it. A row follows from the one before by an addition and a few operations on whole integers. The
rows are those of the shorter string, which keeps them few and makes them wide.

1. The walk back takes exactly Redis's steps: at a match the diagonal, else up (i - 1) if
   L(i - 1, j) > L(i, j - 1), else left (j - 1). Runs of equal steps are taken at once.

Source: H. Hyyro, Bit-parallel LCS-length computation revisited, 2004; Redis t_string.c lcsCommand.
"""

from __future__ import annotations

from typing import TypeAlias

Range: TypeAlias = tuple[int, int, int, int]
"""First and last index in `a`, first and last index in `b`."""


def lcs_length(a: bytes, b: bytes) -> int:
    """Return the length of the longest common subsequence."""
    if len(a) > len(b):
        a, b = b, a
    masks = _masks(a, b)
    full = (1 << len(b)) - 1
    row = full
    for c in a:
        row = _next_row(row, masks[c]) & full
    return len(b) - row.bit_count()


def lcs_ranges(a: bytes, b: bytes) -> list[Range]:
    """Return the runs of the subsequence that Redis finds, the last one first."""
    if len(a) <= len(b):
        matches = _walk_rows_of_a(a, b, _rows(a, b))
    else:
        matches = _walk_rows_of_b(a, b, _rows(b, a))
    ranges: list[Range] = []
    a_start = a_end = b_start = b_end = -1
    for i, j in matches:
        if i != a_start - 1 or j != b_start - 1:
            if a_start >= 0:
                ranges.append((a_start, a_end, b_start, b_end))
            a_end = i
            b_end = j
        a_start = i
        b_start = j
    if a_start >= 0:
        ranges.append((a_start, a_end, b_start, b_end))
    return ranges


def _masks(a: bytes, b: bytes) -> dict[int, int]:
    """Return for each byte of `a` where it is in `b`: bit `j` for b[j]."""
    masks: dict[int, int] = {}
    backwards = b[::-1]
    for c in set(a):
        table = bytearray(b"0" * 256)
        table[c] = 49
        masks[c] = int(backwards.translate(bytes(table)) or b"0", 2)
    return masks


def _next_row(row: int, mask: int) -> int:
    """Return the next row, its bits inverted (1 where the length does not grow), not yet cut."""
    matched = row & mask
    return (row + matched) | (row - matched)


def _rows(a: bytes, b: bytes) -> list[int]:
    """Return the rows 0 to len(a): bit `j` is set where L(i, j + 1) is L(i, j) + 1."""
    masks = _masks(a, b)
    full = (1 << len(b)) - 1
    row = full
    rows = [0]
    for c in a:
        row = _next_row(row, masks[c]) & full
        rows.append(full ^ row)
    return rows


def _walk_rows_of_a(a: bytes, b: bytes, rows: list[int]) -> list[tuple[int, int]]:
    """Walk back where a row is a byte of `a`; return the matches (index in a, index in b).

    Without a match, the step is up where the length grows at `j`, and left where it does not.
    """
    matches: list[tuple[int, int]] = []
    i = len(a)
    j = len(b)
    while i and j:
        match = b.rfind(a[i - 1], 0, j) + 1
        growth = (rows[i] & ((1 << j) - 1)).bit_length()
        if match == 0 and growth == 0:
            break
        i -= 1
        if match >= growth:
            j = match - 1
            matches.append((i, j))
        else:
            j = growth
    return matches


def _walk_rows_of_b(a: bytes, b: bytes, rows: list[int]) -> list[tuple[int, int]]:
    """The same where a row is a byte of `b`.

    Without a match, the step is up as long as L(i, j) > L(i, j - 1), which holds on up to the next
    match, and left otherwise.
    """
    matches: list[tuple[int, int]] = []
    i = len(a)
    j = len(b)
    while i and j:
        if a[i - 1] != b[j - 1]:
            below = (1 << i) - 1
            if (rows[j] & below).bit_count() == (rows[j - 1] & below).bit_count():
                j -= 1
                continue
            i = a.rfind(b[j - 1], 0, i) + 1
        i -= 1
        j -= 1
        matches.append((i, j))
    return matches
