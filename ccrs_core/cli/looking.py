"""Loading all plugins in a process of its own, for ``ccrs exchanges``.

Nothing stops foreign code for certain but the end of its process. Here that is a child's, so that
one plugin that hangs, or ends its process, is named in a list that has all others.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any

from ccrs_core.cli import interrupts
from ccrs_core.cli.patience import ending_after, limit, slow
from ccrs_core.errors import CcrsError, PluginBroken
from ccrs_core.extensions import loading

_START_SECONDS = 30.0
"""For the interpreter itself."""
_KEPT = 64 * 1024
"""Bytes of what plugins say while they are looked at."""

_CHILD = (
    "import sys, json; job = json.loads(sys.argv[1]); sys.path[:] = job.pop('path'); "
    "from ccrs_core.cli.looking import report; report(**job)"
)


def rows(meanwhile: Callable[[], object]) -> list[dict[str, Any]]:
    """What :func:`ccrs_core.cli.offers.rows` tells, found out in a child process.

    There is time for something else ``meanwhile``.

    :raises CcrsError: where the child can't do its work for another reason than a plugin.
    """
    troubles: dict[str, str] = {}
    while True:
        # From the start each time, without those that are known to hang: there won't be many.
        found = _look(troubles, meanwhile)
        if found is not None:
            return found


def _look(troubles: dict[str, str], meanwhile: Callable[[], object]) -> list[dict[str, Any]] | None:
    """The child's answer; None where a plugin is in the way, which is then one of the troubles."""
    seconds = limit()
    job = json.dumps({"path": sys.path, "troubles": troubles, "seconds": seconds})
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-P", "-c", _CHILD, job],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    said = bytearray()
    threads = [
        threading.Thread(target=_lines, args=(child.stdout, lines), daemon=True),
        threading.Thread(target=_collect, args=(child.stderr, said), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        with interrupts.at_once(child.kill):
            meanwhile()
            found = _heard(lines, troubles, seconds)
        if found is None:
            return None
        if isinstance(found, str):
            last = (said.decode(errors="replace").strip().splitlines() or [""])[-1]
            raise CcrsError(f"looking at the installed plugins failed: {found}: {last}")
        threads[1].join(1)
        sys.stderr.write(said.decode(errors="replace"))
        return found
    finally:
        child.kill()
        child.wait()
        for thread in threads:
            thread.join(1)


def _heard(
    lines: queue.SimpleQueue[bytes], troubles: dict[str, str], seconds: float
) -> list[dict[str, Any]] | str | None:
    """The child's answer; None where a plugin is in the way; else what is wrong with the child."""
    under_way: list[tuple[str, str]] = []
    while True:
        try:
            line = lines.get(timeout=seconds if under_way else seconds + _START_SECONDS)
        except queue.Empty:
            line = None
        match json.loads(line or "null"):
            case {"rows": found}:
                return list(found)
            case {"loading": [what, distribution]}:
                under_way.append((what, distribution))
            case {"loaded": _}:
                under_way.pop()
            case _ if not under_way:
                return "it doesn't end" if line is None else "it ended early"
            case _:
                what, distribution = under_way[-1]
                troubles[what] = (
                    slow(what, distribution, seconds)
                    if line is None
                    else f"{what} ends the process that loads it: uninstall {distribution}"
                )
                return None


def _lines(stream: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")


def _collect(stream: IO[bytes], kept: bytearray) -> None:
    with stream:
        while part := stream.read1(_KEPT):  # type: ignore[attr-defined]
            kept += part[: _KEPT - len(kept)]


def report(troubles: dict[str, str], seconds: float) -> None:
    """The child's work: load all plugins, and tell line by line which one is being loaded."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends without a word; the parent tells
    # Lines go where plugins don't print to.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def tell(**record: Any) -> None:
        out.write(json.dumps(record, default=str).encode() + b"\n")

    @contextlib.contextmanager
    def telling(what: str, distribution: str) -> Iterator[None]:
        if what in troubles:
            raise PluginBroken(troubles[what])
        tell(loading=[what, distribution])
        # The parent ends this process much sooner, unless it has itself been killed.
        with ending_after(2 * seconds + _START_SECONDS, "Error: nobody waits for this any more"):
            try:
                yield
            finally:
                tell(loaded=what)

    loading.watch = telling
    from ccrs_core.cli import offers

    tell(rows=offers.rows())
    sys.stderr.flush()
    os._exit(0)  # whatever threads plugins have left behind
