"""Catches functions that should be pure reading a clock, drawing at random, or doing I/O."""

from __future__ import annotations

import gc
import io
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_CLOCKS = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
    *("process_time", "process_time_ns", "clock_gettime", "clock_gettime_ns", "sleep"),
)
_FUNCTIONS: dict[object, str] = {
    **{getattr(time, name): f"time.{name}" for name in _CLOCKS if hasattr(time, name)},
    **{getattr(os, n): f"os.{n}" for n in ("urandom", "getrandom", "open", "read", "write", "stat")
       if hasattr(os, n)},
    io.open: "open",
    select.select: "select.select",
}  # fmt: skip
_METHODS: dict[tuple[type, str], str] = {
    **{(kind, name): f"datetime.{name}" for kind in (date, datetime)
       for name in ("now", "utcnow", "today")},
}  # fmt: skip
_OWNERS = {"Random", "SystemRandom", "socket"}
"""Classes written in C or Python whose methods are chance or I/O, by name."""
_MODULES = frozenset(
    {"random", "secrets", "uuid", "socket", "ssl", "subprocess", "tempfile", "urllib.request",
     "http.client", "asyncio.events", "asyncio.base_events", "aiohttp.client", "logging"}
)  # fmt: skip
"""Modules written in Python none of whose functions are pure."""


def impurities(use: Callable[[], T]) -> tuple[T, set[str]]:
    """What a call returns, and what it called that isn't pure, by name.

    Calls made by functions that are written in C go unnoticed.
    """
    found: set[str] = set()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            name = _named(argument)
        elif event == "call" and frame.f_globals.get("__name__") in _MODULES:
            name = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"
        else:
            return
        if name is not None:
            found.add(name)

    assert threading.current_thread() is threading.main_thread(), "the suite needs the main thread"
    before, collecting = sys.getprofile(), gc.isenabled()
    # What others have to say about garbage collection is not the caller's doing.
    gc.disable()
    sys.setprofile(watch)
    try:
        result = use()
    finally:
        sys.setprofile(before)
        if collecting:
            gc.enable()
    return result, found


def _named(function: Any) -> str | None:
    """The name of an impure function that is written in C; None of any other."""
    try:
        known = _FUNCTIONS.get(function)
    except TypeError:
        known = None
    if known is not None:
        return known
    owner = getattr(function, "__self__", None)
    if owner is None:
        return None
    name = function.__name__
    if isinstance(owner, type):
        return next((_METHODS[k, name] for k in owner.__mro__ if (k, name) in _METHODS), None)
    kinds = {kind.__name__ for kind in type(owner).__mro__}
    return f"{type(owner).__name__}.{name}" if kinds & _OWNERS else None
