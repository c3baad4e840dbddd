"""What an account does: orders placed, amended, canceled, and looked at."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

import attrs

from ccrs_core.contract.trading_requests import CancelAll
from ccrs_core.errors import CcrsError, UsageError
from ccrs_core.model.accounts import Position, Profit
from ccrs_core.model.checks import member, seconds_above_zero
from ccrs_core.model.events import Balance
from ccrs_core.model.instruments import Market
from ccrs_core.model.order_requests import (
    Exit,
    Number,
    OrderRequest,
    PositionSide,
    Trigger,
)
from ccrs_core.model.orders import Order, OrderState, Origin
from ccrs_core.trading.amending import WhenFull
from ccrs_core.trading.asks import Via, checked_via
from ccrs_core.trading.canceling import (
    CancelOutcome,
    CancelResult,
    open_ones,
    without_fired,
)
from ccrs_core.trading.checks import Amendment
from ccrs_core.trading.exposure import Exposure, exposure_of
from ccrs_core.trading.intents import How
from ccrs_core.trading.live_order import LiveOrder
from ccrs_core.trading.order_state import OPEN_QUESTIONS
from ccrs_core.trading.parts import Parts
from ccrs_core.trading.sweeping import Swept, cancel_market, sweep

Which = LiveOrder | Order | str
"""An order: what was returned of it, or one of its ids."""


class AccountOrders(ABC):
    """The orders of an account."""

    name: str

    @property
    @abstractmethod
    def _parts(self) -> Parts: ...

    def _how(
        self,
        via: str | None,
        send_within: float | None,
        when_full: str = "wait",
        *,
        amends: bool = False,
    ) -> How:
        if via is not None:
            checked_via(via)
        if when_full == "collapse" and not amends:
            raise UsageError('when_full="collapse" is for amendments; say "wait" or "refuse"')
        if when_full not in ("wait", "refuse", "collapse"):
            also = ' or "collapse"' if amends else ""
            raise UsageError(f'when_full must be "wait", "refuse"{also}, not {when_full!r:.100}')
        before = None
        if send_within is not None:
            send_within = seconds_above_zero("send_within", send_within)
            before = self._parts.clock.monotonic() + send_within
        return How(
            via=via, send_before=before, patience=0.0 if when_full == "refuse" else send_within
        )

    def _order(self, which: Which) -> Order:
        """The order that is meant.

        :raises UsageError: where the ledger has none of that id.
        """
        if isinstance(which, LiveOrder):
            which = which.now
        identity: object = which
        if isinstance(which, Order):
            if (which.exchange, which.account) != (self._parts.exchange, self.name):
                raise UsageError(f"{which} is of {which.exchange} {which.account}")
            identity = self.key_of(which)
        found = self.order(identity) if identity and isinstance(identity, str) else None
        if found is None:
            raise UsageError(f"account {self.name} has no order {identity!r:.100} in its ledger")
        return found

    # --- for live orders ---

    def newest(self, order: Order) -> Order:
        """What an order is now."""
        return self._parts.ledger.order(self._parts.context.key(order)) or order

    def key_of(self, order: Order) -> str:
        """The id by which it is known from its intent to its end."""
        return self._parts.context.key(order)

    def hold(self, order: Order) -> object:
        """What keeps an order in memory as long as somebody has it."""
        return self._parts.ledger.hold(self._parts.context.key(order))

    async def changed(self, key: str) -> None:
        """Wait until an order of an id has changed, whatever about it.

        :raises CcrsError: where nothing is learned of it any more.
        """
        await self._parts.hub.changed(key)

    # --- what is done ---

    async def place(
        self,
        request: OrderRequest,
        *,
        via: Via | None = None,
        send_within: float | None = None,
        when_full: WhenFull = "wait",
    ) -> LiveOrder:
        """Place an order; it returns once the exchange has taken it.

        Its intent is stored before a byte leaves. A caller who is cancelled before that withdraws
        it; after it, it goes on, and the order is in ``account.orders()``.

        :param via: ``"rest"`` or ``"websocket"``; None: as the account was opened. Where the socket
            can't take it at present, so that nothing was written, it goes by REST.
        :param send_within: seconds after which it isn't sent any more.
        :param when_full: where the budgets let none leave now: ``"wait"`` or ``"refuse"``.
        :raises UsageError: (``InvalidOrder``, ``Unsupported``, ``AccountUnsupported``) where it
            can't be; nothing was sent.
        :raises NotSent: where it couldn't leave in time, or was canceled before; so, too,
            ``RateLimited`` without a code.
        :raises OutcomeUnknown: where it may have been taken: ``order`` is in state UNKNOWN, and the
            account finds out. Never place it again by yourself before that.
        :raises OrderRejected: where the exchange refused it; ``reason`` says why.
        :raises ExchangeError: (or kin) where it was refused otherwise.
        :raises NotStored: a ``NotSent``, where its intent can't be stored for now.
        """
        self._parts.check_follows("places nothing")
        check_request(request)
        order = await self._parts.entry.place(request, self._how(via, send_within, when_full))
        return LiveOrder(self, order)

    async def place_many(
        self,
        requests: Sequence[OrderRequest],
        *,
        via: Via | None = None,
        send_within: float | None = None,
        when_full: WhenFull = "wait",
    ) -> list[LiveOrder | CcrsError]:
        """Place several orders, in batches where the exchange has such: of each, in their order,
        what :meth:`place` returns or raises. What is more than the account's budgets take at once
        leaves later, or, by ``when_full="refuse"``, not at all."""
        how = self._how(via, send_within, when_full)
        self._parts.check_follows("places nothing")
        if isinstance(requests, OrderRequest):
            raise UsageError("place_many takes several orders, in a list; place takes one")
        for each in requests:
            check_request(each)
        done = await self._parts.entry.place_many(requests, how)
        return [LiveOrder(self, each) if isinstance(each, Order) else each for each in done]

    async def amend(
        self,
        which: Which,
        *,
        price: Number | None = None,
        size: Number | None = None,
        volatility: Number | None = None,
        trigger: Trigger | None = None,
        take_profit: Exit | None = None,
        stop_loss: Exit | None = None,
        via: Via | None = None,
        send_within: float | None = None,
        when_full: WhenFull = "wait",
    ) -> Order:
        """Change an open order in place; it returns once the exchange has taken that. ``size`` is
        the new whole size, with what is filled. Of an order whose trigger has fired, what that has
        placed is changed, and returned.

        :param when_full: where it can't leave at once: ``"wait"``, ``"refuse"``, or ``"collapse"``:
            wait, and take the place of all of the order's amendments that still wait.
        :raises OrderEnded: where the order has ended, or has ended by it; ``order`` says how.
        :raises InvalidOrder: where it breaks a rule, or the size isn't above what is filled.
        :raises NotSent: where it couldn't leave in time, a newer one took its place, or the order
            is being canceled.
        :raises OutcomeUnknown: where it may have been taken; what comes of it the order will say.
        :raises ExchangeError: (or kin) where the exchange refused it.
        """
        changes = Amendment(
            price=price,
            size=size,
            volatility=volatility,
            trigger=trigger,
            take_profit=take_profit,
            stop_loss=stop_loss,
        )
        how = self._how(via, send_within, when_full, amends=True)
        self._parts.check_follows("amends nothing")
        return await self._parts.amending.amend(
            self._order(which), changes, how, collapse=when_full == "collapse"
        )

    async def amend_many(
        self,
        amendments: Sequence[tuple[Which, Amendment]],
        *,
        via: Via | None = None,
        send_within: float | None = None,
        when_full: WhenFull = "wait",
    ) -> list[Order | CcrsError]:
        """Amend several orders, in batches where the exchange has such: of each, in their order,
        what :meth:`amend` returns or raises."""
        how = self._how(via, send_within, when_full, amends=True)
        self._parts.check_follows("amends nothing")
        found = [(self._order(which), changes) for which, changes in amendments]
        return await self._parts.amending.amend_many(found, how, collapse=when_full == "collapse")

    async def cancel(
        self,
        which: Which,
        *,
        symbol: str | None = None,
        via: Via | None = None,
        send_within: float | None = None,
    ) -> CancelOutcome:
        """Cancel an order. An order that has ended before is no error: the outcome says so. What a
        limit of the exchange refuses is repeated until it is done. Amendments of it that still
        wait are withdrawn, and so is its placement if that hasn't left. Of an order whose trigger
        has fired, what that has placed is canceled.

        :param symbol: of an order that the ledger doesn't know, by its id: the cancel leaves before
            anything is asked about it. Where it is said, an order of another symbol is never meant.
        :raises OrderNotFound: where the exchange has none of that id and symbol.
        :raises NotSent: where it couldn't leave in time.
        :raises OutcomeUnknown: where no answer tells, several times.
        :raises ExchangeError: (or kin) where the exchange refuses it for good.
        """
        self._parts.check_open()
        how = self._how(via, send_within)
        if symbol is not None and isinstance(which, str):
            known = self.order(which)
            # Ids of exchanges may be those of one symbol alone.
            if known is None or known.symbol != symbol:
                instrument = await self._parts.context.instruments.find(symbol)
                return await self._parts.canceling.cancel_by_id(which, instrument, how)
        order = self._order(which)
        if symbol not in (None, order.symbol):
            raise UsageError(f"{order} isn't of {symbol}")
        return await self._parts.canceling.cancel(order, how)

    async def cancel_many(
        self,
        which: Sequence[Which],
        *,
        via: Via | None = None,
        send_within: float | None = None,
    ) -> list[CancelOutcome | CcrsError]:
        """Cancel several orders: of each, in their order, what :meth:`cancel` returns or raises."""
        self._parts.check_open()
        how = self._how(via, send_within)
        orders = [self._order(each) for each in which]
        return await self._parts.canceling.cancel_many(orders, how)

    async def cancel_all(
        self,
        *,
        symbol: str | None = None,
        market: Market | str | None = None,
        own: bool = False,
    ) -> list[CancelOutcome | CcrsError]:
        """Cancel all open orders: of a symbol, of a market, or of the account; those that wait for
        a trigger too, and those of other programs, unless only ``own`` ones are meant.

        It returns what became of each that the ledger knew; the lists are read afterwards, and what
        is still open then is canceled one by one.
        """
        parts = self._parts
        otherwise = "knows of no orders to cancel: sweep() cancels all there is"
        parts.check_follows(otherwise, alive=False)
        wanted = None if market is None else member(Market, "market", market)
        if symbol is not None:
            instrument = await parts.context.rules.of_order(symbol)
            wanted = instrument.market
        else:
            instrument = None

        def meant() -> list[Order]:
            return without_fired(
                order
                for order in self._open_ones(symbol=symbol)
                if wanted in (None, order.market) and (not own or order.origin is Origin.OWN)
            )

        orders = meant()
        if not own and CancelAll in parts.context.exchange.endpoints:
            markets = [wanted] if wanted is not None else list(parts.context.trading.features)
            for each in orders:
                self._withdraw(each)
            await asyncio.gather(*(cancel_market(parts.context, m, instrument) for m in markets))
            await parts.upkeep.reconcile()
            known = {parts.context.key(o): o for o in (*orders, *meant())}
            orders = [self.newest(order) for order in known.values()]
        alive = set(map(self.key_of, parts.ledger.alive()))
        ended = [o.state.final and self.key_of(o) not in alive for o in orders]
        left = [order for order, over in zip(orders, ended, strict=True) if not over]
        canceled = iter(await parts.canceling.cancel_many(left, How()))
        return [
            CancelOutcome(CancelResult.ACCEPTED, order) if over else next(canceled)
            for order, over in zip(orders, ended, strict=True)
        ]

    async def sweep(
        self, *, symbol: str | None = None, market: Market | str | None = None
    ) -> Swept:
        """Cancel all that is open at the exchange, whoever placed it: of a symbol, a market, or the
        account. The exchange's own request for that leaves before anything is asked. Then its
        lists are read, and what is still open is canceled one by one. It needs nothing of the
        ledger, so it is for emergencies, also of an account that isn't followed.

        :raises UnknownInstrument: where there is no such symbol; nothing was sent.
        """
        parts = self._parts
        parts.check_alive()
        instrument = None
        markets = list(parts.context.trading.features)
        if symbol is not None:
            instrument = await parts.context.instruments.find(symbol)
            markets = [instrument.market]
        elif market is not None:
            markets = [member(Market, "market", market)]
        known = [each for each in self.open_orders(symbol=symbol) if each.market in markets]
        for order in known:
            self._withdraw(order)
        return await sweep(parts.context, parts.canceling, markets, instrument, known)

    def _withdraw(self, order: Order) -> None:
        """What of an order hasn't left isn't to be sent any more: it is being canceled."""
        flight = self._parts.flights.get(self._parts.context.key(order))
        if flight is not None:
            flight.withdraw_amends("its order is being canceled")
            if flight.placing is not None:
                flight.placing.withdraw("canceled before it was sent")

    # --- what is known, at once ---

    def _check_symbol(self, symbol: str | None) -> None:
        """Nothing would be found by a name of the exchange's, and nothing is an answer, too."""
        context = self._parts.context
        if symbol is not None and context.rules.named(symbol) is None:
            context.instruments.market_of(symbol)

    def order(self, order_id: str) -> Order | None:
        """The order of a client id, or of an exchange's id; None where the ledger has none in
        memory, or several of other programs."""
        found = self._parts.ledger.order(order_id)
        if found is not None:
            return found
        named = [each for each in self._parts.ledger.orders() if each.client_order_id == order_id]
        return named[0] if len(named) == 1 and order_id else None

    def orders(
        self,
        *,
        symbol: str | None = None,
        states: Collection[OrderState] | None = None,
        origin: Origin | None = None,
    ) -> list[Order]:
        """Orders in memory: all that are open, and the newest of those that have ended.

        :raises UsageError: where ``symbol`` is no unified one; so do all that take one.
        """
        self._check_symbol(symbol)
        return self._parts.ledger.orders(symbol=symbol, states=states, origin=origin)

    def open_orders(
        self, *, symbol: str | None = None, origin: Origin | None = None
    ) -> list[Order]:
        """Orders that may be filled, as far as is known: unknown ones are among them, and those
        that were settled by hand and that the exchange calls alive."""
        return self._open_ones(symbol=symbol, origin=origin)

    def _open_ones(self, *, symbol: str | None = None, origin: Origin | None = None) -> list[Order]:
        alive = self._parts.ledger.alive()
        return open_ones(self.orders(symbol=symbol, origin=origin)) + [
            each
            for each in alive
            if symbol in (None, each.symbol) and origin in (None, each.origin)
        ]

    def unknown_orders(self, *, symbol: str | None = None) -> list[Order]:
        """Orders of which it isn't known whether the exchange has them."""
        return self.orders(symbol=symbol, states=OPEN_QUESTIONS)

    def exposure(self, symbol: str) -> Exposure:
        """What is held of an instrument, and what orders may add to that; unknown ones apart.

        :raises UsageError: where ``symbol`` is no unified one.
        """
        self._check_symbol(symbol)
        held = [each for each in self.positions() if each.symbol == symbol]
        alive = [
            attrs.evolve(each, state=OrderState.UNKNOWN)
            for each in self._parts.ledger.alive()
            if each.symbol == symbol
        ]
        return exposure_of(symbol, held, self.orders(symbol=symbol) + alive)

    def positions(self, *, symbol: str | None = None) -> list[Position]:
        """Positions by the exchange's newest word, without those that are flat."""
        self._check_symbol(symbol)
        return [p for p in self._parts.ledger.positions() if symbol in (None, p.symbol)]

    def balances(self) -> dict[str, Balance]:
        """What the account has of each asset, by the exchange's newest word; where it has several
        wallets, of each asset in each (:attr:`Balance.name`)."""
        return {each.name: each for each in self._parts.ledger.balances()}

    def profit(self, symbol: str, *, side: PositionSide = PositionSide.NET) -> Profit | None:
        """What an instrument has earned by the fills of the ledger, by average cost; None where it
        has nothing of it."""
        self._check_symbol(symbol)
        return self._parts.ledger.profit(symbol, member(PositionSide, "side", side))

    async def settle(self, which: Which, state: OrderState, text: str = "settled by hand") -> Order:
        """Say how an order has ended of which nothing tells, having looked it up by other means.
        Should the exchange tell of it later, fills are taken all the same, and a contradiction is
        told.

        :raises UsageError: where the state is none that ends, or the order has ended otherwise.
        """
        parts, order = self._parts, self._order(which)
        key = parts.context.key(order)
        state = member(OrderState, "state", state)
        change = parts.ledger.settled(key, state, text, parts.clock.time_ns())
        await parts.journal.commit(change)
        return self.newest(order)


def check_request(request: object) -> None:
    """Refuse what is no order."""
    if not isinstance(request, OrderRequest):
        raise UsageError(f"an order is made by limit() or market(), not {request!r:.100}")
