"""One machine over events that are there, or that come: for lists and replays, and for feeds."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from ccrs_core.errors import UsageError
from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.model.units import NS_PER_SECOND

Made = TypeVar("Made", covariant=True)


class Machine(Protocol[Made]):
    """Makes something of events, one after the other."""

    def add(self, event: Any) -> Iterable[Made]: ...

    def end(self) -> Iterable[Made]: ...


def over(events: Iterable[Any] | AsyncIterable[Any], machine: Machine[Made]) -> Any:
    """An iterator of what a machine makes; an asynchronous one over what comes asynchronously."""
    if isinstance(events, AsyncIterable):
        return _coming(events, machine)
    return _there(events, machine)


def _there(events: Iterable[Any], machine: Machine[Made]) -> Iterator[Made]:
    for event in events:
        yield from machine.add(event)
    yield from machine.end()


async def _coming(events: AsyncIterable[Any], machine: Machine[Made]) -> AsyncIterator[Made]:
    async for event in events:
        for made in machine.add(event):
            yield made
    for made in machine.end():
        yield made


def interval_ns(interval: Any) -> int:
    """The length of an interval by its name, or as a ``timedelta``.

    :raises UsageError: where it is none.
    """
    if isinstance(interval, timedelta):
        span = (interval.days * 86_400 + interval.seconds) * NS_PER_SECOND
        span += interval.microseconds * 1000
        if span > 0:
            return span
    elif isinstance(interval, str) and interval in INTERVALS and interval != "1M":
        return INTERVALS[interval] * NS_PER_SECOND
    known = ", ".join(each for each in INTERVALS if each != "1M")
    raise UsageError(f"an interval is one of {known}, or a timedelta above zero, not {interval!r}")
