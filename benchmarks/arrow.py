"""``python -m benchmarks.arrow [--events N]``: events into Arrow, next to ``attrs.asdict``.

The same events, in one run: by columns, as :func:`ccrs_core.to_arrow` does, and row by row with
``attrs.asdict``, alone and with the table that pyarrow makes of its rows. The best of three.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from ccrs_core import Side, TopOfBook, Trade, to_arrow

EVENTS = 1_000_000
ROUNDS = 3
BY_ROWS = "attrs.asdict, Table.from_pylist"
START = 1_767_225_600 * 10**9


def trade(number: int) -> Trade:
    """A trade as recordings hold them."""
    return Trade(
        exchange="bybit",
        symbol="BTC/USDT",
        exchange_time_ns=START + number * 1_000_000,
        received_time_ns=START + number * 1_000_000 + 700_000,
        sequence=number,
        trade_id=str(10**12 + number),
        price=Decimal(6_400_000 + number * 7919 % 10_000).scaleb(-2),
        size=Decimal(1 + number * 104_729 % 900_000).scaleb(-6),
        side=Side.BUY if number % 3 else Side.SELL,
    )


def top(number: int) -> TopOfBook:
    """A top of book as recordings hold them."""
    bid = Decimal(6_400_000 + number * 7919 % 10_000).scaleb(-2)
    size = Decimal(1 + number * 104_729 % 900_000).scaleb(-6)
    return TopOfBook(
        exchange="bybit",
        symbol="BTC/USDT",
        exchange_time_ns=START + number * 1_000_000,
        received_time_ns=START + number * 1_000_000 + 700_000,
        sequence=number,
        bid_price=bid,
        bid_size=size,
        ask_price=bid + Decimal("0.01"),
        ask_size=size,
    )


KINDS: dict[str, Callable[[int], Any]] = {"trade": trade, "top_of_book": top}


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The processor's time that work takes, the best of some rounds, without the collector's."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        try:
            began = time.process_time()
            work()
            best = min(best, time.process_time() - began)
        finally:
            gc.enable()
    return best


def measured(kind: str, count: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds for all events, by what was done with them."""
    made = KINDS[kind]
    # As codecs make them: names are shared, numbers and ids are each event's own.
    events = [made(number) for number in range(count)]
    return {
        "to_arrow": seconds(lambda: to_arrow(events), rounds),
        "to_arrow, exact": seconds(lambda: to_arrow(events, decimals="exact"), rounds),
        "attrs.asdict": seconds(lambda: [attrs.asdict(event) for event in events], rounds),
        BY_ROWS: seconds(lambda: by_rows(events), rounds),
    }


def by_rows(events: Sequence[Any]) -> pa.Table:
    """What one would write without :func:`ccrs_core.to_arrow`."""
    return pa.Table.from_pylist([attrs.asdict(event) for event in events])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args(arguments)
    table = Table("kind", "way", "events/s", "times as fast as by rows", box=None)
    for kind in KINDS:
        took = measured(kind, chosen.events, chosen.rounds)
        for way, elapsed in took.items():
            ratio = took[BY_ROWS] / elapsed
            table.add_row(kind, way, f"{chosen.events / elapsed:,.0f}", f"{ratio:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
