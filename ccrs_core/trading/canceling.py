"""Cancels: each ends in one outcome, which is no error where the order had ended before. What a
limit refuses is repeated until it is done; the order's other requests that still wait are
withdrawn."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import attrs

from ccrs_core.contract.trading_requests import CancelOrder, CancelOrders, Done, Placed
from ccrs_core.errors import (
    AuthError,
    CcrsError,
    EndReason,
    ExchangeError,
    InvalidRequest,
    NotSent,
    NotWritten,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    UsageError,
)
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.model.reports import Act
from ccrs_core.trading.batches import Item, portions
from ccrs_core.trading.client_ids import is_made_here
from ccrs_core.trading.confirmations import WAITS, Confirmations, Expected
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.flights import Flight, Flights
from ccrs_core.trading.intents import How, Watcher, attributed, with_order
from ccrs_core.trading.lookup import find, look_up, placed_of
from ccrs_core.trading.sending import Sending

_TRIES = 4
"""How often a cancel is sent whose answer was lost, or that the exchange refused although it shows
the order as open."""
_PAUSE = 0.5
"""Seconds before it is sent again; each time twice as long."""
_LONGEST = 10.0


class CancelResult(enum.StrEnum):
    """What became of a cancel."""

    ACCEPTED = "accepted"
    """The exchange has taken it. The order may still be filled before it ends: wait for that by
    ``live.ended()``."""
    ENDED_BEFORE = "ended_before"
    """There was nothing to cancel: ``order`` says how it ended."""
    NEVER_SENT = "never_sent"
    """Its placement hadn't left, and never will."""
    NOT_FOUND = "not_found"
    """The exchange shows no such order at present, which proves nothing: the account finds out."""


@attrs.frozen
class CancelOutcome:
    """What became of a cancel, and the order as it is known after it."""

    result: CancelResult
    order: Order

    def __str__(self) -> str:
        return f"{self.result.value}: {self.order}"


class Canceling:
    """Cancels orders of one account."""

    def __init__(
        self,
        context: AccountContext,
        flights: Flights,
        watcher: Watcher,
        confirmations: Confirmations,
    ) -> None:
        self._context = context
        self._flights = flights
        self._watcher = watcher
        self._confirmations = confirmations

    async def cancel(self, order: Order, how: How) -> CancelOutcome:
        """Cancel an order.

        :raises NotSent: where it couldn't leave in time.
        :raises OutcomeUnknown: where it may have been taken, over and over.
        :raises ExchangeError: (or kin) where the exchange refuses it for what repeating doesn't
            change.
        """
        ready = await self._at_once(order)
        if ready is not None:
            return ready
        sending: Sending[CancelOutcome] = Sending()
        return await sending.run(self._cancel(order, how, sending), self._context.spawn)

    async def _at_once(self, order: Order) -> CancelOutcome | None:
        """What needs no request: a placement that hasn't left is withdrawn, what has ended is
        told."""
        flight = self._flights.get(self._context.key(order))
        if flight is not None:
            flight.withdraw_amends("its order is being canceled")
            placing = flight.placing
            if placing is not None and placing.withdraw("canceled before it was sent"):
                await placing.finished()
        order = self._context.order(self._context.key(order))
        if self._context.ledger.contradicted(self._context.key(order)):
            return None  # the exchange has called it alive since
        leaves = flight is not None and flight.placing is not None  # together with others
        if order.state is OrderState.NOT_SENT or (order.state is OrderState.PLANNED and not leaves):
            return CancelOutcome(CancelResult.NEVER_SENT, order)
        if order.state.final:
            return CancelOutcome(CancelResult.ENDED_BEFORE, order)
        return None

    async def _cancel(
        self, order: Order, how: How, sending: Sending[CancelOutcome]
    ) -> CancelOutcome:
        sending.check()
        key = self._context.key(order)
        flight = self._flights.of(key)
        flight.canceling += 1
        try:
            instrument = await self._context.rules.of_order(order.symbol)
            return await self._until_done(key, instrument, how, sending, flight)
        finally:
            flight.canceling -= 1
            self._flights.landed(key)

    async def _until_done(
        self,
        key: str,
        instrument: Instrument,
        how: How,
        sending: Sending[CancelOutcome],
        flight: Flight,
    ) -> CancelOutcome:
        context, pause, tries = self._context, _PAUSE, 0
        while True:
            order = context.order(key)
            if order.fired and not order.state.final:
                return await self._fired(order, how)
            answered = flight.placing is None
            error: CcrsError
            try:
                sending.check()
                with self._expecting(order) as expected:
                    done, _ = await context.asks.once(
                        self._request(order, instrument),
                        via=how.via,
                        patience=how.patience,
                        send_before=how.send_before,
                        on_sent=lambda ns: sending.sent(context.clock.monotonic()),
                    )
                    return await self._taken(key, done, sending.left_at, expected)
            except CcrsError as failure:
                error = failure
            finished = await self._after(key, error, answered, flight)
            if finished is not None:
                return finished
            tries += not isinstance(error, RateLimited)
            if tries >= _TRIES:
                raise with_order(error, context.order(key))
            wait = pause
            if isinstance(error, RateLimited):
                wait = error.retry_after or pause
            elif not answered:
                wait = 0.0  # the placement's answer was waited for
            if how.send_before is not None and context.clock.monotonic() + wait > how.send_before:
                raise with_order(error, context.order(key))
            await asyncio.sleep(wait)
            pause = min(2 * pause, _LONGEST)

    async def _fired(self, order: Order, how: How) -> CancelOutcome:
        """Cancel what the trigger of an order has placed, as soon as the exchange shows it."""
        context, pause, key = self._context, _PAUSE, self._context.key(order)
        for more in range(_TRIES, -1, -1):
            order = context.order(key)
            placed = placed_of(context, order)
            if placed:
                done = await asyncio.gather(*(self.cancel(each, how) for each in placed))
                order = context.order(key)
                accepted = any(each.result is CancelResult.ACCEPTED for each in done)
                if accepted or order.state.final:
                    result = CancelResult.ACCEPTED if accepted else CancelResult.ENDED_BEFORE
                    return CancelOutcome(result, order)
            elif order.state.final:
                return CancelOutcome(CancelResult.ENDED_BEFORE, order)
            with contextlib.suppress(CcrsError):
                await look_up(context, order)
            if more and not placed_of(context, context.order(key)):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST)
        return CancelOutcome(CancelResult.NOT_FOUND, context.order(key))

    @contextlib.contextmanager
    def alone(self, order: Order) -> Iterator[Callable[[Instrument], CancelOrder] | None]:
        """Cancel an order together with something else: meanwhile its amendments are withdrawn,
        and further ones refused. None where something of it is under way."""
        key = self._context.key(order)
        flight = self._flights.of(key)
        if not flight.idle:
            yield None
            return
        flight.canceling += 1
        try:
            yield lambda instrument: self._request(self._context.order(key), instrument)
        finally:
            flight.canceling -= 1
            self._flights.landed(key)

    @staticmethod
    def _request(order: Order, instrument: Instrument) -> CancelOrder:
        return CancelOrder(
            instrument=instrument,
            exchange_order_id=order.exchange_order_id,
            client_order_id=order.client_order_id,
            conditional=order.state is OrderState.WAITING,
            native=order.native,
        )

    def _expecting(self, order: Order) -> AbstractContextManager[Expected | None]:
        """Until its end the confirmation of a cancel is listened for, where there is to be one."""
        if CancelOrder not in self._context.trading.confirms:
            return contextlib.nullcontext()
        ids = order.client_order_id, order.exchange_order_id
        return self._confirmations.expecting(Act.CANCEL, ids)

    async def _taken(
        self, key: str, done: Placed, since: float, expected: Expected | None
    ) -> CancelOutcome:
        """The exchange has taken a cancel that left at a time (monotonic seconds).

        :raises OrderRejected: where its stream says that it came to nothing.
        """
        context = self._context
        if done.report is not None:
            await context.take([done.report])
        if expected is not None and not context.order(key).state.final:
            await expected.within(WAITS[0])
            said = expected.told.result() if expected.told.done() else None
            if said is not None and not said.done:
                raise OrderRejected(said.code, said.text, said.reason or EndReason.OTHER)
        order = context.order(key)
        if not order.state.final:
            self._watcher.owes(key, since)
        return CancelOutcome(CancelResult.ACCEPTED, order)

    async def _after(
        self, key: str, error: CcrsError, answered: bool, flight: Flight
    ) -> CancelOutcome | None:
        """What a cancel that failed has come to; None where it is to be sent again.

        :raises CcrsError: where that can't change anything.
        """
        context = self._context
        if isinstance(error, RateLimited):
            return None
        if isinstance(error, NotSent | UsageError | AuthError | InvalidRequest):
            raise with_order(error, context.order(key))
        if isinstance(error, TransportError):
            if not error.nothing_sent:
                raise with_order(error, context.order(key))
            return None
        if not answered and flight.placing is not None:
            # It may have overtaken the placement: that decides.
            await flight.placing.finished()
            return self._ended(key)
        if isinstance(error, OrderNotFound | OrderRejected | OutcomeUnknown | ExchangeError):
            return await self._looked_up(key, error)
        raise with_order(error, context.order(key))

    def _ended(self, key: str) -> CancelOutcome | None:
        order = self._context.order(key)
        if order.state is OrderState.NOT_SENT:
            return CancelOutcome(CancelResult.NEVER_SENT, order)
        if order.state.final:
            return CancelOutcome(CancelResult.ENDED_BEFORE, order)
        return None

    def _came_to(self, key: str, error: CcrsError) -> CancelOutcome | None:
        """What is known of an order after a cancel that failed: one whose answer was lost may have
        ended it."""
        ended = self._ended(key)
        if ended is None or not isinstance(error, OutcomeUnknown):
            return ended
        canceled = ended.order.state is OrderState.CANCELED
        return CancelOutcome(CancelResult.ACCEPTED, ended.order) if canceled else ended

    async def _looked_up(self, key: str, error: CcrsError) -> CancelOutcome | None:
        """One status query says what a refused or lost cancel has come to."""
        context = self._context
        known = self._came_to(key, error)
        if known is not None:
            return known  # the stream has told meanwhile
        try:
            found = await look_up(context, context.order(key))
        except CcrsError:
            if isinstance(error, OutcomeUnknown):
                return None
            raise with_order(error, context.order(key)) from None
        if found:
            return self._came_to(key, error)
        return CancelOutcome(CancelResult.NOT_FOUND, context.order(key))

    # --- of an order that isn't known ---

    async def cancel_by_id(self, order_id: str, instrument: Instrument, how: How) -> CancelOutcome:
        """Cancel an order that the ledger may not know, by whichever id it is: that leaves before
        anything is asked.

        :raises OrderNotFound: where the exchange has no such order, by either id.
        :raises CcrsError: as :meth:`cancel` does.
        """
        context, taken = self._context, False
        error: CcrsError = OrderNotFound("", order_id)
        for ids in self._ids(order_id):
            try:
                await self._sent(CancelOrder(instrument=instrument, **ids), how)  # type: ignore[arg-type]
                taken = True
                break
            except (OrderNotFound, InvalidRequest) as failure:
                error = failure  # it may be the other kind of id
            except (NotSent, UsageError, AuthError):
                raise
            except CcrsError as failure:
                error = failure
                break
        pause = _PAUSE
        for _ in range(_TRIES if taken else 1):
            if await find(context, order_id, instrument):
                break
            if taken:  # lists lag
                await asyncio.sleep(pause)
                pause *= 2
        order = self._named(order_id, instrument)
        if order is None:
            if taken:
                text = f"the cancel of {order_id} was taken; no list shows the order at present"
                raise OrderNotFound("", text)
            raise error
        if taken or (order.state.final and isinstance(error, OutcomeUnknown)):
            return CancelOutcome(CancelResult.ACCEPTED, order)
        if order.state.final:
            return CancelOutcome(CancelResult.ENDED_BEFORE, order)
        return await self.cancel(order, how)

    def _ids(self, order_id: str) -> list[dict[str, str]]:
        """An id as the exchange's and as a client's, the likelier one first."""
        grammar = self._context.trading.client_ids
        found = [{"exchange_order_id": order_id}]
        if grammar.allows(order_id):
            found.append({"client_order_id": order_id})
        return found[::-1] if is_made_here(grammar, order_id) else found

    def _named(self, order_id: str, instrument: Instrument) -> Order | None:
        named = [
            order
            for order in self._context.ledger.orders(symbol=instrument.symbol)
            if order_id in (order.exchange_order_id, order.client_order_id)
        ]
        return named[-1] if named else None

    async def _sent(self, request: CancelOrder, how: How) -> None:
        """Send a cancel, again where a limit has refused it."""
        context, pause = self._context, _PAUSE
        while True:
            try:
                await context.asks.once(
                    request, via=how.via, patience=how.patience, send_before=how.send_before
                )
                return
            except RateLimited as error:
                wait = error.retry_after or pause
                end = how.send_before
                if end is not None and context.clock.monotonic() + wait > end:
                    raise
            await asyncio.sleep(wait)
            pause = min(2 * pause, _LONGEST)

    # --- many ---

    async def cancel_many(
        self, orders: Sequence[Order], how: How
    ) -> list[CancelOutcome | CcrsError]:
        """Cancel several orders, and say of each, in their order, what became of it."""
        outcomes: list[CancelOutcome | CcrsError | None] = [
            await self._at_once(order) for order in orders
        ]
        items: dict[int, Item] = {}
        fired: list[int] = []
        for place, order in enumerate(orders):
            if outcomes[place] is None:
                if self._context.order(self._context.key(order)).fired:
                    fired.append(place)
                    continue
                try:
                    instrument = await self._context.rules.of_order(order.symbol)
                except CcrsError as error:
                    outcomes[place] = error
                else:
                    items[place] = self._request(order, instrument)
        chunks = portions(self._context, CancelOrders, items)
        chunks += [[place] for place in fired]
        found = await asyncio.gather(
            *(self._chunk([orders[place] for place in chunk], how) for chunk in chunks)
        )
        for chunk, results in zip(chunks, found, strict=True):
            for place, outcome in zip(chunk, results, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _chunk(self, orders: Sequence[Order], how: How) -> list[CancelOutcome | CcrsError]:
        """Cancel some of one market: what a batch leaves open goes one by one."""
        done: Sequence[Done | None] = [None] * len(orders)
        since = self._context.clock.monotonic()
        with contextlib.ExitStack() as stack:
            expected = [stack.enter_context(self._expecting(order)) for order in orders]
            if len(orders) > 1:
                sending: Sending[Sequence[Done | None]] = Sending()
                try:
                    done = await sending.run(self._batch(orders, how, sending), self._context.spawn)
                except NotSent as error:
                    now = self._context.ledger.order
                    keys = map(self._context.key, orders)
                    return [with_order(attributed(error), now(key)) for key in keys]

            async def one(
                order: Order, outcome: Done | None, expected: Expected | None
            ) -> CancelOutcome | CcrsError:
                key = self._context.key(order)
                try:
                    if isinstance(outcome, Placed):
                        with contextlib.suppress(OrderRejected):  # it is sent again, by itself
                            return await self._taken(key, outcome, since, expected)
                    return await self.cancel(self._context.order(key), how)
                except CcrsError as error:
                    return error

            each = zip(orders, done, expected, strict=True)
            return list(await asyncio.gather(*(one(*of) for of in each)))

    async def _batch(
        self, orders: Sequence[Order], how: How, sending: Sending[Sequence[Done | None]]
    ) -> Sequence[Done | None]:
        sending.check()
        context, items = self._context, list[CancelOrder]()
        for order in orders:
            instrument = await context.rules.of_order(order.symbol)
            items.append(self._request(context.order(context.key(order)), instrument))
        try:
            done, _ = await context.asks.once(
                CancelOrders(tuple(items)),
                via=how.via,
                patience=how.patience,
                send_before=how.send_before,
                on_sent=lambda ns: sending.sent(context.clock.monotonic()),
            )
        except NotWritten:
            return [None] * len(orders)
        except NotSent:
            raise
        except Exception:  # a plugin's mistake among others: each is canceled by itself
            return [None] * len(orders)
        return done if len(done) == len(orders) else [None] * len(orders)


def open_ones(orders: Iterable[Order]) -> list[Order]:
    """Those of which something may still be open, as far as is known."""
    return [order for order in orders if order.state.exposed or order.state is OrderState.PLANNED]


def without_fired(orders: Iterable[Order]) -> list[Order]:
    """Those without the ones of which a trigger has placed others among them."""
    orders = list(orders)
    ids = {(order.symbol, order.exchange_order_id) for order in orders}
    return [
        order
        for order in orders
        if not order.fired or not any((order.symbol, each) in ids for each in order.children)
    ]
