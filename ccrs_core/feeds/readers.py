"""How a feed is read: one event at a time, or all that waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self

from ccrs_core.model.events import AnyEvent


class Batches:
    """Takes all that waits at a time; leaving the loop or cancelling it loses nothing."""

    __slots__ = ("_drain", "_wait")

    def __init__(
        self, drain: Callable[[], list[AnyEvent]], wait: Callable[[], Awaitable[bool]]
    ) -> None:
        self._drain = drain
        self._wait = wait

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[AnyEvent]:
        if not await self._wait():
            raise StopAsyncIteration
        return self._drain()


class Reader:
    """Takes one event at a time, so that leaving the loop or cancelling it loses nothing, and a
    cancelled read can be tried again."""

    __slots__ = ("_pop", "_wait")

    def __init__(
        self, pop: Callable[[], AnyEvent | None], wait: Callable[[], Awaitable[bool]]
    ) -> None:
        self._pop = pop
        self._wait = wait

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnyEvent:
        while (event := self._pop()) is None:
            if not await self._wait():
                raise StopAsyncIteration
        return event
