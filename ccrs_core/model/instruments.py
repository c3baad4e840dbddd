"""What is traded and what can be subscribed to: instruments, channels, subscriptions.

Prices and sizes are :class:`~decimal.Decimal` with exactly the digits on the wire, ids are text,
times are integer nanoseconds UTC.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime
from decimal import Decimal

import attrs

from ccrs_core.errors import InvalidOrder, UsageError
from ccrs_core.model import rules
from ccrs_core.model.units import NS_PER_SECOND


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
    Sizes are in base units for spot and linear, in contracts of ``contract_size`` quote units for
    inverse. ``None`` means that the exchange states no such rule.
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
    contract_size: Decimal = Decimal(1)
    expiry_ns: int | None = None
    strike: Decimal | None = None
    option_kind: OptionKind | None = None

    def quantise_price(
        self, price: Decimal, side: Side | None = None, *, rounding: str | None = None
    ) -> Decimal:
        """A price on the tick, with the tick's digits: a buy's is never moved up, a sell's never
        down; without a side it is the nearest one.

        :param rounding: one of the decimal module's modes, instead of the side's.
        :raises UsageError: where the price is no finite ``Decimal``.
        """
        return rules.quantised_price(self, price, side, rounding)

    def quantise_size(self, size: Decimal) -> Decimal:
        """The largest multiple of the lot that isn't above a size, with the lot's digits.

        :raises UsageError: where the size is no finite ``Decimal``.
        """
        return rules.quantised_size(self, size)

    def violations(
        self, side: Side, price: Decimal | None, size: Decimal
    ) -> tuple[InvalidOrder, ...]:
        """The rules that an order breaks, none where it is valid. A market order has no price; its
        value is then not judged.

        :raises UsageError: where price or size is no finite ``Decimal``.
        """
        return tuple(rules.violations(self, side, price, size))

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
