"""Starts and ends the processes of a job: the venue, and the client that trades on it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from benchmarks.measure import cores
from benchmarks.orders.job import Job
from benchmarks.orders.meter import joined
from benchmarks.runner import ROOT, RunFailed, figures_of

_LIMIT = 60.0
"""Seconds that a job may take, with the start of its client."""


@attrs.define
class VenueProcess:
    """The emulated exchange while it runs."""

    process: subprocess.Popen[str]
    port: int = 0

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RunFailed("the venue ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stamps(self) -> dict[str, int]:
        """By execution id, when its push was written (monotonic nanoseconds)."""
        assert self.process.stdin is not None
        self.process.stdin.write("stamps\n")
        self.process.stdin.flush()
        return self.read()


@contextlib.contextmanager
def venue() -> Iterator[VenueProcess]:
    """A fresh one on its own core. It ends with this context."""
    _, cpu = cores()
    command = [
        sys.executable,
        "-m",
        "benchmarks.orders.venue",
        *([] if cpu is None else [str(cpu)]),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is for the parent, which ends this
    ) as process:
        try:
            running = VenueProcess(process)
            running.port = running.read()["port"]
            yield running
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()


def run(job: Job, ledgers: Path | None = None) -> dict[str, float]:
    """Run a job in fresh processes and return its figures. SQLite's files are made in ``ledgers``
    (None: where temporary files are).

    :raises RunFailed: where it ends without any, or takes far too long.
    """
    with venue() as running, tempfile.TemporaryDirectory(dir=ledgers) as folder:
        job = attrs.evolve(job, port=running.port, ledger=str(Path(folder, "ledger.sqlite")))
        found = figures_of("benchmarks.orders.worker", attrs.asdict(job), _LIMIT)
        if not job.kind.startswith("fills"):
            return found
        return joined(found, running.stamps(), job.warm_up)
