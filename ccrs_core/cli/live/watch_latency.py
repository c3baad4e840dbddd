"""How long data take within this process, in words: from the socket to the consumer's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrs_core.cli import form

if TYPE_CHECKING:
    from ccrs_core.client.status import ClientStatus
    from ccrs_core.feeds.histogram import LatencySummary

HEAD = "socket to here"


def latencies(status: ClientStatus) -> list[LatencySummary]:
    """Of each feed that has measured anything."""
    return [feed.latency for feed in status.feeds if feed.latency is not None]


def pieces(latency: LatencySummary) -> list[tuple[str, str]]:
    """Names and values, the most telling first."""
    return [
        ("p50", duration(latency.p50_ns)),
        ("p90", duration(latency.p90_ns)),
        ("p99", duration(latency.p99_ns)),
        ("p99.9", duration(latency.p999_ns)),
        ("max", duration(latency.max_ns)),
    ]


def sentence(latency: LatencySummary) -> str:
    """All of it in one line."""
    figures = "  ".join(f"{name} {value}" for name, value in pieces(latency))
    return f"{HEAD}  {figures}  {form.plural(latency.count, 'sample')}"


def duration(ns: int) -> str:
    """Three digits or so, with the unit: 870 ns, 8.83 µs, 44.3 µs, 1.64 ms, 12.0 s."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        # By what is shown: 999.6 µs would be "1,000 µs".
        if ns >= size * 0.9995:
            value = ns / size
            digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
            return f"{value:,.{digits}f} {unit}"
    return f"{ns} ns"
