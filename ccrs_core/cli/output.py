"""Standard output for machines, and signs of life on standard error for people."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterator
from typing import Any

from ccrs_core.cli import form

_ATOM = 4096
"""A pipe that polls writable takes so much at once (PIPE_BUF) without making the writer wait."""


class Output:
    """Standard output that a slow reader can't make the event loop wait for."""

    def __init__(self) -> None:
        stream: Any = getattr(sys.stdout, "buffer", sys.stdout)
        self._stream = stream
        self._fd: int | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            fd = stream.fileno()
            mode = os.fstat(fd).st_mode
            # Files never block; terminals, pipes and sockets may.
            if not stat.S_ISREG(mode) and hasattr(select, "poll"):
                self._fd = fd
                self._poll = select.poll()
                self._poll.register(fd, select.POLLOUT)
        sys.stdout.flush()

    async def write(self, content: bytes) -> None:
        """Write all of it before this returns.

        :raises BrokenPipeError: where nobody reads any more.
        """
        if self._fd is None:
            self._stream.write(content)
            self._stream.flush()
            return
        rest = memoryview(content)
        while rest:
            if not self._poll.poll(0):
                await self._writable(self._fd)
                continue
            rest = rest[os.write(self._fd, rest[:_ATOM]) :]

    async def _writable(self, fd: int) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_writer(fd, _settle, ready)
        except (NotImplementedError, OSError, ValueError):
            await asyncio.sleep(0.005)  # not every event loop can watch every descriptor
            return
        try:
            await ready
        finally:
            loop.remove_writer(fd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Any]:
    """A spinner on standard error while something takes long, on terminals only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"[dim]{what}…") as status:
        yield status


def note(text: str) -> None:
    """One line for people, on standard error."""
    print(form.printable(text), file=sys.stderr, flush=True)
