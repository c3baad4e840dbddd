"""The moment in which a request leaves, told through whatever transports to who asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LEAVES: ContextVar[Callable[[], None] | None] = ContextVar("leaves", default=None)


@contextmanager
def leaving(call: Callable[[], None]) -> Iterator[None]:
    """While this lasts, transports call it right before the first byte of a request leaves; what it
    raises keeps the request from leaving, and is raised by them."""
    token = _LEAVES.set(call)
    try:
        yield
    finally:
        _LEAVES.reset(token)


def about_to_leave() -> Callable[[], None] | None:
    """What a transport is to call then, if anything."""
    return _LEAVES.get()


def leaves_now() -> None:
    """For transports whose requests leave as they are made."""
    call = _LEAVES.get()
    if call is not None:
        call()
