"""The figures as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from benchmarks.orders.exchanges import NAMES, load
from benchmarks.orders.job import CONTENDERS, Job, Kind
from benchmarks.orders.plan import FILLS_RATE, FLIGHTS
from benchmarks.orders.report import Results, Summary, medians, ratios

_TITLES: dict[Kind, str] = {
    "single": "orders placed and canceled, one at a time",
    "flight": f"orders placed and canceled, {FLIGHTS} in flight",
    "fills": f"fills, {FILLS_RATE:.0f} a second",
    "fills_busy": "fills, as fast as the venue makes them",
}


def show(
    console: Console,
    results: Results,
    failures: list[tuple[Job, str]],
    absent: Mapping[tuple[str, str], list[str]],
) -> None:
    """Print the tables; those of which nothing was measured are left out."""
    found, flat = medians(results), ratios(results)
    for exchange in NAMES:
        for kind, title in _TITLES.items():
            if any(key[:2] == (exchange, kind) for key in found):
                fills = kind.startswith("fills")
                heading = f"{load(exchange).title}: {title}"
                table = _fills if fills else _orders
                console.print(table(exchange, kind, heading, found, flat, absent))
    added = {name: value for name, value in flat.items() if "/durability/" in name}
    if added:
        console.print(_durability(added))
    for job, cause in failures:
        console.print(f"failed: {job.exchange} {job.kind} {job.client}: {cause}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    table.add_column("client", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _orders(
    exchange: str,
    kind: Kind,
    title: str,
    found: Summary,
    flat: Mapping[str, float],
    absent: Mapping[tuple[str, str], list[str]],
) -> Table:
    table = _table(
        title,
        *("CPU µs a pair", "least", "pairs per CPU s", "place p50 µs", "p99", "cancel p50", "p99"),
    )
    for client, contender in CONTENDERS.items():
        figures = found.get((exchange, kind, client))
        if (exchange, client) in absent:
            table.add_row(contender.title, "not installed")
        elif figures is not None:
            names = ("cpu_us", "cpu_us_min", "per_cpu_s", "place_p50_us", "place_p99_us")
            shown = (*names, "cancel_p50_us", "cancel_p99_us")
            table.add_row(contender.title, *(f"{figures[name]:,.0f}" for name in shown))
    table.caption = _compared(exchange, kind, flat)
    return table


def _fills(
    exchange: str,
    kind: Kind,
    title: str,
    found: Summary,
    flat: Mapping[str, float],
    absent: Mapping[tuple[str, str], list[str]],
) -> Table:
    table = _table(
        title, "CPU µs a fill", "least", "fills/s", "to the consumer p50 µs", "p99", "lost or twice"
    )
    for client, contender in CONTENDERS.items():
        figures = found.get((exchange, kind, client))
        if contender.fills and (exchange, client) in absent:
            table.add_row(contender.title, "not installed")
        elif figures is not None:
            names = ("cpu_us", "cpu_us_min", "per_s", "fill_p50_us", "fill_p99_us", "lost")
            table.add_row(contender.title, *(f"{figures[name]:,.0f}" for name in names))
    table.caption = _compared(exchange, kind, flat)
    return table


def _compared(exchange: str, kind: Kind, flat: Mapping[str, float]) -> str:
    """How much CPU the peers take over ccrs with the memory store."""
    parts = []
    for client in ("memory", "rest_memory"):
        head = f"{exchange}/{kind}/{client}/cpu/vs_"
        for name, value in flat.items():
            if name.startswith(head) and not name.endswith("/least"):
                peer = CONTENDERS[name.removeprefix(head)].title
                parts.append(f"{peer}: {value:.2f}")
    return "CPU over that of ccrs with the memory store: " + "; ".join(parts) if parts else ""


def _durability(added: Mapping[str, float]) -> Table:
    table = _table("what durability adds at the median, over the memory store", "µs")
    table.columns[0].header = "measured / SQLite"
    for name, value in added.items():
        what = name.replace("/durability", "").removesuffix("/added_us")
        table.add_row(what, f"{value:,.0f}")
    return table
