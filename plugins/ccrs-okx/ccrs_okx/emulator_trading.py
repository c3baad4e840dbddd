"""The emulated OKX's trading as one: its desk, who reads requests of it and writes answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_core import FillKind, Market, OrderType, PositionSide, Side
from ccrs_core.emulator import (
    ApiKey,
    BalanceChanged,
    Conduct,
    Desk,
    DeskFill,
    DeskOrder,
    DeskPosition,
    Fee,
    FeeCase,
    FeeRates,
    Filled,
    Happening,
    Listing,
    RiskTier,
    TradingAccount,
    Venue,
    usual_fee,
)
from ccrs_okx.emulator_accounts import Accounts
from ccrs_okx.emulator_algos import Algos
from ccrs_okx.emulator_feeds import AccountFeeds
from ccrs_okx.emulator_limits import UserLimits
from ccrs_okx.emulator_listings import OPTION, SPOT
from ccrs_okx.emulator_order_rows import FINEST_DIGITS, Ids, order_row, with_last
from ccrs_okx.emulator_orders import Orders
from ccrs_okx.emulator_protection import Timers
from ccrs_okx.emulator_pushes import Pushes
from ccrs_okx.emulator_records import Records

if TYPE_CHECKING:
    from ccrs_okx.emulator import OkxDialect

PLAY_KEY = "emulator"
"""Name, key, secret and passphrase of the account that there always is."""
_UID = 44_705_892_343_619_584
_DAY_NS = 86_400 * 10**9
_FILLS_KEPT = 50_000


def fee_of(case: FeeCase) -> Fee:
    """In what a fill is paid: of spot in what is received, but for a rebate, which comes in the
    other coin. No finer than rows spell it, or balances wouldn't add up.

    https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
    """
    listing, found = case.listing, usual_fee(case)
    if listing.market is Market.SPOT and case.rate < 0:
        buys = case.side is Side.BUY
        found = Fee(
            listing.quote if buys else listing.base,
            (case.value if buys else case.size) * case.rate,
        )
    return attrs.evolve(found, amount=round(found.amount, FINEST_DIGITS))


_TIERS = 10
_STEP = Decimal(5_000_000)


def tiers(listing: Listing) -> Sequence[RiskTier]:
    """The position tiers of a contract, ten equal steps: the more is held, the less leverage it may
    have; the rate of a tier is that of the whole position.

    https://www.okx.com/docs-v5/en/#public-data-rest-api-get-position-tiers
    """
    return _tiers(listing.market, listing.price)


@lru_cache(1000)
def _tiers(market: Market, price: Decimal) -> Sequence[RiskTier]:
    if market not in (Market.LINEAR, Market.INVERSE):
        return ()
    step = _STEP
    if market is Market.INVERSE:
        step = max(Decimal(1), (_STEP / price).to_integral_value())
    return tuple(
        RiskTier(
            most_value=step * number,
            most_leverage=round(Decimal(50) / number, 2),
            maintenance_rate=Decimal("0.004") * number,
        )
        for number in range(1, _TIERS + 1)
    )


_MAKER = {SPOT: Decimal("0.0008"), OPTION: Decimal("0.0002")}
_TAKER = {SPOT: Decimal("0.001"), OPTION: Decimal("0.0003")}


def conduct() -> Conduct:
    """How OKX's desk differs from others.

    https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
    """
    return Conduct(
        fee=fee_of,
        maker_rate=lambda listing: _MAKER.get(listing.category, Decimal("0.0002")),
        taker_rate=lambda listing: _TAKER.get(listing.category, Decimal("0.0005")),
        ids_for_ever=False,
        rejects_late=False,
        completes_apart=lambda order: (
            order.listing.category == SPOT and order.asked.type is OrderType.MARKET
        ),
        fills_to_the_lot=True,
        amends_below_filled=True,
        triggers_anew=lambda listing: True,
        most_open=lambda listing: 500,
        most_waiting=lambda listing: 100,
        most_leverage=lambda listing: Decimal(50),
        tiers=tiers,
        keeps_ns=90 * _DAY_NS,
        keeps_unfilled_ns=2 * 3600 * 10**9,
    )


class Amendments:
    """Amendments that were acknowledged and aren't carried out yet, by order: their ``reqId``."""

    def __init__(self) -> None:
        self._begun: dict[int, deque[str]] = {}

    def begin(self, number: int, request_id: str) -> None:
        self._begun.setdefault(number, deque()).append(request_id)

    def drop(self, number: int) -> None:
        """The newest was refused after all."""
        self._begun[number].pop()

    def count(self, number: int) -> int:
        return len(self._begun.get(number, ()))

    def done(self, number: int) -> str | None:
        """The oldest is done: its ``reqId``; None where there is none."""
        begun = self._begun.get(number)
        if not begun:
            return None
        found = begun.popleft()
        if not begun:
            del self._begun[number]
        return found


class Trading:
    """Everything that has to do with accounts.

    :param limit_factor: how many times the documented rates a user has; None: no limits.
    """

    def __init__(
        self, dialect: OkxDialect, venue: Venue, desk: Desk, *, limit_factor: float | None = 1.0
    ) -> None:
        self._dialect = dialect
        self.venue = venue
        self.desk = desk
        self.ids = Ids(venue.seed)
        self.limits = UserLimits(limit_factor)
        self.feeds = AccountFeeds(self)
        self.amendments = Amendments()
        self.changed_ns: dict[tuple[str, str], int] = {}
        """When a balance changed last, by account and asset."""
        self._last_fills: dict[int, DeskFill] = {}
        self._last_trades: dict[tuple[str, Any], str] = {}
        self.orders = Orders(self)
        self.algos = Algos(self)
        self.records = Records(self)
        self.accounts = Accounts(self)
        self.timers = Timers(self)
        # What lists tell of an order's last fill must be known before anybody is told.
        desk.listeners.extend((self._noted, Pushes(self).happened))
        if PLAY_KEY not in desk.accounts:
            desk.open_account(PLAY_KEY)
            desk.add_key(ApiKey(key=PLAY_KEY, secret=PLAY_KEY, account=PLAY_KEY))

    def _noted(self, happening: Happening) -> None:
        match happening:
            case Filled(fill=fill):
                self._last_fills[fill.order.number] = fill
                key = (fill.account, (*fill.listing.key, fill.order.asked.position_side))
                self._last_trades[key] = (
                    self.ids.trade(fill) if fill.kind is FillKind.TRADE else "0"
                )
                if len(self._last_fills) > _FILLS_KEPT:
                    del self._last_fills[next(iter(self._last_fills))]
            case BalanceChanged(time_ns=now_ns, balance=balance):
                self.changed_ns[balance.account, balance.asset] = now_ns

    # --- what is asked about all the time ---

    def uid(self, account: TradingAccount) -> str:
        return str(_UID + account.number)

    def listing(self, symbol: str) -> Listing | None:
        return self._dialect.listing(symbol)

    def by_code(self, code: int) -> Listing | None:
        """The instrument of an ``instIdCode``."""
        return self._dialect.by_code(code)

    def code(self, listing: Listing) -> int:
        return self._dialect.code(listing)

    def level(self, account: TradingAccount) -> str:
        """``acctLv``: 1 spot, 2 futures, 3 multi-currency; none has portfolio margin."""
        return str(account.settings.get("acctLv", "2"))

    def find(self, account: TradingAccount, order_id: str, client_id: str) -> DeskOrder | None:
        """An order by an id, open or ended lately; not one that waits for a trigger, nor, by the
        client's id, one that a trigger has placed."""
        number = self.ids.order_number(order_id) if order_id else account.client_ids.get(client_id)
        order = None if number is None else self.desk.find(account, number=number)
        if order is None or order.asked.trigger is not None:
            return None
        return None if order.origin is not None and not order_id else order

    def order_row(self, order: DeskOrder) -> dict[str, Any]:
        """An order as it is written, without its last fill."""
        algo_id = algo_client = ""
        if order.origin is not None:
            account = self.desk.accounts[order.account]
            waited = self.desk.find(account, number=order.origin)
            algo_client = order.client_order_id
            head = order.origin
            if waited is not None:
                members = self.algos.members(account, waited)
                head = members[0].number
                algo_client = members[0].client_order_id
            algo_id = self.ids.algo(head)
        return order_row(self.ids, order, algo_id, algo_client)

    def listed_row(self, order: DeskOrder) -> dict[str, Any]:
        """The same with its last fill, as lists tell it."""
        return with_last(self.order_row(order), self.ids, self._last_fills.get(order.number))

    def last_trade(self, account: TradingAccount, position: DeskPosition) -> str:
        return self._last_trades.get((account.name, position.key), "")

    def rates(self, account: TradingAccount, listing: Listing) -> FeeRates:
        """What an account pays for trading a listing."""
        found = account.fee_rates.get(listing.key) or account.fee_rates.get(listing.category)
        rules = self.desk.conduct
        return found or FeeRates(maker=rules.maker_rate(listing), taker=rules.taker_rate(listing))

    def leverage(self, account: TradingAccount, listing: Listing, side: PositionSide) -> Decimal:
        if listing.market is Market.SPOT:
            return Decimal(1)
        return self.desk.position(account, listing, side).leverage

    # --- what faults do ---

    def lag_ns(self, call: str) -> int:
        """How much later than usual a list tells."""
        return self.venue.lag_ns(f"/api/v5/{call}")
