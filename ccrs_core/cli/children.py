"""Child processes, which Ctrl-C ends together with the command."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ccrs_core.cli import interrupts


def run(
    arguments: Sequence[str],
    *,
    grace: float = 0.0,
    timeout: float | None = None,
    deaf: bool = False,
    **settings: Any,
) -> subprocess.CompletedProcess[Any]:
    """As ``subprocess.run``; interrupted, the child has ``grace`` seconds to end by itself.

    A ``deaf`` child hears of Ctrl-C only once it calls :func:`hear`: the interpreter would answer
    with a traceback while it starts. (On Windows that can't be helped.)

    :raises subprocess.TimeoutExpired: where it doesn't end in time. It is killed then.
    """
    with contextlib.ExitStack() as stack:
        with interrupts.postponed(), _deaf() if deaf else contextlib.nullcontext():
            child: subprocess.Popen[Any] = subprocess.Popen(arguments, **settings)  # noqa: S603
            stack.callback(_reap, child)
            stack.enter_context(interrupts.at_once(child.kill))
        try:
            with interrupts.raising():
                out, err = child.communicate(timeout=timeout)
        except (KeyboardInterrupt, SystemExit):
            if grace:
                _ask(child, grace)
            raise
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """What is started within begins with Ctrl-C held back."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear() -> None:
    """Take Ctrl-C, as a child that is ready for it."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _ask(child: subprocess.Popen[Any], grace: float) -> None:
    """Let a child end. From a terminal it was interrupted as well, else it must be told."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(grace / 4)
        return
    with contextlib.suppress(subprocess.TimeoutExpired, OSError):
        if sys.platform == "win32":
            child.terminate()
        else:
            child.send_signal(signal.SIGINT)
        child.wait(grace)


def _reap(child: subprocess.Popen[Any]) -> None:
    child.kill()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
    child.wait()
