"""What a market was like at a moment, and what was printed: values of the truth."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import attrs

from ccrs_core.emulator.matching import Rules
from ccrs_core.model.events import Level, Liquidation, TopOfBook, Trade
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

RESOLUTION_NS = NS_PER_MS
"""Exchanges tell times at least so finely."""
Steps = tuple[tuple[int, int], ...]
"""Levels as numbers of ticks and lots, best first."""
_STEPS: dict[tuple[Decimal, Decimal], int] = {}
"""Numbers of steps by value and step."""


@attrs.frozen
class Moment:
    """A market's state from ``time_ns`` until the next moment."""

    time_ns: int
    rules: Rules = attrs.field(repr=False)
    bids: Steps
    asks: Steps
    last: Decimal | None
    """Price of the last trade; as of all figures, None where there is none."""
    index: Decimal | None
    mark: Decimal | None
    funding_rate: Decimal | None
    next_funding_ns: int | None
    open_interest: Decimal | None
    printed: int
    """Trades so far."""

    def levels(self, depth: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first."""
        price, size = self.rules.price.value, self.rules.size.value
        bids, asks = self.bids[:depth], self.asks[:depth]
        return [(price(p), size(s)) for p, s in bids], [(price(p), size(s)) for p, s in asks]


@attrs.frozen
class Print:
    """A trade on the tape, or a liquidation (``side`` is then the position's)."""

    number: int
    time_ns: int
    side: Side
    price: Decimal
    size: Decimal
    block: bool = False
    rpi: bool = False

    def __str__(self) -> str:
        return f"{self.side.value} {self.size} at {self.price} ({clock(self.time_ns)})"


def clock(time_ns: int) -> str:
    """A time for people, in milliseconds."""
    try:
        at = datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns, which is no plausible time"
    return f"{at:%Y-%m-%d %H:%M:%S}.{time_ns // NS_PER_MS % 1000:03d}"


def sides(top: TopOfBook) -> tuple[list[Level], list[Level]]:
    """A best bid and ask as levels."""

    def side(price: Decimal | None, size: Decimal | None) -> list[Level]:
        if price is None or size is None:
            assert price is size, f"price and size of a side must be None together: {top}"
            return []
        return [(price, size)]

    return side(top.bid_price, top.bid_size), side(top.ask_price, top.ask_size)


def steps_of(levels: Iterable[Level], rules: Rules) -> Steps | None:
    found, known = [], _STEPS
    price_step, size_step = rules.price.step, rules.size.step
    if len(known) > 200_000:
        known.clear()
    for price, size in levels:
        ticks = known.get((price, price_step))
        if ticks is None:
            if price % price_step:
                return None
            ticks = known[price, price_step] = int(price / price_step)
        lots = known.get((size, size_step))
        if lots is None:
            if size % size_step:
                return None
            lots = known[size, size_step] = int(size / size_step)
        found.append((ticks, lots))
    return tuple(found)


def difference(
    bids: list[Level], asks: list[Level], true_bids: list[Level], true_asks: list[Level]
) -> tuple[int, str]:
    """How many levels differ, and the first that does, in words."""
    count, first = 0, ""
    for name, side, true in (("bids", bids, true_bids), ("asks", asks, true_asks)):
        for at in range(max(len(side), len(true))):
            there = side[at] if at < len(side) else None
            should = true[at] if at < len(true) else None
            if there != should:
                count += 1
                if not first:
                    first = (
                        f"{name}[{at}] is {level_text(there)}, the market's {level_text(should)}"
                    )
    return count, first


def level_text(level: Level | None) -> str:
    return "missing" if level is None else f"{level[1]} at {level[0]}"


def same_print(event: Trade | Liquidation, true: Print) -> bool:
    time_ns = event.exchange_time_ns
    if isinstance(event, Trade) and (
        event.block is not true.block or event.rpi not in (None, true.rpi)
    ):
        return False
    return (
        event.price == true.price
        and event.size == true.size
        and event.side is true.side
        and (time_ns is None or abs(time_ns - true.time_ns) < RESOLUTION_NS)
    )
