"""The emulated Bybit's trading as one: its desk, who reads requests of it and writes answers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_account_rows import PositionView
from ccrs_bybit.emulator_accounts import Accounts
from ccrs_bybit.emulator_feeds import AccountFeeds
from ccrs_bybit.emulator_limits import UserLimits
from ccrs_bybit.emulator_listings import OPTION, SPOT
from ccrs_bybit.emulator_order_rows import Ids, exit_of, order_row
from ccrs_bybit.emulator_orders import Orders
from ccrs_bybit.emulator_private import PrivateSession
from ccrs_bybit.emulator_protection import Protection
from ccrs_bybit.emulator_pushes import Pushes
from ccrs_bybit.emulator_records import Records
from ccrs_bybit.emulator_risk import cap, tiers
from ccrs_bybit.emulator_signed import refusal_of_signature, signed
from ccrs_bybit.emulator_stops import Stops
from ccrs_core import Market, PositionSide, Side
from ccrs_core.emulator import (
    Allowance,
    ApiKey,
    BadRequest,
    Broadcast,
    Conduct,
    Desk,
    DeskOrder,
    DeskPosition,
    Fee,
    FeeCase,
    FeeRates,
    Listing,
    TradingAccount,
    Venue,
    usual_fee,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_sessions import Session

PLAY_KEY = "emulator"
"""Name, key and secret of the account that there always is."""
_UID = 460_578
_AMENDED = 5000


def fee_of(case: FeeCase) -> Fee:
    """In what a fill is paid: of spot in what is received, but for a maker's rebate, which comes
    in the other coin.

    https://bybit-exchange.github.io/docs/v5/enum#spot-fee-currency-instruction
    """
    if case.listing.market is not Market.SPOT or not case.maker or case.rate >= 0:
        return usual_fee(case)
    if case.side is Side.BUY:
        return Fee(case.listing.quote, case.value * case.rate)
    return Fee(case.listing.base, case.size * case.rate)


def conduct(*, spot_triggers_anew: bool = False) -> Conduct:
    """How Bybit's desk differs from others.

    https://bybit-exchange.github.io/docs/v5/order/create-order
    """
    return Conduct(
        fee=fee_of,
        maker_rate=_maker_rate,
        taker_rate=_taker_rate,
        most_open=lambda listing: 50 if listing.category == OPTION else 500,
        cap=cap,
        queues_amendments=False,
        triggers_anew=lambda listing: spot_triggers_anew and listing.category == SPOT,
        tiers=tiers,
        most_leverage=lambda listing: Decimal(50),
    )


def _maker_rate(listing: Listing) -> Decimal:
    return {SPOT: Decimal("0.001"), OPTION: Decimal("0.0002")}.get(
        listing.category, Decimal("0.0002")
    )


def _taker_rate(listing: Listing) -> Decimal:
    return {SPOT: Decimal("0.001"), OPTION: Decimal("0.0003")}.get(
        listing.category, Decimal("0.00055")
    )


class Trading:
    """Everything that has to do with accounts.

    :param limit_factor: how many times the documented rates a user has; None: no limits.
    """

    def __init__(
        self,
        venue: Venue,
        desk: Desk,
        *,
        limit_factor: float | None = 1.0,
        session_rate: int | None = 1000,
    ) -> None:
        self.venue = venue
        self.desk = desk
        self.seed = venue.seed
        self.ids = Ids(venue.seed)
        self.limits = UserLimits(limit_factor)
        self.entries = Allowance(3000, 1.0)
        self.session_rate = session_rate
        self.restarting = False
        """Whether the trade sockets take no new requests (10019), as before a restart."""
        self.feeds = AccountFeeds(venue)
        self.orders = Orders(self)
        self.records = Records(self)
        self.accounts = Accounts(self)
        self.stops = Stops(self)
        self.protection = Protection(self)
        self._groups: dict[str, int] = {}
        self._amended: dict[int, None] = {}
        desk.listeners.append(Pushes(self).happened)
        if PLAY_KEY not in desk.accounts:
            desk.open_account(PLAY_KEY)
            desk.add_key(ApiKey(key=PLAY_KEY, secret=PLAY_KEY, account=PLAY_KEY))

    # --- keys ---

    def proved(self, name: str, text: str, signature: str, address: str, now_ns: int) -> ApiKey:
        """The key of a request, if the signature is its.

        :raises BadRequest: 10003, 10004, and what :meth:`still_works` says.
        """
        key = self.desk.key(name)
        if key is None:
            raise BadRequest(10003, "API key is invalid.")
        if not signed(key.secret, text, signature):
            raise refusal_of_signature(text, name)
        self.still_works(key, address, now_ns, writes=False)
        return key

    def still_works(self, key: ApiKey, address: str, now_ns: int, *, writes: bool) -> None:
        """Whether a key may be used now, from there, for that.

        :raises BadRequest: 10003, 33004, 10010, 10005.
        """
        known = self.desk.key(key.key)
        if known is None or known.revoked:
            raise BadRequest(10003, "API key is invalid.")
        if not known.works(now_ns):
            raise BadRequest(33004, "Your api key has expired.")
        if known.addresses and address not in known.addresses:
            raise BadRequest(10010, "Unmatched IP, please check your API key's bound IP addresses.")
        if writes and "trade" not in known.may:
            raise BadRequest(10005, "Permission denied, please check your API key permissions.")

    def uid(self, account: TradingAccount) -> int:
        return _UID + account.number

    def group_number(self, group: str) -> int:
        """The number of a group within which self-trades are prevented."""
        return self._groups.setdefault(group, len(self._groups) + 1)

    # --- sockets ---

    def feed(self, account: str, topic: str) -> Broadcast:
        self.protection.joined(account, topic)
        return self.feeds.feed(account, topic)

    def listeners(self, account: str, topic: str) -> int:
        """How many connections have subscribed a topic of an account."""
        return len(self.feeds.feed(account, topic).subscribers)

    def joined(self, session: Session, now_ns: int) -> None:
        """A socket has logged in."""

    def left(self, session: Session, now_ns: int) -> None:
        """A socket is gone; its subscriptions end right after."""
        if isinstance(session, PrivateSession) and session.key is not None:
            account, topics = session.key.account, frozenset(session.peer.subscriptions)

            def look(now_ns: int) -> None:
                self.protection.left(account, topics, now_ns)

            self.venue.at(now_ns, look)

    # --- what is asked about all the time ---

    def listing(self, category: str, symbol: Any) -> Listing | None:
        return self.venue.listings.get((category, symbol)) if isinstance(symbol, str) else None

    def find(self, account: TradingAccount, order_id: str, link_id: str) -> DeskOrder | None:
        """An order by an id, open or ended lately."""
        number = self.ids.number(order_id) if order_id else account.client_ids.get(link_id)
        return None if number is None else self.desk.find(account, number=number)

    def order_row(self, order: DeskOrder, *, pushed: bool) -> dict[str, Any]:
        """An order as it is written."""
        parent = None
        if order.parent is not None:
            parent = self.desk.find(self.desk.accounts[order.account], number=order.parent)
        link = "" if parent is None or order.listing.category == SPOT else parent.client_order_id
        return order_row(self.ids, order, link, pushed=pushed)

    def position(
        self, account: TradingAccount, listing: Listing, side: PositionSide
    ) -> DeskPosition:
        return self.desk.position(account, listing, side)

    def held(self, account: TradingAccount, listing: Listing, side: PositionSide) -> Decimal:
        """The size of a position, without its sign."""
        if listing.market is Market.SPOT:
            return Decimal(0)
        return abs(self.position(account, listing, side).size)

    def rates(self, account: TradingAccount, listing: Listing) -> FeeRates:
        """What an account pays for trading a listing."""
        found = account.fee_rates.get(listing.key) or account.fee_rates.get(listing.category)
        rules = self.desk.conduct
        return found or FeeRates(maker=rules.maker_rate(listing), taker=rules.taker_rate(listing))

    def leverage(self, account: TradingAccount, listing: Listing, side: PositionSide) -> Decimal:
        return self.position(account, listing, side).leverage

    def view(self, account: TradingAccount, position: DeskPosition) -> PositionView:
        """A position with what depends on prices of now."""
        listing, margins = position.listing, self.desk.margins
        exits: dict[str, Decimal] = {}
        for order in account.open_orders(listing):
            kind = exit_of(order)
            whole = kind and order.asked.closing
            if whole and order.asked.position_side is position.side and order.asked.trigger:
                exits[kind] = order.asked.trailing or order.asked.trigger.price
        return PositionView(
            position=position,
            margin=margins.of_position(position),
            market=self.venue.quoted(listing),
            liquidation=margins.liquidation_price(account, position),
            taker_rate=self.rates(account, listing).taker,
            take_profit=exits.get("take_profit"),
            stop_loss=exits.get("stop_loss"),
            trailing_stop=exits.get("trailing_stop"),
        )

    def moves_prices(self, account: TradingAccount, category: str) -> bool:
        """Whether a price beyond the band is moved into it; of spot not, unless set so."""
        spot = category == SPOT
        return bool(account.settings.get("moves spot" if spot else "moves contracts", not spot))

    def move_prices(self, account: TradingAccount, category: str, moves: bool) -> None:
        account.settings["moves spot" if category == SPOT else "moves contracts"] = moves

    def amended(self, number: int) -> None:
        """Remember that an order was amended: what it takes is told without its link id."""
        self._amended[number] = None
        if len(self._amended) > _AMENDED:
            del self._amended[next(iter(self._amended))]

    def turned_taker(self, order: DeskOrder) -> bool:
        return order.number in self._amended

    # --- what faults do ---

    def lag_ns(self, path: str) -> int:
        """How much later than usual a list tells."""
        return self.venue.lag_ns(f"/v5/{path}")
