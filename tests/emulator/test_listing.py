"""What listings know by themselves, and what options are worth."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.emulator import BlackScholes, Listing, invented, quarters, utc_ns, years_until
from ccrs_core.model.instruments import Market
from tests.emulator.plain import START_NS


def listing(market: Market, **rest: object) -> Listing:
    names = {"category": "x", "symbol": "A-B", "market": market, "base": "A", "quote": "B"}
    steps = {"tick": "0.10", "lot": "0.001", "price": 100}
    return Listing(**{**names, **steps, **rest})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("market", "settle"),
    [(Market.SPOT, None), (Market.LINEAR, "B"), (Market.INVERSE, "A"), (Market.OPTION, "B")],
)
def test_a_contract_is_settled_as_is_usual_unless_told(market: Market, settle: str | None) -> None:
    assert listing(market).settle == settle
    assert listing(market, settle="C").settle == "C"


def test_numbers_are_read_from_text_with_the_digits_that_they_are_spelled_with() -> None:
    found = listing(Market.SPOT, min_notional="5.00", level_value="0.20")
    numbers = found.tick, found.lot, found.price, found.min_notional, found.level_value
    assert list(map(str, numbers)) == ["0.10", "0.001", "100", "5.00", "0.20"]
    assert (found.min_size, found.max_size) == (Decimal("0.001"), Decimal(10_000))


def test_a_dated_contract_pays_no_funding_and_keeps_the_rest() -> None:
    perpetual = listing(Market.LINEAR, funding_interval_ns=8 * 3600 * 10**9, pace=0.5)
    (day,) = quarters(START_NS, 1)
    dated = perpetual.dated(day, "A-B-Q", levels=7)
    assert dated.expiry_ns == utc_ns(day.year, day.month, day.day, 8)
    assert (dated.symbol, dated.levels, dated.funding_interval_ns) == ("A-B-Q", 7, None)
    assert (dated.pace, dated.tick, dated.settle) == (0.5, perpetual.tick, "B")


def test_invented_coins_are_as_many_as_one_wants_and_the_same_each_time() -> None:
    found = list(islice(invented("seed"), 3000))
    assert found == list(islice(invented("seed"), 3000))
    assert len({name for name, _ in found}) == 3000
    assert found[:5] != list(islice(invented("other"), 5))
    assert all(name.isascii() and name.isupper() and price > 0 for name, price in found)


spots = st.floats(1, 1e5)


@given(spots, st.floats(0.5, 2), st.floats(0.01, 3), st.floats(0.1, 1.5))
def test_calls_and_puts_of_a_strike_differ_by_what_the_forward_is_worth(
    spot: float, moneyness: float, years: float, volatility: float
) -> None:
    strike = spot * moneyness
    call = BlackScholes.of(spot, strike, years, True, volatility)
    put = BlackScholes.of(spot, strike, years, False, volatility)
    assert isclose(call.price - put.price, spot - strike, abs_tol=spot * 1e-9)
    assert isclose(call.delta - put.delta, 1)
    assert (call.gamma, call.vega, call.theta) == (put.gamma, put.vega, put.theta)


@given(spots, st.floats(0.7, 1.4), st.floats(0.1, 2), st.floats(0.2, 1), st.booleans())
def test_sensitivities_are_how_prices_change(
    spot: float, moneyness: float, years: float, volatility: float, call: bool
) -> None:
    strike = spot * moneyness

    def price(*, up: float = 0.0, more: float = 0.0, later: float = 0.0) -> float:
        return BlackScholes.of(
            spot * (1 + up), strike, years - later, call, volatility + more
        ).price

    found, step = BlackScholes.of(spot, strike, years, call, volatility), 1e-4
    delta = (price(up=step) - price(up=-step)) / (2 * step * spot)
    assert isclose(found.delta, delta, rel_tol=1e-3, abs_tol=1e-3)
    vega = (price(more=step) - price(more=-step)) / (2 * step) / 100
    assert isclose(found.vega, vega, rel_tol=1e-3, abs_tol=spot * 1e-6)
    theta = (price(later=step) - price(later=-step)) / (2 * step) / 365
    assert isclose(found.theta, theta, rel_tol=1e-2, abs_tol=spot * 1e-6)


def test_years_are_counted_until_an_expiry_and_back_from_it() -> None:
    day = 86_400 * 10**9
    assert isclose(years_until(START_NS + 365 * day, START_NS), 1, rel_tol=1e-3)
    assert years_until(START_NS, START_NS + day) < 0
