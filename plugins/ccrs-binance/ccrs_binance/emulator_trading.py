"""The emulated Binance's trading as one: its desk, its accounts with a wallet for each of spot,
USD-M and COIN-M, and who reads requests of them and writes answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from ccrs_binance.emulator_algo import Algo
from ccrs_binance.emulator_contract_pushes import ContractPushes
from ccrs_binance.emulator_counts import WINDOWS, OrderCounts
from ccrs_binance.emulator_feeds import UserFeed, UserFeeds
from ccrs_binance.emulator_ids import Ids
from ccrs_binance.emulator_listings import CATEGORIES, COINM, SPOT, USDM
from ccrs_binance.emulator_order_lists import OrderLists
from ccrs_binance.emulator_spot_orders import SpotOrders
from ccrs_binance.emulator_spot_pushes import SpotPushes
from ccrs_binance.emulator_spot_records import SpotRecords
from ccrs_binance.emulator_user_streams import ListenKeys
from ccrs_core import NS_PER_SECOND, Market
from ccrs_core.emulator import (
    ApiKey,
    Conduct,
    Desk,
    DeskFill,
    DeskOrder,
    Fee,
    FeeCase,
    FeeRates,
    Filled,
    Happening,
    Listing,
    TradingAccount,
    Venue,
    mark_price,
    usual_fee,
)

if TYPE_CHECKING:
    from ccrs_core.emulator import MoneyRow

PLAY_KEY = "emulator"
"""Name, key and secret of the account that there always is."""
_UID = 35_402_117
_ALL = 1_000_000
_MEANWHILE = 20_000
_DAY_NS = 86_400 * NS_PER_SECOND
_DISCOUNT = Decimal("0.75")
_FINEST = Decimal("1e-8")
_RATES: Mapping[str, tuple[str, str]] = {
    SPOT: ("0.001", "0.001"),
    USDM: ("0.0002", "0.0005"),
    COINM: ("0.0001", "0.0005"),
}
KEPT_UNFILLED = {SPOT: 90 * _DAY_NS, USDM: 3 * _DAY_NS, COINM: 3 * _DAY_NS}
"""For how long orders that have ended without a fill are told; of contracts others for 90 days.

https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Query-Order
"""
_KEPT_CONTRACTS = 90 * _DAY_NS


def conduct(fee: Callable[[FeeCase], Fee]) -> Conduct:
    """How Binance's desk differs from others: the matching engine itself answers, and client ids
    are free again once their order has ended.

    https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority and
    https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/New-Order
    """
    return Conduct(
        fee=fee,
        maker_rate=lambda listing: Decimal(_RATES[listing.category][0]),
        taker_rate=lambda listing: Decimal(_RATES[listing.category][1]),
        at_once=1.0,
        ids_for_ever=False,
        fills_to_the_lot=True,
        amends_keep_place=lambda listing: listing.category == SPOT,
        most_open=lambda listing: 200,
        most_waiting=lambda listing: 5 if listing.category == SPOT else 200,
        keeps_unfilled_ns=max(KEPT_UNFILLED.values()),
        triggers_anew=lambda listing: listing.category != SPOT,
        pools_margin=False,
        usual_leverage=Decimal(20),
        most_leverage=lambda listing: Decimal(125),
    )


class Trading:
    """Everything that has to do with accounts.

    :param order_limit_factor: how many times the usual orders in 10 seconds, a minute or a day an
        account may place; None: any number.
    :param one_wallet: whether an account has one wallet for all three, as no plain one has.
    """

    def __init__(
        self,
        venue: Venue,
        desk: Callable[[Conduct], Desk],
        *,
        order_limit_factor: float | None = 1.0,
        one_wallet: bool = False,
    ) -> None:
        self.venue = venue
        self.desk = desk(conduct(self._fee))
        self.ids = Ids(venue.seed)
        self.feeds = UserFeeds(venue)
        self.one_wallet = one_wallet
        contracts = OrderCounts(venue, WINDOWS[USDM], order_limit_factor)
        spot = OrderCounts(venue, WINDOWS[SPOT], order_limit_factor)
        self.counts = {SPOT: spot, USDM: contracts, COINM: contracts}
        self.cancel_ids: dict[int, str] = {}
        """The ids of cancels, by the order that they are about, until they are told."""
        self._meanwhile: deque[DeskFill] = deque(maxlen=_MEANWHILE)
        self._contracts: dict[str, str] = {}
        self._algo_numbers: dict[str, deque[int]] = {}
        self.spot_orders = SpotOrders(self)
        self.spot_records = SpotRecords(self)
        self.algo = Algo(self)
        self.listen_keys = ListenKeys(self)
        self.lists = OrderLists(self)
        self.contract_pushes = ContractPushes(self)
        spot_pushes = SpotPushes(self)
        heard = [self._note, spot_pushes.happened, self.contract_pushes.happened]
        heard.append(self.lists.happened)
        self.desk.listeners.extend(heard)
        if PLAY_KEY not in self.desk.accounts:
            self.desk.open_account(PLAY_KEY)
            self.desk.add_key(ApiKey(key=PLAY_KEY, secret=PLAY_KEY, account=PLAY_KEY))

    # --- accounts ---

    def account(self, key: ApiKey, category: str) -> TradingAccount:
        """The account of a key; of contracts the one that holds that wallet, opened with the play
        money of the other on first use."""
        return self._of_user(key.account, category)

    def _of_user(self, user: str, category: str) -> TradingAccount:
        accounts = self.desk.accounts
        main = accounts[user]
        if category == SPOT or self.one_wallet:
            return main
        name = f"{user}/{category}"
        if name not in accounts:
            self._contracts[name] = category
            money = {asset: row.total for asset, row in main.wallet.assets.items() if row.total > 0}
            self.desk.open_account(name, money=money)
        return accounts[name]

    def wallet(self, user: str, market: Market) -> str:
        """The account that holds a user's money of a market, opened on first use."""
        return self._of_user(user, CATEGORIES[market]).name

    def wallet_of(self, account: str, listing: Listing | None = None) -> str | None:
        """Whose events tell of money in an account: those of contracts; None: spot's."""
        found = self._contracts.get(account)
        if found is None and listing is not None and listing.category != SPOT:
            return listing.category
        return found

    def both(self, account: TradingAccount) -> list[tuple[TradingAccount, str]]:
        """A user's accounts of both kinds of contracts."""
        user = self.user(account)
        return [(self._of_user(user, category), category) for category in (USDM, COINM)]

    def feed(self, account: str, category: str) -> UserFeed:
        """What is told of an account of a market."""
        shared = category != SPOT and account not in self._contracts
        return self.feeds.of(f"{account}/{category}" if shared else account)

    def alias(self, account: str) -> str:
        """``accountAlias``."""
        return f"SgsR{self.uid(self.desk.accounts[account]):08d}"

    def algo_numbers(self, account: str) -> deque[int]:
        """The desk's numbers of an account's orders that wait for a price, or did lately."""
        return self._algo_numbers.setdefault(account, deque(maxlen=_MEANWHILE))

    def mark_price(self, listing: Listing) -> Decimal:
        return mark_price(self.venue.quoted(listing))

    def user(self, account: TradingAccount) -> str:
        """Whose an account is: all of a user's orders of a kind are counted together."""
        return account.name.partition("/")[0]

    def uid(self, account: TradingAccount) -> int:
        return _UID + self.desk.accounts[self.user(account)].number

    def rates(self, account: TradingAccount, listing: Listing) -> FeeRates:
        """What an account pays for trading a listing, without discounts."""
        found = account.fee_rates.get(listing.key) or account.fee_rates.get(listing.category)
        rules = self.desk.conduct
        return found or FeeRates(maker=rules.maker_rate(listing), taker=rules.taker_rate(listing))

    # --- fees ---

    def pays_in_discount_asset(self, account: TradingAccount) -> bool:
        return bool(account.settings.get("spotBNBBurn"))

    def _fee(self, case: FeeCase) -> Fee:
        """In what is received; or in BNB, at a discount, where the account wants that and has it.

        https://developers.binance.com/docs/binance-spot-api-docs/faqs/commission_faq
        """
        usual = usual_fee(case)
        # What is told is what is taken: money has eight digits.
        usual = Fee(usual.asset, usual.amount.quantize(_FINEST))
        account = self.desk.accounts.get(case.account)
        coin = self.venue.listings.get((SPOT, "BNBUSDT"))
        if case.listing.category != SPOT or account is None or coin is None or usual.amount <= 0:
            return usual
        if not self.pays_in_discount_asset(account):
            return usual
        market = self.venue.quoted(coin)
        price = market.rules.price.value(market.tape.last)
        worth = self.desk.margins.worth(usual.asset)
        amount = (usual.amount * worth * _DISCOUNT / price).quantize(_FINEST)
        balance = account.wallet["BNB"]
        if not worth or amount > balance.total - balance.locked:
            return usual
        return Fee("BNB", amount)

    # --- what happens meanwhile ---

    def _note(self, happening: Happening) -> None:
        if isinstance(happening, Filled):
            fill = happening.fill
            self._meanwhile.append(fill)
            if fill.order.filled == fill.size and fill.account in self.desk.accounts:
                account = self.desk.accounts[fill.account]
                counts = self.counts[fill.listing.category]
                counts.filled(self.user(account), maker=fill.maker)

    def filled_meanwhile(self) -> Iterable[DeskFill]:
        """What is filled from now on is added to this, until somebody asks again."""
        self._meanwhile = deque(maxlen=_MEANWHILE)
        return self._meanwhile

    # --- what is asked about ---

    def told(self, account: TradingAccount, number: int, path: str) -> DeskOrder | None:
        """An order as queries tell of it, open or ended lately."""
        return self.desk.histories.one(
            account.name,
            self.venue.now_ns,
            lambda order: order.number == number and not self.forgotten(order),
            lag_ns=self.lag_ns(path),
        )

    def forgotten(self, order: DeskOrder) -> bool:
        """Whether an order ended so long ago that nothing tells of it any more."""
        if not order.stage.ended:
            return False
        category, ago_ns = order.listing.category, self.venue.now_ns - order.updated_ns
        if order.filled:
            return category != SPOT and ago_ns >= _KEPT_CONTRACTS
        return ago_ns >= KEPT_UNFILLED[category]

    def open_orders(self, account: TradingAccount, now_ns: int, path: str) -> list[DeskOrder]:
        """Newest first."""
        return self.desk.histories.open_orders(account.name, now_ns, lag_ns=self.lag_ns(path))

    def ended(
        self,
        account: TradingAccount,
        now_ns: int,
        want: Callable[[DeskOrder], bool],
        path: str,
        *,
        limit: int = _ALL,
    ) -> list[DeskOrder]:
        """Orders that have ended, oldest first."""

        def wanted(order: DeskOrder) -> bool:
            return want(order) and not self.forgotten(order)

        page = self.desk.histories.orders(account.name).page(
            now_ns, limit=limit, want=wanted, lag_ns=self.lag_ns(path)
        )
        return list(reversed(page.rows))

    def fills(
        self, account: TradingAccount, now_ns: int, want: Callable[[DeskFill], bool], path: str
    ) -> list[DeskFill]:
        """Fills, oldest first."""

        def wanted(row: DeskFill | MoneyRow) -> bool:
            return isinstance(row, DeskFill) and want(row)

        page = self.desk.histories.executions(account.name).page(
            now_ns, limit=_ALL, want=wanted, lag_ns=self.lag_ns(path)
        )
        return [row for row in reversed(page.rows) if isinstance(row, DeskFill)]

    @staticmethod
    def path(category: str, name: str) -> str:
        """Where a call of contracts is."""
        return f"/{'fapi' if category == USDM else 'dapi'}/v1/{name}"

    def lag_ns(self, path: str) -> int:
        """How much later than usual a list tells."""
        return self.venue.lag_ns(path)
