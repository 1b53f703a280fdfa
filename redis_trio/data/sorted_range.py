"""Ranges of a sorted set, by score and by member, as ZRANGE BYSCORE and BYLEX take them.

Source: Redis t_zset.c zrangespec, zlexrangespec.
"""

from __future__ import annotations


class ScoreRange:
    """Scores from `min` to `max`, without the bounds where `minex` or `maxex` says so."""

    __slots__ = ("max", "maxex", "min", "minex")

    def __init__(self, min: float, minex: bool, max: float, maxex: bool) -> None:  # noqa: A002
        self.min = min
        self.minex = minex
        self.max = max
        self.maxex = maxex


class LexRange:
    """Members from `min` to `max` (None: no bound) in the order of their bytes.

    Attributes:
      minex, maxex: whether the bound itself is left out.
      empty: nothing is in the range: its lower bound is `+`, or its upper bound is `-`.
    """

    __slots__ = ("empty", "max", "maxex", "min", "minex")

    def __init__(
        self,
        min: bytes | None,  # noqa: A002
        minex: bool,
        max: bytes | None,  # noqa: A002
        maxex: bool,
        empty: bool = False,
    ) -> None:
        self.min = min
        self.minex = minex
        self.max = max
        self.maxex = maxex
        self.empty = empty

    def above_min(self, member: bytes) -> bool:
        """Return whether a member is not below the range."""
        if self.min is None:
            return True
        return member > self.min if self.minex else member >= self.min

    def below_max(self, member: bytes) -> bool:
        """Return whether a member is not above the range."""
        if self.max is None:
            return True
        return member < self.max if self.maxex else member <= self.max

    def is_void(self) -> bool:
        """Return whether nothing can be between the bounds."""
        low = self.min
        high = self.max
        if low is None or high is None:
            return False
        return low > high or (low == high and (self.minex or self.maxex))
