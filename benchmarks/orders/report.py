"""From raw figures to medians, least ones and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

import attrs

from benchmarks.orders.job import CONTENDERS, OURS, PEERS, Job
from benchmarks.orders.plan import Scale
from benchmarks.report import environment

Results = list[tuple[int, Job, dict[str, float]]]
"""Round, job, figures."""
Key = tuple[str, str, str]
"""Exchange, kind and client."""
Summary = Mapping[Key, Mapping[str, float]]

_ADDED = {
    "single": "place_p50_us",
    "flight": "place_p50_us",
    "fills": "fill_p50_us",
    "fills_busy": "fill_p50_us",
}
"""By kind: the time to which durability adds."""


def _grouped(results: Iterable[tuple[int, Job, Mapping[str, float]]]) -> dict[Key, list[Any]]:
    grouped: dict[Key, list[Any]] = {}
    for number, job, figures in results:
        grouped.setdefault((job.exchange, job.kind, job.client), []).append((number, figures))
    return grouped


def medians(results: Results) -> dict[Key, dict[str, float]]:
    """Over the rounds; of what was lost, the sum; with the least CPU time as ``cpu_us_min``."""
    found: dict[Key, dict[str, float]] = {}
    for key, runs in _grouped(results).items():
        each = [figures for _, figures in runs]
        found[key] = {
            name: sum(run[name] for run in each)
            if name == "lost"
            else median(run[name] for run in each)
            for name in each[0]
        }
        found[key]["cpu_us_min"] = min(run["cpu_us"] for run in each)
    return found


def ratios(results: Results) -> dict[str, float]:
    """All comparisons, flat; ``docs/performance.md`` says what each key means.

    CPU is theirs over ours, of the same round: above 1, ours takes less. What durability adds is
    microseconds, of the medians.
    """
    flat: dict[str, float] = {}
    grouped, middle = _grouped(results), medians(results)
    for (exchange, kind, client), runs in grouped.items():
        ours = {number: figures["cpu_us"] for number, figures in runs}
        if client not in OURS:
            continue
        for peer in PEERS:
            if CONTENDERS[peer].way != CONTENDERS[client].way:
                continue
            theirs = dict(grouped.get((exchange, kind, peer), ()))
            each = [theirs[n]["cpu_us"] / cpu for n, cpu in ours.items() if n in theirs]
            if each:
                name = f"{exchange}/{kind}/{client}/cpu/vs_{peer}"
                flat[name] = median(each)
                least = middle[exchange, kind, peer]["cpu_us_min"]
                flat[f"{name}/least"] = least / middle[exchange, kind, client]["cpu_us_min"]
    for (exchange, kind, client), slower in middle.items():
        contender = CONTENDERS[client]
        way = "rest_" if contender.way == "rest" else ""
        base = middle.get((exchange, kind, f"{way}memory"))
        if base is not None and contender.store in {"normal", "full"}:
            name = f"{exchange}/durability/{kind}/{way}{contender.store}/added_us"
            flat[name] = slower[_ADDED[kind]] - base[_ADDED[kind]]
    return {name: round(value, 3) for name, value in flat.items()}


def document(
    scale: Scale,
    results: Results,
    failures: list[tuple[Job, str]],
    absent: Mapping[tuple[str, str], list[str]],
) -> dict[str, Any]:
    """Everything, ready for JSON."""

    def described(job: Job) -> dict[str, Any]:
        kept = ("exchange", "kind", "client", "count", "flights", "rate")
        return attrs.asdict(job, filter=lambda field, _: field.name in kept)

    return {
        "environment": environment(),
        "scale": attrs.asdict(scale),
        "not_installed": {"/".join(who): packages for who, packages in absent.items()},
        "ratios": ratios(results),
        "medians": [
            {"exchange": exchange, "kind": kind, "client": client, **figures}
            for (exchange, kind, client), figures in medians(results).items()
        ],
        "runs": [
            described(job) | {"round": number, "figures": figures}
            for number, job, figures in results
        ],
        "failures": [described(job) | {"cause": cause} for job, cause in failures],
    }
