"""From raw figures to medians and ratios."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from statistics import median
from typing import Any

import attrs

from benchmarks.clients import BARE, BARE_ORJSON, CONTENDERS, OURS
from benchmarks.exchanges import NAMES, wire
from benchmarks.job import Job, Loop
from benchmarks.measure import QUANTILES, cpu_model
from benchmarks.plan import RACERS, Scale

_SAID = (
    "ccrs-core",
    *(f"ccrs-{name}" for name in NAMES),
    "ccrs-picows",
    "aiohttp",
    "orjson",
    "attrs",
    "ccxt",
    "cryptofeed",
    "picows",
    "uvloop",
)
_PEERS = ("ccxt", "cryptofeed")
RACES = {"racing": "racing", "racing_bursts": "racing/bursts", "racing_paced": "racing/paced"}
"""By kind: how its ratios begin."""

Key = tuple[str, str, str, int]
"""Kind, case, client, and how many (``Job.many``): what repetitions have in common."""

Medians = Mapping[Key, Mapping[str, float]]
Results = list[tuple[Job, dict[str, float]]]


def key_of(job: Job) -> Key:
    return job.kind, job.case, job.client, job.many


def medians(results: Iterable[tuple[Job, Mapping[str, float]]]) -> dict[Key, dict[str, float]]:
    """One exchange's figures: medians over the repetitions that succeeded; of what was lost, the
    sum."""
    grouped: dict[Key, list[Mapping[str, float]]] = {}
    for job, figures in results:
        grouped.setdefault(key_of(job), []).append(figures)
    return {
        key: {
            name: sum(run[name] for run in runs)
            if name == "lost"
            else median(run[name] for run in runs)
            for name in runs[0]
        }
        for key, runs in grouped.items()
    }


def by_exchange(results: Results) -> dict[str, Results]:
    """The results of each exchange of which there are some."""
    found = {name: [entry for entry in results if entry[0].exchange == name] for name in NAMES}
    return {name: entries for name, entries in found.items() if entries}


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


def rate_of(found: Medians, kind: str, case: str, client: str, many: int = 1) -> float | None:
    """Frames handled per CPU second."""
    figures = found.get((kind, case, client, many))
    return None if figures is None else figures["events_per_cpu_s"]


def racing_cost(found: Medians, kind: str, client: str) -> float | None:
    """What a racing copy costs in units of what a delivered event costs."""
    alone = found.get((kind, "top_of_book", client, 1))
    together = found.get((kind, "top_of_book", client, RACERS))
    if alone is None or together is None:
        return None
    event = alone["cpu_s"] / alone["delivered"]
    whole = together["cpu_s"] / together["delivered"]
    return (whole - event) / (RACERS - 1) / event


def peers_of(client: str) -> dict[str, str]:
    """Whom a client of ours is compared with, by the name in ratios."""
    others = {peer: peer for peer in _PEERS}
    return others | {"bare": BARE[client], "bare_orjson": BARE_ORJSON[client]}


def ratios(found: Medians, exchange: str = NAMES[0]) -> dict[str, float]:
    """All comparisons, flat; ``docs/performance.md`` says what each key means. Those of other
    exchanges than the first begin with the name.

    Rates are ours over theirs, in events per CPU second: above 1, ours is faster. Latencies are
    ours over theirs in time: below 1, ours is faster.
    """
    flat: dict[str, float] = {}

    def compare(name: str, ours: float | None, theirs: float | None) -> None:
        if ours is not None and theirs:
            flat[name] = ours / theirs

    for client in OURS:
        for case in wire(exchange).cases:
            ours = delivered_rate(found, case, client)
            for name, peer in peers_of(client).items():
                compare(f"{case}/{client}/vs_{name}", ours, delivered_rate(found, case, peer))
                if CONTENDERS[peer].merges:
                    compare(
                        f"{case}/{client}/handled/vs_{name}",
                        rate_of(found, "throughput", case, client),
                        rate_of(found, "throughput", case, peer),
                    )
            heading = "latency" if case == "top_of_book" else f"latency/{case}"
            mine = found.get(("latency", case, client, 1), {})
            for name, peer in peers_of(client).items():
                theirs = found.get(("latency", case, peer, 1), {})
                for share in QUANTILES:
                    micros = f"{share}_us"
                    compare(
                        f"{heading}/{client}/{share}/vs_{name}",
                        mine.get(micros),
                        theirs.get(micros),
                    )
        read = rate_of(found, "throughput_read", "top_of_book", client)
        bare_read = rate_of(found, "throughput_read", "top_of_book", BARE[client])
        compare(f"top_of_book/{client}/read/vs_bare", read, bare_read)
        conflated = rate_of(found, "conflate", "top_of_book", client)
        bare = rate_of(found, "throughput", "top_of_book", BARE[client])
        key = "conflate" if client == "picows" else f"conflate_{client}"
        compare(f"top_of_book/{key}/vs_bare", conflated, bare)
        for kind, name in RACES.items():
            if (cost := racing_cost(found, kind, client)) is not None:
                flat[f"{name}/{client}/duplicate_vs_event"] = cost
    flat |= _held(found) | _interleaved(found)
    prefix = "" if exchange == NAMES[0] else f"{exchange}/"
    return {prefix + name: round(value, 4) for name, value in flat.items()}


def _held(found: Medians) -> dict[str, float]:
    """What connections cost: of each transport, and the worse of both."""
    flat: dict[str, float] = {}
    for (kind, case, client, connections), figures in found.items():
        if kind not in ("connections", "connections_busy") or client not in OURS:
            continue
        for name in ("kib_each", "lost"):
            for key in (
                f"connections/{connections}/{name}",
                f"connections/{connections}/{client}/{name}",
            ):
                flat[key] = max(flat.get(key, 0.0), figures[name])
        bare = found.get((kind, case, "bare", connections))
        if bare is not None and bare["cpu_s"]:
            busy = "busy/" if kind == "connections_busy" else ""
            key = f"connections/{connections}/{client}/{busy}cpu/vs_bare_orjson"
            flat[key] = figures["cpu_us_per_event"] / bare["cpu_us_per_event"]
    return flat


def _interleaved(found: Medians) -> dict[str, float]:
    """What a frame costs with many topics on the connection: over one topic's, and how ours
    compares with the others' then."""
    flat: dict[str, float] = {}
    for (kind, case, client, topics), figures in found.items():
        if kind != "interleaved":
            continue
        rate, alone = figures["events_per_cpu_s"], rate_of(found, kind, case, client)
        key = f"interleaved/{topics}/{case}/{client}"
        if topics > 1 and alone:
            flat[f"{key}/vs_one"] = alone / rate
        for name, peer in peers_of(client).items() if client in OURS else ():
            if theirs := rate_of(found, kind, case, peer, topics):
                flat[f"{key}/vs_{name}"] = rate / theirs
    return flat


def environment(loop: Loop = "asyncio") -> dict[str, Any]:
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
        "loop": loop,
        "versions": versions,
    }


def document(
    scale: Scale,
    results: Results,
    failures: list[tuple[Job, str]],
    absent: Mapping[str, Mapping[str, list[str]]],
    loop: Loop = "asyncio",
) -> dict[str, Any]:
    """Everything, ready for JSON. ``absent`` is by exchange."""
    found = {name: medians(entries) for name, entries in by_exchange(results).items()}

    def described(job: Job) -> dict[str, Any]:
        return attrs.asdict(job, filter=lambda field, _: field.name != "port")

    return {
        "environment": environment(loop),
        "scale": attrs.asdict(scale),
        "not_installed": {
            client: packages for each in absent.values() for client, packages in each.items()
        },
        "ratios": {
            name: value
            for exchange, figures in found.items()
            for name, value in ratios(figures, exchange).items()
        },
        "medians": [
            {"exchange": exchange, "kind": kind, "case": case, "client": client}
            | {"topics" if kind == "interleaved" else "connections": many, **figures}
            for exchange, each in found.items()
            for (kind, case, client, many), figures in each.items()
        ],
        "runs": [described(job) | {"figures": figures} for job, figures in results],
        "failures": [described(job) | {"cause": cause} for job, cause in failures],
    }
