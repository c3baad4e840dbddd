"""Every test has an end and a verdict, whatever the plugin under test does."""

from __future__ import annotations

import functools
import gc
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
import pytest

from ccrs_core.conformance.workbench.profile import Profile

if TYPE_CHECKING:
    from ccrs_core.conformance.workbench.subject import Subject

F = TypeVar("F", bound=Callable[..., Any])

_AGAIN = 1.0
"""Seconds after which what survives the end of its time is ended again."""
_SHOWN = 6


@attrs.frozen
class Allowance:
    """Seconds of processor time: for one test, and for all that fail together."""

    test: float
    failures: float


ALLOWED: dict[Profile, Allowance] = {
    Profile.QUICK: Allowance(15.0, 40.0),
    Profile.DEFAULT: Allowance(120.0, 360.0),
    Profile.THOROUGH: Allowance(3600.0, 7200.0),
}


class _Overdue(KeyboardInterrupt):
    """A test's time is over. Of this kind, because event loops hand on no other from callbacks, and
    neither the core nor plugins take it for a failure of their own."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def bounded(test: F) -> F:
    """A test that ends within its profile's time, and says where it was. Once those that fail have
    taken long, the others aren't tried."""

    @functools.wraps(test)
    def run(suite: Any, subject: Subject, *arguments: Any, **named: Any) -> Any:
        allowed = ALLOWED[subject.profile]
        if subject.wasted > allowed.failures:
            pytest.fail(
                f"not tried: tests that fail have taken {subject.wasted:.0f} s of processor time; "
                "mend what they say first"
            )
        begun = time.process_time()
        subject.noticed.clear()
        try:
            with _until(allowed.test):
                return test(suite, subject, *arguments, **named)
        except pytest.skip.Exception:
            raise
        except _Overdue as overdue:
            where = overdue.where
        except BaseException:
            _waste(subject, begun)
            raise
        _waste(subject, begun)
        _forget()
        failed = "".join(f"\nWhat had failed before: {each}" for each in subject.noticed[-1:])
        pytest.fail(
            f"no end after {allowed.test:g} s of processor time: what it waits for never comes, or "
            "something goes round for ever. A program would hang, its streams with it. It was here:"
            f"\n{where}{failed}"
        )

    return cast(F, run)


def _waste(subject: Subject, begun: float) -> None:
    subject.wasted += time.process_time() - begun


def _forget() -> None:
    """Let go of what was ended in the middle, which has nothing to say any more."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook


@contextmanager
def _until(seconds: float) -> Iterator[None]:
    """Raise :class:`_Overdue` after so much processor time, where the system can tell."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or signal.getitimer(signal.ITIMER_PROF)[0]:
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise _Overdue("".join(traceback.format_stack(frame)[-_SHOWN:]))

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
