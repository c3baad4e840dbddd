"""One listing's trading pit: brings accounts' orders to the matching engine, in the order in which
they were acknowledged, and books what the engine makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs

from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import Changed, SimulatedMarket
from ccrs_core.emulator.matching import (
    CancelReason,
    Execution,
    Ladder,
    Lifetime,
    Outcome,
    Resting,
    SelfTrade,
)
from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.back_office import BackOffice
from ccrs_core.emulator.trading.clearing import Dealer
from ccrs_core.emulator.trading.happenings import TooLate
from ccrs_core.emulator.trading.orders import ZERO, DeskOrder, Ending, NewOrder, Stage
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType, PositionSide

_ENDINGS = {
    CancelReason.NO_LIQUIDITY: Ending.NO_LIQUIDITY,
    CancelReason.NOT_WHOLE: Ending.NOT_WHOLE,
    CancelReason.WOULD_TAKE: Ending.WOULD_TAKE,
    CancelReason.SELF_TRADE: Ending.SELF_TRADE,
    CancelReason.NOTHING_TO_REDUCE: Ending.REDUCE_ONLY,
}


class Pit:
    """The orders of accounts in one listing's market. It listens to the engine while any rest, and
    keeps the market running while there are orders or positions."""

    def __init__(
        self, office: BackOffice, listing: Listing, settle: Callable[[Pit, int], None]
    ) -> None:
        self._office = office
        self._settle = settle
        self.listing = listing
        self._due_ns = 0
        self._resting: dict[int, tuple[TradingAccount, Resting]] = {}
        self._entering: dict[int, TradingAccount] = {}
        self._watched = False
        self._busy = False

    # --- as a watcher of the market ---

    @property
    def market(self) -> SimulatedMarket:
        return self._office.venue.market(self.listing)

    @property
    def markets(self) -> Sequence[SimulatedMarket]:
        return (self.market,)

    @property
    def triggers(self) -> Changed:
        return Changed.TRADES | Changed.REFERENCE

    def touch(self, now_ns: int) -> None:
        """Something was traded, or prices have moved."""
        if not self._busy:
            self._settle(self, now_ns)

    def rest(self) -> None:
        """Keep the market running while it matters to accounts, and let it rest otherwise."""
        office, key = self._office, self.listing.key
        wanted = bool(self._resting or office.waiting.get(key) or office.clearing.holders.get(key))
        if wanted == self._watched:
            return
        self._watched = wanted
        if wanted:
            self._office.venue.watch(self)
        else:
            self._office.venue.unwatch(self)

    # --- as the engine's registrar ---

    def executed(self, execution: Execution) -> None:
        buyer, seller = execution.taker, execution.maker
        if execution.taker.side is Side.SELL:
            buyer, seller = seller, buyer
        self._now()
        rules = self.market.rules
        for each in (buyer, seller):
            self._shrunk(each)
        self._office.clearing.trade(
            self.market,
            rules.price.value(execution.price),
            rules.size.value(execution.size),
            self._dealer(buyer, execution.maker is buyer),
            self._dealer(seller, execution.maker is seller),
        )
        for each in (buyer, seller):
            if not each.remaining:
                self._resting.pop(_number(each), None)

    def _now(self) -> None:
        """The market moves on by itself: what happens in it happens now."""
        self._office.bulletin.now_ns = self._office.venue.now_ns

    def _shrunk(self, resting: Resting) -> None:
        """Tell of a reduce-only order that the engine has made smaller."""
        account = self._account(resting) if resting.bounded else None
        order = None if account is None else account.orders.get(_number(resting))
        size = self.market.rules.size.value(resting.size)
        if account is not None and order is not None and order.size != size:
            self._office.clearing.change(account, order, reduced_to=size)

    def _dealer(self, resting: Resting, maker: bool) -> Dealer:
        number = _number(resting)
        account = self._account(resting)
        if account is None:
            return Dealer(maker=maker)
        order = account.orders.get(number)
        side = PositionSide.NET if order is None else order.asked.position_side
        return Dealer(account=account, order=number, position_side=side, maker=maker)

    def _account(self, resting: Resting) -> TradingAccount | None:
        number = _number(resting)
        if resting.owner is None or not number:
            return None
        found = self._resting.get(number)
        if found is None:
            return self._entering.get(number)
        return found[0] if found[1] is resting else None

    def ended(self, order: Resting, by: Resting) -> None:
        account = self._account(order)
        known = None if account is None else account.orders.get(_number(order))
        if account is None or known is None or order.reason is None:
            return
        self._now()
        self._resting.pop(known.number, None)
        prevented_by = _number(by) or None if order.reason is CancelReason.SELF_TRADE else None
        self._office.clearing.change(
            account,
            known,
            stage=Stage.CANCELED,
            ending=_ENDINGS[order.reason],
            prevented_by=prevented_by,
        )

    def bound(self, order: Resting) -> int:
        account = self._account(order)
        known = None if account is None else account.orders.get(_number(order))
        if account is None or known is None:
            return order.remaining
        held = self._office.clearing.position(account, self.listing, known.asked.position_side).size
        reducible = -held if known.side is Side.BUY else held
        return self.market.rules.size.count(max(reducible, ZERO)) or 0

    # --- what was asked for ---

    def queue(self, act: Callable[[], None]) -> None:
        """Do something when its turn comes: perhaps at once, never before what came earlier."""
        office, conduct = self._office, self._office.conduct
        now_ns = office.venue.now_ns
        wait_ns = 0
        if office.rng.random() >= conduct.at_once:
            wait_ns = office.rng.randint(conduct.matching.least, conduct.matching.most)
        due_ns = max(now_ns + wait_ns, self._due_ns)
        self._due_ns = due_ns
        if due_ns <= now_ns:
            self._do(act, now_ns)
        else:
            office.venue.at(due_ns, lambda now_ns: self._do(act, now_ns))

    def _do(self, act: Callable[[], None], now_ns: int) -> None:
        self._office.bulletin.now_ns = now_ns

        def change(market: SimulatedMarket) -> Changed:
            market.engine.registrar = self
            before = market.tape.count
            act()
            return Changed.BOOK | (Changed.TRADES if market.tape.count > before else 0)

        busy, self._busy = self._busy, True
        try:
            self._office.venue.perform(self.listing, change)
        finally:
            self._busy = busy
        if not busy:
            self._settle(self, now_ns)

    def enter(self, account: TradingAccount, number: int) -> None:
        """Bring an order to the engine."""
        order = account.orders.get(number)
        if order is None:
            return  # it has been canceled in the meantime
        market, asked = self.market, order.asked
        lots = self._lots(account, order)
        size = market.rules.size.value(lots)
        if asked.reduces and lots and size != order.size:
            if self._office.conduct.shrinks_reduce_only or asked.closing:
                order = self._office.clearing.change(account, order, reduced_to=size)
            else:
                lots = 0
        if not lots:
            why = Ending.REDUCE_ONLY if asked.reduces else Ending.BALANCE
            self._end(account, order, why)
            return
        ticks = None if asked.price is None else market.rules.price.count(asked.price)
        lifetime = asked.lifetime
        if asked.type is OrderType.MARKET and lifetime is not Lifetime.FOK:
            lifetime = Lifetime.IOC
        self._entering[number] = account
        try:
            outcome = market.enter(
                order.side,
                lots,
                ticks,
                owner=account.owner,
                lifetime=lifetime,
                client_order_id=str(number),
                self_trade=asked.self_trade or SelfTrade.ALLOWED,
                bounded=asked.reduces,
            )
        finally:
            del self._entering[number]
        self._came_of(account, number, outcome)

    def _came_of(self, account: TradingAccount, number: int, outcome: Outcome) -> None:
        order, resting = account.orders.get(number), outcome.order
        if order is None:
            return  # filled
        if order.size is not None and order.filled >= order.size:
            self._office.clearing.change(account, order, stage=Stage.FILLED)
            return
        if resting.reason is None:
            if resting.remaining:
                self._resting[number] = account, resting
                if order.stage is not Stage.OPEN:
                    self._office.clearing.change(account, order, stage=Stage.OPEN)
            else:
                # All of what is left of a reduce-only order, or for the money there was.
                self._end(account, order, Ending.NO_LIQUIDITY)
            return
        met = None if resting.met is None else _number(resting.met) or None
        self._end(account, order, _ENDINGS[resting.reason], prevented_by=met)

    def _end(
        self,
        account: TradingAccount,
        order: DeskOrder,
        why: Ending,
        *,
        prevented_by: int | None = None,
    ) -> None:
        if self._spent(order):
            self._office.clearing.change(account, order, stage=Stage.FILLED)
            return
        late = (Ending.WOULD_TAKE, Ending.BALANCE, Ending.REDUCE_ONLY)
        refused = why in late and self._office.conduct.rejects_late
        rested = order.filled or order.stage is Stage.OPEN
        stage = Stage.REJECTED if refused and not rested else Stage.CANCELED
        self._office.clearing.change(
            account, order, stage=stage, ending=why, prevented_by=prevented_by
        )

    def _spent(self, order: DeskOrder) -> bool:
        """Whether what an order was to be for is spent (or got)."""
        wanted = order.asked.quote_size
        if wanted is None or order.value >= wanted:
            return wanted is not None
        if not (self._office.conduct.fills_to_the_lot and order.filled):
            return False
        rules, engine = self.market.rules, self.market.engine
        best = (engine.asks if order.side is Side.BUY else engine.bids).best
        lot = rules.price.value(best or self.market.tape.last) * self.listing.lot
        return wanted - order.value < lot * self.listing.worth_of_one

    def amend(self, account: TradingAccount, number: int, asked: NewOrder) -> None:
        """Let an order be otherwise."""
        order = account.orders.get(number)
        clearing = self._office.clearing
        if order is None:
            self._too_late(account, number, amended=True)
            return
        found = self._resting.get(number)
        if found is None:
            clearing.change(account, order, asked=asked)
            return
        resting, rules = found[1], self.market.rules
        lots = None if asked.size is None else rules.size.count(asked.size)
        ticks = None if asked.price is None else rules.price.count(asked.price)
        if lots is not None and lots <= resting.filled:
            if self._office.conduct.amends_below_filled:
                self._cut(account, order, asked, resting)
            else:
                self._too_late(account, number, amended=True)
            return
        clearing.change(account, order, asked=asked, reduced_to=None)
        market = self.market
        market.sequence += 1
        outcome = market.engine.amend(
            resting.order_id,
            price=ticks,
            size=lots,
            keeps_place=self._office.conduct.amends_keep_place(self.listing),
        )
        market.print_trades(outcome)
        if outcome.order.reason is not None or not outcome.order.remaining:
            self._resting.pop(number, None)
        self._came_of(account, number, outcome)

    def _cut(
        self, account: TradingAccount, order: DeskOrder, asked: NewOrder, resting: Resting
    ) -> None:
        """End an order as filled with what it has: no more of it is wanted."""
        self._resting.pop(order.number, None)
        market = self.market
        market.sequence += 1
        market.engine.cancel(resting.order_id)
        asked = attrs.evolve(asked, size=order.filled)
        self._office.clearing.change(account, order, asked=asked, stage=Stage.FILLED)

    def cancel(self, account: TradingAccount, number: int, why: Ending) -> None:
        """Take an order off the book, wherever it is."""
        order = account.orders.get(number)
        if order is None:
            self._too_late(account, number, amended=False)
            return
        found = self._resting.pop(number, None)
        if found is not None:
            market = self.market
            market.sequence += 1
            market.engine.cancel(found[1].order_id)
        self._office.clearing.change(account, order, stage=Stage.CANCELED, ending=why)

    def cancel_now(self, account: TradingAccount, number: int, why: Ending) -> None:
        """The same, as the exchange's own deed: at once."""
        if number in account.orders:
            self._do(lambda: self.cancel(account, number, why), self._office.venue.now_ns)

    def act_now(self, act: Callable[[], None]) -> None:
        """Do something in the market at once."""
        self._do(act, self._office.venue.now_ns)

    def _too_late(self, account: TradingAccount, number: int, *, amended: bool) -> None:
        order = self._office.last_known(account, number)
        if order is not None:
            self._office.bulletin.add(TooLate, order, amended)

    # --- inside ---

    def _lots(self, account: TradingAccount, order: DeskOrder) -> int:
        """How much of an order goes to the engine: what it may reduce, or has the money for."""
        market, asked = self.market, order.asked
        rules = market.rules
        lots = None if asked.size is None else rules.size.count(order.remaining)
        if asked.reduces:
            held = self._office.clearing.position(account, self.listing, asked.position_side).size
            most = rules.size.count(max(-held if order.side is Side.BUY else held, ZERO)) or 0
            lots = most if lots is None else min(lots, most)
        if order.budget is not None and order.side is Side.BUY:
            most = self._affordable(order.budget - order.value, market.engine.asks)
            lots = most if lots is None else min(lots, most)
        elif asked.quote_size is not None:
            free = self._office.margins.of_asset(account, self.listing.base).free
            most = self._affordable(asked.quote_size - order.value, market.engine.bids)
            lots = min(most, int(free / self.listing.lot))
        return lots or 0

    def _affordable(self, money: Decimal, ladder: Ladder) -> int:
        """How many lots the book sells (or buys) for so much, the best price first."""
        market = self.market
        each = market.listing.tick * market.listing.lot * market.listing.worth_of_one
        left = int(money / each)
        found = 0
        for ticks, total in ladder.top(len(ladder.keys)):
            lots = min(total, left // ticks)
            found += lots
            left -= lots * ticks
            if lots < total:
                break
        return found


def _number(resting: Resting) -> int:
    """The desk's number of an order in the engine; 0 of an order that isn't the desk's."""
    text = resting.client_order_id
    return int(text) if text.isdecimal() else 0
