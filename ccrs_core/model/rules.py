"""An instrument's trading rules applied to prices and sizes, exactly and in integers.

The caller's decimal context plays no part: neither its precision nor its traps.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from ccrs_core.errors import InvalidOrder, UsageError

if TYPE_CHECKING:
    from ccrs_core.model.instruments import Instrument, Side

_LARGEST = 400
"""Digits before and after the point of numbers that are worked with; none come near it."""

_PLAIN = Context(
    prec=5 * _LARGEST, Emin=-10 * _LARGEST, Emax=10 * _LARGEST, traps=[InvalidOperation]
)
"""For results that are exact in it."""


def number(what: str, value: Any) -> Decimal:
    """The value, if it is a finite decimal.

    :raises UsageError: where it is none, as a float is.
    """
    if not isinstance(value, Decimal):
        raise UsageError(
            f"a {what} must be a Decimal of exact digits, such as Decimal('0.10'), not {value!r}"
        )
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise UsageError(f"a {what} must be finite, not {value}")
    if abs(exponent) > _LARGEST or abs(value.adjusted()) > _LARGEST:
        raise UsageError(f"a {what} of {value} is out of any range")
    return value


def multiple(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    """A multiple of a step, spelled with the step's digits.

    :param rounding: as the decimal module calls it, such as ``ROUND_FLOOR``.
    """
    dividend, divisor = _integers(value, step)
    steps, rest = divmod(abs(dividend), divisor)
    # A quarter stands for all that lies nearer to one multiple: roundings ask for no more.
    part = ("25", "50", "75")[1 + (2 * rest > divisor) - (2 * rest < divisor)] if rest else "00"
    exact = Decimal(f"{'-' if dividend < 0 else ''}{steps}.{part}")
    whole = int(exact.to_integral_value(rounding, _PLAIN))
    return _PLAIN.multiply(step, Decimal(whole))


def is_multiple(value: Decimal, step: Decimal) -> bool:
    dividend, divisor = _integers(value, step)
    return dividend % divisor == 0


def _integers(value: Decimal, step: Decimal) -> tuple[int, int]:
    """Two integers of the same ratio as two decimals."""
    (a_top, a_bottom), (b_top, b_bottom) = value.as_integer_ratio(), step.as_integer_ratio()
    return a_top * b_bottom, b_top * a_bottom


def quantised_price(
    instrument: Instrument, price: Decimal, side: Side | None, rounding: str | None
) -> Decimal:
    """See :meth:`ccrs_core.model.instruments.Instrument.quantise_price`."""
    price, tick = number("price", price), instrument.tick_size
    if rounding is None:
        rounding = {"buy": ROUND_FLOOR, "sell": ROUND_CEILING}[side] if side else ROUND_HALF_EVEN
    return price if tick is None else multiple(price, tick, rounding)


def quantised_size(instrument: Instrument, size: Decimal) -> Decimal:
    """See :meth:`ccrs_core.model.instruments.Instrument.quantise_size`."""
    size, lot = number("size", size), instrument.lot_size
    return size if lot is None else multiple(size, lot, ROUND_FLOOR)


def violations(
    instrument: Instrument, side: Side, price: Decimal | None, size: Decimal
) -> Iterator[InvalidOrder]:
    """See :meth:`ccrs_core.model.instruments.Instrument.violations`."""
    number("size", size)
    if price is not None:
        number("price", price)
    name = instrument.symbol
    if instrument.status.value != "trading":
        yield InvalidOrder("status", f"{name} can't be traded: it is {instrument.status.value}")
    if price is not None:
        yield from _of_price(instrument, side, price)
    yield from _of_size(instrument, size)
    if price is not None and price > 0 and size > 0:
        yield from _of_value(instrument, price, size)


def _of_price(instrument: Instrument, side: Side, price: Decimal) -> Iterator[InvalidOrder]:
    tick, name = instrument.tick_size, instrument.symbol
    if price <= 0:
        yield InvalidOrder("min_price", f"a price of {price:f} for {name} is not above zero", tick)
    elif tick is not None and not is_multiple(price, tick):
        nearest = quantised_price(instrument, price, side, None)
        if nearest <= 0:
            nearest = tick
        yield InvalidOrder(
            "tick_size",
            f"the price {price:f} is no multiple of {name}'s tick {tick:f}; nearest: {nearest:f}",
            nearest,
        )


def _of_size(instrument: Instrument, size: Decimal) -> Iterator[InvalidOrder]:
    lot, name = instrument.lot_size, instrument.symbol
    least, most = _bounds(instrument)
    if size <= 0 or (instrument.min_size is not None and size < instrument.min_size):
        at_least = "" if least is None else f"; nearest: {least:f}"
        yield InvalidOrder(
            "min_size", f"the size {size:f} is below {name}'s smallest{at_least}", least
        )
    elif most is not None and instrument.max_size is not None and size > instrument.max_size:
        yield InvalidOrder(
            "max_size",
            f"the size {size:f} is above {name}'s largest, {instrument.max_size:f}; "
            f"nearest: {most:f}",
            most,
        )
    elif lot is not None and not is_multiple(size, lot):
        nearest = quantised_size(instrument, size)
        if least is not None and nearest < least:
            nearest = least
        yield InvalidOrder(
            "lot_size",
            f"the size {size:f} is no multiple of {name}'s lot {lot:f}; nearest: {nearest:f}",
            nearest,
        )


def _bounds(instrument: Instrument) -> tuple[Decimal | None, Decimal | None]:
    """The smallest and the largest size that are multiples of the lot."""
    lot, least, most = instrument.lot_size, instrument.min_size, instrument.max_size
    if lot is None:
        return least, most
    least = lot if least is None or least <= 0 else multiple(least, lot, ROUND_CEILING)
    return least, None if most is None else multiple(most, lot, ROUND_FLOOR)


def _of_value(instrument: Instrument, price: Decimal, size: Decimal) -> Iterator[InvalidOrder]:
    least = instrument.min_notional
    if least is None:
        return
    # In quote units: an inverse instrument's sizes are contracts of so many of them.
    each = instrument.contract_size if instrument.market.value == "inverse" else price
    value = _PLAIN.multiply(size, each)
    if value >= least:
        return
    lot, nearest = instrument.lot_size, None
    if lot is not None:
        wanted, worth = _integers(least, _PLAIN.multiply(lot, each))
        nearest = _PLAIN.multiply(lot, Decimal(-(-wanted // worth)))
    hint = "" if nearest is None else f"; nearest size: {nearest:f}"
    yield InvalidOrder(
        "min_notional",
        f"{size:f} of {instrument.symbol} at {price:f} is worth {value:f} {instrument.quote}, less "
        f"than the smallest order's {least:f}{hint}",
        nearest,
    )
