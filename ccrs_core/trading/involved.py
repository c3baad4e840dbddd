"""Which instruments an account has to do with: of those alone lists are read that an exchange tells
for one instrument at a time.

Known are those of its orders and positions, of what lists and income tell, and those whose fills
were read before. What another program trades of any other one, while nothing listens, shows in what
balances don't explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.reports import PositionReport
from ccrs_core.requests.instruments import InstrumentStore
from ccrs_core.trading.ledger import Ledger

Find = Callable[[Market, str], Instrument | None]


def fills_cursor(market: Market, symbol: str = "") -> str:
    """The name of the cursor of the fills of a market, or of one of its instruments."""
    return f"fills {market.value} {symbol}".rstrip()


class Involved:
    """The instruments of one account.

    :param find: the instrument of a market and an exchange's own symbol.
    """

    def __init__(self, ledger: Ledger, instruments: InstrumentStore, find: Find) -> None:
        self._ledger = ledger
        self._instruments = instruments
        self._find = find
        self._met: dict[tuple[Market, str], None] = {}
        """By market and exchange's symbol."""

    def met(self, reports: Iterable[Any]) -> None:
        """The exchange has told of these. (That a position is flat tells nothing: some exchanges
        list all that there could be.)"""
        for report in reports:
            if isinstance(report, PositionReport) and not report.size:
                continue
            market, native = getattr(report, "market", None), getattr(report, "native", "")
            if market is not None and native and type(native) is str:
                self._met[market, native] = None

    def of(self, market: Market, further: Iterable[str] = ()) -> list[Instrument]:
        """Those of a market that are listed, and those of ``further`` symbols; each once."""
        found = {
            one.symbol: one
            for of, native in self._met
            if of is market and (one := self._find(of, native)) is not None
        }
        start = f"{fills_cursor(market)} "
        ledger = self._ledger
        symbols = [each.removeprefix(start) for each in ledger.cursors(start)]
        symbols += [each.symbol for each in ledger.orders() if each.market is market]
        symbols += [each.symbol for each in ledger.positions() if each.market is market]
        listed = {each.symbol: each for each in self._instruments.known()}
        for symbol in (*symbols, *further):
            one = listed.get(symbol)
            if one is not None and one.market is market:
                found.setdefault(symbol, one)
        return list(found.values())


__all__ = ["Involved", "fills_cursor"]
