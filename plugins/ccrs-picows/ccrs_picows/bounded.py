"""Reads of a bounded size.

picows doubles its buffer whenever a read has nearly filled it, and never gives it back: after a
burst each connection would hold megabytes, and hand over tens of thousands of frames at a time,
long out of the processor's cache, while nothing else gets its turn.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import Any, cast

READ_AT_MOST = 128 * 1024
"""Bytes that are read off the socket before others get their turn."""


class BoundedReads(asyncio.BufferedProtocol):
    """Stands between a socket's transport and picows's protocol, and shortens its buffer.

    ``read_at`` is given the time of each read, by ``time.monotonic_ns()``.
    """

    def __init__(self, inner: Any, read_at: list[int]) -> None:
        self._read_at = read_at
        self._get_buffer = inner.get_buffer
        # As attributes of the instance: each read calls them, and shall call nothing else.
        own = cast(Any, self)
        own.buffer_updated = inner.buffer_updated
        own.connection_made = inner.connection_made
        own.connection_lost = inner.connection_lost
        own.eof_received = inner.eof_received
        own.pause_writing = inner.pause_writing
        own.resume_writing = inner.resume_writing

    def get_buffer(self, sizehint: int) -> Any:
        self._read_at[0] = monotonic_ns()
        return self._get_buffer(sizehint)[:READ_AT_MOST]
