"""Whether what is told of an option's greeks is what Black and Scholes say of it."""

from __future__ import annotations

from decimal import Decimal

from ccrs_core.conformance.judges.figures import now_is_true
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.truth import History
from ccrs_core.emulator import BlackScholes, SimulatedMarket, years_until
from ccrs_core.model.events import Greeks
from ccrs_core.model.instruments import OptionKind

_NEAR = 0.02
"""Share by which a greek may differ: of another day count, of some interest."""
_SAME = 0.01
"""Share by which a forward may differ from what the option is on."""
_LAST_DIGITS = 2
_LARGEST = Decimal(50)
"""Of volatilities; as per cent most would be above."""


def greeks_are_true(history: History, market: SimulatedMarket, greeks: Greeks) -> None:
    """Fails unless greeks, just made, follow from the underlying's price and the volatility that
    they are told with, in the units of :class:`Greeks`, and these are the market's now."""
    _volatilities_are_true(history, market, greeks)
    underlying, volatility = greeks.underlying_price, greeks.mark_iv
    listing = market.listing
    told = clock(greeks.received_time_ns)
    if underlying is not None and all(
        each.index is None or abs(float(underlying / each.index) - 1) > _SAME
        for each in history.at(greeks.received_time_ns)
    ):
        history.fail(
            f"underlying_price of {told} is {underlying}, the market's "
            f"{history.present.index}: is it read from its own field?"
        )
    if underlying and volatility and listing.strike and listing.expiry_ns:
        true = BlackScholes.of(
            float(underlying),
            float(listing.strike),
            max(0.0, years_until(listing.expiry_ns, greeks.received_time_ns)),
            listing.option_kind is OptionKind.CALL,
            float(volatility),
        )
        for name in ("delta", "gamma", "vega", "theta"):
            value, want = getattr(greeks, name), getattr(true, name)
            if value is not None and not _about(value, want):
                history.fail(
                    f"{name} of {told} is {value}; of an underlying at {underlying} and a "
                    f"volatility of {volatility} it is {want:.10f}, per unit, per hundredth of "
                    "volatility, per day: compare with the docstring of ccrs_core.Greeks"
                )
    now_is_true(history, greeks)


def _volatilities_are_true(history: History, market: SimulatedMarket, greeks: Greeks) -> None:
    ordered = greeks.bid_iv, greeks.mark_iv, greeks.ask_iv
    known = [each for each in ordered if each is not None]
    if known != sorted(known) or not all(0 < each < _LARGEST for each in known):
        history.fail(
            f"implied volatilities of bid, mark and ask at {clock(greeks.received_time_ns)} are "
            f"{', '.join(map(str, ordered))}: they are fractions (0.45 is 45 %), rise from bid to "
            "ask, and are None rather than 0 where there is none"
        )
    mark = greeks.mark_iv
    if mark is not None and not _about(mark, market.volatility):
        history.fail(f"mark_iv is {mark}, the market's {market.volatility}: a fraction, 0.45 = 45%")


def _about(value: Decimal, true: float) -> bool:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return abs(float(value) - true) <= abs(true) * _NEAR + _LAST_DIGITS * 10.0**exponent
