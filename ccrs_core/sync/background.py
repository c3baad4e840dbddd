"""An event loop in a thread of its own, and calls into it that wait for their outcome."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from ccrs_core.errors import UsageError

T = TypeVar("T")

_LOOK_UP = 0.2
"""Seconds after which a wait looks up: where a lock can't be interrupted, Ctrl-C comes then."""


class Background:
    """Runs what it is told to in another thread, from :meth:`start` to :meth:`stop`."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self._turn = threading.Lock()
        """Held while something is handed over: nothing is any more behind the end."""

    @property
    def running(self) -> bool:
        return self._loop is not None and not self._ended

    def start(self) -> None:
        """:raises UsageError: where it has been started before."""
        if self._thread is not None:
            raise UsageError("a client is opened once; call connect() for another one")
        started = threading.Event()
        # A program that forgets to close ends all the same.
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="ccrs.sync", daemon=True
        )
        self._thread.start()
        # What still runs when the program ends is ended then; later nothing could be.
        atexit.register(self.stop)
        started.wait()

    def _run(self, started: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            started.set()
            self._loop.run_forever()

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What a coroutine function brings or raises. An interruption cancels it, waits until it
        has ended, and goes on.

        :raises UsageError: where nothing is running, or another thread ends it meanwhile.
        """
        loop = self._loop
        if loop is None:
            raise UsageError("open the client first: with ccrs_core.sync.connect(…) as client")
        if threading.current_thread() is self._thread:
            raise UsageError("the client's own thread can't wait for itself")
        asked = _Asked(work)
        try:
            # An interruption may come at any place, also when it is on its way already.
            with self._turn:
                if not self._ended:
                    future = asyncio.run_coroutine_threadsafe(asked.run(), loop)
                    asked.handed_over = True
            if not asked.handed_over:
                raise UsageError("the client is closed; call connect() for another one")
            _wait(future)
        except UsageError:
            raise
        except BaseException:
            asked.given_up = True
            with self._turn:
                ending = (
                    None if self._ended else asyncio.run_coroutine_threadsafe(asked.end(), loop)
                )
            if ending is not None:
                _wait(ending)
            raise
        if future.cancelled():
            raise UsageError("the client was closed by another thread before this had ended")
        return future.result()

    def stop(self) -> None:
        """Cancel what is left, and wait for the thread's end. Idempotent."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        with self._turn:
            self._ended = True
        with contextlib.suppress(RuntimeError):  # closed already
            loop.call_soon_threadsafe(loop.stop)
        thread.join()
        atexit.unregister(self.stop)


def _wait(future: concurrent.futures.Future[Any]) -> None:
    while not concurrent.futures.wait([future], timeout=_LOOK_UP).done:
        pass


class _Asked(Generic[T]):
    """One call, and whether who waited for it still does."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._task: asyncio.Task[Any] | None = None
        self.handed_over = False
        self.given_up = False

    async def run(self) -> T:
        if self.given_up:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        return await self._work()

    async def end(self) -> None:
        """Cancel it, wherever it is, and wait until it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
