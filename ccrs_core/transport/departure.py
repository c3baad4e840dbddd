"""The moment in which a request leaves, told through whatever transports to who asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Departure:
    """One request's."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.watched = False
        """Whether the transport tells: as long as it hasn't called, nothing has left."""


_DEPARTURE: ContextVar[Departure | None] = ContextVar("departure", default=None)


@contextmanager
def leaving(call: Callable[[], None]) -> Iterator[Departure]:
    """While this lasts, transports call it right before the first byte of a request leaves; what it
    raises keeps the request from leaving, and is raised by them."""
    departure = Departure(call)
    token = _DEPARTURE.set(departure)
    try:
        yield departure
    finally:
        _DEPARTURE.reset(token)


def about_to_leave() -> Callable[[], None] | None:
    """What a transport is to call then, if anything; who asks for it will."""
    departure = _DEPARTURE.get()
    if departure is None:
        return None
    departure.watched = True
    return departure.call


def leaves_now() -> None:
    """For transports whose requests leave as they are made."""
    call = about_to_leave()
    if call is not None:
        call()
