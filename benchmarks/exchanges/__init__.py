"""The exchanges that are measured, one module each: its frames, and how it is talked to."""

from __future__ import annotations

import functools
import importlib

from benchmarks.exchanges.wire import Wire

NAMES = ("bybit", "binance", "okx")
"""The first one is measured where none is asked for, and in more ways than the others."""


@functools.cache
def wire(name: str) -> Wire:
    """What an exchange's module says of it."""
    found: Wire = importlib.import_module(f"benchmarks.exchanges.{name}").WIRE
    return found
