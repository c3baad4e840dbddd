"""How long plugins may take to load, and the end of a process in which one takes longer."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import NoReturn

from ccrs_core.cli import form
from ccrs_core.errors import UsageError

VARIABLE = "CCRS_IMPORT_SECONDS"
_SECONDS = 10.0
"""Loading a plugin may take so long, where the variable doesn't say otherwise."""
_FAILURE = 1


def limit() -> float:
    """Seconds that loading a plugin may take.

    :raises UsageError: where the variable isn't a number of seconds.
    """
    text = os.environ.get(VARIABLE) or str(_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX / 4:
        raise UsageError(f"{VARIABLE} must be a number of seconds above zero, not {text!r}")
    return seconds


def slow(what: str, distribution: str, seconds: float) -> str:
    return (
        f"{what} takes more than {seconds:g} s to load, or for ever: uninstall {distribution}, or "
        f"allow it more seconds by {VARIABLE}"
    )


@contextlib.contextmanager
def ending(what: str, distribution: str) -> Iterator[None]:
    """End the process, with one line that says why, where loading a plugin takes too long.

    A thread's doing, so that it works on every system, in loops as in calls that block.
    """
    seconds = limit()
    with ending_after(seconds, f"Error: {slow(what, distribution, seconds)}"):
        yield


@contextlib.contextmanager
def ending_after(seconds: float, text: str) -> Iterator[None]:
    """End the process with one line where what is within takes longer."""
    timer = threading.Timer(seconds, _end, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(text: str) -> NoReturn:
    # Past Python's own streams: the thread that hangs may hold their locks.
    with contextlib.suppress(OSError):
        os.write(2, form.printable(text).encode(errors="replace") + b"\n")
    os._exit(_FAILURE)
