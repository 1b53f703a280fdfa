"""Lists: a row of nodes, each a Python list with the elements of one listpack of Redis.

A list has one node until it outgrows a listpack; then it is a quicklist, and its nodes are divided,
filled and merged as Redis does it. That keeps every operation cheap that is cheap there (both ends
are O(1), an index in the middle is found by walking over nodes), and OBJECT ENCODING, DEBUG OBJECT
and a saved file have exactly Redis's nodes.

1. `Node.size` is what Redis's listpack with the node's elements takes in bytes; for a plain node,
   which holds one element that is too big for a listpack, it is the length of that element.
2. A node that grows or shrinks at its left end has its elements in reverse order (`flipped`), since
   Python's lists change in O(1) at their right end only. A node is turned around when that pays.
3. An empty list has one node without elements. A list with one node has no row (`_row` is None).
4. Growing converts a listpack before elements are added (`push`, `set`, `insert` do); after
   elements were removed `shrunk` converts back, at half the limit, so that lists do not flap.

Source: Redis t_list.c listTypeTryConversionRaw; quicklist.c; listpack.c lpEncodeGetType.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final

from mypy_extensions import i64

from redis_trio.data.numbers import parse_integer
from redis_trio.data.sizes import block_bytes, string_bytes
from redis_trio.data.thresholds import Thresholds

EMPTY_SIZE: Final = 7  # header and end of a listpack
SAFE_SIZE: Final = 8192  # of a node whose elements are counted
ENTRY_OVERHEAD: Final = 8  # what Redis reckons an entry takes besides its bytes
FEW: Final = 16  # elements that are moved in less time than it takes to turn a node around


def entry_size(element: bytes) -> i64:
    """Return how many bytes an element takes in a listpack, with the length behind it."""
    size: i64 = len(element)
    if size < 21 and size > 0:
        first: i64 = element[0]
        if first < 58 and (first > 47 or first == 45):
            number = parse_integer(element)
            if number is not None:
                return _integer_size(number)
    if size < 64:
        return size + 2
    encoded = size + 2 if size < 4096 else size + 5
    if encoded < 128:
        return encoded + 1
    if encoded < 16383:
        return encoded + 2
    if encoded < 2097151:
        return encoded + 3
    return encoded + (4 if encoded < 268435455 else 5)


def _integer_size(number: int) -> i64:
    if 0 <= number < 128:
        return 2
    if -4096 <= number < 4096:
        return 3
    if -(2**15) <= number < 2**15:
        return 4
    if -(2**23) <= number < 2**23:
        return 5
    return 6 if -(2**31) <= number < 2**31 else 10


def _max_size(fill: i64) -> i64:
    """Return the bytes of a node for a negative `list-max-listpack-size`."""
    if fill < -5:
        fill = -5
    return 2048 << -fill


def _exceeds(fill: i64, size: i64, count: i64) -> bool:
    """Return whether a node of so many bytes and elements is beyond the limit."""
    if fill < 0:
        return size > _max_size(fill)
    return size > SAFE_SIZE or count > (fill or 1)


class Node:
    """Elements side by side.

    Attributes:
      items: the elements, the last one first if `flipped`.
      size: bytes, see the module's docstring.
      plain: whether this is one element that is too big for a listpack.
    """

    __slots__ = ("flipped", "items", "plain", "size")

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.size: i64 = EMPTY_SIZE
        self.flipped = False
        self.plain = False

    def elements(self) -> list[bytes]:
        """Return the elements in order, as a new list."""
        return self.items[::-1] if self.flipped else self.items[:]

    def turn(self, flipped: bool) -> None:
        """Have the elements stored in one order or the other."""
        if self.flipped != flipped:
            self.items.reverse()
            self.flipped = flipped

    def slice(self, start: i64, stop: i64) -> list[bytes]:
        """Return the elements from `start` to before `stop`, both within the node."""
        items = self.items
        if not self.flipped:
            return items[start:stop]
        size: i64 = len(items)
        found = items[size - stop : size - start]
        found.reverse()
        return found

    def add(self, element: bytes, left: bool) -> None:
        """Put an element at one end."""
        items = self.items
        if self.flipped != left and len(items) > FEW:
            self.turn(left)
        if self.flipped == left:
            items.append(element)
        elif items:
            items.insert(0, element)
        else:
            self.flipped = left
            items.append(element)
        if self.plain:
            self.size = len(element)
        else:
            self.size += entry_size(element)

    def cut(self, count: i64, left: bool) -> list[bytes]:
        """Remove `count` elements, not all, at one end; return them from that end inwards."""
        items = self.items
        size: i64 = len(items)
        if self.flipped == left:
            found = items[size - count :]
            del items[size - count :]
            found.reverse()
        else:
            found = items[:count]
            del items[:count]
        for element in found:
            self.size -= entry_size(element)
        return found

    def split(self, offset: i64, after: bool) -> Node:
        """Move what is after (or before) an element to a new node, which is returned."""
        self.turn(False)
        items = self.items
        other = Node()
        if after:
            other.items = items[offset + 1 :]
            del items[offset + 1 :]
        else:
            other.items = items[:offset]
            del items[:offset]
        for element in other.items:
            other.size += entry_size(element)
        self.size -= other.size - EMPTY_SIZE
        return other


def _node(element: bytes, plain: bool) -> Node:
    node = Node()
    node.plain = plain
    node.add(element, False)
    return node


class List:
    """A list of bytes.

    Attributes:
      count: number of elements.
      quick: whether its encoding is quicklist.
      counted: see keyspace/account.py.
    """

    __slots__ = ("_fill", "_head", "_row", "_tail", "count", "counted", "quick")

    type_name: Final = b"list"

    def __init__(self) -> None:
        node = Node()
        self._head = node
        self._tail = node
        self._row: deque[Node] | None = None  # all nodes, if there are several
        self._fill: i64 = 0  # list-max-listpack-size when the list became a quicklist
        self.count: i64 = 0
        self.counted = 0
        self.quick = False

    # -- as a value

    def __len__(self) -> int:
        return self.count

    def encoding(self) -> bytes:
        """Return what OBJECT ENCODING answers."""
        return b"quicklist" if self.quick else b"listpack"

    def copy(self) -> List:
        """Return a list that is equal, has the same nodes and shares none."""
        other = List()
        other._fill = self._fill
        other.count = self.count
        other.quick = self.quick
        nodes: list[Node] = []
        for node in self.nodes():
            twin = Node()
            twin.items = node.items[:]
            twin.size = node.size
            twin.flipped = node.flipped
            twin.plain = node.plain
            nodes.append(twin)
        other._set_nodes(nodes)
        return other

    def free_effort(self) -> int:
        """Return the number of elements; 1 for a listpack."""
        return self.count if self.quick else 1

    def free_some(self, limit: int) -> int:
        """Free up to about `limit` elements from the tail; return how many."""
        freed: i64 = 0
        while freed < limit and self.count:
            items = self._tail.items
            size: i64 = len(items)
            if size > limit:
                del items[size - limit :]
                self.count -= limit
                return limit
            freed += size
            self.count -= size
            items.clear()
            self._drop_end(False)
        return freed

    def memory_bytes(self, samples: int) -> int:
        """Return about how much memory the list takes.

        Args:
          samples: of how many elements the mean size is taken; 0: of all.
        """
        total = block_bytes(self)
        row = self._row
        measured = [self._head]
        if row is not None:
            total += block_bytes(row)
            measured = list(islice(row, samples if samples > 0 else None))
        places = held = 0  # of the elements that are measured, and how many those are
        for node in measured:
            places += block_bytes(node.items)
            held += len(node.items)
        total += block_bytes(self._head) * (1 if row is None else len(row))
        total += places * self.count // held if held else places
        wanted = self.count if samples <= 0 or samples > self.count else samples
        if wanted == 0:
            return total
        size = 0
        for element in self.range(0, wanted - 1):
            size += string_bytes(element)
        return total + size * self.count // wanted

    def nodes(self) -> list[Node]:
        """Return the nodes, which the caller does not change."""
        return [self._head] if self._row is None else list(self._row)

    @property
    def fill(self) -> int:
        """The limit of the nodes of a quicklist, as `list-max-listpack-size` was."""
        return self._fill

    def __iter__(self) -> Iterator[bytes]:
        for node in self.nodes():
            yield from node.elements()

    # -- both ends

    def push(self, elements: list[bytes], start: i64, left: bool, thresholds: Thresholds) -> None:
        """Add the elements from `start` on, one after the other, at one end."""
        end: i64 = len(elements)
        i = start
        if not self.quick:
            size = self._head.size
            while i < end:
                size += len(elements[i])
                i += 1
            if _exceeds(thresholds.list_listpack_size, size, self.count + end - start):
                self.become_quicklist(thresholds)
            i = start
        while i < end:
            element = elements[i]
            node = self._head if left else self._tail
            if self.quick and not self._fits(node, len(element), thresholds):
                node = self._new_end(left)
                node.plain = self._is_plain(len(element), thresholds)
            node.add(element, left)
            self.count += 1
            i += 1

    def pop(self, left: bool) -> bytes:
        """Remove the element at one end and return it. The list must not be empty."""
        node = self._head if left else self._tail
        items = node.items
        if node.flipped == left:
            element = items.pop()
        elif self._row is None or len(items) <= FEW:
            element = items.pop(0)
        else:
            node.turn(left)
            element = items.pop()
        self.count -= 1
        if items:
            node.size -= entry_size(element)
        else:
            self._drop_end(left)
        return element

    def pop_many(self, count: i64, left: bool) -> list[bytes]:
        """Remove up to `count` elements at one end; return them from that end inwards."""
        found: list[bytes] = []
        while count > 0 and self.count:
            node = self._head if left else self._tail
            size: i64 = len(node.items)
            if size > count:
                self.count -= count
                part = node.cut(count, left)
                if not found:
                    return part
                found += part
                return found
            node.turn(not left)
            found += node.items
            node.items = []
            self.count -= size
            count -= size
            self._drop_end(left)
        return found

    def trim(self, count: i64, left: bool) -> List:
        """Remove up to `count` elements at one end; return them as a list that is to be freed."""
        gone = List()
        nodes: list[Node] = []
        while count > 0 and self.count:
            node = self._head if left else self._tail
            size: i64 = len(node.items)
            if size > count:
                part = Node()
                part.items = node.cut(count, left)
                nodes.append(part)
                self.count -= count
                gone.count += count
                break
            nodes.append(node)
            self.count -= size
            gone.count += size
            count -= size
            if self._row is None:
                node = Node()
                self._head = node
                self._tail = node
            else:
                self._drop_end(left)
        if nodes:
            gone._set_nodes(nodes)
            gone.quick = self.quick
        return gone

    def become_quicklist(self, thresholds: Thresholds) -> None:
        """Become a quicklist, whose nodes are limited as a listpack is now."""
        self.quick = True
        self._fill = thresholds.list_listpack_size

    def shrunk(self, thresholds: Thresholds) -> None:
        """Become a listpack again if what is left is not half of one. The list is not empty."""
        if self.quick and self._row is None:
            self._try_compact(thresholds, 2)

    def _try_compact(self, thresholds: Thresholds, divisor: i64) -> None:
        """Turn a quicklist of one node into a listpack if it is within a part of the limit."""
        node = self._head
        fill = thresholds.list_listpack_size
        if node.plain:
            return
        if fill < 0:
            if node.size > _max_size(fill) // divisor:
                return
        elif self.count > (fill or 1) // divisor:
            return
        self.quick = False

    def _is_plain(self, size: i64, thresholds: Thresholds) -> bool:
        """Return whether an element of `size` bytes has a node of its own."""
        if thresholds.list_plain_bytes:
            return size >= thresholds.list_plain_bytes
        fill = self._fill
        return size > (SAFE_SIZE if fill >= 0 else _max_size(fill))

    def _fits(self, node: Node, size: i64, thresholds: Thresholds) -> bool:
        """Return whether an element of `size` bytes may be put into a node of a quicklist."""
        if node.plain or self.count == 0:
            return False
        if thresholds.list_plain_bytes and size >= thresholds.list_plain_bytes:
            return False
        fill = self._fill
        if fill < 0:
            return node.size + size + ENTRY_OVERHEAD <= _max_size(fill)
        return not _exceeds(fill, node.size + size + ENTRY_OVERHEAD, len(node.items) + 1)

    def _new_end(self, left: bool) -> Node:
        """Put an empty node at one end and return it."""
        if self.count == 0:
            return self._head
        node = Node()
        row = self._row
        if row is None:
            row = self._row = deque((self._head,))
        if left:
            row.appendleft(node)
            self._head = node
        else:
            row.append(node)
            self._tail = node
        return node

    def _drop_end(self, left: bool) -> None:
        """Take away the node at one end, which has no elements any more."""
        row = self._row
        if row is None:
            node = self._head
            node.size = EMPTY_SIZE
            node.plain = False
            return
        if left:
            row.popleft()
            self._head = row[0]
        else:
            row.pop()
            self._tail = row[-1]
        if len(row) == 1:
            self._row = None

    # -- by index

    def range(self, start: i64, stop: i64) -> list[bytes]:
        """Return the elements from index `start` to `stop`, both included; negative: from the end.

        Indexes beyond the ends are cut off.
        """
        count = self.count
        if start < 0:
            start += count
            if start < 0:
                start = 0
        if stop < 0:
            stop += count
        if stop >= count:
            stop = count - 1
        if start > stop:
            return []
        head = self._head
        if stop < len(head.items):
            return head.slice(start, stop + 1)
        tail = self._tail
        before = count - len(tail.items)
        if start >= before:
            return tail.slice(start - before, stop + 1 - before)
        number, offset = self._locate(start)
        row = self._row
        assert row is not None
        wanted = stop - start + 1
        found: list[bytes] = []
        for node in islice(row, number, None):
            size: i64 = len(node.items)
            end = offset + wanted
            if end > size:
                end = size
            found += node.slice(offset, end)
            wanted -= end - offset
            if wanted == 0:
                break
            offset = 0
        return found

    def get(self, index: i64) -> bytes | None:
        """Return the element at an index, negative: from the end; None if there is none."""
        count = self.count
        if index < 0:
            index += count
        if index < 0 or index >= count:
            return None
        number, offset = self._locate(index)
        node = self._node_at(number)
        return node.items[len(node.items) - 1 - offset if node.flipped else offset]

    def set(self, index: i64, element: bytes, thresholds: Thresholds) -> bool:
        """Replace the element at an index, negative: from the end; return whether there is one."""
        self._grow(element, thresholds)
        count = self.count
        if index < 0:
            index += count
        if index < 0 or index >= count:
            return False
        number, offset = self._locate(index)
        node = self._node_at(number)
        plain = self.quick and self._is_plain(len(element), thresholds)
        if node.plain and not plain:
            self._insert(number, 0, element, True, thresholds)
            nodes = self.nodes()
            del nodes[number]
            self._set_nodes(nodes)
            self.count -= 1
        elif plain and not node.plain:
            self._replace_by_plain(number, offset, element, thresholds)
        else:
            items = node.items
            place = len(items) - 1 - offset if node.flipped else offset
            if plain:
                node.size = len(element)
            else:
                node.size += entry_size(element) - entry_size(items[place])
            items[place] = element
        return True

    def _locate(self, index: i64) -> tuple[i64, i64]:
        """Return the number of the node of an index that is there, and the place in it."""
        row = self._row
        number: i64 = 0
        if row is None:
            return number, index
        if index < self.count >> 1:
            for node in row:
                size: i64 = len(node.items)
                if index < size:
                    break
                index -= size
                number += 1
            return number, index
        number = len(row)
        end = self.count
        for node in reversed(row):
            number -= 1
            end -= len(node.items)
            if index >= end:
                break
        return number, index - end

    def _node_at(self, number: i64) -> Node:
        row = self._row
        return self._head if row is None else row[number]

    # -- by value

    def insert(self, pivot: bytes, element: bytes, after: bool, thresholds: Thresholds) -> bool:
        """Put an element before or after the first that is `pivot`; return whether there is one."""
        self._grow(element, thresholds)
        for number, node in enumerate(self.nodes()):
            if pivot in node.items:
                node.turn(False)
                offset = node.items.index(pivot)
                if self.quick:
                    self._insert(number, offset, element, after, thresholds)
                else:
                    node.items.insert(offset + 1 if after else offset, element)
                    node.size += entry_size(element)
                    self.count += 1
                return True
        return False

    def remove(self, element: bytes, limit: i64, from_tail: bool) -> int:
        """Remove elements equal to `element`, up to `limit` (0: all); return how many."""
        removed: i64 = 0
        emptied = False
        nodes = self.nodes()
        if from_tail:
            nodes.reverse()
        for node in nodes:
            found: i64 = node.items.count(element)
            if found == 0:
                continue
            if limit and found > limit - removed:
                found = limit - removed
                node.turn(from_tail)
                node.items = _without_first(node.items, element, found)
            else:
                node.items = [item for item in node.items if item != element]
            if not node.plain:
                node.size -= found * entry_size(element)
            removed += found
            if not node.items:
                emptied = True
            if removed == limit:
                break
        self.count -= removed
        if emptied:
            self._set_nodes([node for node in self.nodes() if node.items] or [Node()])
        return removed

    def positions(
        self, element: bytes, rank: i64, count: i64, max_len: i64, from_tail: bool
    ) -> list[int]:
        """Return the indexes of elements equal to `element`, in the order of the search.

        Args:
          rank: the first match that counts, from 1 on.
          count: how many indexes are wanted; 0: all.
          max_len: how many elements are looked at; 0: all.
          from_tail: where the search begins.
        """
        found: list[int] = []
        nodes = self.nodes()
        if from_tail:
            nodes.reverse()
        before: i64 = 0  # elements in the nodes that have been searched
        skip = rank - 1
        for node in nodes:
            if max_len and before >= max_len:
                break
            matches: i64 = node.items.count(element)
            if matches > skip:
                items = node.items if node.flipped == from_tail else node.items[::-1]
                place: i64 = -1
                while matches:
                    matches -= 1
                    place = items.index(element, place + 1)
                    if max_len and before + place >= max_len:
                        return found
                    if skip:
                        skip -= 1
                        continue
                    index = before + place
                    found.append(self.count - 1 - index if from_tail else index)
                    if len(found) == count:
                        return found
            else:
                skip -= matches
            before += len(node.items)
        return found

    # -- the inner life of a quicklist

    def _grow(self, element: bytes, thresholds: Thresholds) -> None:
        """Become a quicklist if a listpack could not take one more element."""
        if not self.quick:
            size = self._head.size + len(element)
            if _exceeds(thresholds.list_listpack_size, size, self.count + 1):
                self.become_quicklist(thresholds)

    def _set_nodes(self, nodes: list[Node]) -> None:
        """Have these nodes, at least one, in place of those there are."""
        self._head = nodes[0]
        self._tail = nodes[-1]
        self._row = deque(nodes) if len(nodes) > 1 else None

    def _insert(
        self, number: i64, offset: i64, element: bytes, after: bool, thresholds: Thresholds
    ) -> None:
        """Put an element beside another one, which is at `offset` of a node of a quicklist.

        Source: quicklist.c _quicklistInsert.
        """
        nodes = self.nodes()
        node = nodes[number]
        size: i64 = len(element)
        plain = self._is_plain(size, thresholds)
        place = number + 1 if after else number  # of what comes next to the node
        at_end = offset == (len(node.items) - 1 if after else 0)
        beside = number + 1 if after else number - 1
        self.count += 1
        if self._fits(node, size, thresholds):
            node.turn(False)
            node.items.insert(offset + 1 if after else offset, element)
            node.size += entry_size(element)
            return
        if node.plain or at_end:
            if not plain and at_end and 0 <= beside < len(nodes):
                neighbour = nodes[beside]
                if self._fits(neighbour, size, thresholds):
                    neighbour.add(element, after)
                    return
            nodes.insert(place, _node(element, plain))
            self._set_nodes(nodes)
            return
        other = node.split(offset, after)
        if plain:
            nodes.insert(place, _node(element, True))
            nodes.insert(place + 1 if after else place, other)
        else:
            other.add(element, after)
            nodes.insert(place, other)
            self._merge_around(nodes, number if after else number + 1)
        self._set_nodes(nodes)

    def _replace_by_plain(
        self, number: i64, offset: i64, element: bytes, thresholds: Thresholds
    ) -> None:
        """Replace an element in a listpack by one that is too big for it.

        Source: quicklist.c quicklistReplaceEntry.
        """
        nodes = self.nodes()
        node = nodes[number]
        if len(node.items) == 1:
            nodes[number] = _node(element, True)
        else:
            rest = node.split(offset, True) if offset < len(node.items) - 1 else None
            node.turn(False)
            node.size -= entry_size(node.items.pop())
            nodes.insert(number + 1, _node(element, True))
            if rest is not None:
                nodes.insert(number + 2, rest)
            if node.items:
                self._merge_around(nodes, number + 1)
            else:
                del nodes[number]
        self._set_nodes(nodes)

    def _merge_around(self, nodes: list[Node], number: i64) -> None:
        """Unite small nodes near one.

        Source: quicklist.c _quicklistMergeNodes, for the order.
        """
        if number > 1 and self._merge(nodes, number - 2):
            number -= 1
        if number + 2 < len(nodes):
            self._merge(nodes, number + 1)
        if number > 0 and self._merge(nodes, number - 1):
            number -= 1
        if number + 1 < len(nodes):
            self._merge(nodes, number)

    def _merge(self, nodes: list[Node], number: i64) -> bool:
        """Unite a node with the next if both fit into one; return whether they do."""
        first = nodes[number]
        second = nodes[number + 1]
        size = first.size + second.size - EMPTY_SIZE
        if (
            first.plain
            or second.plain
            or _exceeds(self._fill, size, len(first.items) + len(second.items))
        ):
            return False
        first.turn(False)
        second.turn(False)
        first.items += second.items
        first.size = size
        del nodes[number + 1]
        return True


def _without_first(items: list[bytes], element: bytes, count: i64) -> list[bytes]:
    """Return `items` without the first `count` that are `element`."""
    kept: list[bytes] = []
    for item in items:
        if count and item == element:
            count -= 1
        else:
            kept.append(item)
    return kept


def list_of(elements: list[bytes], thresholds: Thresholds) -> List:
    """Return a list with these elements, encoded as one that was loaded or stored as a whole.

    Source: sort.c sortCommandGeneric, rdb.c rdbLoadObject.
    """
    made = List()
    made.become_quicklist(thresholds)
    made.push(elements, 0, False, thresholds)
    if made._row is None:
        made._try_compact(thresholds, 1)
    return made


def packed_node(elements: list[bytes]) -> Node:
    """Return a node that is a listpack with these elements, however many they are."""
    node = Node()
    node.items = elements
    for element in elements:
        node.size += entry_size(element)
    return node


def plain_node(element: bytes) -> Node:
    """Return a node that is one big element."""
    return _node(element, True)


def list_of_nodes(nodes: list[Node], thresholds: Thresholds) -> List:
    """Return a list with these nodes, at least one and none empty, as it was saved.

    Source: rdb.c rdbLoadObject.
    """
    made = List()
    made.become_quicklist(thresholds)
    made._set_nodes(nodes)
    for node in nodes:
        made.count += len(node.items)
    if made._row is None:
        made._try_compact(thresholds, 1)
    return made


def quicklist_of(elements: list[bytes], thresholds: Thresholds) -> List:
    """Return a list with these elements whose encoding is quicklist however few they are."""
    made = List()
    made.become_quicklist(thresholds)
    made.push(elements, 0, False, thresholds)
    return made
