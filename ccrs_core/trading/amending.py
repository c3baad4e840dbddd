"""Amendments: one of an order leaves at a time, so that none overtakes another; those that wait may
collapse to the newest; none is sent again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Literal

import attrs

from ccrs_core.contract.trading_requests import AmendOrder, AmendOrders, Done, Placed
from ccrs_core.errors import (
    CcrsError,
    EndReason,
    InvalidOrder,
    NotSent,
    OrderEnded,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    SettingUnchanged,
)
from ccrs_core.model.instruments import Instrument, Side
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.model.reports import Act
from ccrs_core.trading.batches import Item, portions
from ccrs_core.trading.checks import Amendment, check_amendment
from ccrs_core.trading.client_ids import ClientIdMaker
from ccrs_core.trading.confirmations import WAITS, Confirmations, Expected
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.flights import Flight, Flights
from ccrs_core.trading.intents import (
    How,
    Watcher,
    attributed,
    nothing_left,
    with_order,
)
from ccrs_core.trading.lookup import look_up, placed_of
from ccrs_core.trading.sending import Sending

WhenFull = Literal["wait", "refuse", "collapse"]
"""What a call does where it can't leave at once."""


CheckPrice = Callable[[Side, Decimal | None, Instrument], Awaitable[None]]
"""Refuses a price that the exchange would move in silence."""


class Amending:
    """Amends the orders of one account."""

    def __init__(
        self,
        context: AccountContext,
        flights: Flights,
        watcher: Watcher,
        confirmations: Confirmations,
        ids: ClientIdMaker,
        check_price: CheckPrice,
    ) -> None:
        self._context = context
        self._flights = flights
        self._watcher = watcher
        self._confirmations = confirmations
        self._ids = ids
        self._check_price = check_price

    async def amend(
        self, order: Order, changes: Amendment, how: How, *, collapse: bool = False
    ) -> Order:
        """Change an order in place; the order as it is known once the exchange has taken that.

        ``collapse``: others of the order that still wait aren't sent any more.

        :raises OrderEnded: where it has ended, or ends by this.
        :raises InvalidOrder: (or kin) where it breaks a rule; nothing was sent.
        :raises NotSent: where it couldn't leave in time, a newer one took its place, or the order
            is being canceled.
        :raises OutcomeUnknown: where it may have been taken; ``order`` is as known before.
        :raises ExchangeError: (or kin) where the exchange refused it.
        """
        order = self._reached(order, changes)
        key = self._context.key(order)
        flight = self._flights.of(key)
        if flight.canceling:
            self._flights.landed(key)
            raise with_order(NotSent("its order is being canceled"), order)
        if collapse:
            flight.withdraw_amends("a newer amendment took its place")
        sending: Sending[Order] = Sending()
        flight.amends.append(sending)
        try:
            return await sending.run(
                self._amend(key, changes, how, flight, sending), self._context.spawn
            )
        except NotSent as error:
            raise with_order(error, self._context.ledger.order(key)) from None

    def _reached(self, order: Order, changes: Amendment) -> Order:
        """The order that is to be changed: what its trigger has placed, where that has fired.

        :raises InvalidOrder: where that can't be told, or it has no trigger any more.
        """
        order = self._context.ledger.order(self._context.key(order)) or order
        if not order.fired or order.state.final:
            return order
        if changes.trigger is not None:
            raise InvalidOrder("trigger", f"it has fired: {order}")
        placed = placed_of(self._context, order)
        if len(placed) == 1:
            return placed[0]
        what = "isn't known yet" if not placed else "is several orders: amend them one by one"
        raise InvalidOrder("children", f"its trigger has fired, and what it placed {what}: {order}")

    async def _amend(
        self, key: str, changes: Amendment, how: How, flight: Flight, sending: Sending[Order]
    ) -> Order:
        try:
            sending.check()
            if flight.placing is not None:
                await flight.placing.finished()
            async with flight.turn:
                request = await self._request(key, changes)
                sending.check()
                with self._expecting(request) as expected:
                    outcome = await self._asked(request, how, sending)
                    return await self._settled(key, changes, outcome, expected, sending.left_at)
        finally:
            flight.amends.remove(sending)
            self._flights.landed(key)

    async def _request(self, key: str, changes: Amendment) -> AmendOrder:
        """What is to be sent.

        :raises CcrsError: where it can't be.
        """
        context = self._context
        order = context.order(key)
        instrument = await context.rules.newest(order.symbol)
        check_amendment(order, changes, instrument, context.trading)
        await self._check_price(order.side, changes.price, instrument)
        confirmed = AmendOrder in context.trading.confirms
        return AmendOrder(
            instrument=instrument,
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
            price=changes.price,
            size=changes.size,
            volatility=changes.volatility,
            trigger=changes.trigger,
            take_profit=changes.take_profit,
            stop_loss=changes.stop_loss,
            conditional=order.state is OrderState.WAITING,
            request_id=self._ids.make() if confirmed else "",
            known=order,
        )

    def _expecting(self, request: AmendOrder) -> AbstractContextManager[Expected | None]:
        """Until its end the confirmation of an amendment is listened for, where there is to be
        one."""
        if not request.request_id:
            return contextlib.nullcontext()
        return self._confirmations.expecting(Act.AMEND, (), request.request_id)

    async def _asked(self, request: AmendOrder, how: How, sending: Sending[Order]) -> Done:
        context = self._context
        try:
            done, _ = await context.asks.once(
                request,
                via=how.via,
                patience=how.patience,
                send_before=how.send_before,
                on_sent=lambda ns: sending.sent(context.clock.monotonic()),
            )
        except CcrsError as error:
            return error
        return done

    # --- outcomes ---

    async def _settled(
        self, key: str, changes: Amendment, outcome: Done, expected: Expected | None, since: float
    ) -> Order:
        """What an amendment has come to, once the exchange has answered it, or nobody has."""
        if isinstance(outcome, Placed) and outcome.report is not None:
            await self._context.take([outcome.report])
        if expected is not None and isinstance(outcome, Placed | OutcomeUnknown):
            outcome = await self._confirmed(key, changes, outcome, expected)
        if isinstance(outcome, Placed | SettingUnchanged):
            owed = isinstance(outcome, Placed)
            return self._taken(key, changes, since if owed else None)
        return await self._failed(key, outcome)

    async def _confirmed(
        self, key: str, changes: Amendment, outcome: Done, expected: Expected
    ) -> Done:
        """What the stream says of it, or the order as it is shown."""
        for seconds in WAITS:
            if await expected.within(seconds):
                said = expected.told.result()
                assert said is not None
                if said.done:
                    return Placed(exchange_order_id=said.exchange_order_id)
                return OrderRejected(said.code, said.text, said.reason or EndReason.OTHER)
            with contextlib.suppress(CcrsError):  # then it is asked for again, or unknown
                await look_up(self._context, self._context.order(key))
            order = self._context.order(key)
            if order.state.final:
                break
            if shows(order, changes):
                return Placed(exchange_order_id=order.exchange_order_id)
        if isinstance(outcome, Placed):
            text = "it was acknowledged, and nothing says whether it took effect"
            return OutcomeUnknown("", text)
        return outcome

    def _taken(self, key: str, changes: Amendment, since: float | None) -> Order:
        context = self._context
        context.note(context.ledger.amended(key, context.now_ns, **asked_of(changes)))
        order = context.order(key)
        if order.state.final:
            raise OrderEnded(f"it ended by that, or before: {order}", order)
        if since is not None:
            self._watcher.owes(key, since)
        return order

    async def _failed(self, key: str, error: CcrsError) -> Order:
        """:raises CcrsError: what an amendment that failed has come to."""
        context = self._context
        if isinstance(error, RateLimited) and not error.code:
            refused = NotSent(f"the budget lets none leave: {error.text}")
            raise with_order(refused, context.order(key)) from error
        if isinstance(error, OutcomeUnknown | OrderNotFound | OrderRejected) and not nothing_left(
            error
        ):
            with contextlib.suppress(CcrsError):  # then it isn't proved to be otherwise than known
                await look_up(context, context.order(key))
            order = context.order(key)
            if order.state.final:
                raise OrderEnded(f"it has ended: {order}", order) from error
        context.rules.refused(context.order(key).market, error)
        raise with_order(error, context.order(key))

    # --- many ---

    async def amend_many(
        self, amendments: Sequence[tuple[Order, Amendment]], how: How, *, collapse: bool = False
    ) -> list[Order | CcrsError]:
        """Amend several orders, and say of each, in their order, what became of it. Those leave
        together of whose orders nothing else is under way; of one order the first does."""
        outcomes: list[Order | CcrsError | None] = [None] * len(amendments)
        reached: list[tuple[Order, Amendment]] = []
        for place, (order, changes) in enumerate(amendments):
            meant = order
            try:
                meant = self._reached(order, changes)
            except InvalidOrder as error:
                outcomes[place] = with_order(error, order)
            reached.append((meant, changes))
        amendments = reached
        keys = [self._context.key(order) for order, _ in amendments]
        last = {key: place for place, key in enumerate(keys)}
        items: dict[int, Item] = {}
        alone: list[int] = []
        for place, key in enumerate(keys):
            order, _ = amendments[place]
            if outcomes[place] is not None:
                continue
            if collapse and last[key] != place:
                newer = NotSent("a newer amendment took its place")
                outcomes[place] = with_order(newer, order)
            elif not collapse and key in keys[:place]:
                alone.append(place)
            else:
                try:
                    instrument = await self._context.rules.of_order(order.symbol)
                except CcrsError as error:
                    outcomes[place] = with_order(error, order)
                else:
                    waits = order.state is OrderState.WAITING
                    items[place] = AmendOrder(instrument=instrument, conditional=waits)
        chunks = portions(self._context, AmendOrders, items)
        found = await asyncio.gather(
            *(self._chunk([amendments[n] for n in each], how, collapse) for each in chunks),
            *(self._chunk([amendments[n]], how, collapse) for n in alone),
        )
        for chunk, results in zip([*chunks, *([n] for n in alone)], found, strict=True):
            for place, outcome in zip(chunk, results, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _chunk(
        self, amendments: Sequence[tuple[Order, Amendment]], how: How, collapse: bool
    ) -> list[Order | CcrsError]:
        """Some of one market; whose order is busy with something else goes by itself."""
        together: Sequence[Order | CcrsError | None] = [None] * len(amendments)
        if len(amendments) > 1:
            whole: Sending[list[Order | CcrsError | None]] = Sending()
            work = self._amend_chunk(amendments, how, whole)
            try:
                together = await whole.run(work, self._context.spawn)
            except CcrsError as error:
                return [with_order(attributed(error), order) for order, _ in amendments]

        async def one(
            order: Order, changes: Amendment, outcome: Order | CcrsError | None
        ) -> Order | CcrsError:
            if outcome is not None:
                return outcome
            try:
                return await self.amend(order, changes, how, collapse=collapse)
            except CcrsError as error:
                return error

        each = zip(amendments, together, strict=True)
        return list(await asyncio.gather(*(one(*of, outcome) for of, outcome in each)))

    async def _amend_chunk(
        self,
        amendments: Sequence[tuple[Order, Amendment]],
        how: How,
        whole: Sending[list[Order | CcrsError | None]],
    ) -> list[Order | CcrsError | None]:
        whole.check()
        found: list[Order | CcrsError | None] = [None] * len(amendments)
        going: dict[int, _Going] = {}
        with contextlib.ExitStack() as stack:
            for place, (order, changes) in enumerate(amendments):
                key = self._context.key(order)
                flight = self._flights.of(key)
                if not flight.idle or flight.turn.locked():
                    continue
                await flight.turn.acquire()  # which is free, so that nothing happens meanwhile
                going[place] = one = _Going(key, changes, flight, self._flights)
                flight.amends.append(one.sending)
                stack.callback(one.land)
            for place, one in list(going.items()):
                try:
                    one.request = await self._request(one.key, one.changes)
                    one.sending.check()
                except CcrsError as error:
                    found[place] = with_order(error, self._context.ledger.order(one.key))
                    going.pop(place).land()
            for place, one in list(going.items()):
                if one.sending.withdrawn:
                    gone = NotSent(one.sending.withdrawn)
                    found[place] = with_order(gone, self._context.ledger.order(one.key))
                    going.pop(place).land()
                one.sending.joined = whole
            leaving = list(going.values())
            expected = [stack.enter_context(self._expecting(one.ready)) for one in leaving]
            done = await self._many_asked([one.ready for one in leaving], how, whole)

            async def settled(
                one: _Going, outcome: Done, expected: Expected | None
            ) -> Order | CcrsError:
                try:
                    since = whole.left_at
                    return await self._settled(one.key, one.changes, outcome, expected, since)
                except CcrsError as error:
                    return error
                finally:
                    one.land()

            each = zip(leaving, done, expected, strict=True)
            results = await asyncio.gather(*(settled(*of) for of in each))
        for place, result in zip(going, results, strict=True):
            found[place] = result
        return found

    async def _many_asked(
        self, requests: list[AmendOrder], how: How, whole: Sending[Any]
    ) -> Sequence[Done]:
        """What the exchange says to each of a batch."""
        context = self._context
        failure: CcrsError
        if not requests:
            return ()
        try:
            done, _ = await context.asks.once(
                AmendOrders(tuple(requests)),
                via=how.via,
                patience=how.patience,
                send_before=how.send_before,
                on_sent=lambda ns: whole.sent(context.clock.monotonic()),
            )
            if len(done) == len(requests):
                return done
            text = f"{len(done)} outcomes were told of {len(requests)} amendments"
            failure = OutcomeUnknown("", text)
        except CcrsError as error:
            failure = error
        except Exception as error:  # a mistake of a plugin's
            failure = OutcomeUnknown("", repr(error)) if whole.left else NotSent(repr(error))
            failure.__cause__ = error
        return [attributed(failure) for _ in requests]


@attrs.define(eq=False)
class _Going:
    """An amendment that leaves with others: it has its order's turn."""

    key: str
    changes: Amendment
    flight: Flight
    flights: Flights
    sending: Sending[Any] = attrs.field(factory=Sending)
    request: AmendOrder | None = None
    landed: bool = False

    @property
    def ready(self) -> AmendOrder:
        """What is sent."""
        assert self.request is not None
        return self.request

    def land(self) -> None:
        """Its order's next one may leave."""
        if not self.landed:
            self.landed = True
            self.flight.amends.remove(self.sending)
            self.flight.turn.release()
            self.flights.landed(self.key)


def shows(order: Order, changes: Amendment) -> bool:
    """Whether an order is seen to be as an amendment would have it. (Exits attached to it, and its
    volatility, aren't seen.)"""
    asked = asked_of(changes)
    return all(getattr(order, name, None) == value for name, value in asked.items())


def asked_of(changes: Amendment) -> dict[str, object]:
    """What an amendment changes of what was asked."""
    names = ("price", "size", "volatility", "trigger", "take_profit", "stop_loss")
    told = {name: getattr(changes, name) for name in names}
    return {name: value for name, value in told.items() if value is not None}
