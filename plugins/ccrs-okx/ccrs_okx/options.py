"""Options: greeks of a whole family at once, and bands of ticks.

https://www.okx.com/docs-v5/en/#public-data-websocket-option-summary-channel
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar

from ccrs_core import Data, Greeks, Instrument, Message, StreamData, TickBand
from ccrs_core.wire import (
    Kind,
    Ms,
    Price,
    Rate,
    Shape,
    SharedRowsReader,
    Stream,
    price,
)

SUMMARY = "opt-summary"


def _implied(path: str) -> Kind:
    """A volatility, above zero as prices are: 0 is written where no price implies one."""
    return Price(path, absent=None)


# Greeks of Black and Scholes are in dollars ("BS"); the others are in coins, the way a position in
# coins feels them.
GREEKS = Shape(
    Greeks,
    usual=[
        (
            '{"arg":{"channel":"opt-summary","instFamily":"BTC-USD"},"data":[{"instType":"OPTION",'
            '"instId":"BTC-USD-261225-100000-C","uly":"BTC-USD","delta":"0.4612","gamma":"2.91",'
            '"vega":"0.0011","theta":"-0.00087","lever":"15.9","markVol":"0.5132","bidVol":"0",'
            '"askVol":"0.5301","realVol":"","deltaBS":"0.5021","gammaBS":"0.0000255",'
            '"thetaBS":"-71.3","vegaBS":"112.4","ts":"1794000123100","fwdPx":"99870.1",'
            '"volLv":"0.5044"}]}'
        )
    ],
    rows="data",
    fields={
        "exchange_time_ns": Ms("ts"),
        "delta": Rate("deltaBS", absent=None),
        "gamma": Rate("gammaBS", absent=None),
        "vega": Rate("vegaBS", absent=None),
        "theta": Rate("thetaBS", absent=None),
        "mark_iv": _implied("markVol"),
        "bid_iv": _implied("bidVol"),
        "ask_iv": _implied("askVol"),
        "underlying_price": Price("fwdPx", absent=None),
    },
    numbered_by="exchange_time_ns",
)


def family_of(instrument: Instrument) -> str:
    """OKX's ``instFamily`` of an option."""
    return instrument.native.rsplit("-", 3)[0]


class SummaryReader(SharedRowsReader):
    """``opt-summary``: OKX sends a whole family's, of which some options are wanted."""

    of_row: ClassVar[Shape] = GREEKS
    native_at: ClassVar[str] = "instId"
    own_topic: ClassVar[str] = f"{SUMMARY}:{{native}}"

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        told = super().decode(frame, received_time_ns)
        news = [m for m in told if not (isinstance(m, Data) and _says_nothing(m.events[0]))]
        return news or self.unknown("nothing is known yet")


def _says_nothing(greeks: StreamData) -> bool:
    """Whether all is blank, as of an option that has just been listed."""
    head = greeks.exchange, greeks.symbol, greeks.exchange_time_ns, greeks.received_time_ns
    return greeks == Greeks(*head)


@cache
def summary_of(family: str) -> Stream:
    """The stream of a family's greeks."""
    return Stream(f"{SUMMARY}:{family}", SummaryReader)


# --- bands of ticks ---------------------------------------------------------------------------


def bands_of(row: Any) -> tuple[TickBand, ...]:
    """A family's bands, ascending.

    https://www.okx.com/docs-v5/en/#public-data-rest-api-get-option-tick-bands
    """
    found = []
    for band in row["tickBand"]:
        begins = band["minPx"]
        if type(begins) is not str:
            raise TypeError("minPx must be text")
        # What begins at nothing is blank or zero.
        from_price = price(begins) if begins.strip("0.") else Decimal(0)
        found.append(TickBand(from_price, price(band["tickSz"])))
    found.sort(key=lambda band: band.from_price)
    if len({band.from_price for band in found}) < len(found):
        raise ValueError("two bands begin at the same price")
    return tuple(found)


def banded(
    tick: Decimal | None, bands: Sequence[TickBand]
) -> tuple[Decimal | None, tuple[TickBand, ...]]:
    """The finest tick and the bands of an instrument: its family's, where its own tick is one of
    theirs; else its own alone."""
    ticks = {band.tick_size for band in bands}
    if tick not in ticks:
        return tick, ()
    finest = min(ticks)
    return tick if tick == finest else finest, tuple(bands) if len(bands) > 1 else ()
