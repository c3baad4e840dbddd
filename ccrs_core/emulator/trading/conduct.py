"""How an exchange conducts its desk: what differs between exchanges, said by the dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.trading.orders import DeskOrder, NewOrder, Refusal
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

_DAY_NS = 86_400 * NS_PER_SECOND


@attrs.frozen(kw_only=True)
class FeeCase:
    """A fill, as far as a fee may depend on it; ``value`` in quote units, of inverse contracts in
    base units."""

    listing: Listing
    side: Side
    maker: bool
    size: Decimal
    price: Decimal
    value: Decimal
    index_price: Decimal
    rate: Decimal
    """The account's, for its side of the trade; below zero a rebate."""
    account: str = ""
    """Whose side of the trade it is."""


@attrs.frozen
class Fee:
    """What a fill costs: above zero paid, below zero a rebate."""

    asset: str
    amount: Decimal


_OPTION_MOST = Decimal("0.125")


def usual_fee(case: FeeCase) -> Fee:
    """Of spot, in what the account receives: base units of a buy, quote units of a sell; of
    contracts in the settlement asset. Options pay by the index, an eighth of the premium at most.
    """
    listing, rate = case.listing, case.rate
    if listing.market is Market.SPOT:
        if case.side is Side.BUY:
            return Fee(listing.base, case.size * rate)
        return Fee(listing.quote, case.value * rate)
    assert listing.settle is not None
    if listing.market is Market.OPTION:
        by_index = case.size * listing.worth_of_one * case.index_price * rate
        return Fee(listing.settle, min(by_index, case.value * _OPTION_MOST))
    return Fee(listing.settle, case.value * rate)


@attrs.frozen(kw_only=True)
class RiskTier:
    """A step of position sizes: the larger a position, the less leverage it may have, and the more
    margin it must keep."""

    most_value: Decimal
    """Up to which value of a position, in quote units, of inverse contracts in base units."""
    most_leverage: Decimal
    maintenance_rate: Decimal
    deduction: Decimal = Decimal(0)
    """Taken off value times rate, so that the margin doesn't jump from one tier to the next."""


@attrs.frozen
class Lag:
    """How much later than it happens something is seen: between ``least`` and ``most``
    nanoseconds, drawn from the seed for each."""

    least: int = 0
    most: int = 0


@attrs.frozen(kw_only=True)
class Conduct:
    """The rules of an exchange's desk. What isn't said is what most exchanges do."""

    fee: Callable[[FeeCase], Fee] = usual_fee
    maker_rate: Callable[[Listing], Decimal] = lambda listing: Decimal("0.0002")
    """Of accounts that have no rate of their own."""
    taker_rate: Callable[[Listing], Decimal] = lambda listing: Decimal("0.0006")
    at_once: float = 0.15
    """The share of requests that the matching engine is done with before they are answered."""
    matching: Lag = Lag(200_000, 6 * NS_PER_MS)
    """How long after its acknowledgement a request reaches the matching engine otherwise; requests
    about one instrument don't overtake each other."""
    ids_for_ever: bool = True
    """Whether a client order id can be used once alone; else once the order has ended."""
    shrinks_reduce_only: bool = True
    """Whether a reduce-only order larger than the position is made smaller; else it is refused, or
    canceled once the position has shrunk below it."""
    rejects_late: bool = True
    """Whether an order that was acknowledged and never rested, as it would take, reduces nothing or
    has no money, is told to be rejected; else to be canceled."""
    completes_apart: Callable[[DeskOrder], bool] = lambda order: False
    """Whether it is told by itself, after its last fill, that an order of the kind is filled."""
    fills_to_the_lot: bool = False
    """Whether a market order for an amount of quote is filled where what is left of that buys no
    lot more; else the rest is canceled."""
    amends_below_filled: bool = False
    """Whether a size amended to no more than what is filled makes the order a filled one; else it
    is refused."""
    amends_keep_place: Callable[[Listing], bool] = lambda listing: True
    """Whether an order that only gets smaller keeps its place in the queue."""
    most_open: Callable[[Listing], int] = lambda listing: 500
    most_waiting: Callable[[Listing], int] = lambda listing: 10
    cap: Callable[[NewOrder, Sequence[DeskOrder]], Refusal | None] | None = None
    """Why one more order would be too many beside the account's open ones, or None; where that is
    not by instrument alone, as ``most_open`` and ``most_waiting`` are, instead of both."""
    triggers_anew: Callable[[Listing], bool] = lambda listing: False
    """Whether what a reached trigger brings to life is another order, of the same client id, and
    the one that waited ends (REPLACED)."""
    queues_amendments: bool = True
    """Whether an order may be amended again before its last amendment was carried out."""
    tiers: Callable[[Listing], Sequence[RiskTier]] = lambda listing: ()
    """By rising value; none where ``most_leverage`` and ``maintenance_rate`` count whatever the
    size."""
    most_leverage: Callable[[Listing], Decimal] = lambda listing: Decimal(100)
    usual_leverage: Decimal = Decimal(10)
    maintenance_rate: Callable[[Listing], Decimal] = lambda listing: Decimal("0.005")
    """Maintenance margin by the position's value."""
    warning_rate: Decimal = Decimal("0.8")
    """From which share of the margin balance on maintenance margin is warned of."""
    pools_margin: bool = True
    """Whether all assets of an account back its crossed positions; else each asset backs those that
    are settled in it."""
    dollars: frozenset[str] = frozenset({"USD", "USDT", "USDC"})
    """Assets that count as a dollar each; others by an index price in one of these."""
    orders_lag: Lag = Lag()
    """How much later lists tell of orders that have ended."""
    open_lag: Lag = Lag()
    """How much later lists of open orders tell of them, and queries of one."""
    fills_lag: Lag = Lag()
    money_lag: Lag = Lag()
    keeps_ns: int = 730 * _DAY_NS
    """How long histories keep orders, fills and money."""
    keeps_unfilled_ns: int = _DAY_NS
    """How long they keep orders that ended without a fill."""
    most_recent: int = 500
    """How many ended orders are found among the recent ones, of a category of an account."""
