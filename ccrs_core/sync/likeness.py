"""What makes a method that waits look like the one that it waits for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def shown_as(made: F, method: Callable[..., Any]) -> F:
    """Its signature for people and tools; what waits by itself wraps no coroutine function."""
    shown: Any = made
    shown.__signature__ = inspect.signature(method)
    del shown.__wrapped__
    return made
