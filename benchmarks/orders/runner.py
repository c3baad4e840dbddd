"""Runs a job: the venue in a process of its own, and the client that trades on it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import attrs

from benchmarks.orders.job import Job
from benchmarks.orders.meter import joined
from benchmarks.runner import figures_of, running

_LIMIT = 60.0
"""Seconds that a job may take, with the start of its client."""


def run(job: Job, ledgers: Path | None = None) -> dict[str, float]:
    """Run a job in fresh processes and return its figures. SQLite's files are made in ``ledgers``
    (None: where temporary files are).

    :raises RunFailed: where it ends without any, or takes far too long.
    """
    fresh = running("benchmarks.orders.venue", job.exchange)
    with fresh as venue, tempfile.TemporaryDirectory(dir=ledgers) as folder:
        job = attrs.evolve(job, port=venue.port, ledger=str(Path(folder, "ledger.sqlite")))
        found = figures_of("benchmarks.orders.worker", attrs.asdict(job), _LIMIT)
        if not job.kind.startswith("fills"):
            return found
        # When each fill's push was written, by execution id (monotonic nanoseconds).
        return joined(found, venue.ask("stamps"), job.warm_up)
