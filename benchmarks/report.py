"""From raw figures to medians, ratios, tables and JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from statistics import median
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

from benchmarks.clients import CONTENDERS
from benchmarks.job import Job
from benchmarks.measure import QUANTILES, cpu_model
from benchmarks.plan import CASES, RACERS, RACING_RATE, Scale

OURS = "aiohttp"
TITLES = {"top_of_book": "top of book", "trades": "trades", "book50": "50-level book"}
_SAID = ("ccrs-core", "ccrs-bybit", "aiohttp", "orjson", "attrs", "ccxt", "cryptofeed", "picows")

DISTURBED = 5.0
"""Preemptions per second above which a run's latency isn't to be trusted."""

Key = tuple[str, str, str, int]
"""Kind, case, client, connections: what repetitions have in common."""

Medians = Mapping[Key, Mapping[str, float]]


def key_of(job: Job) -> Key:
    return job.kind, job.case, job.client, job.connections


def medians(results: Iterable[tuple[Job, Mapping[str, float]]]) -> dict[Key, dict[str, float]]:
    """Each figure's median over the repetitions that succeeded."""
    grouped: dict[Key, list[Mapping[str, float]]] = {}
    for job, figures in results:
        grouped.setdefault(key_of(job), []).append(figures)
    return {
        key: {name: median(run[name] for run in runs) for name in runs[0]}
        for key, runs in grouped.items()
    }


def delivered_rate(found: Medians, case: str, client: str) -> float | None:
    """Most events per CPU second that the client hands to its consumer one by one.

    Clients that merge updates while they are busy deliver few from a saturated connection; for
    them the paced run counts, in which they deliver nearly all.
    """
    rates = [
        figures["delivered"] / figures["cpu_s"]
        for kind in ("throughput", "latency")
        if (figures := found.get((kind, case, client, 1))) is not None and figures["cpu_s"]
    ]
    return max(rates, default=None)


def racing_cost(found: Medians, kind: str) -> float | None:
    """What a racing copy costs in units of what a delivered event costs."""
    alone = found.get((kind, "top_of_book", OURS, 1))
    together = found.get((kind, "top_of_book", OURS, RACERS))
    if alone is None or together is None:
        return None
    event = alone["cpu_s"] / alone["delivered"]
    whole = together["cpu_s"] / together["delivered"]
    return (whole - event) / (RACERS - 1) / event


def ratios(found: Medians) -> dict[str, float]:
    """All comparisons, flat.

    ``<case>/aiohttp/vs_<peer>`` is ours over theirs, in events per CPU second: above 1 is faster.
    ``latency/…/vs_<peer>`` is ours over theirs in time: below 1 is faster.
    """
    flat: dict[str, float] = {}
    peers = [client for client in CONTENDERS if client != OURS]
    for case in CASES:
        mine = found.get(("throughput", case, OURS, 1))
        delivered = delivered_rate(found, case, OURS)
        for peer in peers:
            theirs = found.get(("throughput", case, peer, 1))
            if mine is not None and theirs is not None:
                handled = mine["events_per_cpu_s"] / theirs["events_per_cpu_s"]
                flat[f"{case}/{OURS}/handled/vs_{peer}"] = handled
            other = delivered_rate(found, case, peer)
            if mine and theirs and delivered and other:
                flat[f"{case}/{OURS}/vs_{peer}"] = delivered / other
        mine = found.get(("latency", case, OURS, 1))
        prefix = "latency" if case == "top_of_book" else f"latency/{case}"
        for peer in peers:
            theirs = found.get(("latency", case, peer, 1))
            if mine is not None and theirs is not None:
                for name in QUANTILES:
                    flat[f"{prefix}/{name}/vs_{peer}"] = mine[f"{name}_us"] / theirs[f"{name}_us"]
    for kind, name in (("racing", "racing"), ("racing_paced", "racing/paced")):
        cost = racing_cost(found, kind)
        if cost is not None:
            flat[f"{name}/duplicate_vs_event"] = cost
    for (kind, _, client, connections), figures in found.items():
        if kind == "connections":
            prefix = f"connections/{connections}"
            if client == OURS:
                flat[f"{prefix}/kib_each"] = figures["kib_each"]
                flat[f"{prefix}/lost"] = figures["lost"]
                bare = found.get((kind, "top_of_book", "bare", connections))
                if bare is not None and bare["cpu_s"]:
                    flat[f"{prefix}/cpu/vs_bare"] = figures["cpu_s"] / bare["cpu_s"]
    return {name: round(value, 4) for name, value in flat.items()}


def environment() -> dict[str, Any]:
    """The machine and the versions, without anything that identifies the machine."""
    versions = {}
    for name in _SAID:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "pinned": hasattr(os, "sched_setaffinity"),
        "optimised": bool(sys.flags.optimize),
        "versions": versions,
    }


def document(
    scale: Scale,
    results: list[tuple[Job, dict[str, float]]],
    failures: list[tuple[Job, str]],
    absent: Mapping[str, list[str]],
) -> dict[str, Any]:
    """Everything, ready for JSON."""
    found = medians(results)

    def described(job: Job) -> dict[str, Any]:
        return attrs.asdict(job, filter=lambda field, _: field.name != "port")

    return {
        "environment": environment(),
        "scale": attrs.asdict(scale),
        "not_installed": dict(absent),
        "ratios": ratios(found),
        "medians": [
            {"kind": kind, "case": case, "client": client, "connections": connections, **figures}
            for (kind, case, client, connections), figures in found.items()
        ],
        "runs": [described(job) | {"figures": figures} for job, figures in results],
        "failures": [described(job) | {"cause": cause} for job, cause in failures],
    }


def _row_or(absent: Mapping[str, list[str]], client: str, filled: list[str]) -> list[str]:
    if client in absent:
        return [CONTENDERS[client].title, "not installed", *[""] * (len(filled) - 1)]
    return [CONTENDERS[client].title, *filled]


def _ratio(flat: Mapping[str, float], name: str) -> str:
    return f"{flat[name]:.2f}" if name in flat else ""


def show(
    console: Console,
    results: list[tuple[Job, dict[str, float]]],
    failures: list[tuple[Job, str]],
    absent: Mapping[str, list[str]],
) -> None:
    """Print the tables."""
    found = medians(results)
    flat = ratios(found)
    for case in CASES:
        table = Table(title=f"{TITLES[case]}: events per CPU second, and latency at 10,000/s")
        columns = ("handled", "ours/its", "delivered", "ours/its", "p50 µs", "p99 µs", "p99.9 µs")
        table.add_column("client", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right")
        for client in CONTENDERS:
            burst = found.get(("throughput", case, client, 1))
            paced = found.get(("latency", case, client, 1))
            rate = delivered_rate(found, case, client)
            filled = [
                f"{burst['events_per_cpu_s']:,.0f}" if burst else "",
                _ratio(flat, f"{case}/{OURS}/handled/vs_{client}"),
                f"{rate:,.0f}" if rate else "",
                _ratio(flat, f"{case}/{OURS}/vs_{client}"),
                *(f"{paced[f'{name}_us']:,.0f}" if paced else "" for name in QUANTILES),
            ]
            table.add_row(*_row_or(absent, client, filled))
        console.print(table)
    table = Table(title="connections, top of book, 1,000 events/s in all")
    table.add_column("client", no_wrap=True)
    for column in ("connections", "KiB each", "CPU %", "CPU µs/event", "ready in s", "lost"):
        table.add_column(column, justify="right")
    for (kind, _, client, connections), figures in sorted(found.items(), key=lambda kv: kv[0][2:]):
        if kind == "connections":
            table.add_row(
                CONTENDERS[client].title,
                f"{connections:,}",
                f"{figures['kib_each']:.1f}",
                f"{figures['cpu_percent']:.1f}",
                f"{figures['cpu_us_per_event']:.1f}",
                f"{figures['ready_s']:.2f}",
                f"{figures['lost']:.0f}",
            )
    console.print(table)
    for name, where in (("racing", "saturated"), ("racing/paced", f"at {RACING_RATE:,.0f}/s")):
        if (cost := flat.get(f"{name}/duplicate_vs_event")) is not None:
            console.print(
                f"racing on {RACERS} connections, {where}: a late copy costs {cost:.2f} "
                "of a delivered event"
            )
    disturbed = sum(
        figures["preempted_per_s"] > DISTURBED for job, figures in results if job.kind == "latency"
    )
    if disturbed:
        console.print(
            f"{disturbed} of {sum(job.kind == 'latency' for job, _ in results)} latency runs lost "
            "the processor to other programs time and again: their tails say more about those"
        )
    for job, cause in failures:
        console.print(f"failed: {job.kind} {job.case} {job.client} ({job.connections}): {cause}")
