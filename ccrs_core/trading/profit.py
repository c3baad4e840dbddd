"""Realised profit by average cost: of linear contracts and spot in quote units, of inverse
contracts in base units by the harmonic average.

What closes a position realises the difference between its price and the average of what is open;
what goes through zero closes, and opens the rest at its own price. Fees are apart, by asset. Fills
count in the exchange's order, whenever they become known: the newest are kept, and reckoned anew
where one arrives late.
"""

from __future__ import annotations

from bisect import insort
from decimal import Decimal
from typing import NamedTuple

from ccrs_core.model.orders import average
from ccrs_core.model.units import NS_PER_SECOND, PLAIN, QUOTIENT

ZERO = Decimal(0)
_KEPT = 32
"""Steps that are kept, at most."""
_KEPT_OF_NEW = 4096
"""Those as long as it isn't known what was held before the first one."""
_KEPT_NS = 600 * NS_PER_SECOND
"""By how much they may be older than the newest."""


class Step(NamedTuple):
    """One change of what is held, in the exchange's order."""

    time_ns: int
    sequence: int
    number: int
    """The ledger's: orders what the exchange doesn't."""
    size: Decimal
    """Above zero bought, below sold."""
    price: Decimal | None
    """None: at the average of what is held, so that nothing is realised."""


class Held(NamedTuple):
    """What is held, what it has cost, and what was earned before."""

    size: Decimal = ZERO
    cost: Decimal = ZERO
    """Of ``size``: in quote units, of inverse contracts in base units; not below zero."""
    realised: Decimal = ZERO


def stepped(held: Held, step: Step, contract: Decimal | None) -> Held:
    """What is held after one more step. ``contract``: as of
    :func:`~ccrs_core.model.orders.average`."""
    size, cost, realised = held
    change, price = step.size, step.price
    if not change:
        return held
    if not size or (size > 0) == (change > 0):
        added = _worth(abs(change), price, contract)
        if added is None:
            added = QUOTIENT.divide(PLAIN.multiply(cost, abs(change)), abs(size)) if size else ZERO
        return Held(PLAIN.add(size, change), PLAIN.add(cost, added), realised)
    closed = min(abs(size), abs(change))
    part = cost
    if closed != abs(size):
        part = QUOTIENT.divide(PLAIN.multiply(cost, closed), abs(size))
    worth = _worth(closed, price, contract)
    if worth is not None:
        gain = PLAIN.subtract(worth, part) if contract is None else PLAIN.subtract(part, worth)
        realised = PLAIN.add(realised, gain if size > 0 else -gain)
    rest = Held(
        PLAIN.add(size, closed if change > 0 else -closed), PLAIN.subtract(cost, part), realised
    )
    if abs(change) == closed:
        return rest
    over = PLAIN.subtract(change, closed if change > 0 else -closed)
    return stepped(rest, step._replace(size=over), contract)


def _worth(size: Decimal, price: Decimal | None, contract: Decimal | None) -> Decimal | None:
    if price is None:
        return None
    if contract is None:
        return PLAIN.multiply(size, price)
    return QUOTIENT.divide(PLAIN.multiply(size, contract), price) if contract and price else None


class ProfitState(NamedTuple):
    """What a store keeps of it."""

    base: Held = Held()
    steps: tuple[Step, ...] = ()
    folded_ns: int = 0
    """The newest time of the steps that are in ``base``."""
    out_of_order: int = 0


_NONE = ProfitState()


class ProfitBook:
    """Average cost over the steps of one position."""

    __slots__ = ("_base", "_contract", "_folded_ns", "_now", "_out_of_order", "_steps")

    def __init__(self, contract: Decimal | None, state: ProfitState = _NONE) -> None:
        self._contract = contract
        self._base = state.base
        self._steps = list(state.steps)
        self._folded_ns = state.folded_ns
        self._out_of_order = state.out_of_order
        self._now = self._reckoned()

    @property
    def state(self) -> ProfitState:
        """What a store keeps of it."""
        return ProfitState(self._base, tuple(self._steps), self._folded_ns, self._out_of_order)

    @property
    def steps(self) -> int:
        """How many are kept."""
        return len(self._steps)

    @property
    def held(self) -> Held:
        """What is held now."""
        return self._now

    @property
    def out_of_order(self) -> int:
        """Steps that arrived so late that they count as if they had come after older ones."""
        return self._out_of_order

    @property
    def entry_price(self) -> Decimal | None:
        """The average price of what is held; None where nothing is."""
        return average(self._now.cost, abs(self._now.size), self._contract)

    def add(self, step: Step, begun: bool = True) -> Decimal:
        """One more step; returns by how much the realised profit changes.

        :param begun: whether it is known what was held before the first one.
        """
        if step.time_ns < self._folded_ns:
            self._out_of_order += 1
        steps, before = self._steps, self._now.realised
        if not steps or step > steps[-1]:
            steps.append(step)
            self._now = stepped(self._now, step, self._contract)
        else:
            insort(steps, step)
            self._now = self._reckoned()
        most, since_ns = _KEPT_OF_NEW, 0
        if begun:
            most, since_ns = _KEPT, steps[-1].time_ns - _KEPT_NS
        while len(steps) > most or steps[0].time_ns < since_ns:
            oldest = steps.pop(0)
            self._base = stepped(self._base, oldest, self._contract)
            self._folded_ns = max(self._folded_ns, oldest.time_ns)
        return PLAIN.subtract(self._now.realised, before)

    def take_back(self, step: Step) -> Decimal:
        """A step turned out to be none of this position; returns by how much the realised profit
        changes. (One that is reckoned with already is undone at its price.)"""
        if step not in self._steps:
            return self.add(step._replace(size=-step.size))
        before = self._now.realised
        self._steps.remove(step)
        self._now = self._reckoned()
        return PLAIN.subtract(self._now.realised, before)

    def _reckoned(self) -> Held:
        held = self._base
        for step in self._steps:
            held = stepped(held, step, self._contract)
        return held
