"""Which event loop ``ccrs watch`` runs on."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ccrs_core.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

NAMES = ("asyncio", "uvloop")


def option(command: F) -> F:
    """The options that choose it."""
    command = click.option(
        "--busy", is_flag=True, help="Never sleep: a core's time for fewer microseconds."
    )(command)
    return click.option(
        "--loop", type=click.Choice(NAMES), default=NAMES[0], show_default=True, help="Event loop."
    )(command)


def factory(name: str, *, busy: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None: asyncio's own choice.

    :raises UsageError: where uvloop isn't installed, or is to be busy, which it can't be.
    """
    if name == "uvloop":
        if busy:
            raise UsageError("--busy is for asyncio's loop: uvloop always sleeps")
        try:
            made: Callable[[], asyncio.AbstractEventLoop]
            made = importlib.import_module("uvloop").new_event_loop
        except ImportError:
            raise UsageError("uvloop isn't installed: pip install uvloop") from None
        return made
    if busy:
        from ccrs_core.transport.busy import busy_loop

        return busy_loop
    return None
