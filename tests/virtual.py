"""Tests in virtual time, and feeds that are read all the while."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ccrs_core import AnyEvent, Feed, SubscriptionRefused
from ccrs_core.transport.memory import run


def scenario(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run an async test in virtual time."""

    def play() -> None:
        run(test())

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


async def follow(feed: Feed, events: list[AnyEvent], refusals: list[SubscriptionRefused]) -> None:
    """Note all that a feed brings, until cancelled."""
    while True:
        try:
            async for event in feed:
                events.append(event)  # noqa: PERF401 - seen by the test as they come
        except SubscriptionRefused as error:
            refusals.append(error)
