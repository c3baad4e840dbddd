"""What is traded: markets, instruments, their names and rules.

Prices and sizes are :class:`~decimal.Decimal` with exactly the digits on the wire, ids are text,
times are integer nanoseconds UTC.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import attrs

from ccrs_core.errors import InvalidOrder, UsageError
from ccrs_core.model.ticks import TickBand, ascending, band_of, on_tick
from ccrs_core.model.units import NS_PER_SECOND, PLAIN, is_multiple, multiple, number, ratio


class Market(enum.StrEnum):
    """Kind of market; with the exchange's own symbol it identifies an instrument."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"
    OPTION = "option"


class Side(enum.StrEnum):
    """Direction of a trade or order. For public trades: the taker's side."""

    BUY = "buy"
    SELL = "sell"


class OptionKind(enum.StrEnum):
    """The right that an option gives: to buy (call) or to sell (put)."""

    CALL = "call"
    PUT = "put"


class SizeUnit(enum.StrEnum):
    """What sizes of an instrument count: base units (coins), or contracts."""

    BASE = "base"
    CONTRACTS = "contracts"


class InstrumentStatus(enum.StrEnum):
    """Whether an instrument can be traded now."""

    PRELAUNCH = "prelaunch"
    TRADING = "trading"
    HALTED = "halted"
    SETTLING = "settling"
    CLOSED = "closed"


@attrs.frozen(kw_only=True)
class Instrument:
    """One thing that an exchange trades.

    ``symbol`` is the unified name (see :func:`unified_symbol`), ``native`` the exchange's own.
    Both are unique within (exchange, market); ``symbol`` is unique within the exchange.
    ``None`` in a rule means that the exchange states none.

    All sizes of an instrument (of its trades, books, candles and rules) count its ``size_unit``:
    base units, and of inverse contracts those contracts, each worth ``quote_per_contract`` quote
    units. Nothing is left to multiply: where an exchange counts other contracts in lots of
    ``base_per_native_contract`` base units, sizes have been converted already, and that figure is
    only for looking things up in the exchange's own interface.
    """

    exchange: str
    symbol: str
    native: str
    market: Market
    base: str
    quote: str
    settle: str | None = None
    status: InstrumentStatus = InstrumentStatus.TRADING
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    min_notional: Decimal | None = None
    size_unit: SizeUnit = attrs.field(
        default=attrs.Factory(lambda self: _usual_unit(self.market), takes_self=True)
    )
    quote_per_contract: Decimal | None = None
    base_per_native_contract: Decimal | None = None
    expiry_ns: int | None = None
    strike: Decimal | None = None
    option_kind: OptionKind | None = None
    tick_bands: tuple[TickBand, ...] = attrs.field(default=(), validator=ascending)
    """Where the tick depends on the price: from which price on which one, ascending. ``tick_size``
    is the finest then. Empty where one tick is all prices'."""
    native_code: int | None = None
    """The number by which the exchange's interface wants it named here and there; None where it has
    none, or hasn't said it."""

    def tick_at(self, price: Decimal) -> Decimal | None:
        """The tick at a price; None where the exchange states none.

        :raises UsageError: where the price is no finite ``Decimal``.
        """
        number("price", price)
        return _tick_at(self, price)

    def __repr__(self) -> str:
        # As attrs would, without what the exchange doesn't state.
        told = {field.name: getattr(self, field.name) for field in attrs.fields(Instrument)}
        shown = ", ".join(f"{k}={v!r}" for k, v in told.items() if v is not None)
        return f"Instrument({shown})"

    def quantise_price(
        self, price: Decimal, side: Side | None = None, *, rounding: str | None = None
    ) -> Decimal:
        """A price on the tick, with the tick's digits: a buy's is never moved up, a sell's never
        down; without a side it is the nearest one.

        :param rounding: one of the decimal module's modes, instead of the side's.
        :raises UsageError: where the price is no finite ``Decimal``.
        """
        return _quantised_price(self, price, side, rounding)

    def quantise_size(self, size: Decimal) -> Decimal:
        """The largest multiple of the lot that isn't above a size, with the lot's digits.

        :raises UsageError: where the size is no finite ``Decimal``.
        """
        return _quantised_size(self, size)

    def notional(self, price: Decimal, size: Decimal) -> Decimal:
        """What a size is worth at a price, in quote units, exactly.

        :raises UsageError: where price or size is no finite ``Decimal``, or where sizes are
            contracts and what one is worth isn't known (as in recordings of other programs).
        """
        price, size = number("price", price), number("size", size)
        each = _worth_of_one(self, price)
        if each is None:
            raise UsageError(
                f"sizes of {self.symbol} are contracts, and what one is worth isn't known: take "
                "the instrument from the exchange's list (client.instrument)"
            )
        return PLAIN.multiply(size, each)

    def violations(
        self, side: Side, price: Decimal | None, size: Decimal
    ) -> tuple[InvalidOrder, ...]:
        """The rules that an order breaks, none where it is valid. A market order has no price; its
        value is then not judged.

        :raises UsageError: where price or size is no finite ``Decimal``.
        """
        return tuple(_violations(self, side, price, size))

    def check_order(self, side: Side, price: Decimal | None, size: Decimal) -> None:
        """Refuse an order that breaks the instrument's rules, before anything is sent.

        :raises InvalidOrder: the first of :meth:`violations`; the message names all.
        """
        broken = self.violations(side, price, size)
        if broken:
            raise InvalidOrder(
                broken[0].rule, "; ".join(map(str, broken)), broken[0].nearest
            ) from None


def unified_symbol(
    base: str,
    quote: str,
    settle: str | None = None,
    expiry_ns: int | None = None,
    strike: Decimal | None = None,
    option_kind: OptionKind | None = None,
) -> str:
    """Name an instrument in the convention that ccxt and freqtrade users know.

    ``BTC/USDT`` spot, ``BTC/USDT:USDT`` linear perpetual, ``BTC/USD:BTC`` inverse perpetual,
    ``BTC/USDT:USDT-261225`` dated (yymmdd, UTC), ``BTC/USDT:USDT-261225-100000-C`` option.
    """
    name = f"{base}/{quote}"
    if settle is None:
        return name
    name += f":{settle}"
    if expiry_ns is not None:
        name += datetime.fromtimestamp(expiry_ns // NS_PER_SECOND, UTC).strftime("-%y%m%d")
    if strike is not None and option_kind is not None:
        name += f"-{strike.normalize():f}-{'C' if option_kind is OptionKind.CALL else 'P'}"
    return name


_SYMBOL = re.compile(
    r"(?P<base>[^/:\s]+)/(?P<quote>[^/:\s]+)"
    r"(?::(?P<settle>[^/:\s-]+)(?:-(?P<expiry>\d{6})(?:-(?P<strike>[0-9.]+)-(?P<kind>[CP]))?)?)?"
)


def market_of(symbol: str) -> Market:
    """Tell the market from a unified symbol, without asking any exchange.

    :raises UsageError: where the text isn't a unified symbol.
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise UsageError(
            f"{symbol!r} is not a unified symbol; they look like BTC/USDT (spot), BTC/USDT:USDT "
            "(linear), BTC/USD:BTC (inverse), BTC/USDT:USDT-261225-100000-C (option)"
        )
    if match["settle"] is None:
        return Market.SPOT
    if match["kind"] is not None:
        return Market.OPTION
    return Market.INVERSE if match["settle"] == match["base"] else Market.LINEAR


# --- rules, exactly and in integers ---


def _quantised_price(
    instrument: Instrument, price: Decimal, side: Side | None, rounding: str | None
) -> Decimal:
    """See :meth:`Instrument.quantise_price`."""
    price, tick = number("price", price), instrument.tick_size
    if rounding is None:
        rounding = {"buy": ROUND_FLOOR, "sell": ROUND_CEILING}[side] if side else ROUND_HALF_EVEN
    if instrument.tick_bands:
        return on_tick(instrument.tick_bands, price, rounding)
    return price if tick is None else multiple(price, tick, rounding)


def _tick_at(instrument: Instrument, price: Decimal) -> Decimal | None:
    """See :meth:`Instrument.tick_at`."""
    bands = instrument.tick_bands
    return bands[band_of(bands, price)].tick_size if bands else instrument.tick_size


def _quantised_size(instrument: Instrument, size: Decimal) -> Decimal:
    """See :meth:`Instrument.quantise_size`."""
    size, lot = number("size", size), instrument.lot_size
    return size if lot is None else multiple(size, lot, ROUND_FLOOR)


def _violations(
    instrument: Instrument, side: Side, price: Decimal | None, size: Decimal
) -> Iterator[InvalidOrder]:
    """See :meth:`Instrument.violations`."""
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
    tick, name = _tick_at(instrument, price), instrument.symbol
    least = tick and _quantised_price(instrument, tick, Side.SELL, None)
    if price <= 0:
        yield InvalidOrder("min_price", f"a price of {price:f} for {name} is not above zero", least)
    elif tick is not None and not is_multiple(price, tick):
        nearest = _quantised_price(instrument, price, side, None)
        if nearest <= 0:
            nearest = least or tick
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
        nearest = _quantised_size(instrument, size)
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


def _usual_unit(market: Market) -> SizeUnit:
    return SizeUnit.CONTRACTS if market is Market.INVERSE else SizeUnit.BASE


def _worth_of_one(instrument: Instrument, price: Decimal) -> Decimal | None:
    """What a size of 1 is worth in quote units; None where that isn't known."""
    return price if instrument.size_unit is SizeUnit.BASE else instrument.quote_per_contract


def _of_value(instrument: Instrument, price: Decimal, size: Decimal) -> Iterator[InvalidOrder]:
    least = instrument.min_notional
    if least is None:
        return
    each = _worth_of_one(instrument, price)
    if each is None:
        return
    value = PLAIN.multiply(size, each)
    if value >= least:
        return
    lot, nearest = instrument.lot_size, None
    if lot is not None:
        wanted, worth = ratio(least, PLAIN.multiply(lot, each))
        nearest = PLAIN.multiply(lot, Decimal(-(-wanted // worth)))
    hint = "" if nearest is None else f"; nearest size: {nearest:f}"
    yield InvalidOrder(
        "min_notional",
        f"{size:f} of {instrument.symbol} at {price:f} is worth {value:f} {instrument.quote}, less "
        f"than the smallest order's {least:f}{hint}",
        nearest,
    )
