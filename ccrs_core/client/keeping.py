"""Held open without a block: a task of its own stands in one, until it is told to leave."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Openable(ABC):
    """What is used in ``async with``, or opened and closed by hand (in notebooks, say)."""

    _keeper: _Keeper | None = None

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    @abstractmethod
    async def _close(self) -> None:
        """End what isn't held open by :meth:`open`."""

    async def open(self) -> Self:
        """Open without a block, for notebooks and the like: ``client = await connect(…).open()``.
        Close it with :meth:`aclose`, in the same event loop.

        Nothing interrupts your code where something goes wrong for good: all is closed then, and
        the error is raised by what you call next, by readers of feeds, and by :meth:`aclose`.

        :raises UsageError: where it has been opened before.
        """
        keeper = _Keeper(self)
        await keeper.open()  # which a second time says so, as a second block does
        self._keeper = keeper
        return self

    async def aclose(self) -> None:
        """Close everything; what is left waiting in feeds is discarded. Idempotent.

        Cancelled, it goes on by itself. At the end of a block this happens by itself.

        :raises CcrsError: what had gone wrong for good meanwhile, once, as the end of the block
            would raise it.
        """
        keeper = self._keeper
        await (self._close() if keeper is None else keeper.aclose())


class _Keeper:
    """Stands in the block of one openable, in a task of its own: what ends the block interrupts
    this task, and nobody else's."""

    def __init__(self, kept: Openable) -> None:
        self._kept = kept
        self._leave = asyncio.Event()
        self._told = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._keep(opened))
        try:
            await asyncio.shield(opened)
        except BaseException:
            self._told = True
            self._task.cancel()
            await asyncio.wait([self._task])
            if opened.done() and not opened.cancelled():
                opened.exception()  # nobody else asks
            raise

    async def _keep(self, opened: asyncio.Future[None]) -> None:
        try:
            async with self._kept:
                opened.set_result(None)
                await self._leave.wait()
        except BaseException as error:
            if opened.done():
                raise
            if isinstance(error, asyncio.CancelledError):
                opened.cancel()
                raise
            opened.set_exception(error)

    async def aclose(self) -> None:
        self._leave.set()
        task = self._task
        if task is None:
            return
        await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._told:
            self._told = True
            raise error
