"""``python -m benchmarks.garbage``: what a program gains by freezing what lives long.

Runs this library under load with the collector as it is, with ``gc.freeze()`` and higher
thresholds, and without it, and shows its pauses. ``docs/performance.md`` explains the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import get_args

from rich.console import Console
from rich.table import Table

from benchmarks.clients import CONTENDERS, OURS
from benchmarks.collector import FROZEN_THRESHOLDS
from benchmarks.exchanges import NAMES, wire
from benchmarks.frames import Bursts
from benchmarks.job import Collector, Job
from benchmarks.measure import cores, pin
from benchmarks.plan import LATENCY_RATE
from benchmarks.runner import RunFailed, run, source

TITLES: dict[Collector, str] = {
    "default": "as it is",
    "frozen": f"freeze, set_threshold{FROZEN_THRESHOLDS}",
    "off": "off",
}
Key = tuple[str, bool, Collector]
"""Client, whether saturated, collector."""


def jobs(client: str, case: str, seconds: float) -> list[Job]:
    """Each way to collect, saturated and at a steady rate."""
    saturated = max(1, round(CONTENDERS[client].speed * seconds / Bursts.BLOCK)) * Bursts.BLOCK
    return [
        Job(
            kind="garbage",
            client=client,
            case=case,
            count=saturated if rate is None else int(rate * seconds),
            rate=rate,
            seconds=seconds,
            collector=collector,
        )
        for rate in (None, LATENCY_RATE)
        for collector in get_args(Collector)
    ]


def medians(results: list[tuple[Job, dict[str, float]]]) -> dict[Key, dict[str, float]]:
    """Medians over the repetitions, but of a longest pause the longest."""
    grouped: dict[Key, list[dict[str, float]]] = {}
    for job, figures in results:
        key = job.client, job.rate is None, job.collector
        grouped.setdefault(key, []).append(figures)
    return {
        key: {
            name: (max if name.startswith("longest") else median)([run[name] for run in runs])
            for name in runs[0]
        }
        for key, runs in grouped.items()
    }


def table(case: str, found: Mapping[Key, Mapping[str, float]]) -> Table:
    """All figures, those of a collector that is off excepted: it does nothing."""
    shown = Table(title=f"garbage collection under load, {case.replace('_', ' ')}")
    for column in ("client", "load", "collector"):
        shown.add_column(column, no_wrap=True)
    for column in (
        *("gen 0", "gen 1", "gen 2", "longest gen 2, µs", "longest gen 0, µs"),
        *("share of time", "allocations/s", "events/CPU s", "p99 µs"),
    ):
        shown.add_column(column, justify="right")
    for (client, saturated, collector), figures in found.items():
        shown.add_row(
            CONTENDERS[client].title,
            "saturated" if saturated else f"{LATENCY_RATE:,.0f}/s",
            TITLES[collector],
            *(f"{figures[f'collections_{generation}']:,.0f}" for generation in range(3)),
            f"{figures['longest_2_us']:,.0f}",
            f"{figures['longest_0_us']:,.0f}",
            f"{figures['collecting_share']:.1%}",
            f"{figures['allocations_per_s']:,.0f}",
            f"{figures['delivered'] / figures['cpu_s']:,.0f}",
            "" if saturated else f"{figures['p99_us']:,.0f}",
        )
    return shown


def main() -> int:
    """0 where everything could be measured, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.garbage", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short repetition")
    parser.add_argument("--case", choices=list(wire(NAMES[0]).cases), default="top_of_book")
    parser.add_argument("--only", nargs="+", choices=OURS, default=list(OURS), metavar="CLIENT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    repetitions, seconds = (1, 0.5) if options.quick else (3, 3.0)
    results: list[tuple[Job, dict[str, float]]] = []
    failed = False
    planned = []
    for client in options.only:
        if absent := CONTENDERS[client].missing():
            print(f"{client}: not installed ({', '.join(absent)})", file=sys.stderr)
        else:
            planned += jobs(client, options.case, seconds)
    pin(cores()[1])
    with source() as frames:
        for job in planned * repetitions:
            try:
                results.append((job, run(job, frames)))
            except RunFailed as failure:
                failed = True
                print(f"failed: {job.client} {job.collector}: {failure}", file=sys.stderr)
    found = medians(results)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table(options.case, found))
    if options.json is not None:
        written = [
            {"client": client, "saturated": saturated, "collector": collector, **figures}
            for (client, saturated, collector), figures in found.items()
        ]
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
