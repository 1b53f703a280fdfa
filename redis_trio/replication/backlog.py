"""The backlog: the last bytes of the replication stream, and the output of every replica.

The stream is kept once, in a chain of blocks. The backlog holds as many of the last blocks as
`repl-backlog-size` asks for. Each replica has a `Reader`, a position in the chain: a replica that
has taken everything costs no memory, and one that is slow holds up the blocks from its position on,
which others may then ask for, too.

1. A block is filled in place and never moved or resized, so that views of what is in it can be sent
   while it is filled further.
2. Blocks go from the head of the chain only, when no reader is in them.
3. Offsets are counted as Redis does: the first byte of a stream has offset 1, and a replica that
   has taken everything up to offset n asks for n + 1.

Source: Redis replication.c feedReplicationBuffer, incrementalTrimReplicationBacklog.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import i64

BLOCK_MIN: Final = 16 * 1024
BLOCKS_MIN: Final = 16  # no block is bigger than this part of the backlog's size, or BLOCK_MIN
BLOCK_OVERHEAD: Final = 160  # what a block takes beside its bytes


class Block:
    """A piece of the stream.

    Attributes:
      number: blocks are numbered one by one.
      first: the offset of its first byte.
      size, used: how many bytes it has room for, and how many are in it.
      readers: how many readers are in it.
      after: the next block; None in the last one.
    """

    __slots__ = ("after", "data", "first", "number", "readers", "size", "used")

    def __init__(self, number: i64, first: i64, size: i64) -> None:
        self.number: i64 = number
        self.data = bytearray(size)
        self.first: i64 = first
        self.size: i64 = size
        self.used: i64 = 0
        self.readers: i64 = 0
        self.after: Block | None = None


class Reader:
    """A position in the stream.

    Attributes:
      block: where it is; None when it has been closed.
      position: how many bytes of that block have been read.
    """

    __slots__ = ("_backlog", "block", "position")

    def __init__(self, backlog: Backlog, block: Block, position: i64) -> None:
        self._backlog = backlog
        self.block: Block | None = block
        self.position: i64 = position
        block.readers += 1

    @property
    def offset(self) -> int:
        """The offset up to which all has been read."""
        block = self.block
        return -1 if block is None else block.first + self.position - 1

    @property
    def pending_bytes(self) -> int:
        """Bytes that have not been read."""
        return 0 if self.block is None else self._backlog.offset - self.offset

    @property
    def block_count(self) -> int:
        """Blocks from here to the end of the stream."""
        return 0 if self.block is None else self._backlog.tail.number - self.block.number + 1

    @property
    def memory_bytes(self) -> int:
        """What those blocks take."""
        block = self.block
        if block is None:
            return 0
        tail = self._backlog.tail
        return tail.first + tail.size - block.first + self.block_count * BLOCK_OVERHEAD

    def take(self, until: i64) -> memoryview | None:
        """Read what there is in one block; None if there is nothing more.

        Args:
          until: up to which offset at most.
        """
        block = self.block
        if block is None:
            return None
        if self.position == block.used and block.after is not None:
            block.readers -= 1
            block = block.after
            block.readers += 1
            self.block = block
            self.position = 0
        start = self.position
        end = block.used
        if until < block.first + end - 1:
            end = max(start, until - block.first + 1)
        if end == start:
            return None
        self.position = end
        return memoryview(block.data)[start:end]

    def close(self) -> None:
        """Hold nothing any more."""
        if self.block is not None:
            self.block.readers -= 1
            self.block = None
            self._backlog.trim()


class Backlog:
    """The chain of blocks.

    Args:
      offset: up to where the stream has come.
      limit: how many bytes are kept, at least.

    Attributes:
      offset: likewise, now.
      first: the offset of the first byte that is kept.
      tail: the last block.
    """

    __slots__ = ("_blocks", "_size", "first", "limit", "offset", "tail")

    def __init__(self, offset: i64, limit: i64) -> None:
        self.limit: i64 = limit
        self.offset: i64 = offset
        self.first: i64 = offset + 1
        self.tail = Block(0, offset + 1, BLOCK_MIN)
        self._blocks: deque[Block] = deque([self.tail])
        self._size: i64 = BLOCK_MIN  # of all blocks

    @property
    def length(self) -> int:
        """How many bytes are kept."""
        return self.offset - self.first + 1

    @property
    def memory_bytes(self) -> int:
        """What the blocks take."""
        return self._size + len(self._blocks) * BLOCK_OVERHEAD

    def append(self, data: bytes) -> bool:
        """Continue the stream; return whether that took another block."""
        tail = self.tail
        size: i64 = len(data)
        end = tail.used + size
        if end <= tail.size:
            tail.data[tail.used : end] = data
            tail.used = end
            self.offset += size
            return False
        self._append_blocks(data, size)
        return True

    def _append_blocks(self, data: bytes, size: i64) -> None:
        """Continue the stream with what does not fit into the last block."""
        view = memoryview(data)
        done: i64 = 0
        limit: i64 = max(self.limit // BLOCKS_MIN, BLOCK_MIN)
        while done < size:
            tail = self.tail
            room = tail.size - tail.used
            if room == 0:
                left: i64 = size - done
                room = min(max(left, BLOCK_MIN), limit)
                block = Block(tail.number + 1, self.offset + 1, room)
                tail.after = block
                self._blocks.append(block)
                self._size += room
                self.tail = tail = block
            part = min(room, size - done)
            tail.data[tail.used : tail.used + part] = view[done : done + part]
            tail.used += part
            done += part
            self.offset += part
        self.trim()

    def trim(self) -> None:
        """Let go of blocks that nobody reads and that are not needed for the size."""
        blocks = self._blocks
        kept = self.offset - self.first + 1
        while kept > self.limit and len(blocks) > 1:
            head = blocks[0]
            if head.readers or kept - head.size <= self.limit:
                break
            blocks.popleft()
            head.after = None  # a chain that is let go of as a whole would be freed recursively
            kept -= head.size
            self._size -= head.size
            self.first = head.first + head.size

    def has(self, offset: i64) -> bool:
        """Return whether the stream can be read from this offset on."""
        return self.first <= offset <= self.offset + 1

    def reader(self, offset: i64) -> Reader:
        """Return a reader whose first byte is that of the offset; `has` has said it is there."""
        low: i64 = 0
        high: i64 = len(self._blocks)
        while high - low > 1:
            middle = (low + high) // 2
            if self._blocks[middle].first <= offset:
                low = middle
            else:
                high = middle
        block = self._blocks[low]
        return Reader(self, block, offset - block.first)

    def reader_at_end(self) -> Reader:
        """Return a reader of what comes from now on."""
        tail = self.tail
        return Reader(self, tail, tail.used)
