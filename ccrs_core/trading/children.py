"""What an order that waited has placed: the sums of that, and how that ends it. Pure.

Each of its children is an order with fills of its own. The one that waited keeps of each the newest
figures, so that it can be told without them, whatever is in memory, and after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from ccrs_core.errors import EndReason
from ccrs_core.model.orders import OrderState
from ccrs_core.model.units import PLAIN

ZERO = Decimal(0)

Fees = tuple[tuple[str, Decimal], ...]
"""By asset."""


class Child(NamedTuple):
    """What is known of one order that was placed."""

    state: OrderState | None = None
    """None: only its id, or its fills, are known."""
    reason: EndReason | None = None
    reason_text: str = ""
    size: Decimal | None = None
    quote_size: Decimal | None = None
    filled_size: Decimal = ZERO
    filled_value: Decimal | None = ZERO
    complete: bool = True
    """Whether its fills add up."""
    fees: Fees = ()

    @property
    def seen(self) -> bool:
        """Whether more than its id is known."""
        return self.state is not None or bool(self.filled_size)


class Covered(NamedTuple):
    """The sums of all that was placed."""

    filled_size: Decimal
    filled_value: Decimal | None
    complete: bool
    fees: Fees


def added(fees: Fees, asset: str, fee: Decimal) -> Fees:
    """Fees by asset after one more."""
    sums = dict(fees)
    sums[asset] = PLAIN.add(sums[asset], fee) if asset in sums else fee
    return tuple(sorted(sums.items())) if len(sums) > 1 else tuple(sums.items())


def covered(children: Mapping[str, Child]) -> Covered:
    """The sums of what was placed."""
    size, fees = ZERO, Fees()
    total: Decimal | None = ZERO
    for each in children.values():
        size = PLAIN.add(size, each.filled_size)
        known = total is not None and each.filled_value is not None
        total = PLAIN.add(total, each.filled_value) if known else None  # type: ignore[arg-type]
        for fee in each.fees:
            fees = added(fees, *fee)
    return Covered(size, total, all(each.complete for each in children.values()), fees)


def end_of(
    children: Mapping[str, Child],
    size: Decimal | None,
    quote_size: Decimal | None,
    filled_size: Decimal,
    *,
    listed: bool,
) -> tuple[OrderState, EndReason | None, str] | None:
    """How the order that waited has ended by what it has placed; None as long as some of that
    lives, or isn't known.

    :param listed: whether the exchange itself has said that it has fired: nothing else is to come
        then. Else they have to add up to its size.
    """
    known = [each for each in children.values() if each.state is not None]
    if len(known) < len(children) or not known:
        return None
    if not all(each.state is not None and each.state.final for each in known):
        return None
    if not listed and not (
        _reach([each.size for each in known], size)
        and _reach([each.quote_size for each in known], quote_size)
    ):
        return None
    short = [each for each in known if each.state is not OrderState.FILLED]
    if not short or (size is not None and filled_size >= _wanted(size, known)):
        return OrderState.FILLED, None, ""
    # The one that says the most, whichever came first.
    last = max(short, key=lambda each: (_WEIGHT.get(each.state, 0), each.reason or "", each[2]))
    state = last.state
    assert state is not None
    if filled_size and state not in (OrderState.CANCELED, OrderState.EXPIRED):
        state = OrderState.CANCELED
    return state, last.reason, last.reason_text


_WEIGHT: dict[OrderState | None, int] = {OrderState.CANCELED: 3, OrderState.EXPIRED: 2}


def _wanted(size: Decimal, known: list[Child]) -> Decimal:
    """How much was asked for in the end: what was placed may have been made larger."""
    return max([size, *(each.size for each in known if each.size is not None)])


def _reach(sizes: list[Decimal | None], size: Decimal | None) -> bool:
    """Whether they add up to a size; so where one isn't known."""
    total = ZERO
    for each in sizes:
        if each is None:
            return True
        total = PLAIN.add(total, each)
    return size is None or total >= size


__all__ = ["ZERO", "Child", "Covered", "added", "covered", "end_of"]
