"""The threads that something has started, apart from those of others in the process, which come and
go as they like."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def started() -> Iterator[set[threading.Thread]]:
    """Those that are started within: by this thread, or by one of them."""
    here, found = threading.current_thread(), set[threading.Thread]()
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        if threading.current_thread() is here or threading.current_thread() in found:
            found.add(thread)
        start(thread)

    threading.Thread.start = noted  # type: ignore[method-assign, assignment]
    try:
        yield found
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
