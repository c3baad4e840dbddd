"""Ticks that depend on the price."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from fractions import Fraction
from itertools import accumulate

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Instrument, InvalidOrder, Market, Side, TickBand, UsageError
from ccrs_core.model.serialize import converter

OPTION = Instrument(
    exchange="toy",
    symbol="A/USD:A-300101-5-C",
    native="A",
    market=Market.OPTION,
    base="A",
    quote="USD",
    tick_size=Decimal("0.0001"),
    tick_bands=(
        TickBand(Decimal(0), Decimal("0.0001")),
        TickBand(Decimal("0.005"), Decimal("0.0005")),
    ),
)
ticks = st.sampled_from([Decimal(each) for each in ("0.01", "0.02", "0.05", "0.25", "1", "3")])
gaps = st.decimals("0.01", 5, places=2)
prices = st.decimals(-3, 30, places=4)


@st.composite
def banded(draw: st.DrawFn) -> Instrument:
    """Bands that need begin at no multiple of any tick."""
    starts = list(accumulate(draw(st.lists(gaps, min_size=1, max_size=4)), initial=Decimal(0)))
    bands = tuple(TickBand(start, draw(ticks)) for start in starts)
    return attrs.evolve(OPTION, tick_bands=bands, tick_size=min(b.tick_size for b in bands))


def lies(instrument: Instrument, price: Decimal) -> bool:
    tick = instrument.tick_at(price)
    return tick is not None and (Fraction(price) / Fraction(tick)).denominator == 1


@given(banded(), prices, st.none() | st.sampled_from(Side))
def test_a_price_lands_on_a_tick_of_its_band_and_stays_there(
    instrument: Instrument, price: Decimal, side: Side | None
) -> None:
    found = instrument.quantise_price(price, side)
    assert lies(instrument, found)
    assert str(instrument.quantise_price(found, side)) == str(found)
    tick = instrument.tick_at(found)
    assert tick is not None
    assert found.as_tuple().exponent == tick.as_tuple().exponent
    assert side is not Side.BUY or found <= price
    assert side is not Side.SELL or found >= price


@given(banded(), prices, st.sampled_from(Side))
def test_no_other_price_lies_between_what_was_asked_for_and_what_is_found(
    instrument: Instrument, price: Decimal, side: Side
) -> None:
    found = instrument.quantise_price(price, side)
    low, high = sorted((found, price))
    places = range(int(low * 100) - 1, int(high * 100) + 2)
    between = [Decimal(place) / 100 for place in places if low < Decimal(place) / 100 < high]
    assert not [each for each in between if lies(instrument, each)]


@given(banded(), prices)
def test_orders_off_the_tick_of_their_band_are_refused_with_the_nearest_that_is_on(
    instrument: Instrument, price: Decimal
) -> None:
    for side in Side:
        broken = {each.rule: each for each in instrument.violations(side, price, Decimal(1))}
        assert ("min_price" in broken) == (price <= 0)
        assert ("tick_size" in broken) == (price > 0 and not lies(instrument, price))
        for each in broken.values():
            assert each.nearest is not None
            assert each.nearest > 0
            assert lies(instrument, each.nearest)


def test_the_tick_of_a_price_is_that_of_its_band() -> None:
    expected = {
        "-1": "0.0001",
        "0": "0.0001",
        "0.00499": "0.0001",
        "0.005": "0.0005",
        "9": "0.0005",
    }
    assert {p: str(OPTION.tick_at(Decimal(p))) for p in expected} == expected
    assert str(OPTION.quantise_price(Decimal("0.00499"), Side.SELL)) == "0.0050"
    assert str(OPTION.quantise_price(Decimal("0.0052"), Side.BUY)) == "0.0050"
    assert str(OPTION.quantise_price(Decimal("0.00525"), rounding=ROUND_HALF_UP)) == "0.0055"
    assert str(OPTION.quantise_price(Decimal("0.0054"), Side.BUY, rounding=ROUND_UP)) == "0.0055"
    assert str(OPTION.quantise_price(Decimal("0.0054"), Side.SELL, rounding=ROUND_DOWN)) == "0.0050"
    with pytest.raises(InvalidOrder, match=r"tick 0.0005; nearest: 0.0050"):
        OPTION.check_order(Side.BUY, Decimal("0.0051"), Decimal(1))
    plain = attrs.evolve(OPTION, tick_bands=())
    assert plain.tick_at(Decimal(9)) == Decimal("0.0001")
    assert attrs.evolve(plain, tick_size=None).tick_at(Decimal(9)) is None
    with pytest.raises(UsageError):
        OPTION.tick_at(Decimal("NaN"))


@pytest.mark.parametrize("bands", [[("0", "0")], [("0", "-1")], [("1", "1"), ("1", "2")],
                                   [("2", "1"), ("1", "2")]])  # fmt: skip
def test_bands_that_cannot_be_are_refused(bands: list[tuple[str, str]]) -> None:
    with pytest.raises(UsageError, match="tick_bands must ascend"):
        attrs.evolve(OPTION, tick_bands=tuple(TickBand(Decimal(f), Decimal(t)) for f, t in bands))


def test_bands_are_written_and_read() -> None:
    written = converter().unstructure(OPTION)
    assert converter().structure(written, Instrument) == OPTION
