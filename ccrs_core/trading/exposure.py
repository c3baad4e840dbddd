"""How much an account may come to hold of an instrument. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import attrs

from ccrs_core.model.accounts import Position
from ccrs_core.model.instruments import Side
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.model.units import PLAIN

_ASKED = frozenset({OrderState.PLANNED, OrderState.SENT, OrderState.UNKNOWN})


@attrs.frozen(kw_only=True)
class Exposure:
    """What an account holds of an instrument, and what its orders may add, in size units.

    Sizes of orders are above zero. Orders for an amount of the quote currency, of which no size is
    known, are counted in ``unsized``.
    """

    symbol: str
    position: Decimal
    """Long above, short below zero, both sides of hedge mode summed; 0 of spot."""
    open_buys: Decimal
    open_sells: Decimal
    """Not filled yet, of orders that the exchange has."""
    unknown_buys: Decimal
    unknown_sells: Decimal
    """Of orders of which it isn't known whether it has them."""
    unsized: int

    @property
    def most(self) -> Decimal:
        """The position if all that may be bought is, and nothing sold."""
        return PLAIN.add(PLAIN.add(self.position, self.open_buys), self.unknown_buys)

    @property
    def least(self) -> Decimal:
        """The position if all that may be sold is, and nothing bought."""
        sold = PLAIN.add(self.open_sells, self.unknown_sells)
        return PLAIN.subtract(self.position, sold)


def exposure_of(symbol: str, positions: Iterable[Position], orders: Iterable[Order]) -> Exposure:
    """What positions and orders of one instrument come to."""
    held, unsized = Decimal(0), 0
    for position in positions:
        held = PLAIN.add(held, position.size)
    sums = {(side, asked): Decimal(0) for side in Side for asked in (False, True)}
    orders = list(orders)
    placed = {order.exchange_order_id: order for order in orders if not order.state.final}
    for order in orders:
        if order.state.final or order.state is OrderState.PRESUMED_ABSENT:
            continue
        children = [placed[each] for each in order.children if each in placed]
        remaining = order.remaining
        if remaining is None:
            unsized += not children
            continue
        for child in children:  # counted by itself
            remaining = PLAIN.subtract(remaining, child.remaining or Decimal(0))
        remaining = max(remaining, Decimal(0))
        key = order.side, order.state in _ASKED
        sums[key] = PLAIN.add(sums[key], remaining)
    return Exposure(
        symbol=symbol,
        position=held,
        open_buys=sums[Side.BUY, False],
        open_sells=sums[Side.SELL, False],
        unknown_buys=sums[Side.BUY, True],
        unknown_sells=sums[Side.SELL, True],
        unsized=unsized,
    )
