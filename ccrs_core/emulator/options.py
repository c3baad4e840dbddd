"""What an option is worth, and how that depends on what it is on."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt

import attrs

from ccrs_core.model.units import NS_PER_SECOND

_SECONDS_A_YEAR = 31_557_600


def years_until(expiry_ns: int, now_ns: int) -> float:
    """The time until an expiry, negative once it is past."""
    return (expiry_ns - now_ns) / NS_PER_SECOND / _SECONDS_A_YEAR


@attrs.frozen
class BlackScholes:
    """A European option's value and sensitivities by Black and Scholes, without interest.

    ``vega`` is per hundredth of volatility, ``theta`` per day.
    """

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float

    @classmethod
    def of(
        cls, spot: float, strike: float, years: float, call: bool, volatility: float
    ) -> BlackScholes:
        """Those of an option that expires in so many years."""
        deviation = volatility * sqrt(max(years, 1e-6))
        d1 = log(spot / strike) / deviation + deviation / 2
        d2 = d1 - deviation
        density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
        price = spot * _normal(d1) - strike * _normal(d2)
        delta = _normal(d1)
        if not call:
            price, delta = price - spot + strike, delta - 1
        return cls(
            price=price,
            delta=delta,
            gamma=density / (spot * deviation),
            vega=spot * density * sqrt(max(years, 1e-6)) / 100,
            theta=-spot * density * volatility / (2 * sqrt(max(years, 1e-6))) / 365,
        )


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2
