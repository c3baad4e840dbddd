"""Starts and ends the processes of a run: one source, and one client after the other."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from benchmarks.clients import CONTENDERS
from benchmarks.exchanges import wire
from benchmarks.frames import Bursts
from benchmarks.job import Job
from benchmarks.measure import cores
from benchmarks.source import Order

ROOT = Path(__file__).resolve().parent.parent
_START = 30.0
"""Seconds for a client to start, on top of what its job takes."""


class RunFailed(Exception):
    """A client's run gave no figures; the text says why."""


@attrs.define
class Running:
    """A process that answers by lines of JSON, the first of which names its port."""

    name: str
    process: subprocess.Popen[str]
    port: int = 0

    def ask(self, line: str) -> dict[str, Any]:
        """What it answers to a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RunFailed(f"{self.name} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def running(module: str, *arguments: str) -> Iterator[Running]:
    """A module in a process of its own, on the core that isn't the clients'. It ends with this
    context, or with this process."""
    _, cpu = cores()
    command = [sys.executable, "-m", module, *arguments, *([] if cpu is None else [str(cpu)])]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is for the parent, which ends this
    ) as process:
        try:
            found = Running(module, process)
            found.port = found.read()["port"]
            yield found
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()


def source() -> contextlib.AbstractContextManager[Running]:
    """A frame source."""
    return running("benchmarks.source")


def order_of(job: Job) -> Order:
    """What the source has to do for a job."""
    if job.kind in ("connections", "connections_busy"):
        assert job.rate is not None
        return Order(
            mode="spread",
            exchange=job.exchange,
            channel=job.channel,
            rate=job.rate,
            connections=job.connections,
            instruments=job.connections + 1,
        )
    asks = CONTENDERS[job.client].books
    held_back = asks and job.channel in wire(job.exchange).changes
    if not job.clocked:
        return Order(
            mode="burst",
            exchange=job.exchange,
            channel=job.channel,
            count=job.count,
            rate=job.rate or 0.0,
            connections=job.connections,
            topics=job.topics,
            instruments=job.topics,
            block=Bursts.SMALL_BLOCK if job.kind == "racing_bursts" else Bursts.BLOCK,
            held_back=held_back,
        )
    assert job.rate is not None
    return Order(
        mode="paced",
        exchange=job.exchange,
        channel=job.channel,
        count=job.count,
        rate=job.rate,
        connections=job.connections,
        held_back=held_back,
    )


def run(job: Job, at: Running) -> dict[str, Any]:
    """Run a job in a fresh process and return its figures.

    :raises RunFailed: where it ends without any, or takes far too long.
    """
    at.ask(json.dumps(attrs.asdict(order_of(job))))
    job = attrs.evolve(job, port=at.port)
    return figures_of("benchmarks.worker", attrs.asdict(job), _START + 3 * job.seconds)


def figures_of(module: str, job: dict[str, Any], limit: float) -> dict[str, Any]:
    """Run a worker's module in a fresh process, on the clients' core, and return what it prints.

    :raises RunFailed: where it prints nothing, or takes longer than ``limit`` seconds.
    """
    cpu, _ = cores()
    command = [sys.executable, "-m", module, json.dumps(job), str(limit)]
    with subprocess.Popen(
        [*command, *([] if cpu is None else [str(cpu)])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    ) as process:
        try:
            output, complaint = process.communicate(timeout=limit + 15.0)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"no end after {limit + 15.0:.0f} s") from None
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        raise RunFailed(cause(complaint) or f"exit code {process.returncode}")
    figures: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return figures


def cause(complaint: str) -> str:
    """The line of a traceback that says what went wrong, also within an exception group."""
    lines = [line.strip(" |") for line in complaint.splitlines()]
    named = [line for line in lines if _ERROR.match(line)]
    return (named or [line for line in lines if line] or [""])[-1]


_ERROR = re.compile(r"[\w.]+(Error|Exception|Exhausted|Lost|Failed|Unsupported|Timeout)\b")
