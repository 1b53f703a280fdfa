r"""A stream: entries of fields and values by ascending id, appended at the end.

The entries stand in nodes of up to `stream-node-max-entries` and `stream-node-max-bytes`, as in
Redis. A node keeps its entries in one bytearray, ready-encoded as replies carry them,

    *2 $len ms-seq *2n $len field $len value ...    (each line with its CRLF)

so that the reply to a range is one slice of each node, an entry costs about as much memory as its
text, and nothing is made of it until somebody asks for its fields. Beside the text stand three
arrays: the ids' two halves, and where each entry begins.

1. Nodes are found by bisection over their first ids, entries in them likewise: O(log n).
2. What is deleted is removed from the text at once. A node still counts its deleted entries, keeps
   the id of its first entry ever, and goes away with its last entry.
3. A node is full exactly when Redis's is: for that it counts the bytes of the listpack that Redis
   would have. So `~` in MAXLEN and MINID, which frees whole nodes only, frees the same entries.

Source: Redis t_stream.c streamAppendItem, streamTrim, streamIteratorRemoveEntry; listpack.c.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, TypeAlias

from mypy_extensions import i64

from redis_trio.data.numbers import INTEGER_MAX, INTEGER_MIN, parse_integer
from redis_trio.data.radix_tree import count_tree_nodes
from redis_trio.data.sizes import block_bytes, string_bytes
from redis_trio.data.stream_id import MAX_ID, ZERO_ID, StreamId

if TYPE_CHECKING:
    from redis_trio.data.stream_group import Group
    from redis_trio.data.thresholds import Thresholds

Text: TypeAlias = bytes | bytearray

NODE_BYTES_MAX: Final = 1 << 30  # of a node, and of the words of one entry

_FEW_NODES: Final = 64  # which can be counted exactly at any time

_CRLF: Final = b"\r\n"
_ENTRIES: Final = [b"*2\r\n$%d\r\n" % size for size in range(42)]  # by the size of the id's text
_FIELDS: Final = [b"\r\n*%d" % (2 * count) for count in range(64)]
_WORDS: Final = [b"\r\n$%d\r\n" % size for size in range(256)]

_EMPTY_LISTPACK: Final = 7
_SMALL_INTEGER: Final = 2  # bytes of an integer from 0 to 127 in a listpack


def _integer_size(value: i64) -> i64:
    """Return how many bytes an integer takes in a listpack."""
    if 0 <= value <= 127:
        return 2
    if -4096 <= value <= 4095:
        return 3
    if -32768 <= value <= 32767:
        return 4
    if -8388608 <= value <= 8388607:
        return 5
    if -2147483648 <= value <= 2147483647:
        return 6
    return 10


def _difference_size(difference: int) -> i64:
    """Return how many bytes the difference of two unsigned numbers takes in a listpack."""
    if -(2**31) <= difference < 2**31:
        return _integer_size(difference)
    return _integer_size(((difference + 2**63) & (2**64 - 1)) - 2**63)  # it wraps around


def _word_size(word: bytes) -> i64:
    """Return how many bytes a string takes in a listpack, where numbers are integers."""
    size: i64 = len(word)
    if size <= 20 and size > 0 and word[0] <= 57:
        value = parse_integer(word)
        if value is not None:
            return _integer_size(value)
    if size < 64:
        return size + 2
    size += 2 if size < 4096 else 5
    if size <= 127:
        return size + 1
    if size < 16383:
        return size + 2
    if size < 2097151:
        return size + 3
    return size + 4 if size < 268435455 else size + 5


def _word_header(word: bytes) -> bytes:
    """Return what stands in front of a field or value, with the end of the line before."""
    size: i64 = len(word)
    return _WORDS[size] if size < 256 else b"\r\n$%d\r\n" % size


def _is_below(a: StreamId, b: StreamId) -> bool:
    """Return whether an id is below another: a compiled `<` would make tuples of them first."""
    return a[0] < b[0] or (a[0] == b[0] and a[1] < b[1])


class Node:
    """A run of entries.

    Attributes:
      first_id: of the first entry it ever had.
      last_id: of the last entry it ever had.
      count: number of entries.
      deleted: number of entries that have been deleted.
      ms, seq: the ids of the entries.
      offsets: where they begin in `data`, if `base` is taken off; the first at 0.
      data: the entries, encoded.
    """

    __slots__ = (
        "_listpack_size",
        "_words",
        "base",
        "count",
        "data",
        "deleted",
        "first_id",
        "last_id",
        "ms",
        "offsets",
        "seq",
    )

    def __init__(self, entry_id: StreamId, fields: list[bytes]) -> None:
        self.first_id = entry_id
        self.last_id = entry_id
        self.count: i64 = 0
        self.deleted: i64 = 0
        self.ms = array("Q")
        self.seq = array("Q")
        self.offsets = array("Q")
        self.base: i64 = 0
        self.data = bytearray()
        self._words = fields  # of the first entry: others with the same ones do not repeat them
        size: i64 = _EMPTY_LISTPACK + _integer_size(len(fields)) + _SMALL_INTEGER
        for field in fields:
            size += _word_size(field)
        self._listpack_size = size  # without the two counts of entries

    @property
    def fields(self) -> list[bytes]:
        """The fields of the first entry it ever had, which others only read."""
        return self._words

    def is_full(self, size: i64, limits: Thresholds) -> bool:
        """Return whether an entry of `size` bytes in all its words has to go into a new node."""
        max_bytes = limits.stream_bytes
        if max_bytes == 0 or max_bytes > NODE_BYTES_MAX:
            max_bytes = NODE_BYTES_MAX
        listpack = self._listpack_size + _integer_size(self.count) + _integer_size(self.deleted)
        if listpack + size >= max_bytes:
            return True
        max_entries = limits.stream_entries
        return max_entries != 0 and self.count + self.deleted >= max_entries

    def append(self, entry_id: StreamId, text: bytes, words: list[bytes], start: i64) -> None:
        """Add an entry.

        Args:
          text: the id's text.
          words: fields and values alternately, from index `start` on.
        """
        end: i64 = len(words)
        count = (end - start) >> 1
        fields = self._words
        same = len(fields) == count
        size: i64 = 0
        parts = [_ENTRIES[len(text)], text]
        parts.append(_FIELDS[count] if count < 64 else b"\r\n*%d" % (2 * count))
        i = start
        while i < end:
            field = words[i]
            value = words[i + 1]
            if same and field != fields[(i - start) >> 1]:
                same = False
            parts.append(_word_header(field))
            parts.append(field)
            parts.append(_word_header(value))
            parts.append(value)
            size += _word_size(value)
            i += 2
        parts.append(_CRLF)
        if same:
            size += _integer_size(count + 3)
        else:
            size += _integer_size(count) + _integer_size(2 * count + 4)
            i = start
            while i < end:
                size += _word_size(words[i])
                i += 2
        self._listpack_size += size + _SMALL_INTEGER + self._distance_size(entry_id)
        self.ms.append(entry_id[0])
        self.seq.append(entry_id[1])
        data = self.data
        self.offsets.append(self.base + len(data))
        data += b"".join(parts)
        self.count += 1
        self.last_id = entry_id

    def _distance_size(self, entry_id: StreamId) -> i64:
        """Return how many bytes an id takes in the listpack: its distance from the first one."""
        first_id = self.first_id
        size = _difference_size(entry_id[0] - first_id[0])
        return size + _difference_size(entry_id[1] - first_id[1])

    def place(self, entry_id: StreamId) -> i64:
        """Return where the first entry stands whose id is not below `entry_id`."""
        ms, seq = entry_id
        count = self.count
        times = self.ms
        low: i64 = bisect_left(times, ms)
        if low == count or times[low] != ms:
            return low
        high: i64 = count
        if times[count - 1] != ms:
            high = bisect_right(times, ms, low)
        return bisect_left(self.seq, seq, low, high)

    def find(self, entry_id: StreamId) -> i64:
        """Return where the entry of an id stands, -1 if there is none."""
        place = self.place(entry_id)
        if place == self.count or self.ms[place] != entry_id[0] or self.seq[place] != entry_id[1]:
            return -1
        return place

    def begin(self, place: i64) -> i64:
        """Return where in `data` an entry begins; `count` stands for one behind the last."""
        return len(self.data) if place == self.count else self.offsets[place] - self.base

    def slice(self, start: i64, stop: i64) -> bytearray:
        """Return entries as they are encoded, which must not be changed. `start` < `stop`."""
        if start == 0 and stop == self.count:
            return self.data
        return self.data[self.begin(start) : self.begin(stop)]

    def id(self, place: i64) -> StreamId:
        """Return the id of an entry."""
        return self.ms[place], self.seq[place]

    def remove(self, start: i64, stop: i64) -> None:
        """Remove entries."""
        if start == stop:
            return
        begin = self.begin(start)
        size = self.begin(stop) - begin
        del self.data[begin : begin + size]
        del self.ms[start:stop]
        del self.seq[start:stop]
        del self.offsets[start:stop]
        self.count -= stop - start
        self.deleted += stop - start
        if start == 0:
            self.base += size
            return
        offsets = self.offsets
        while start < self.count:
            offsets[start] -= size
            start += 1

    def copy(self) -> Node:
        """Return a node that is equal and shares nothing that can change."""
        other = Node(self.first_id, self._words)
        other.last_id = self.last_id
        other.count = self.count
        other.deleted = self.deleted
        other.ms = self.ms[:]
        other.seq = self.seq[:]
        other.offsets = self.offsets[:]
        other.base = self.base
        other.data = self.data[:]
        other._listpack_size = self._listpack_size
        return other

    def memory_bytes(self) -> int:
        """Return how much memory the node takes."""
        size = block_bytes(self) + block_bytes(self.data) + block_bytes(self._words)
        for field in self._words:
            size += string_bytes(field)
        for part in (self.ms, self.seq, self.offsets):
            size += block_bytes(part)
        return size


def decode_words(data: bytearray, begin: i64, end: i64) -> list[bytes]:
    """Return the fields and values, alternately, of the entry that stands in `data`."""
    position: i64 = data.index(_CRLF, begin + 4) + 2  # behind `*2` and the size of the id's text
    position = data.index(_CRLF, position) + 2
    position = data.index(_CRLF, position) + 2
    words: list[bytes] = []
    while position < end:
        stop: i64 = data.index(_CRLF, position)
        size: i64 = int(data[position + 1 : stop])
        words.append(bytes(data[stop + 2 : stop + 2 + size]))
        position = stop + size + 4
    return words


class Stream:
    """A stream and its consumer groups.

    Attributes:
      length: number of entries.
      first_id: of the first entry, 0-0 if there is none.
      last_id: the highest id that any entry had.
      max_deleted_id: the highest id that XDEL deleted.
      entries_added: how many entries were added, ever; 64 bits, shown with a sign.
      nodes: the entries. Only the first node can be empty (see `trim_before`).
      groups: by name, in the order of their creation; Redis shows them by name.
      counted: see keyspace/account.py.
    """

    __slots__ = (
        "counted",
        "entries_added",
        "first_id",
        "groups",
        "last_id",
        "length",
        "max_deleted_id",
        "nodes",
        "type_name",
    )

    def __init__(self) -> None:
        self.type_name = b"stream"
        self.counted = 0
        self.length: i64 = 0
        self.first_id: StreamId = ZERO_ID
        self.last_id: StreamId = ZERO_ID
        self.max_deleted_id: StreamId = ZERO_ID
        self.entries_added: i64 = 0
        self.nodes: list[Node] = []
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    # -- adding

    def append(
        self, entry_id: StreamId, text: bytes, words: list[bytes], start: i64, limits: Thresholds
    ) -> bool:
        """Add an entry; return False if it is too big.

        Args:
          entry_id: must be above `last_id`.
          text: the id's text.
          words: fields and values alternately, from index `start` on.
          limits: of a node.
        """
        size: i64 = 0
        i = start
        while i < len(words):
            size += len(words[i])
            i += 1
        if size > NODE_BYTES_MAX:
            return False
        nodes = self.nodes
        if not nodes or nodes[-1].is_full(size, limits):
            nodes.append(Node(entry_id, words[start::2]))
        nodes[-1].append(entry_id, text, words, start)
        self.last_id = entry_id
        if self.length == 0:
            self.first_id = entry_id
        self.length += 1
        added = self.entries_added
        self.entries_added = added + 1 if added != INTEGER_MAX else INTEGER_MIN
        return True

    # -- looking

    def _node(self, entry_id: StreamId) -> i64:
        """Return which node an entry of this id is in, if anywhere; 0 if below all."""
        nodes = self.nodes
        low: i64 = 0
        high: i64 = len(nodes) - 1
        if high <= 0 or not _is_below(entry_id, nodes[high].first_id):
            return max(high, 0)
        if _is_below(entry_id, nodes[1].first_id):
            return 0
        while high - low > 1:
            middle = (low + high) >> 1
            if _is_below(entry_id, nodes[middle].first_id):
                high = middle
            else:
                low = middle
        return low

    def encoded(self, start: StreamId, end: StreamId, count: i64, out: list[Text]) -> i64:
        """Append the entries with ids from `start` to `end` to `out`, as replies carry them.

        What is appended is for joining at once: it may change with the stream.

        Args:
          count: of entries at most; 0: all.

        Returns: how many entries.
        """
        nodes = self.nodes
        found: i64 = 0
        slot = self._node(start)
        while slot < len(nodes):
            node = nodes[slot]
            if _is_below(end, node.first_id):
                break
            place = node.place(start) if _is_below(node.first_id, start) else 0
            stop = node.count
            if _is_below(end, node.last_id):
                stop = node.place(end)
                if stop < node.count and node.ms[stop] == end[0] and node.seq[stop] == end[1]:
                    stop += 1
            if count and stop - place > count - found:
                stop = place + count - found
            if place < stop:
                out.append(node.slice(place, stop))
                found += stop - place
                if found == count:
                    break
            slot += 1
        return found

    def encoded_reversed(self, start: StreamId, end: StreamId, count: i64, out: list[Text]) -> i64:
        """Do as `encoded`, with the entries from `end` back to `start`."""
        nodes = self.nodes
        found: i64 = 0
        slot = self._node(end)
        while slot >= 0 and nodes:
            node = nodes[slot]
            if _is_below(node.last_id, start):
                break
            stop = node.place(start) if _is_below(node.first_id, start) else 0
            place = node.count
            if _is_below(end, node.last_id):
                place = node.place(end)
                if place < node.count and node.ms[place] == end[0] and node.seq[place] == end[1]:
                    place += 1
            while place > stop:
                place -= 1
                out.append(node.slice(place, place + 1))
                found += 1
                if found == count:
                    return found
            slot -= 1
        return found

    def ids(self, start: StreamId, end: StreamId, count: i64) -> list[StreamId]:
        """Return the ids from `start` to `end`, at most `count` unless that is 0."""
        nodes = self.nodes
        found: list[StreamId] = []
        slot = self._node(start)
        while slot < len(nodes):
            node = nodes[slot]
            place = node.place(start) if _is_below(node.first_id, start) else 0
            while place < node.count:
                entry_id = node.id(place)
                if _is_below(end, entry_id):
                    return found
                found.append(entry_id)
                if len(found) == count:
                    return found
                place += 1
            slot += 1
        return found

    def entry(self, entry_id: StreamId) -> bytearray | None:
        """Return an entry as replies carry it, None if there is none; see `encoded`."""
        if self.length == 0:
            return None
        node = self.nodes[self._node(entry_id)]
        place = node.find(entry_id)
        return None if place < 0 else node.slice(place, place + 1)

    def words(self, entry_id: StreamId) -> list[bytes] | None:
        """Return the fields and values of an entry alternately, None if there is none."""
        entry = self.entry(entry_id)
        return None if entry is None else decode_words(entry, 0, len(entry))

    def __contains__(self, entry_id: StreamId) -> bool:
        return self.length > 0 and self.nodes[self._node(entry_id)].find(entry_id) >= 0

    def last_entry_id(self) -> StreamId:
        """Return the id of the last entry, 0-0 if there is none."""
        if self.length == 0:
            return ZERO_ID
        node = self.nodes[-1]
        return node.id(node.count - 1)

    def first_known_id(self) -> StreamId:
        """Return the id of the first entry, or of a deleted one that stood before it in its node.

        The highest id of all if there are no nodes. Source: streamGetEdgeID with tombstones.
        """
        return self.nodes[0].first_id if self.nodes else MAX_ID

    # -- deleting

    def delete(self, ids: list[StreamId]) -> int:
        """Delete entries by their ids; return how many there were."""
        deleted = 0
        for entry_id in ids:
            if self.length == 0:
                break
            slot = self._node(entry_id)
            node = self.nodes[slot]
            place = node.find(entry_id)
            if place < 0:
                continue
            if node.count == 1:
                del self.nodes[slot]
            else:
                node.remove(place, place + 1)
            self.length -= 1
            deleted += 1
            if entry_id > self.max_deleted_id:
                self.max_deleted_id = entry_id
        if deleted:
            self._find_first()
        return deleted

    def trim_to(self, max_length: int, approximate: bool, limit: i64) -> int:
        """Delete the first entries but for the last `max_length`; return how many.

        Args:
          approximate: free whole nodes only.
          limit: delete at most so many; 0: no limit.
        """
        nodes = self.nodes
        before = self.length
        slot: i64 = 0
        while slot < len(nodes) and self.length > max_length:
            node = nodes[slot]
            count = node.count
            if limit and before - self.length + count > limit:
                break
            if self.length - count < max_length:
                if not approximate:
                    surplus = self.length - max_length
                    node.remove(0, surplus)
                    self.length -= surplus
                break
            self.length -= count
            slot += 1
        return self._trimmed(slot, before)

    def trim_before(self, min_id: StreamId, approximate: bool, limit: i64) -> int:
        """Delete the entries with ids below `min_id`; return how many. See `trim_to`.

        A node all of whose entries go stays, empty, if the last one it ever had would not.
        """
        nodes = self.nodes
        before = self.length
        slot: i64 = 0
        while slot < len(nodes):
            node = nodes[slot]
            count = node.count
            if limit and before - self.length + count > limit:
                break
            if node.last_id >= min_id:
                if not approximate:
                    surplus = node.place(min_id)
                    node.remove(0, surplus)
                    self.length -= surplus
                break
            self.length -= count
            slot += 1
        return self._trimmed(slot, before)

    def _trimmed(self, slot: i64, before: i64) -> int:
        """Drop the nodes in front of `slot`; return how many entries are gone since `before`."""
        if slot:
            del self.nodes[:slot]
        if self.length != before:
            self._find_first()
        return before - self.length

    def _find_first(self) -> None:
        """Set `first_id`."""
        if self.length == 0:
            self.first_id = ZERO_ID
            return
        for node in self.nodes:
            if node.count:
                self.first_id = node.id(0)
                return

    # -- as a whole

    def encoding(self) -> bytes:
        """Return what OBJECT ENCODING answers."""
        return b"stream"

    def tree_nodes(self) -> int:
        """Return of how many nodes Redis's radix tree would consist, in O(nodes)."""
        return count_tree_nodes([node.first_id for node in self.nodes])

    def copy(self) -> Stream:
        """Return a stream that is equal and shares nothing that can change."""
        other = Stream()
        other.length = self.length
        other.first_id = self.first_id
        other.last_id = self.last_id
        other.max_deleted_id = self.max_deleted_id
        other.entries_added = self.entries_added
        other.nodes = [node.copy() for node in self.nodes]
        for name, group in self.groups.items():
            other.groups[name] = group.copy()
        return other

    def free_effort(self) -> int:
        """Return how many allocations the stream would be in Redis, about if they are many."""
        effort = len(self.nodes)
        if effort <= _FEW_NODES:
            effort = self.tree_nodes()
        if self.groups:
            first = self.groups[min(self.groups)]
            effort += len(self.groups) * first.free_effort()
        return effort

    def free_some(self, limit: int) -> int:
        """Free about `limit` entries, of the groups first; return how many.

        The length is not 0 until all is gone, and right no more.
        """
        freed = 0
        groups = self.groups
        while groups and freed < limit:
            name = next(iter(groups))
            freed += groups[name].free_some(limit - freed)
            if len(groups[name]) == 0:
                del groups[name]
        while self.nodes and freed < limit:
            freed += self.nodes.pop().count
        self.length = 1 if groups or self.nodes else 0
        return freed

    def memory_bytes(self, samples: int) -> int:
        """Return about how much memory the stream takes; of `samples` nodes exactly, 0: of all."""
        nodes = self.nodes
        size = block_bytes(self) + block_bytes(nodes) + block_bytes(self.groups)
        if nodes:
            sampled = nodes[:samples] if samples else nodes
            sampled_size = 0
            for node in sampled:
                sampled_size += node.memory_bytes()
            size += sampled_size * len(nodes) // len(sampled)
        for name, group in self.groups.items():
            size += string_bytes(name) + group.memory_bytes(samples)
        return size
