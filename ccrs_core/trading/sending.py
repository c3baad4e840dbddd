"""One request on its way: it can be withdrawn as long as nothing of it has left, and goes on by
itself, to its outcome, though its caller be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

from ccrs_core.errors import NotSent, OutcomeUnknown

T = TypeVar("T")

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Sending(Generic[T]):
    """A request and who waits for its outcome."""

    def __init__(self) -> None:
        self.left = False
        """Whether a byte of it has left, or may have."""
        self.left_at = 0.0
        """When it did (monotonic seconds)."""
        self.withdrawn = ""
        """Why it isn't to be sent any more; empty: it is."""
        self.joined: Sending[Any] | None = None
        """That of the batch with which it leaves, so that it can't be withdrawn alone."""
        self.done = False
        """Whether its outcome is there."""
        self._started = False
        self._task: asyncio.Task[None] | None = None
        self._found: T | BaseException | None = None
        self._waiting: list[asyncio.Future[None]] = []
        """Of who waits for the outcome; each has one of its own, as each may be cancelled."""

    def sent(self, now: float) -> None:
        """Its first byte leaves now (monotonic seconds)."""
        self.left, self.left_at = True, now

    def withdraw(self, why: str) -> bool:
        """Let it not be sent; False where it has left already."""
        if self.left or self.joined is not None or self.done:
            return False
        if not self.withdrawn:
            self.withdrawn = why
            if self._task is not None and self._started:
                self._task.cancel()
        return True

    def check(self) -> None:
        """:raises NotSent: where it was withdrawn."""
        if self.withdrawn:
            raise NotSent(self.withdrawn)

    async def run(self, work: Coroutine[Any, Any, T], spawn: Spawn) -> T:
        """Do ``work``, which begins by :meth:`check`, in a task of its own, and return what it
        returns, or raise what it raises. A
        caller who is cancelled withdraws it, unless it has left; then it goes on."""
        try:
            self._task = spawn(self._run(work))
        except BaseException:
            work.close()
            raise
        self._task.add_done_callback(lambda _: self._over(work))
        try:
            return await self.outcome()
        except asyncio.CancelledError:
            self.withdraw("its caller was cancelled before it was sent")
            raise

    def _over(self, work: Coroutine[Any, Any, T]) -> None:
        """Its task has ended; where that was before it began nobody has said so."""
        if not self.done:
            work.close()
            self._tell(NotSent("the account was closed"))

    def _tell(self, found: T | BaseException) -> None:
        """This has become of it; the first word counts."""
        if self.done:
            return
        self.done, self._found = True, found
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    async def outcome(self) -> T:
        """What becomes of it."""
        await self._told()
        found = self._found
        if isinstance(found, BaseException):
            raise found
        return cast("T", found)

    async def _told(self) -> None:
        if self.done:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        finally:
            self._waiting.remove(turn)

    async def finished(self) -> None:
        """Wait until its outcome is there, whatever it is."""
        if self.joined is not None:
            await self.joined.finished()
        elif self._task is not None:
            await self._told()

    async def _run(self, work: Coroutine[Any, Any, T]) -> None:
        found: T | BaseException
        self._started = True
        try:
            found = await work
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            if not self.withdrawn:
                text = "the account was closed"
                self._tell(OutcomeUnknown("", text) if self.left else NotSent(text))
                raise
            task.uncancel()
            found = OutcomeUnknown("", self.withdrawn) if self.left else NotSent(self.withdrawn)
        except BaseException as error:
            found = error
        self._tell(found)
