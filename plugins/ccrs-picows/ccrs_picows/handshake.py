"""TLS handshakes that end early are told once, by the error of the attempt to connect.

aiofastnet, by which picows speaks TLS, reports them to the loop's exception handler as well. And
what it hands over is no exception but the class of one, on which the default handler stumbles:
whoever sees the log reads "Logging error" and two tracebacks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

_quiet: WeakKeyDictionary[asyncio.AbstractEventLoop, _Quiet] = WeakKeyDictionary()


class _Quiet:
    """Stands before a loop's exception handler, while handshakes are under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.handshakes = 0
        self._before = loop.get_exception_handler()
        # The very same object that the loop will hand out again.
        self._own = self._handle
        loop.set_exception_handler(self._own)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), type):
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        # Unless somebody has set another one meanwhile.
        if loop.get_exception_handler() is self._own:
            loop.set_exception_handler(self._before)


@contextlib.contextmanager
def quiet_handshake() -> Iterator[None]:
    """Leave it to the caller to tell of a TLS handshake that ends within the block."""
    loop = asyncio.get_running_loop()
    quiet = _quiet.get(loop)
    if quiet is None:
        quiet = _quiet[loop] = _Quiet(loop)
    quiet.handshakes += 1
    try:
        yield
    finally:
        quiet.handshakes -= 1
        if not quiet.handshakes:
            del _quiet[loop]
            quiet.leave(loop)
