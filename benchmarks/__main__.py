"""``python -m benchmarks [--exchange NAME] [--quick] [--json FILE]``: measure, print tables."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import get_args

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.clients import CONTENDERS
from benchmarks.exchanges import NAMES, wire
from benchmarks.job import Job, Kind, Loop
from benchmarks.measure import cores, pin
from benchmarks.plan import FULL, QUICK, jobs
from benchmarks.report import document
from benchmarks.runner import RunFailed, run, source
from benchmarks.tables import show

KINDS = [kind for kind in get_args(Kind) if kind != "garbage"]
"""``python -m benchmarks.garbage`` measures that one."""


def lacking(exchange: str, clients: list[str]) -> dict[str, list[str]]:
    """The clients that can't be measured on an exchange, and what they lack; they are named."""
    absent = {name: gone for name in clients if (gone := CONTENDERS[name].missing(exchange))}
    for name, packages in absent.items():
        print(
            f"{wire(exchange).title}, {CONTENDERS[name].title}: not installed "
            f"({', '.join(packages)}); see benchmarks/requirements.txt",
            file=sys.stderr,
        )
    return absent


def main() -> int:
    """0 where all that is installed could be measured, 1 otherwise, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--exchange",
        action="append",
        choices=[*NAMES, "all"],
        help=f"whose frames and protocol are measured; may be repeated ({NAMES[0]})",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that all works"
    )
    parser.add_argument("--rounds", type=int, help="how often everything is repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--only", nargs="+", choices=list(CONTENDERS), help="measure these clients alone"
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, help="do only these kinds of measurement"
    )
    parser.add_argument(
        "--loop",
        choices=get_args(Loop),
        default="asyncio",
        help="the event loop of this library and the bare loops (the peers keep to asyncio's)",
    )
    options = parser.parse_args()
    if options.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        parser.error("uvloop is not installed")
    scale = QUICK if options.quick else FULL
    if options.rounds is not None:
        if options.rounds < 1:
            parser.error("at least one round")
        scale = attrs.evolve(scale, repetitions=options.rounds)
    wanted = options.exchange or [NAMES[0]]
    exchanges = [name for name in NAMES if name in wanted or "all" in wanted]
    chosen = options.only or list(CONTENDERS)
    kinds = options.kinds or KINDS
    absent = {exchange: lacking(exchange, chosen) for exchange in exchanges}
    planned = [
        job
        for exchange in exchanges
        for job in jobs(
            scale, [name for name in chosen if name not in absent[exchange]], options.loop, exchange
        )
        if job.kind in kinds
    ]
    client_core, source_core = cores()
    pin(source_core)  # what shows the progress must not disturb the clients
    if client_core is not None and client_core == source_core:
        print("only one core: the source disturbs the clients", file=sys.stderr)
    results: list[tuple[Job, dict[str, float]]] = []
    failures: list[tuple[Job, str]] = []
    interrupted = False
    progress = Progress(
        TextColumn("{task.description:<52}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=False,  # drawing while a job runs would show in its latencies
    )
    try:
        with source() as frames, progress:
            task = progress.add_task("", total=len(planned))
            for job in planned:
                doing = f"{job.exchange} {job.kind} {job.case} {job.client} ({job.many})"
                progress.update(task, description=doing, refresh=True)
                if not progress.console.is_terminal:
                    print(
                        f"{len(results) + len(failures) + 1}/{len(planned)} {doing}",
                        file=sys.stderr,
                    )
                try:
                    results.append((job, run(job, frames)))
                except RunFailed as failure:
                    failures.append((job, str(failure)))
                progress.advance(task)
    except KeyboardInterrupt:
        interrupted = True
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    show(console, results, failures, absent)
    if options.json is not None:
        written = document(scale, results, failures, absent, options.loop)
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    if interrupted:
        return 130
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
