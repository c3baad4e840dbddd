"""One reading of an account's lists: since when it goes on, who goes before it, what came of it.

Lists of several markets that an exchange tells in one answer are asked for once. So all that a
reading concludes from what a list leaves out is of its beginning, before any of them was asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs

from ccrs_core.contract.rest import Request
from ccrs_core.errors import CcrsError
from ccrs_core.requests.shared_pages import SharedPages
from ccrs_core.trading.context import AccountContext
from ccrs_core.transport.gate import Priority

T = TypeVar("T")


@attrs.define(eq=False)
class Reconciliation:
    """One reading of all lists, and what came of it."""

    failures: dict[str, CcrsError] = attrs.field(factory=dict)
    """By what couldn't be read."""

    @property
    def whole(self) -> bool:
        """Whether everything was read."""
        return not self.failures

    def __str__(self) -> str:
        if self.whole:
            return "all was read"
        alike: dict[str, list[str]] = {}
        for what, error in self.failures.items():
            alike.setdefault(str(error), []).append(what)
        return "; ".join(f"{', '.join(what)}: {error}" for error, what in alike.items())


class Reading:
    """A reading that begins now."""

    def __init__(self, context: AccountContext, priority: Priority) -> None:
        self.done = Reconciliation()
        self.priority = priority
        self.began_ns = context.asks.exchange_ns()
        """When it began, by the exchange's clock, and not ahead of it."""
        self.held_back = False
        """Whether rows were read that the ledger couldn't take yet: figures that are explained by
        them aren't to be judged."""
        self._asks = context.asks
        self._pages = SharedPages()

    async def counted(self, request: Request[T]) -> tuple[T, int]:
        """What a list tells, and how many of its rows couldn't be read.

        :raises CcrsError: where no answer comes.
        """
        return await self._asks.counted(request, priority=self.priority, pages=self._pages)

    async def read(self, request: Request[T]) -> T:
        """The answer to a question of this reading's alone.

        :raises CcrsError: where none comes.
        """
        return await self._asks.read(request, priority=self.priority)

    async def part(self, what: str, read: Callable[..., Awaitable[None]], *about: Any) -> None:
        """Read one list; where that fails, the others are read all the same."""
        try:
            await read(*about)
        except CcrsError as error:
            self.done.failures[what] = error


__all__ = ["Reading", "Reconciliation"]
