"""Puts an emulated market into a given state: figures set one by one, or taken away.

A market that somebody steers stands still otherwise, so that what is told next tells of that
alone. All is checked before anything changes.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import Changed, Figure, ForcedClose, SimulatedMarket
from ccrs_core.emulator.matching import Ladder
from ccrs_core.errors import UsageError
from ccrs_core.model.events import Level
from ccrs_core.model.instruments import Market, Side

SIDES = ("bids", "asks")
DAY = ("open_price", "high_price", "low_price", "volume", "turnover")
"""Figures of the last 24 hours."""
OTHERS = tuple(figure.value for figure in Figure)


class Steerable(ABC):
    """The part of an emulated exchange by which its markets are put into a state."""

    def steer(self, listing: Listing, **figures: Any) -> None:
        """Put a market into a state, now. From then on it stands still.

        Figures are named as those of :class:`~ccrs_core.Ticker` are, None for one that there is
        none of; ``bids`` and ``asks`` are levels, best first, () for a side without orders. What
        isn't named stays as it is.

        :raises UsageError: where the market can't have such a figure.
        """
        self._act(listing, lambda market: steer(market, figures))

    def release(self, listing: Listing) -> None:
        """Let a market that was steered go on by itself, lacking nothing."""
        self._act(listing, release)

    def trade(
        self,
        listing: Listing,
        side: Side,
        size: Decimal,
        price: Decimal,
        *,
        block: bool = False,
        rpi: bool = False,
    ) -> None:
        """Print a trade, now, that changes no order: as a taker's, of a negotiated block, or of an
        order of a retail price improvement programme."""
        act = partial(trade, side=side, size=size, price=price, block=block, rpi=rpi)
        self._act(listing, act)

    def liquidate(self, listing: Listing, side: Side, size: Decimal, price: Decimal) -> None:
        """Close a position by force, now; ``side`` is the position's."""
        self._act(listing, partial(liquidate, side=side, size=size, price=price))

    @abstractmethod
    def _act(self, listing: Listing, act: Callable[[SimulatedMarket], Changed]) -> None:
        """Let something happen in a market now; its streams tell of it."""


def steer(market: SimulatedMarket, figures: Mapping[str, Any]) -> Changed:
    """Set figures, by name; None (or no levels) for those that there are none of.

    :raises UsageError: where a name is unknown, or a value none that the market could have.
    """
    unknown = [name for name in figures if name not in (*SIDES, *DAY, *OTHERS)]
    if unknown:
        raise UsageError(
            f"a market has no {unknown[0]!r}; it has {', '.join(SIDES + DAY + OTHERS)}"
        )
    units = {name: _units(market, name, value) for name, value in figures.items()}
    _not_crossed(market, units)
    market.held = True
    market.sequence += 1
    changed = Changed.NOTHING
    for name, value in units.items():
        changed |= _set(market, name, value)
    return changed


def release(market: SimulatedMarket) -> Changed:
    """Let a market go on by itself, with all figures that it usually has."""
    market.held = False
    market.lacks.clear()
    market.tape.steered.clear()
    market.steered_funding_ns = None
    return Changed.BOOK | Changed.TRADES | Changed.REFERENCE


def trade(
    market: SimulatedMarket, side: Side, size: Decimal, price: Decimal, *, block: bool, rpi: bool
) -> Changed:
    """Print a trade that changes no order."""
    lots, ticks = _steps(market, "volume", size), _steps(market, "last_price", price)
    market.sequence += 1
    nonce = random.Random(f"{market.listing.symbol}/{market.sequence}").getrandbits(128)
    market.lacks.discard(Figure.LAST_PRICE)
    market.tape.record(
        market.now_ns, side, ticks, lots, market.sequence, nonce, block=block, rpi=rpi
    )
    return Changed.TRADES


def liquidate(market: SimulatedMarket, side: Side, size: Decimal, price: Decimal) -> Changed:
    """Close a position by force; ``side`` is the position's."""
    lots, ticks = _steps(market, "volume", size), _steps(market, "last_price", price)
    market.liquidation_count += 1
    found = ForcedClose(market.liquidation_count, market.now_ns, side, ticks, lots)
    market.liquidations.append(found)
    return Changed.LIQUIDATIONS


def _units(market: SimulatedMarket, name: str, value: Any) -> Any:
    """A figure as the market counts it."""
    if name in SIDES:
        levels: Sequence[Level] = value or ()
        found = [(_steps(market, "last_price", p), _steps(market, "volume", s)) for p, s in levels]
        better = 1 if name == "bids" else -1
        prices = [price * better for price, _ in found]
        if prices != sorted(set(prices), reverse=True) or any(size < 1 for _, size in found):
            raise UsageError(f"{name} must be levels with sizes above zero, best first: {value}")
        return found
    if value is None:
        if name in DAY:
            raise UsageError(f"a day's {name} is there, or none is: let last_price be None")
        return None
    if name == "turnover":
        if market.listing.market is Market.INVERSE:
            return int(Decimal(value).scaleb(8))
        listing = market.listing
        return int(Decimal(value) / (listing.tick * listing.lot * listing.worth_of_one))
    if name == "funding_rate":
        return int(Decimal(value).scaleb(6))
    if name == "next_funding_time_ns":
        return int(value)
    if name in ("mark_price", "index_price"):
        return int(Decimal(value) * 100 / market.listing.tick)
    return _steps(market, name, value)


def _steps(market: SimulatedMarket, name: str, value: Decimal) -> int:
    sized = name in ("volume", "open_interest")
    found = (market.rules.size if sized else market.rules.price).count(Decimal(value))
    if found is None or found < 0 or (found == 0 and not sized):
        raise UsageError(f"{name} can't be {value}: it must be a multiple of the step, above zero")
    return found


def _not_crossed(market: SimulatedMarket, units: Mapping[str, Any]) -> None:
    bids, asks = units.get("bids"), units.get("asks")
    bid = market.engine.bids.best if bids is None else bids[0][0] if bids else None
    ask = market.engine.asks.best if asks is None else asks[0][0] if asks else None
    if bid is not None and ask is not None and bid >= ask:
        raise UsageError("the best bid must be below the best ask")


def _set(market: SimulatedMarket, name: str, value: Any) -> Changed:
    if name in SIDES:
        return _fill(market, name, value)
    if name in DAY:
        market.tape.steered[name.removesuffix("_price").replace("volume", "lots")] = value
        return Changed.TRADES
    figure = Figure(name)
    if value is None:
        market.lacks.add(figure)
    else:
        market.lacks.discard(figure)
        if figure is Figure.LAST_PRICE:
            market.tape.last = value
        elif figure is Figure.NEXT_FUNDING_TIME:
            market.steered_funding_ns = value
        else:
            setattr(market, name.removesuffix("_price"), value)
    return Changed.TRADES if figure is Figure.LAST_PRICE else Changed.REFERENCE


def _fill(market: SimulatedMarket, name: str, levels: Sequence[tuple[int, int]]) -> Changed:
    """Let a side have these levels, besides the orders of accounts, which stay; levels that stay as
    they are keep their orders."""
    engine = market.engine
    side, ladder = (Side.BUY, engine.bids) if name == "bids" else (Side.SELL, engine.asks)
    wanted = dict(levels)
    for price, size in _present(ladder):
        if wanted.get(price) == size:
            del wanted[price]
            continue
        for order in list(ladder.levels[price * ladder.sign].orders.values()):
            if order.owner is None:
                engine.cancel(order.order_id)
            elif price in wanted:
                wanted[price] -= order.remaining
    changed = Changed.BOOK
    for price, size in wanted.items():
        if size > 0:
            # It may cross an order of an account, which stays where it is until then. What it meets
            # of the crowd's is the other side as it was, which is steered away next: no trade.
            outcome = engine.submit(side, size, price)
            met = tuple(each for each in outcome.executions if each.maker.owner is not None)
            changed |= market.print_trades(attrs.evolve(outcome, executions=met))
    return changed


def _present(ladder: Ladder) -> list[tuple[int, int]]:
    return ladder.top(len(ladder.keys))
