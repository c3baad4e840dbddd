"""Ctrl-C: the first one ends a command orderly, the next one at once; neither leaves a traceback.

Python's own way raises ``KeyboardInterrupt`` wherever the program happens to be: in an import, in a
destructor, in the cleanup of the one before. Here it is raised at most once and only where
something stands ready for it. Where there is nothing to end orderly, the process just ends.
SIGTERM counts as Ctrl-C, with an exit code of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

INTERRUPTED, TERMINATED = 130, 143
_SIGNALS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
_SHOW_CURSOR = b"\x1b[?25h"


class _State:
    """Of the process. Nothing is done about signals before :func:`install`."""

    def __init__(self) -> None:
        self.installed = False
        self.code = 0
        """That the first signal asks for; 0 before there was one."""
        self.orderly: Callable[[], None] | None = None
        """What the first signal does; None: there is nothing to end orderly."""
        self.wishes: list[Callable[[], object]] = []


_state = _State()


def install() -> None:
    """Take the signals over, but for those that the process is to ignore (as under nohup)."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _received)
    _state.installed = True


def code() -> int:
    """The exit code that a signal asks for; 0 where there was none."""
    return _state.code


def over() -> None:
    """All is done but to end: from here on a signal ends the process at once."""
    _state.orderly = None


def as_python_does() -> None:
    """Leave Ctrl-C to Python's own way, for what knows no other."""
    if _state.installed and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _received(number: int, frame: object) -> None:
    first = not _state.code
    if first:
        _state.code = _SIGNALS[signal.Signals(number)]
        if _state.orderly is not None:
            _state.orderly()
            return
    _end_at_once(flush=first)


def _end_at_once(*, flush: bool) -> NoReturn:
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(_state.code))
    if flush:  # else it may be standard output that everything waits for
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    for wish in reversed(_state.wishes):
        with contextlib.suppress(Exception):
            wish()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(descriptor):
                os.write(descriptor, _SHOW_CURSOR)
    os._exit(_state.code)


@contextlib.contextmanager
def at_once(wish: Callable[[], object]) -> Iterator[None]:
    """Something that must be done even where the process is ended at once."""
    _state.wishes.append(wish)
    try:
        yield
    finally:
        _state.wishes.remove(wish)


@contextlib.contextmanager
def scratch(prefix: str) -> Iterator[str]:
    """A temporary folder, gone afterwards however the process is ended by a signal."""
    import shutil
    import tempfile

    with contextlib.ExitStack() as stack:
        with postponed():
            made = tempfile.TemporaryDirectory(prefix=prefix)
            stack.enter_context(at_once(lambda: shutil.rmtree(made.name, ignore_errors=True)))
            stack.enter_context(made)
        yield made.name


@contextlib.contextmanager
def _orderly(way: Callable[[], None]) -> Iterator[None]:
    before, _state.orderly = _state.orderly, way
    try:
        yield
    finally:
        _state.orderly = before


def _raise() -> NoReturn:
    if _state.code == TERMINATED:
        raise SystemExit(TERMINATED)
    raise KeyboardInterrupt


def raising() -> contextlib.AbstractContextManager[None]:
    """Where the first signal raises, as by default, for what must be put away: short and sync."""
    return _orderly(_raise)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Where the first signal waits for the end of what must not be left half done."""
    before, pending = _state.orderly or _raise, not _state.code
    with _orderly(lambda: None):
        yield
    if pending and _state.code:
        before()


def run(
    main: Coroutine[Any, Any, T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """As ``asyncio.run``; the first signal cancels ``main``."""
    import asyncio

    async def within() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def cancel() -> None:
            task.cancel()
            loop.call_soon_threadsafe(lambda: None)  # wakes it

        with _orderly(cancel):
            return await main

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        if not _state.installed:
            return runner.run(main)
        try:
            return runner.run(within())
        except asyncio.CancelledError:
            if _state.code:
                _raise()
            raise
