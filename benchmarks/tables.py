"""The figures as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from benchmarks.clients import BARE, CONTENDERS, OURS
from benchmarks.exchanges import wire
from benchmarks.job import Job
from benchmarks.measure import QUANTILES
from benchmarks.plan import BUSY_RATE, HELD_RATE, INTERLEAVED, RACERS, RACING_RATES, TOPICS
from benchmarks.report import (
    RACES,
    Medians,
    Results,
    by_exchange,
    delivered_rate,
    medians,
    rate_of,
    ratios,
)

TITLES = {
    "top_of_book": "top of book",
    "trades": "trades",
    "book50": "50-level book",
    "depth": "diff-depth book",
}

DISTURBED = 5.0
"""Preemptions per second above which a run's latency isn't to be trusted."""


def show(
    console: Console,
    results: Results,
    failures: list[tuple[Job, str]],
    absent: Mapping[str, Mapping[str, list[str]]],
) -> None:
    """Print the tables, exchange by exchange; those of which nothing was measured are left out."""
    for exchange, entries in by_exchange(results).items():
        found = medians(entries)
        kinds = {kind for kind, *_ in found}
        if kinds & {"throughput", "latency"}:
            for case in wire(exchange).cases:
                console.print(_case(found, exchange, case, absent.get(exchange, {})))
        if kinds & {"throughput_read", "conflate"}:
            console.print(_conditions(found, exchange))
        for case in INTERLEAVED if "interleaved" in kinds else ():
            console.print(_interleaved(found, exchange, case))
        if kinds & {"connections", "connections_busy"}:
            console.print(_connections(found))
        if kinds & set(RACES):
            console.print(_races(ratios(found)))
    _remarks(console, results)
    for job, cause in failures:
        console.print(f"failed: {_named(job)}: {cause}")


def _named(job: Job) -> str:
    return f"{job.kind} {job.exchange} {job.case} {job.client} ({job.many})"


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _number(value: float | None, form: str = ",.0f") -> str:
    return "" if value is None else format(value, form)


def _case(found: Medians, exchange: str, case: str, absent: Mapping[str, list[str]]) -> Table:
    table = _table(
        f"{wire(exchange).title}, {TITLES[case]}: events per CPU second, and latency at 10,000/s",
        "client",
        "handled",
        "delivered",
        *(f"{client}/its" for client in OURS),
        *("p50 µs", "p99 µs", "p99.9 µs"),
    )
    for client, contender in CONTENDERS.items():
        if client in absent:
            table.add_row(contender.title, "not installed")
            continue
        paced = found.get(("latency", case, client, 1), {})
        rate = delivered_rate(found, case, client)
        shares = [
            mine / rate if (mine := delivered_rate(found, case, name)) and rate else None
            for name in OURS
        ]
        table.add_row(
            contender.title,
            _number(rate_of(found, "throughput", case, client)),
            _number(rate),
            *(
                _number(None if name == client else share, ".2f")
                for name, share in zip(OURS, shares, strict=True)
            ),
            *(_number(paced.get(f"{name}_us")) for name in QUANTILES),
        )
    table.caption = wire(exchange).remarks.get(case)
    return table


def _conditions(found: Medians, exchange: str) -> Table:
    flat = ratios(found)
    table = _table(
        f"{wire(exchange).title}, top of book, saturated, by what the consumer does: "
        "frames taken in per CPU second",
        "client",
        "reads one field",
        "reads all fields",
        "its bare loop",
        "conflated",
        "its bare loop",
    )
    for client in (*OURS, *BARE.values()):
        conflate = "conflate" if client == "picows" else f"conflate_{client}"
        rates = {
            kind: rate_of(found, kind, "top_of_book", client)
            for kind in ("throughput", "throughput_read", "conflate")
        }
        if any(rates.values()):
            table.add_row(
                CONTENDERS[client].title,
                _number(rates["throughput"]),
                _number(rates["throughput_read"]),
                _number(flat.get(f"top_of_book/{client}/read/vs_bare"), ".2f"),
                _number(rates["conflate"]),
                _number(flat.get(f"top_of_book/{conflate}/vs_bare"), ".2f"),
            )
    table.caption = "its bare loop: ours over the loop with attrs values on the same transport"
    return table


def _interleaved(found: Medians, exchange: str, case: str) -> Table:
    counts = [f"{topics} topics" if topics > 1 else "one topic" for topics in TOPICS]
    table = _table(
        f"{wire(exchange).title}, {TITLES[case]}, saturated, by topics whose frames take turns: "
        "frames taken in per CPU second, and what one costs over one topic's",
        "client",
        *counts,
        *(f"cost, {topics}" for topics in TOPICS[1:]),
    )
    for client, contender in CONTENDERS.items():
        rates = [rate_of(found, "interleaved", case, client, topics) for topics in TOPICS]
        if any(rates):
            alone = rates[0]
            costs = [alone / rate if alone and rate else None for rate in rates[1:]]
            table.add_row(
                contender.title,
                *map(_number, rates),
                *(_number(cost, ".2f") for cost in costs),
            )
    return table


def _connections(found: Medians) -> Table:
    table = _table(
        "connections, top of book",
        "client",
        *("connections", "events/s in all", "KiB each", "CPU %", "CPU µs/event"),
        *("ready in s", "lost"),
    )
    rates = {"connections": HELD_RATE, "connections_busy": BUSY_RATE}
    for (kind, _, client, connections), figures in sorted(
        found.items(), key=lambda entry: (entry[0][0], entry[0][3])
    ):
        if kind in rates:
            table.add_row(
                CONTENDERS[client].title,
                f"{connections:,}",
                f"{figures['events'] / figures['wall_s']:,.0f} of {rates[kind]:,.0f}",
                f"{figures['kib_each']:.1f}",
                f"{figures['cpu_percent']:.1f}",
                f"{figures['cpu_us_per_event']:.1f}",
                f"{figures['ready_s']:.2f}",
                f"{figures['lost']:.0f}",
            )
    return table


def _races(flat: Mapping[str, float]) -> Table:
    rates = {f"{RACES[kind]}": f"{rate:,.0f}/s" for kind, rate in RACING_RATES.items()}
    table = _table(
        f"racing on {RACERS} connections: what a late copy costs of a delivered event",
        "client",
        "saturated",
        f"bursts of 25 at {rates['racing/bursts']}",
        f"one by one at {rates['racing/paced']}",
    )
    for client in OURS:
        costs = [flat.get(f"{name}/{client}/duplicate_vs_event") for name in RACES.values()]
        if any(cost is not None for cost in costs):
            table.add_row(CONTENDERS[client].title, *(_number(cost, ".2f") for cost in costs))
    return table


def _remarks(console: Console, results: Results) -> None:
    timed = [figures for job, figures in results if job.kind == "latency"]
    disturbed = sum(figures["preempted_per_s"] > DISTURBED for figures in timed)
    if disturbed:
        console.print(
            f"{disturbed} of {len(timed)} latency runs lost the processor to other programs time "
            "and again: their tails say more about those"
        )
