"""Whether an order fits its instrument on the emulated Bybit: steps, sizes, values, and the band
around the index in which prices may lie.

https://bybit-exchange.github.io/docs/v5/account/set-price-limit
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import attrs

from ccrs_bybit.emulator_codes import Complaint, refuse
from ccrs_bybit.emulator_listings import INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_rows import contract_row, spot_row
from ccrs_bybit.emulator_tickets import Ticket
from ccrs_core import InstrumentStatus, Side
from ccrs_core.emulator import Listing, SimulatedMarket

QUOTE_STEP = Decimal("0.0000001")
"""Of amounts in the quote coin."""
_SLIPPAGE = Decimal("0.05")


def tradable(listing: Listing | None, category: str, symbol: str) -> Listing:
    """The listing, if orders of it are taken now.

    :raises BadRequest: else.
    """
    if listing is None:
        raise refuse(category, Complaint.SYMBOL)
    if listing.status is InstrumentStatus.SETTLING:
        raise refuse(category, Complaint.SETTLING, symbol)
    if listing.status is not InstrumentStatus.TRADING:
        raise refuse(category, Complaint.NOT_LIVE)
    return listing


def last_price(market: SimulatedMarket) -> Decimal:
    return market.rules.price.value(market.tape.last)


def mark_price(market: SimulatedMarket) -> Decimal:
    return market.rules.price.value(market.mark) / 100


def index_price(market: SimulatedMarket) -> Decimal:
    return market.rules.price.value(market.index) / 100


def followed_price(market: SimulatedMarket, follows: str) -> Decimal:
    """The price that a trigger follows."""
    if follows == "MarkPrice":
        return mark_price(market)
    return index_price(market) if follows == "IndexPrice" else last_price(market)


def _premium(market: SimulatedMarket, over: Decimal) -> Decimal:
    bid, ask = market.engine.bids.best, market.engine.asks.best
    if bid is None or ask is None:
        return Decimal(0)
    return market.rules.price.value(bid + ask) / 2 - over


def band(market: SimulatedMarket) -> tuple[Decimal, Decimal]:
    """The lowest price at which one may sell, and the highest at which one may buy."""
    listing = market.listing
    index, mark, zero = index_price(market), mark_price(market), Decimal(0)
    row = spot_row(listing) if listing.category == SPOT else contract_row(listing)
    near = Decimal(row["riskParameters"]["priceLimitRatioX"])
    far = Decimal(row["riskParameters"]["priceLimitRatioY"])
    if listing.category == SPOT:
        premium = _premium(market, index)
        highest = min(max(index, index * (1 + near) + premium), index * (1 + far))
        lowest = max(min(index, index * (1 - near) + premium), index * (1 - far))
    else:
        premium = _premium(market, mark)
        highest = min(mark * (1 + far), max(index, mark * (1 + near) + max(zero, premium)))
        lowest = max(mark * (1 - far), min(index, mark * (1 - near) + min(zero, premium)))
    tick = listing.tick
    return (
        (lowest / tick).to_integral_value(ROUND_CEILING) * tick,
        (highest / tick).to_integral_value(ROUND_FLOOR) * tick,
    )


def priced_by(volatility: Decimal, market: SimulatedMarket) -> Decimal:
    """The price of an option at a volatility, in its ticks."""
    worth = market.greeks(float(volatility)).price
    return market.rules.price.value(market.rules.price.nearest(worth))


@attrs.frozen
class Fitted:
    """What becomes of an order's size and price: several sizes where Bybit splits it."""

    sizes: tuple[Decimal, ...]
    price: Decimal | None
    moved: bool = False
    """Whether the price was moved into the band."""


def fit(ticket: Ticket, market: SimulatedMarket, *, moves: bool, held: Decimal) -> Fitted:
    """Hold an order against its instrument's rules.

    :param moves: whether a price beyond the band is moved into it; else it is refused.
    :param held: the size of the position, for orders that close all of it.
    :raises BadRequest: in Bybit's words.
    """
    price = _asked_price(ticket, market)
    sizes: tuple[Decimal, ...] = (ticket.qty,)
    if ticket.in_quote:
        _check_amount(ticket, market.listing)
    else:
        sizes = _sizes(ticket, market, price, held)
    if price is None:
        return Fitted(sizes, _cap(ticket, market) or _worst(ticket, market))
    checked = _in_band(ticket, market, price, moves)
    return Fitted(sizes, checked, checked != price)


def check_price(category: str, price: Decimal, listing: Listing) -> None:
    """Hold a price against tick and limits.

    :raises BadRequest: in Bybit's words.
    """
    if category == SPOT:
        highest = Decimal(10) ** 10
        if price < listing.tick:
            raise refuse(category, Complaint.PRICE_LOW)
    else:
        highest = listing.price * 19 // listing.tick * listing.tick
        if category == OPTION:
            highest = Decimal(1_110_000)
        if price < listing.tick:
            raise refuse(category, Complaint.PRICE_LOW)
    if price > highest:
        raise refuse(category, Complaint.PRICE_HIGH)
    if price % listing.tick:
        raise refuse(category, Complaint.PRICE_STEP)


def _asked_price(ticket: Ticket, market: SimulatedMarket) -> Decimal | None:
    if ticket.volatility is not None:
        return priced_by(ticket.volatility, market)
    if ticket.best_of:
        same = ticket.best_of == "Queue"
        side = ticket.side if same else (Side.SELL if ticket.side is Side.BUY else Side.BUY)
        levels = market.engine.depth(side, ticket.best_level)
        if len(levels) < ticket.best_level:
            raise refuse(ticket.category, Complaint.NO_PRICE)
        return market.rules.price.value(levels[-1][0])
    if ticket.price is None:
        return None
    check_price(ticket.category, ticket.price, market.listing)
    return ticket.price


def _cap(ticket: Ticket, market: SimulatedMarket) -> Decimal | None:
    """How far a market order may go, where the user said so."""
    if ticket.slippage is None:
        return None
    buys = ticket.side is Side.BUY
    best = (market.engine.asks if buys else market.engine.bids).best
    if best is None:
        raise refuse(ticket.category, Complaint.NO_PRICE)
    from_, sign = market.rules.price.value(best), 1 if buys else -1
    if ticket.slippage_type == "TickSize":
        return max(market.listing.tick, from_ + sign * ticket.slippage * market.listing.tick)
    reach = from_ * (1 + sign * ticket.slippage / 100)
    rounding = ROUND_FLOOR if buys else ROUND_CEILING
    tick = market.listing.tick
    return max(tick, (reach / tick).to_integral_value(rounding) * tick)


def _worst(ticket: Ticket, market: SimulatedMarket) -> Decimal | None:
    """The price of a market order of contracts, which is a limit order to be filled at once: as in
    recorded rows a twentieth beyond the last one.

    https://bybit-exchange.github.io/docs/v5/order/create-order
    """
    if ticket.category not in {LINEAR, INVERSE} or ticket.trigger_price is not None:
        return None
    buys, tick = ticket.side is Side.BUY, market.listing.tick
    reach = last_price(market) * (1 + (_SLIPPAGE if buys else -_SLIPPAGE))
    steps = (reach / tick).to_integral_value(ROUND_FLOOR if buys else ROUND_CEILING)
    return max(tick, steps * tick)


def _check_amount(ticket: Ticket, listing: Listing) -> None:
    if ticket.qty % QUOTE_STEP:
        raise refuse(SPOT, Complaint.AMOUNT_STEP)
    if ticket.qty < listing.min_notional:
        raise refuse(SPOT, Complaint.VALUE_SMALL)
    if ticket.qty > 8_000_000:
        raise refuse(SPOT, Complaint.VALUE_LARGE)


def _sizes(
    ticket: Ticket, market: SimulatedMarket, price: Decimal | None, held: Decimal
) -> tuple[Decimal, ...]:
    listing, category = market.listing, ticket.category
    most = listing.max_size
    if ticket.market and category != OPTION:
        most = listing.max_size / 2
    if ticket.closes_all:
        if not held:
            raise refuse(category, Complaint.NOTHING_TO_REDUCE)
        return (min(held, most // listing.lot * listing.lot),)
    qty = ticket.qty
    if qty % listing.lot:
        raise refuse(category, Complaint.QTY_STEP)
    if qty < listing.min_size:
        raise refuse(category, Complaint.QTY_SMALL)
    if qty > most:
        # https://bybit-exchange.github.io/docs/v5/order/create-order: reduce-only is split
        if not ticket.reduce_only or category not in {LINEAR, INVERSE}:
            large = Complaint.QTY_MARKET_LARGE if ticket.market else Complaint.QTY_LARGE
            raise refuse(category, large)
        step = most // listing.lot * listing.lot
        whole, rest = divmod(qty, step)
        return (*[step] * int(whole), *([rest] if rest else []))
    value = _value(ticket, market, price)
    least = listing.min_notional
    if category in {LINEAR, SPOT} and value < least and not ticket.reduce_only:
        raise refuse(category, Complaint.VALUE_SMALL, f"{least:f}{listing.quote}")
    return (qty,)


def _value(ticket: Ticket, market: SimulatedMarket, price: Decimal | None) -> Decimal:
    return ticket.qty * (last_price(market) if price is None else price)


def _in_band(ticket: Ticket, market: SimulatedMarket, price: Decimal, moves: bool) -> Decimal:
    if ticket.category == OPTION or ticket.trigger_price is not None:
        return price
    lowest, highest = band(market)
    if ticket.side is Side.BUY and price > highest:
        if not moves:
            raise refuse(ticket.category, Complaint.BUY_ABOVE_BAND, f"{highest:f}")
        return highest
    if ticket.side is Side.SELL and price < lowest:
        if not moves:
            raise refuse(ticket.category, Complaint.SELL_BELOW_BAND, f"{lowest:f}")
        return lowest
    return price


def check_trigger(ticket: Ticket, market: SimulatedMarket) -> bool:
    """Whether the order's trigger waits for a rise; it may not have been reached already.

    :raises BadRequest: 110092 or 110093 where it has been.
    """
    assert ticket.trigger_price is not None
    check_price(ticket.category, ticket.trigger_price, market.listing)
    current = followed_price(market, ticket.trigger_follows)
    if ticket.category == SPOT:
        return ticket.trigger_price > current
    rises, reached = ticket.trigger_direction == 1, ticket.trigger_price
    if (rises and reached <= current) or (not rises and reached >= current):
        # Bybit writes both in ten-thousandths here.
        shown = [f"{value.scaleb(4):.0f}" for value in (reached, current)]
        refusal = Complaint.EXPECTED_RISE if rises else Complaint.EXPECTED_FALL
        raise refuse(ticket.category, refusal, *shown, ticket.trigger_follows)
    return rises
