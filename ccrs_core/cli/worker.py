"""pytest's side of ``--jobs``: Ctrl-C reaches all processes, and one of them has to answer it."""

from __future__ import annotations

import signal
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let the process that spread the tests end those that run them."""
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionstart() -> Generator[None]:
    """What is started while Ctrl-C is held back never hears it, not even as it begins."""
    hold = getattr(signal, "pthread_sigmask", None)
    if hold is None:
        return (yield)
    before = hold(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return (yield)
    finally:
        hold(signal.SIG_SETMASK, before)
