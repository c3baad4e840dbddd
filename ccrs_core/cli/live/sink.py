"""Where the events of a feed are shown, and the status beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ccrs_core.model.events import AnyEvent

if TYPE_CHECKING:
    from ccrs_core.client.status import ClientStatus
    from ccrs_core.feeds.feed import Feed


Statuses = Callable[[], "Sequence[ClientStatus]"]
"""The status of each exchange, now."""


class Sink(Protocol):
    """Shows what a feed brings."""

    async def start(self, statuses: Statuses, feed: Feed) -> None: ...
    async def take(self, batch: Sequence[AnyEvent]) -> None: ...
    async def idle(self) -> None:
        """Called every now and then."""

    async def finish(self) -> None:
        """Called once, at the end, while the feed is still open."""

    @property
    def pause(self) -> float | None:
        """Seconds between calls of ``idle``; None for never."""
