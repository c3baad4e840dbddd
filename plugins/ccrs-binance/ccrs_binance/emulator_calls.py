"""What a call to an account of the emulated Binance is, by REST or over the WebSocket API."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_codes import BAD_SYMBOL
from ccrs_binance.emulator_params import Params
from ccrs_core.emulator import Listing, Refusal

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

Act = Callable[[Params, int], Any]
Weigh = Callable[[Params], int]


@attrs.frozen(kw_only=True)
class Call:
    """One call.

    :param names: the parameters that it has.
    :param weight: what it costs; of some only where it fails.
    :param orders: how many orders it counts as.
    :param signed: whether it is signed; else the key alone is looked at.
    """

    act: Act
    names: tuple[str, ...]
    weight: int | Weigh
    costs_if_failed: bool = False
    orders: int | Weigh = 0
    trades: bool = False
    signed: bool = True

    def cost(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)

    def placed(self, params: Params) -> int:
        return self.orders if isinstance(self.orders, int) else self.orders(params)


def placing(act: Act, *names: str, weight: int = 1, orders: int | Weigh = 1) -> Call:
    """A call that changes orders: it costs weight where it fails alone."""
    return Call(
        act=act, names=names, weight=weight, costs_if_failed=True, orders=orders, trades=True
    )


def asking(act: Act, *names: str, weight: int | Weigh) -> Call:
    return Call(act=act, names=names, weight=weight)


def cheap_with(name: str, one: int, all_of_them: int) -> Weigh:
    """What a call costs with a parameter and without."""
    return lambda params: one if name in params else all_of_them


def listed(trading: Trading, category: str, params: Params) -> Listing:
    """The instrument that a call is about.

    :raises BadRequest: -1102, -1121.
    """
    listing = trading.venue.listings.get((category, params.needed("symbol")))
    if listing is None:
        raise BAD_SYMBOL
    return listing


def on_steps(listing: Listing, size: Decimal | None, price: Decimal | None) -> Refusal | None:
    """Which step, or least price, of an instrument as it is listed now is missed; its market goes
    on by the rules that it began with."""
    if price is not None and price < listing.tick * 10:
        return Refusal.PRICE_MIN
    if price is not None and price % listing.tick:
        return Refusal.PRICE_STEP
    if size is not None and size % listing.lot:
        return Refusal.SIZE_STEP
    return None


def carry_out(trading: Trading, category: str, call: Call, params: Params, now_ns: int) -> Any:
    """Do what is asked; what it causes may be told before it is answered.

    :raises BadRequest: in Binance's words.
    """
    if category == "spot":
        params.known(call.names)
    count = call.placed(params)
    if count:
        trading.counts[category].enter(trading.user(params.account), count)
    try:
        return call.act(params, now_ns)
    finally:
        trading.feed(params.account.name, category).hurry(now_ns)
