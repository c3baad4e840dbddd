"""Positions by average cost: what a trade makes of one, and what it is worth."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.happenings import DeskPosition
from ccrs_core.emulator.trading.orders import ZERO
from ccrs_core.model.instruments import Market
from ccrs_core.model.units import QUOTIENT

FINEST = Decimal("1e-12")
"""To which quotients are rounded: of inverse contracts' values, and of a part of a cost."""


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    """Rounded to the finest amount, half to even."""
    return QUOTIENT.divide(dividend, divisor).quantize(FINEST, ROUND_HALF_EVEN, QUOTIENT)


def value_of(listing: Listing, size: Decimal, price: Decimal) -> Decimal:
    """What a size is worth at a price, with its sign: quote units, of inverse contracts base
    units."""
    worth = size * listing.worth_of_one
    return quotient(worth, price) if listing.market is Market.INVERSE else worth * price


@attrs.frozen
class Passage:
    """What a trade makes of a position: what of it closed, and what that realised."""

    position: DeskPosition
    closed: Decimal
    profit: Decimal


def traded(position: DeskPosition, size: Decimal, price: Decimal, value: Decimal) -> Passage:
    """A position after a trade of ``size`` (below zero: sold) worth ``value`` (without sign).

    What is closed leaves at its average cost; a trade through zero closes all and opens the rest.
    """
    held, cost = position.size, position.cost
    signed = value if size > 0 else -value
    if not held or (held > 0) == (size > 0):
        return Passage(attrs.evolve(position, size=held + size, cost=cost + signed), ZERO, ZERO)
    closed = min(abs(size), abs(held))
    whole = closed == abs(held)
    cost_part = cost if whole else quotient(cost * closed, abs(held))
    value_part = signed if closed == abs(size) else quotient(signed * closed, abs(size))
    profit = profit_of(position.listing, cost_part, value_part)
    after = attrs.evolve(
        position,
        size=held + size,
        cost=cost - cost_part + (signed - value_part),
    )
    return Passage(after, closed, profit)


def profit_of(listing: Listing, cost: Decimal, closing: Decimal) -> Decimal:
    """What was made of a position of this cost by a closing trade of that (signed) value."""
    # A long costs what is above zero and closes by a sale, below it: what comes in is -closing.
    # Of inverse contracts values fall as prices rise.
    made = -closing - cost
    return -made if listing.market is Market.INVERSE else made


def unrealised(position: DeskPosition, price: Decimal) -> Decimal:
    """What closing at a price would make, in the settlement asset, without fees."""
    if not position.size:
        return ZERO
    return profit_of(
        position.listing,
        position.cost,
        -value_of(position.listing, position.size, price),
    )


def entry_price(position: DeskPosition) -> Decimal | None:
    """The average price at which it was entered; None where there is none."""
    if not position.size or not position.cost:
        return None
    worth = position.size * position.listing.worth_of_one
    if position.listing.market is Market.INVERSE:
        return QUOTIENT.divide(worth, position.cost)
    return QUOTIENT.divide(position.cost, worth)
