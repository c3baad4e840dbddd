"""``python -m benchmarks.instructions [--exchange NAME]``: how much Python a frame takes.

Bytecode instructions and calls of Python functions for each frame, from its arrival to the
consumer's batch, in the whole client within this process. They are the same however busy a machine
is, so that a path that has grown shows on any; what is done in C (matching, parsing, sockets)
doesn't count. They differ between versions of Python: compare what one version says.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from benchmarks.clients import CONTENDERS
from benchmarks.exchanges import NAMES, wire
from benchmarks.interleaved import bursts, opened
from benchmarks.job import Job
from benchmarks.plan import TOPICS
from benchmarks.stages import BURST

FRAMES = 2_000
CASES = ("top_of_book", "trades")


@attrs.define
class Tally:
    """What was executed while it was on."""

    instructions: int = 0
    calls: int = 0

    def __enter__(self) -> None:
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.instructions += 1
        elif event == "call":
            self.calls += 1
        return self._trace


async def tallied(job: Job, material: Sequence[Sequence[bytes]]) -> Tally:
    """What all but the first bursts took, which bring what a topic brings first."""
    tally = Tally()
    ahead = -(-job.topics // len(material[0])) + 1
    async with opened(job) as (peer, batches):
        for number, burst in enumerate(material):
            peer.push(*burst)
            left = len(burst)
            if number < ahead:
                while left:
                    left -= len(await anext(batches))
                continue
            with tally:
                while left:
                    left -= len(await anext(batches))
    return tally


def per_frame(exchange: str, case: str, topics: int, frames: int = FRAMES) -> tuple[float, float]:
    """Instructions and calls for a frame, on a connection with so many topics in turns."""
    job = Job(
        kind="interleaved",
        client="aiohttp",
        exchange=exchange,
        case=case,
        count=frames + BURST * (-(-topics // BURST) + 1),
        topics=topics,
    )
    found = asyncio.run(tallied(job, bursts(job)))
    return found.instructions / frames, found.calls / frames


def main() -> int:
    """0, or 1 where a plugin is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--exchange", choices=NAMES, action="append", help="whose frames (all)")
    options = parser.parse_args()
    names = options.exchange or NAMES
    if absent := sorted({m for each in names for m in CONTENDERS["aiohttp"].missing(each)}):
        print(f"not installed: {', '.join(absent)}", file=sys.stderr)
        return 1
    shown = Table(title="instructions (and calls) for a frame, by topics on the connection")
    shown.add_column("frames", no_wrap=True)
    for topics in TOPICS:
        shown.add_column(f"{topics}", justify="right")
    for name in names:
        for case in CASES:
            cells = [per_frame(name, case, topics) for topics in TOPICS]
            title = f"{wire(name).title}, {case.replace('_', ' ')}"
            shown.add_row(title, *(f"{steps:.0f} ({calls:.1f})" for steps, calls in cells))
    Console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
