"""Prices on the tick, sizes on the lot, and orders refused before anything is sent."""

from __future__ import annotations

import decimal
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_UP, Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Instrument, InstrumentStatus, InvalidOrder, Market, Side, SizeUnit, UsageError

BASE = Instrument(
    exchange="toy", symbol="A/B", native="AB", market=Market.SPOT, base="A", quote="B"
)
RULES = attrs.evolve(
    BASE,
    tick_size=Decimal("0.10"),
    lot_size=Decimal("0.001"),
    min_size=Decimal("0.005"),
    max_size=Decimal(100),
    min_notional=Decimal(5),
)

steps = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.sampled_from((1, 2, 5, 10, 25, 3, 100)),
    st.integers(-12, 4),
)
numbers = st.decimals(
    min_value=Decimal("-1e15"), max_value=Decimal("1e15"), allow_nan=False, places=14
) | st.decimals(min_value=0, max_value=1000, places=3)
contexts = st.builds(
    decimal.Context,
    prec=st.integers(1, 6),
    rounding=st.sampled_from((ROUND_UP, ROUND_DOWN, ROUND_CEILING)),
    Emin=st.integers(-3, 0),
    Emax=st.integers(0, 3),
    clamp=st.booleans(),
    traps=st.sampled_from(([], [decimal.Inexact, decimal.Rounded, decimal.FloatOperation])),
)


@given(numbers, steps, st.none() | st.sampled_from(Side), contexts)
def test_a_price_lands_on_the_tick_beside_it_whatever_the_callers_context(
    price: Decimal, tick: Decimal, side: Side | None, context: decimal.Context
) -> None:
    instrument = attrs.evolve(BASE, tick_size=tick)
    with decimal.localcontext(context):
        found = instrument.quantise_price(price, side)
        again = instrument.quantise_price(found, side)
    assert again == found
    assert str(again) == str(found)
    ticks = Fraction(found) / Fraction(tick)
    assert ticks.denominator == 1
    assert found.as_tuple().exponent == tick.as_tuple().exponent
    moved = Fraction(found) - Fraction(price)
    assert abs(moved) < Fraction(tick)
    if side is Side.BUY:
        assert moved <= 0
    elif side is Side.SELL:
        assert moved >= 0
    else:
        assert abs(moved) <= Fraction(tick) / 2


@given(
    st.integers(-(10**6), 10**6),
    steps,
    st.sampled_from([m for m in dir(decimal) if m.startswith("ROUND_")]),
)
def test_every_way_of_rounding_is_the_decimal_modules(
    eighths: int, tick: Decimal, mode: str
) -> None:
    price = tick * eighths / 8
    expected = (Decimal(eighths) / 8).to_integral_value(getattr(decimal, mode))
    found = attrs.evolve(BASE, tick_size=tick).quantise_price(
        price, Side.BUY, rounding=getattr(decimal, mode)
    )
    assert found == expected * tick


@given(numbers.map(abs), steps, contexts)
def test_a_size_never_grows_and_lands_on_the_lot(
    size: Decimal, lot: Decimal, context: decimal.Context
) -> None:
    instrument = attrs.evolve(BASE, lot_size=lot)
    with decimal.localcontext(context):
        found = instrument.quantise_size(size)
    assert 0 <= Fraction(size) - Fraction(found) < Fraction(lot)
    assert (Fraction(found) / Fraction(lot)).denominator == 1


def test_without_a_tick_or_lot_numbers_stay_as_they_are() -> None:
    assert str(BASE.quantise_price(Decimal("1.230"), Side.BUY)) == "1.230"
    assert str(BASE.quantise_size(Decimal("1.230"))) == "1.230"


def test_the_ticks_digits_are_kept() -> None:
    assert str(RULES.quantise_price(Decimal("1.25"), Side.BUY)) == "1.20"
    assert str(RULES.quantise_price(Decimal("1.25"), Side.SELL)) == "1.30"
    assert str(RULES.quantise_price(Decimal("1.25"))) == "1.20"
    assert str(RULES.quantise_price(Decimal("1.25"), rounding=ROUND_UP)) == "1.30"
    assert str(RULES.quantise_price(Decimal("-0.01"), Side.SELL)) == "0.00"


@pytest.mark.parametrize(
    "value", [1.5, 1, "1", None, True, Decimal("NaN"), Decimal("Infinity"), Decimal("1e-999999")]
)
def test_only_finite_decimals_are_taken(value: Any) -> None:
    for call in (
        lambda: RULES.quantise_price(value),
        lambda: RULES.quantise_size(value),
        lambda: RULES.check_order(Side.BUY, Decimal(1), value),
    ):
        with pytest.raises(UsageError, match=r"price|size"):
            call()


# --- orders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "price", "size", "rule", "nearest"),
    [
        (Side.BUY, "10.05", "1", "tick_size", "10.00"),
        (Side.SELL, "10.05", "1", "tick_size", "10.10"),
        (Side.BUY, "0.05", "100", "tick_size", "0.10"),
        (Side.BUY, "0", "1", "min_price", "0.10"),
        (Side.BUY, "10.00", "1.0005", "lot_size", "1.000"),
        (Side.BUY, "10000.00", "0.0049", "min_size", "0.005"),
        (Side.BUY, "10000.00", "0", "min_size", "0.005"),
        (Side.BUY, "10.00", "100.001", "max_size", "100.000"),
        (Side.BUY, "10.00", "0.499", "min_notional", "0.500"),
        (Side.BUY, "0.30", "1", "min_notional", "16.667"),
    ],
)
def test_a_broken_rule_is_named_with_the_nearest_value_that_keeps_it(
    side: Side, price: str, size: str, rule: str, nearest: str
) -> None:
    with pytest.raises(InvalidOrder) as caught:
        RULES.check_order(side, Decimal(price), Decimal(size))
    assert (caught.value.rule, str(caught.value.nearest)) == (rule, nearest)
    assert isinstance(caught.value, UsageError)
    if rule != "min_price":
        assert nearest in str(caught.value)


def test_what_can_not_be_traded_is_refused() -> None:
    halted = attrs.evolve(RULES, status=InstrumentStatus.HALTED)
    with pytest.raises(InvalidOrder, match="halted") as caught:
        halted.check_order(Side.BUY, Decimal("10.00"), Decimal(1))
    assert (caught.value.rule, caught.value.nearest) == ("status", None)


def test_an_order_that_breaks_several_rules_is_told_all_of_them() -> None:
    broken = RULES.violations(Side.BUY, Decimal("10.05"), Decimal("0.0001"))
    assert [each.rule for each in broken] == ["tick_size", "min_size", "min_notional"]
    with pytest.raises(InvalidOrder, match=r"(?s)tick.*smallest.*worth"):
        RULES.check_order(Side.BUY, Decimal("10.05"), Decimal("0.0001"))


def test_a_market_order_has_no_price_to_judge() -> None:
    RULES.check_order(Side.BUY, None, Decimal("0.005"))
    with pytest.raises(InvalidOrder):
        RULES.check_order(Side.BUY, None, Decimal("0.004"))


def test_an_inverse_contract_is_worth_its_size_in_quote_units() -> None:
    inverse = attrs.evolve(
        RULES,
        market=Market.INVERSE,
        size_unit=SizeUnit.CONTRACTS,
        lot_size=Decimal(1),
        min_size=Decimal(1),
        quote_per_contract=Decimal(10),
        min_notional=Decimal(25),
    )
    inverse.check_order(Side.BUY, Decimal("0.10"), Decimal(3))
    with pytest.raises(InvalidOrder) as caught:
        inverse.check_order(Side.BUY, Decimal("50000.00"), Decimal(2))
    assert caught.value.nearest == 3


def test_what_sizes_count_and_are_worth_is_told_apart_from_the_exchanges_own_contracts() -> None:
    linear = attrs.evolve(RULES, market=Market.LINEAR, base_per_native_contract=Decimal(100))
    assert linear.size_unit is SizeUnit.BASE
    assert linear.notional(Decimal("0.30"), Decimal(5)) == Decimal("1.50")
    inverse = Instrument(
        **{n: getattr(RULES, n) for n in ("exchange", "symbol", "native", "base", "quote")},
        market=Market.INVERSE,
        min_notional=Decimal(10**9),
    )
    assert inverse.size_unit is SizeUnit.CONTRACTS
    assert not inverse.violations(Side.BUY, Decimal(1), Decimal(1)), "nobody knows its worth"
    with pytest.raises(UsageError, match="what one is worth isn't known"):
        inverse.notional(Decimal(1), Decimal(1))
    told = attrs.evolve(inverse, quote_per_contract=Decimal(10))
    with decimal.localcontext(prec=3):
        assert told.notional(Decimal(7), Decimal(12345)) == 123450
    with pytest.raises(UsageError):
        told.notional(Decimal("NaN"), Decimal(1))


@given(
    st.sampled_from(Side),
    st.decimals(min_value=-1, max_value=10**6, places=4),
    st.decimals(min_value=-1, max_value=200, places=5),
    contexts,
)
def test_orders_are_refused_exactly_where_a_rule_is_broken_and_taking_the_advice_mends_them(
    side: Side, price: Decimal, size: Decimal, context: decimal.Context
) -> None:
    wrong = (
        price <= 0
        or Fraction(price) % Fraction("0.1") != 0
        or Fraction(size) % Fraction("0.001") != 0
        or not Fraction("0.005") <= Fraction(size) <= 100
        or Fraction(price) * Fraction(size) < 5
    )
    with decimal.localcontext(context):
        broken = RULES.violations(side, price, size)
    assert bool(broken) == wrong
    for _ in range(6):
        if not broken:
            break
        advice = broken[0]
        if advice.nearest is None or (advice.nearest > 100 and advice.rule == "min_notional"):
            break  # no size is enough at such a price
        assert advice.nearest > 0
        if advice.rule in ("tick_size", "min_price"):
            price = advice.nearest
        else:
            size = advice.nearest
        broken = RULES.violations(side, price, size)
        assert advice.rule not in {each.rule for each in broken}
    else:
        raise AssertionError(f"the advice leads nowhere: {broken}")


def test_rounding_modes_are_those_of_the_decimal_module() -> None:
    half = attrs.evolve(RULES, tick_size=Decimal(1))
    assert half.quantise_price(Decimal("2.5")) == 2  # ROUND_HALF_EVEN
    assert half.quantise_price(Decimal("2.5"), rounding=ROUND_HALF_EVEN) == 2
    assert half.quantise_price(Decimal("-2.5"), rounding=ROUND_FLOOR) == -3
