"""What a server remembers of its saves and loads; INFO persistence shows most of it."""

from __future__ import annotations

from mypy_extensions import i64


class Persistence:
    """The state of one server's persistence.

    Attributes:
      last_save_s: when the data was last saved, in s since the epoch; at start, when that was.
      last_save_ok: whether the last save did not fail; a SAVE that fails does not count.
      saves_at_end: whether what is written until the server has ended is to be saved then.
      saves: how many saves have begun.
      keys_loaded, keys_expired: by the last load; those that had expired were dropped.
      loading: whether data is being loaded.
      libraries: the code of the function libraries that were loaded, to be saved again.
      aux: what the file that was loaded last says of its making.
      dropped: database and key of what had expired in a file that replicas may have the data of;
        they are to be told.
      uses_files: whether the data may be kept in files at all.
      check_sums: whether checksums must be right (DEBUG SET-SKIP-CHECKSUM-VALIDATION).
    """

    __slots__ = (
        "aux",
        "check_sums",
        "dropped",
        "keys_expired",
        "keys_loaded",
        "last_save_ok",
        "last_save_s",
        "libraries",
        "loading",
        "saves",
        "saves_at_end",
        "uses_files",
    )

    def __init__(self, now_ms: i64) -> None:
        self.last_save_s: int = now_ms // 1000
        self.last_save_ok = True
        self.saves = 0
        self.saves_at_end = False
        self.keys_loaded = 0
        self.keys_expired = 0
        self.loading = False
        self.libraries: list[bytes] = []
        self.aux: dict[bytes, bytes] = {}
        self.dropped: list[tuple[int, bytes]] = []
        self.uses_files = True
        self.check_sums = True
