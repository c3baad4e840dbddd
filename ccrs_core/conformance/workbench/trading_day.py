"""A day at the emulated exchange's desk: orders of every kind that a market is declared to take,
with all that comes of them, while the account's streams are listened to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from weakref import WeakKeyDictionary

import attrs

from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Listening, Stall, Trader, trading_of
from ccrs_core.contract.trading import Feature, Trading
from ccrs_core.contract.trading_requests import AmendOrder, Placed, SetPositionMode
from ccrs_core.emulator import DeskOrder, Ending
from ccrs_core.errors import EndReason, OrderRejected, SettingUnchanged, Unsupported
from ccrs_core.model.accounts import PositionMode
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import (
    Exit,
    OrderRequest,
    PositionSide,
    SelfTradePrevention,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
)
from ccrs_core.model.reports import OrderReport
from ccrs_core.model.subscriptions import Channel

HEARD = (
    *(Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.BALANCES),
    *(Channel.EARLY_FILLS, Channel.INCOME, Channel.WAITING_ORDERS),
)
BY_DESK = (
    *(Ending.BY_USER, Ending.LIQUIDATION, Ending.DELEVERAGING, Ending.SETTLEMENT),
    *(Ending.DEAD_MAN, Ending.EXCHANGE),
)
"""Ends that the exchange can bring to any order that rests."""
_OF_POSITIONS = frozenset({Ending.LIQUIDATION, Ending.DELEVERAGING, Ending.SETTLEMENT})


@attrs.frozen(kw_only=True)
class Deed:
    """An order of the day: for which feature it was placed, what was asked and answered, and what
    the exchange's word on it was right after."""

    feature: Feature | None
    request: OrderRequest
    client_order_id: str
    placed: Placed
    order: DeskOrder
    """As the desk had it right after."""
    word: OrderReport | None
    amended: tuple[Decimal | None, Decimal | None] | None = None
    """Price and size that were asked for afterwards."""
    again: bool = False
    """Looked at once more."""


@attrs.frozen
class Refusal:
    """An order that the exchange refused in its answer, and what the desk has of it none the
    less."""

    request: OrderRequest
    error: OrderRejected
    reasons: frozenset[EndReason]
    """Why it may be refused, rather than taken and ended: none, where it must be taken."""
    order: DeskOrder | None


class TradingDay:
    """One market's day. ``deeds`` are in the order of their placing; ``refusals`` are of orders
    that ended as they came, where the exchange says so instead of taking them."""

    def __init__(self, subject: Subject, market: Market) -> None:
        self.trader = trader = Trader(subject, "dealer")
        self.market = market
        self.at: Stall = trader.stall(market)
        self.deeds: list[Deed] = []
        self.refusals: list[Refusal] = []
        self.ear: Listening = trader.listen(*HEARD)
        declared = trading_of(subject).features[market]
        for feature in Feature:
            if feature in declared and feature in _WAYS:
                self._again()
                for request in _WAYS[feature](self.at):
                    self.try_to_place(request, feature)
                self._tidy()
        if Feature.AMEND in declared:
            self._amend()
        elif Feature.AMEND_SMALLER in declared:
            self._make_smaller()
        self._own_trades(declared)
        self._ends()
        if Feature.HEDGE in declared:
            self._hedge()
        trader.pause(2.0)
        self.ear.wait(1.0)

    # --- what is done ---

    def try_to_place(self, request: OrderRequest, feature: Feature) -> None:
        """Place an order that may end as it comes: it is taken and ends, or is refused for that."""
        identity = self.trader.new_id()
        try:
            self._placed(request, feature, identity)
        except OrderRejected as refusal:
            reasons = reasons_to_refuse(self.at, request)
            self.refusals.append(Refusal(request, refusal, reasons, self.trader.find(identity)))

    def place(self, request: OrderRequest, feature: Feature | None = None) -> Deed:
        """Place an order, and ask for it."""
        return self._placed(request, feature, self.trader.new_id())

    def _placed(self, request: OrderRequest, feature: Feature | None, identity: str) -> Deed:
        trader = self.trader
        placed, order = trader.place(self.at, request, identity)
        word = trader.word(self.at, order)
        deed = Deed(
            feature=feature,
            request=request,
            client_order_id=identity,
            placed=placed,
            order=order,
            word=word,
        )
        self.deeds.append(deed)
        self.ear.wait(0.05)
        return deed

    def now(self, deed: Deed) -> DeskOrder:
        """What the desk has of an order now."""
        return self.trader.desk_order(deed.client_order_id)

    def _again(self) -> None:
        self.at = self.trader.prepare(self.at.instrument)

    def _tidy(self) -> None:
        """Cancel what is open, and close what is held."""
        trader = self.trader
        wallet = trader.wallet(self.market)
        for order in wallet.open_orders(self.at.listing):
            if order.client_order_id:
                trader.cancel(self.at, order)
            else:
                trader.desk.cancel(wallet, order.number)
        for position in wallet.positions_of(self.at.listing):
            self._again()
            side = Side.SELL if position.size > 0 else Side.BUY
            closing = self.at.limit(
                side,
                self.at.crossing(side, 5),
                max(1, int(abs(position.size) // self.at.size)),
                position_side=position.side,
            )
            self.place(attrs.evolve(closing, size=self.at.own(abs(position.size))))

    def _amend(self) -> None:
        self._again()
        deed = self.place(self.at.limit(Side.BUY, self.at.passive(Side.BUY, 3), 4))
        price, size = self.at.passive(Side.BUY, 2), self.at.own(self.at.size * 3)
        self._change(deed, price, None)
        self._change(deed, None, size)
        self.place(self.at.limit(Side.BUY, self.at.crossing(Side.BUY), 13))
        self._tidy()

    def _make_smaller(self) -> None:
        self._again()
        deed = self.place(self.at.limit(Side.BUY, self.at.passive(Side.BUY, 3), 4))
        self._change(deed, None, self.at.own(self.at.size * 3))
        self._change(deed, None, self.at.own(self.at.size * 2))
        self._tidy()

    def _change(self, deed: Deed, price: Decimal | None, size: Decimal | None) -> None:
        trader = self.trader
        trader.ask(
            AmendOrder(
                instrument=self.at.instrument,
                exchange_order_id=deed.placed.exchange_order_id,
                client_order_id=deed.client_order_id,
                price=price,
                size=size,
                conditional=deed.request.trigger is not None,
                known=trader.known(self.at, self.now(deed)),
            )
        )
        trader.pause()
        order = self.now(deed)
        word = trader.word(self.at, order)
        self.deeds.append(attrs.evolve(deed, order=order, word=word, amended=(price, size)))
        self.ear.wait(0.05)

    def _own_trades(self, declared: frozenset[Feature]) -> None:
        """Orders that would trade with one of the account's own, by each rule for that."""
        for feature, rule in _PREVENTIONS.items():
            if feature not in declared:
                continue
            self._again()
            for side, mine in ((Side.BUY, None), (Side.SELL, rule)):
                request = self.at.limit(side, self.at.price, self_trade_prevention=mine)
                self.place(request, None if mine is None else feature)
            self._tidy()

    def _ends(self) -> None:
        """Orders that the exchange ends, for each reason that it has."""
        self._again()
        for why in ends_of(trading_of(self.trader.subject), self.market):
            deed = self.place(self.at.limit(Side.BUY, self.at.passive(Side.BUY)))
            self.trader.desk.cancel(self.trader.wallet(self.market), deed.order.number, why)
            self.trader.pause()
            order = self.now(deed)
            word = self.trader.word(self.at, order)
            self.deeds.append(attrs.evolve(deed, order=order, word=word, again=True))
            self.ear.wait(0.05)

    def _hedge(self) -> None:
        self._mode(PositionMode.HEDGE)
        self._again()
        for side, of in ((Side.BUY, PositionSide.LONG), (Side.SELL, PositionSide.SHORT)):
            request = self.at.limit(side, self.at.crossing(side, 2), 2, position_side=of)
            self.place(request, Feature.HEDGE)
        self.ear.wait(0.5)
        self._tidy()
        self._mode(PositionMode.ONE_WAY)

    def _mode(self, mode: PositionMode) -> None:
        asked = SetPositionMode(mode=mode, market=self.market, instrument=self.at.instrument)
        with suppress(SettingUnchanged):
            try:
                self.trader.ask(asked)
            except Unsupported:
                # There is one for more than an instrument.
                self.trader.ask(attrs.evolve(asked, instrument=None))


_DAYS: WeakKeyDictionary[Subject, dict[Market, TradingDay]] = WeakKeyDictionary()


def day_of(subject: Subject, market: Market) -> TradingDay:
    """A market's day: the same one for all tests that look at it."""
    days = _DAYS.setdefault(subject, {})
    if market not in days:
        days[market] = TradingDay(subject, market)
    return days[market]


def ends_of(trading: Trading, market: Market) -> Iterator[Ending]:
    """How the exchange itself may end an order that rests: nobody is liquidated in a wallet of
    nothing but spot."""
    purse = trading.purses.get(market)
    alone = purse is not None and all(
        other is Market.SPOT for other, its in trading.purses.items() if its == purse
    )
    for why in BY_DESK:
        if not (alone and why in _OF_POSITIONS):
            yield why


def reasons_to_refuse(at: Stall, request: OrderRequest) -> frozenset[EndReason]:
    """Why an exchange may refuse an order that it could as well take and end: it would take though
    it mustn't, or isn't filled whole though it must be. The market's book is whole."""
    if request.price is None or request.size is None:
        return frozenset()
    buys = request.side is Side.BUY
    best = at.ask() if buys else at.bid()
    reached = (request.price - best if buys else best - request.price) // at.step + 1
    if request.post_only and reached > 0:
        return frozenset({EndReason.POST_ONLY})
    whole = request.size <= max(reached, Decimal(0)) * at.own(at.level_size)
    if request.time_in_force is TimeInForce.FOK and not whole:
        return frozenset({EndReason.NO_LIQUIDITY})
    return frozenset()


# --- orders of each kind --------------------------------------------------------------------


def _market_orders(at: Stall) -> Iterator[OrderRequest]:
    yield at.market(Side.BUY, 3)
    yield at.market(Side.SELL, 2)


def _for_quote(side: Side) -> Callable[[Stall], Iterator[OrderRequest]]:
    def orders(at: Stall) -> Iterator[OrderRequest]:
        yield at.market(side, quote_size=Decimal(round(at.size * at.price * 3)))

    return orders


def _post_only(at: Stall) -> Iterator[OrderRequest]:
    for side in Side:
        yield at.limit(side, at.passive(side), post_only=True)
        yield at.limit(side, at.crossing(side), post_only=True)


def _ioc(at: Stall) -> Iterator[OrderRequest]:
    yield at.limit(Side.BUY, at.crossing(Side.BUY), 13, time_in_force=TimeInForce.IOC)
    yield at.limit(Side.SELL, at.passive(Side.SELL), time_in_force=TimeInForce.IOC)


def _fok(at: Stall) -> Iterator[OrderRequest]:
    yield at.limit(Side.SELL, at.crossing(Side.SELL), 2, time_in_force=TimeInForce.FOK)
    yield at.limit(Side.BUY, at.crossing(Side.BUY), 13, time_in_force=TimeInForce.FOK)


def _reduce_only(at: Stall) -> Iterator[OrderRequest]:
    yield at.limit(Side.BUY, at.crossing(Side.BUY), 3)
    yield at.limit(Side.SELL, at.passive(Side.SELL), 2, reduce_only=True)
    yield at.limit(Side.SELL, at.crossing(Side.SELL), 3, reduce_only=True)


def _triggered(by: TriggerBy) -> Callable[[Stall], Iterator[OrderRequest]]:
    def orders(at: Stall) -> Iterator[OrderRequest]:
        rises = Trigger(price=at.ask(4), rises=True, by=by)
        falls = Trigger(price=at.bid(4), rises=False, by=by)
        yield at.limit(Side.BUY, at.ask(5), trigger=rises)
        yield at.market(Side.SELL, trigger=falls)

    return orders


def _trailing(share: bool, limited: bool = False) -> Callable[[Stall], Iterator[OrderRequest]]:
    def orders(at: Stall) -> Iterator[OrderRequest]:
        step = Decimal("0.02") if share else at.ask(4) - at.bid(4)
        follows = Trailing(share=step) if share else Trailing(distance=step)
        if limited:
            yield at.limit(Side.SELL, at.bid(5), trigger=follows)
            return
        yield at.market(Side.SELL, trigger=follows)
        yield at.market(Side.BUY, trigger=attrs.evolve(follows, activation=at.bid(5)))

    return orders


def _exits(at: Stall) -> Iterator[OrderRequest]:
    take, stop = Exit(price=at.ask(4)), Exit(price=at.bid(5))
    yield at.limit(Side.BUY, at.passive(Side.BUY), take_profit=take, stop_loss=stop)
    yield at.limit(Side.BUY, at.crossing(Side.BUY), take_profit=take, stop_loss=stop)


def _by_volatility(at: Stall) -> Iterator[OrderRequest]:
    yield OrderRequest(
        symbol=at.instrument.symbol,
        side=Side.BUY,
        type="limit",
        size=at.own(at.size),
        volatility=Decimal("0.1"),
    )


_WAYS: dict[Feature, Callable[[Stall], Iterator[OrderRequest]]] = {
    Feature.MARKET_ORDERS: _market_orders,
    Feature.QUOTE_SIZE_BUY: _for_quote(Side.BUY),
    Feature.QUOTE_SIZE_SELL: _for_quote(Side.SELL),
    Feature.POST_ONLY: _post_only,
    Feature.IOC: _ioc,
    Feature.FOK: _fok,
    Feature.REDUCE_ONLY: _reduce_only,
    Feature.TRIGGER_LAST: _triggered(TriggerBy.LAST),
    Feature.TRIGGER_MARK: _triggered(TriggerBy.MARK),
    Feature.TRIGGER_INDEX: _triggered(TriggerBy.INDEX),
    Feature.TRAILING_DISTANCE: _trailing(share=False),
    Feature.TRAILING_SHARE: _trailing(share=True),
    Feature.TRAILING_LIMIT: _trailing(share=True, limited=True),
    Feature.TAKE_PROFIT: _exits,
    Feature.VOLATILITY: _by_volatility,
}
_PREVENTIONS = {
    Feature.SELF_TRADE_NONE: SelfTradePrevention.NONE,
    Feature.SELF_TRADE_MAKER: SelfTradePrevention.CANCEL_MAKER,
    Feature.SELF_TRADE_TAKER: SelfTradePrevention.CANCEL_TAKER,
    Feature.SELF_TRADE_BOTH: SelfTradePrevention.CANCEL_BOTH,
}


def orders_for(feature: Feature, at: Stall) -> list[OrderRequest]:
    """Orders that ask for a feature."""
    if feature in _PREVENTIONS:
        rule = _PREVENTIONS[feature]
        return [at.limit(Side.BUY, at.passive(Side.BUY), self_trade_prevention=rule)]
    if feature is Feature.HEDGE:
        return [at.limit(Side.BUY, at.passive(Side.BUY), position_side=PositionSide.LONG)]
    if feature is Feature.REDUCE_ONLY:
        return [at.limit(Side.SELL, at.passive(Side.SELL), reduce_only=True)]
    return list(_WAYS[feature](at)) if feature in _WAYS else []
