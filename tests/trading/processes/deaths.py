"""How a program is killed: at any time, inside a commit, frozen, while it reads or closes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from asyncio.subprocess import Process
from pathlib import Path


async def kill(process: Process, how: str, rng: random.Random, log: Path) -> None:
    """Kill a program with SIGKILL. ``log`` is the write-ahead log of its store."""
    match how:
        case "commit":
            _at_a_commit(process.pid, log)
        case "frozen":
            # As a machine that swaps, or a loop that is blocked; it goes on, and then it dies.
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(rng.uniform(0.1, 2.0))
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(rng.uniform(0.0, 0.5))
        case "reading" | "closing" if process.returncode is None:
            process.send_signal(signal.SIGUSR1 if how == "reading" else signal.SIGTERM)
            await asyncio.sleep(rng.uniform(0.0, 0.3))
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _at_a_commit(pid: int, log: Path) -> None:
    """Kill it as soon as it writes to its store."""
    until = time.monotonic() + 1.0
    try:
        first = os.stat(log)
        while time.monotonic() < until:
            now = os.stat(log)
            if (now.st_size, now.st_mtime_ns) != (first.st_size, first.st_mtime_ns):
                break
    except FileNotFoundError:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
