"""What the emulated OKX says of options alone: their greeks, family by family, and their ticks.

Written from OKX's documents and recorded frames, on purpose without the plugin's codec.
https://www.okx.com/docs-v5/en/#public-data-websocket-option-summary-channel
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from ccrs_core import NS_PER_MS, Side
from ccrs_core.emulator import Broadcast, Changed, Frame, Listing, SimulatedMarket, trimmed
from ccrs_okx.emulator_listings import family
from ccrs_okx.emulator_wire import OkxSpeller, blanked, ms

_KEPT = frozenset({"instType", "instId", "uly", "ts"})
_EVERY_NS = 500 * NS_PER_MS
_SPREAD = 0.015
"""How far the volatilities that bid and ask imply lie from the mark's."""


class Summaries(Broadcast):
    """``opt-summary``: all options of a family at once, and then those of which something has
    changed."""

    triggers = Changed.REFERENCE | Changed.BOOK
    interval_ns = _EVERY_NS

    def __init__(self, topic: str, markets: Sequence[SimulatedMarket]) -> None:
        super().__init__(topic, markets)
        self._spellers = [OkxSpeller(market) for market in markets]
        self._told: dict[str, dict[str, str]] = {}

    def started(self, now_ns: int) -> None:
        self._told = {row["instId"]: row for row in self._rows(now_ns)}

    def first(self, now_ns: int) -> Iterable[Frame]:
        return (self._frame(self._told.values()),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        changed = [
            row
            for row in self._rows(now_ns)
            if _lasting(row) != _lasting(self._told.get(row["instId"], {}))
        ]
        self._told |= {row["instId"]: row for row in changed}
        return (self._frame(changed),) if changed else ()

    def _rows(self, now_ns: int) -> list[dict[str, str]]:
        rows = [summary(speller, now_ns) for speller in self._spellers]
        return [blanked(row, _KEPT) for row in rows] if self.blank() else rows

    def _frame(self, rows: Iterable[Mapping[str, str]]) -> Frame:
        channel, _, name = self.topic.partition(":")
        return Frame.json({"arg": {"channel": channel, "instFamily": name}, "data": list(rows)})


def _lasting(row: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in row.items() if name != "ts"}


def summary(speller: OkxSpeller, now_ns: int) -> dict[str, str]:
    """An option's greeks: those of Black and Scholes in dollars, and those that a position counted
    in coins has; with the forward and the volatilities."""
    market, listing = speller.market, speller.listing
    found, volatility = market.greeks(), market.volatility
    forward = market.forward
    share = found.price / forward
    bid, ask = (speller.best(side) for side in (Side.BUY, Side.SELL))
    return {
        "instType": listing.category,
        "instId": listing.symbol,
        "uly": f"{listing.base}-{listing.quote}",
        "delta": _figure(found.delta - share),
        "gamma": _figure(found.gamma * forward - found.delta + share),
        "vega": _figure(found.vega / forward),
        "theta": _figure(found.theta / forward),
        "lever": _figure(min(10_000.0, 1 / max(share, 1e-9))),
        "markVol": _figure(volatility),
        "bidVol": _figure(volatility - _SPREAD) if bid else "0",
        "askVol": _figure(volatility + _SPREAD) if ask else "0",
        "realVol": "",
        "deltaBS": _figure(found.delta),
        "gammaBS": _figure(found.gamma),
        "thetaBS": _figure(found.theta),
        "vegaBS": _figure(found.vega),
        "ts": ms(now_ns),
        "fwdPx": _figure(forward),
        "volLv": _figure(volatility * 0.98),
    }


def _figure(value: float) -> str:
    return trimmed(Decimal(f"{value:.10f}"))


def tick_bands(listings: Sequence[Listing]) -> dict[str, list[dict[str, str]]]:
    """The ticks of each family by price: those of most of its options, should one have others.

    https://www.okx.com/docs-v5/en/#public-data-rest-api-get-option-tick-bands
    """
    rules: dict[str, Counter[tuple[Decimal, tuple[tuple[int, int], ...]]]] = {}
    for each in listings:
        rules.setdefault(family(each), Counter())[each.tick, each.coarser] += 1
    found = {}
    for name, counted in rules.items():
        (tick, coarser), _ = counted.most_common(1)[0]
        begins = [(Decimal(0), tick), *((tick * start, tick * step) for start, step in coarser)]
        ends = [trimmed(start) for start, _ in begins[1:]]
        found[name] = [
            {"maxPx": end, "minPx": trimmed(start), "tickSz": trimmed(each)}
            for (start, each), end in zip(begins, [*ends, ""], strict=True)
        ]
    return found
