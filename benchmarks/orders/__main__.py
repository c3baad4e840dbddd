"""``python -m benchmarks.orders [--exchange NAME …] [--quick] [--json FILE]``: orders, fills."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import attrs
from rich.console import Console

from benchmarks.measure import cores, pin
from benchmarks.orders.exchanges import NAMES, load
from benchmarks.orders.job import CONTENDERS, Job, absent
from benchmarks.orders.plan import FULL, KINDS, QUICK, jobs
from benchmarks.orders.report import Results, document
from benchmarks.orders.runner import run
from benchmarks.orders.tables import show
from benchmarks.runner import RunFailed


def main() -> int:
    """0 where all that is installed could be measured, 1 otherwise, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orders", description=__doc__)
    parser.add_argument(
        "--exchange", nargs="+", choices=NAMES, default=NAMES, help="on these (all of them)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that all works"
    )
    parser.add_argument("--rounds", type=int, help="how often everything is repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--only", nargs="+", choices=list(CONTENDERS), help="measure these clients alone"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="do only these kinds")
    parser.add_argument(
        "--ledgers",
        type=Path,
        metavar="FOLDER",
        help="where SQLite's files are made (where temporary files are): the disk decides what "
        "durability costs",
    )
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    if options.rounds is not None:
        if options.rounds < 1:
            parser.error("at least one round")
        scale = attrs.evolve(scale, rounds=options.rounds)
    chosen = options.only or list(CONTENDERS)
    gone = absent(options.exchange, chosen)
    for (exchange, name), packages in gone.items():
        title = f"{load(exchange).title}: {CONTENDERS[name].title}"
        print(f"{title}: not installed ({', '.join(packages)})", file=sys.stderr)
    present = [
        (exchange, name)
        for exchange in options.exchange
        for name in chosen
        if (exchange, name) not in gone
    ]
    planned = jobs(scale, present, options.kinds or KINDS)
    client_core, venue_core = cores()
    pin(venue_core)
    if client_core is not None and client_core == venue_core:
        print("only one core: the venue disturbs the clients", file=sys.stderr)
    results: Results = []
    failures: list[tuple[Job, str]] = []
    interrupted = False
    try:
        for place, (number, job) in enumerate(planned, 1):
            print(f"{place}/{len(planned)} {job.exchange} {job.kind} {job.client}", file=sys.stderr)
            try:
                results.append((number, job, run(job, options.ledgers)))
            except RunFailed as failure:
                failures.append((job, str(failure)))
    except KeyboardInterrupt:
        interrupted = True
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    show(console, results, failures, gone)
    if options.json is not None:
        written = document(scale, results, failures, gone)
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    if interrupted:
        return 130
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
