"""Books what happens: a trade to the orders, positions, wallets and fees of both its sides.

The one writer of orders, wallets and positions. Each booking is told, filed, and, where money or a
position changes hands, written on the money tape.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import SimulatedMarket
from ccrs_core.emulator.trading.accounts import FeeRates, TradingAccount
from ccrs_core.emulator.trading.bulletin import Bulletin
from ccrs_core.emulator.trading.conduct import Conduct, Fee, FeeCase
from ccrs_core.emulator.trading.happenings import (
    DeskFill,
    DeskPosition,
    Filled,
    MoneyKind,
    MoneyMoved,
    MoneyRow,
    OrderChanged,
    PositionChanged,
)
from ccrs_core.emulator.trading.histories import Histories
from ccrs_core.emulator.trading.money_tape import CROWD, HOUSE, MoneyTape, Party, Traded
from ccrs_core.emulator.trading.orders import ZERO, DeskOrder, NewOrder, Stage
from ccrs_core.emulator.trading.positions import Passage, quotient, traded, value_of
from ccrs_core.model.accounts import MarginMode
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import FillKind


@attrs.frozen(kw_only=True)
class Dealer:
    """One side of a trade: an account by one of its orders or without, or the crowd (None)."""

    account: TradingAccount | None = None
    order: int | None = None
    position_side: PositionSide = PositionSide.NET
    maker: bool = False


_MONEY = {
    FillKind.TRADE: MoneyKind.TRADE,
    FillKind.LIQUIDATION: MoneyKind.LIQUIDATION,
    FillKind.DELEVERAGING: MoneyKind.DELEVERAGING,
}


class Clearing:
    """Books trades and whatever else moves money."""

    def __init__(
        self, conduct: Conduct, bulletin: Bulletin, histories: Histories, tape: MoneyTape
    ) -> None:
        self._conduct = conduct
        self._bulletin = bulletin
        self._histories = histories
        self._tape = tape
        self._trades = 0
        self._rows = 0
        self.changed: dict[tuple[str, tuple[str, str]], None] = {}
        """Accounts and listings that something was traded of since somebody looked."""
        self.parents: dict[int, DeskOrder] = {}
        """Orders with a take profit or stop loss of which something was filled."""
        self.met: dict[tuple[str, str], set[tuple[str, str]]] = {}
        """Accounts and contingent orders of which something was filled lately, by listing."""
        self.holders: dict[tuple[str, str], dict[str, None]] = {}
        """The accounts with positions, by listing."""

    # --- orders ---

    def change(self, account: TradingAccount, order: DeskOrder, **changes: Any) -> DeskOrder:
        """Let an order be otherwise from now on: filed, told, its lock adapted."""
        now_ns, known = self._bulletin.now_ns, account.orders.get(order.number)
        version = order.version if known is None else order.version + 1
        after = attrs.evolve(order, updated_ns=now_ns, version=version, **changes)
        lock = lock_of(after, self.leverage(account, after.listing, after.asked.position_side))
        if lock != order.locked or known is None:
            before = ZERO if known is None else known.locked
            after = attrs.evolve(after, locked=lock)
            self._lock(account, after, lock - before)
        if after.stage.ended:
            account.orders.pop(order.number, None)
        else:
            account.orders[order.number] = after
        if after.filled and (after.asked.take_profit or after.asked.stop_loss):
            self.parents[after.number] = after
        self._histories.order(after)
        self._bulletin.add(OrderChanged, after)
        return after

    def _lock(self, account: TradingAccount, order: DeskOrder, more: Decimal) -> None:
        if not more:
            return
        asset = locked_asset(order)
        if order.listing.market is Market.SPOT:
            self._bulletin.balance(account.wallet.move(asset, locked=more))
        else:
            self._bulletin.balance(account.wallet.move(asset, order_margin=more))

    def reserve(
        self, account: TradingAccount, order: DeskOrder, asked: NewOrder
    ) -> Callable[[], None]:
        """Lock what an order needs more once it is as ``asked``, until the amendment is carried
        out: returns what is to be called then."""
        leverage = self.leverage(account, order.listing, asked.position_side)
        after = attrs.evolve(order, asked=asked, reduced_to=None)
        more = max(lock_of(after, leverage) - order.locked, ZERO)
        asset = locked_asset(order)

        def hold(amount: Decimal) -> None:
            self._lock(account, order, amount)
            account.reserved[asset] = account.reserved.get(asset, ZERO) + amount

        hold(more)
        return lambda: hold(-more)

    # --- settings that trades depend on ---

    def leverage(self, account: TradingAccount, listing: Listing, side: PositionSide) -> Decimal:
        found = account.leverages.get((*listing.key, side))
        return self._conduct.usual_leverage if found is None else found

    def rates(self, account: TradingAccount, listing: Listing) -> FeeRates:
        """What an account pays for trading a listing."""
        found = account.fee_rates.get(listing.key) or account.fee_rates.get(listing.category)
        if found is not None:
            return found
        conduct = self._conduct
        return FeeRates(maker=conduct.maker_rate(listing), taker=conduct.taker_rate(listing))

    def position(
        self, account: TradingAccount, listing: Listing, side: PositionSide
    ) -> DeskPosition:
        """A position, flat where there never was one."""
        found = account.positions.get((*listing.key, side))
        if found is not None:
            return found
        return DeskPosition(
            account=account.name,
            listing=listing,
            side=side,
            leverage=self.leverage(account, listing, side),
            margin_mode=account.margin_mode_of(listing),
        )

    # --- trades ---

    def trade(
        self,
        market: SimulatedMarket,
        price: Decimal,
        size: Decimal,
        buyer: Dealer,
        seller: Dealer,
        kind: FillKind = FillKind.TRADE,
    ) -> None:
        """Book a trade of which at least one side is an account's."""
        self._trades += 1
        listing = market.listing
        value = value_of(listing, size, price)
        sides = []
        for dealer, side in ((buyer, Side.BUY), (seller, Side.SELL)):
            sides.append(self._side(market, dealer, side, price, size, value, kind))
        self._tape.add(
            Traded,
            self._bulletin.now_ns,
            trade=self._trades,
            category=listing.category,
            symbol=listing.symbol,
            market=listing.market.value,
            base=listing.base,
            quote=listing.quote,
            settle=listing.settle,
            worth_of_one=listing.worth_of_one,
            kind=kind.value,
            price=price,
            size=size,
            buyer=sides[0],
            seller=sides[1],
        )

    def _side(
        self,
        market: SimulatedMarket,
        dealer: Dealer,
        side: Side,
        price: Decimal,
        size: Decimal,
        value: Decimal,
        kind: FillKind,
    ) -> Party:
        account, listing = dealer.account, market.listing
        order = None
        if account is None or account.name == HOUSE:
            fee, rate = Fee(listing.quote if listing.settle is None else listing.settle, ZERO), ZERO
        else:
            rates = self.rates(account, listing)
            rate = rates.maker if dealer.maker else rates.taker
            fee = self._conduct.fee(
                FeeCase(
                    listing=listing,
                    side=side,
                    maker=dealer.maker,
                    size=size,
                    price=price,
                    value=value,
                    index_price=index_price(market),
                    rate=rate,
                    account=account.name,
                )
            )
        if account is not None:
            self.changed[account.name, listing.key] = None
            order = account.orders.get(dealer.order) if dealer.order is not None else None
            passage, entry_fee = None, ZERO
            if listing.market is not Market.SPOT:
                held = self.position(account, listing, dealer.position_side)
                passage = traded(held, size if side is Side.BUY else -size, price, value)
                if passage.closed:
                    entry_fee = quotient(held.entry_fees * passage.closed, abs(held.size))
            if order is not None:
                made = ZERO
                if passage is not None and passage.closed:
                    leaving = quotient(fee.amount * passage.closed, size)
                    made = passage.profit - leaving - entry_fee
                order = self._fill_order(account, order, size, value, fee, made)
            self._book(
                *(market, account, order, dealer, side, price, size, value, fee, rate, kind),
                passage,
                entry_fee,
            )
        return Party(
            account=CROWD if account is None else account.name,
            order=dealer.order,
            client_order_id="" if order is None else order.client_order_id,
            position_side=dealer.position_side.value,
            maker=dealer.maker,
            fee=fee.amount,
            fee_asset=fee.asset,
        )

    def _fill_order(
        self,
        account: TradingAccount,
        order: DeskOrder,
        size: Decimal,
        value: Decimal,
        fee: Fee,
        made: Decimal,
    ) -> DeskOrder:
        fees = {**order.fees, fee.asset: order.fees.get(fee.asset, ZERO) + fee.amount}
        filled = order.filled + size
        whole = order.size is not None and filled >= order.size
        if order.asked.contingent:
            met = self.met.setdefault(order.listing.key, set())
            met.add((account.name, order.asked.contingent))
        apart = self._conduct.completes_apart(order)
        return self.change(
            account,
            order,
            stage=Stage.FILLED if whole and not apart else Stage.OPEN,
            filled=filled,
            value=order.value + value,
            fees=fees,
            closed_profit=order.closed_profit + made,
        )

    def _book(
        self,
        market: SimulatedMarket,
        account: TradingAccount,
        order: DeskOrder | None,
        dealer: Dealer,
        side: Side,
        price: Decimal,
        size: Decimal,
        value: Decimal,
        fee: Fee,
        rate: Decimal,
        kind: FillKind,
        passage: Passage | None,
        entry_fee: Decimal,
    ) -> None:
        listing = market.listing
        sign = 1 if side is Side.BUY else -1
        cash: dict[str, Decimal] = {}
        if passage is None:
            cash[listing.base] = sign * size
            cash[listing.quote] = -sign * value
        else:
            assert listing.settle is not None
            by_cash = listing.market is Market.OPTION
            cash[listing.settle] = -sign * value if by_cash else passage.profit
        fill = None
        if order is not None:
            fill = DeskFill(
                number=self._trades,
                account=account.name,
                order=order,
                listing=listing,
                side=side,
                price=price,
                size=size,
                value=value,
                fee=fee.amount,
                fee_asset=fee.asset,
                fee_rate=rate,
                maker=dealer.maker,
                kind=kind,
                time_ns=self._bulletin.now_ns,
                sequence=market.sequence,
                closed=ZERO if passage is None else passage.closed,
                profit=ZERO if passage is None else passage.profit,
                entry_fee=entry_fee,
                mark_price=mark_price(market),
                index_price=index_price(market),
            )
            self._histories.execution(fill)
            self._bulletin.add(Filled, fill)
        after_size = ZERO
        if passage is not None:
            held = self.position(account, listing, dealer.position_side)
            after = self._settled(market, held, passage, size, fee.amount, entry_fee)
            after_size = after.size
            self.hold(account, after)
        cash.setdefault(fee.asset, ZERO)
        for asset, amount in cash.items():
            self.move(
                account,
                asset,
                _MONEY[kind],
                cash=amount,
                fee=fee.amount if asset == fee.asset else ZERO,
                fee_rate=rate,
                listing=listing,
                side=side,
                size=size,
                price=price,
                position_size=after_size,
                fill=fill,
            )

    def _settled(
        self,
        market: SimulatedMarket,
        before: DeskPosition,
        passage: Passage,
        size: Decimal,
        fee: Decimal,
        entry_fee: Decimal,
    ) -> DeskPosition:
        """The position after a trade, with its margin, what was realised, its times."""
        now_ns, after = self._bulletin.now_ns, passage.position
        realised = passage.profit - fee
        fresh = not before.size or (before.size > 0) != (after.size > 0)
        margin = ZERO
        if after.size and after.margin_mode is MarginMode.ISOLATED:
            kept = ZERO if fresh else before.isolated_margin
            grown = abs(after.cost) - (ZERO if fresh else abs(before.cost))
            if grown >= 0:
                margin = kept + quotient(grown, after.leverage)
            else:
                margin = quotient(kept * abs(after.size), abs(before.size))
        opening = quotient(fee * (size - passage.closed), size)
        return attrs.evolve(
            after,
            isolated_margin=margin,
            entry_fees=(before.entry_fees - entry_fee if before.size else ZERO) + opening,
            realised=realised if not before.size else before.realised + realised,
            realised_ever=before.realised_ever + realised,
            created_ns=now_ns if not before.size else before.created_ns,
            updated_ns=now_ns,
            sequence=market.sequence,
        )

    # --- positions and money ---

    def hold(self, account: TradingAccount, position: DeskPosition) -> None:
        """Let a position be so from now on."""
        account.positions[position.key] = position
        holders = self.holders.setdefault(position.listing.key, {})
        if account.name != HOUSE and account.positions_of(position.listing):
            holders[account.name] = None
        else:
            holders.pop(account.name, None)
        self._bulletin.add(PositionChanged, position)

    def move(
        self,
        account: TradingAccount,
        asset: str,
        kind: MoneyKind,
        *,
        cash: Decimal = ZERO,
        funding: Decimal = ZERO,
        fee: Decimal = ZERO,
        **more: Any,
    ) -> None:
        """Let money come or go."""
        balance = account.wallet.move(asset, cash + funding - fee)
        self._bulletin.balance(balance)
        self._rows += 1
        row = MoneyRow(
            number=self._rows,
            time_ns=self._bulletin.now_ns,
            account=account.name,
            asset=asset,
            kind=kind,
            cash=cash,
            funding=funding,
            fee=fee,
            balance=balance.total,
            **more,
        )
        self._histories.money(row)
        if kind in (MoneyKind.FUNDING, MoneyKind.DELIVERY):
            self._histories.execution(row)
        self._bulletin.add(MoneyMoved, row)


def locked_asset(order: DeskOrder) -> str:
    """The asset that an order locks, or of which its margin is."""
    listing = order.listing
    if listing.market is Market.SPOT:
        return listing.quote if order.side is Side.BUY else listing.base
    assert listing.settle is not None
    return listing.settle


def lock_of(order: DeskOrder, leverage: Decimal) -> Decimal:
    """How much of that."""
    asked = order.asked
    if order.stage.ended or not order.opens:
        return ZERO
    if order.budget is not None:
        return max(order.budget - order.value, ZERO)
    if asked.listing.market is Market.SPOT:
        if asked.trigger is not None and not order.triggered and not asked.locks_at_once:
            return ZERO
        if order.side is Side.SELL:
            return order.remaining
        assert asked.price is not None
        return order.remaining * asked.price
    if asked.trigger is not None and not order.triggered:
        return ZERO
    return margin_of(order, leverage)


def margin_of(order: DeskOrder, leverage: Decimal) -> Decimal:
    """The initial margin of what is left of an order of contracts."""
    listing, price = order.listing, order.price or order.last_price
    value = value_of(listing, order.remaining, price)
    if listing.market is Market.OPTION:
        # A buyer pays the premium whole; a seller sets it aside, and a part of what it is on.
        if order.side is Side.BUY:
            return value
        return value + quotient(value_of(listing, order.remaining, order.underlying_price), _TEN)
    return quotient(value, leverage)


_TEN = Decimal(10)


def mark_price(market: SimulatedMarket) -> Decimal:
    """The market's mark price now."""
    return market.rules.price.value(market.mark) / 100


def index_price(market: SimulatedMarket) -> Decimal:
    """The market's index price now."""
    return market.rules.price.value(market.index) / 100
