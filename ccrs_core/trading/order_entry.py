"""Placing orders: the intent is on disk before a byte leaves, and each placement ends in one of
taken, refused, not sent, or unknown; it is never sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from ccrs_core.contract.rest import Answer, Request
from ccrs_core.contract.trading_requests import (
    CancelOrder,
    Done,
    Placed,
    PlaceEither,
    PlaceOrder,
    PlaceOrders,
    Replaced,
    ReplaceOrder,
)
from ccrs_core.errors import (
    CcrsError,
    EndReason,
    NotSent,
    NotStored,
    NotWritten,
    OrderRejected,
    OutcomeUnknown,
    StoreFailed,
    UsageError,
    tells_refusal,
)
from ccrs_core.model.accounts import AccountInfo
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.order_requests import OrderRequest
from ccrs_core.model.orders import Order, OrderState, Times
from ccrs_core.trading.batches import portions
from ccrs_core.trading.client_ids import ClientIdMaker
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.flights import Flights
from ccrs_core.trading.intents import (
    How,
    Intent,
    NotReplaced,
    Watcher,
    attributed,
    nothing_left,
    placed_of,
    why_not_sent,
    with_order,
)
from ccrs_core.trading.lookup import look_up
from ccrs_core.trading.sending import Sending


class OrderEntry:
    """Places the orders of one account.

    :param check: refuses an order by rules and modes; may ask for the exchange's price band.
    :param known: whether the store has, or had, an order of a client order id.
    :param info: what is known of the account's mode.
    """

    def __init__(
        self,
        context: AccountContext,
        flights: Flights,
        ids: ClientIdMaker,
        watcher: Watcher,
        check: Callable[[OrderRequest], Awaitable[Instrument]],
        known: Callable[[str], Awaitable[bool]],
        info: Callable[[], AccountInfo | None] = lambda: None,
    ) -> None:
        self._context = context
        self._flights = flights
        self._ids = ids
        self._watcher = watcher
        self._check = check
        self._known = known
        self._info = info

    # --- one ---

    async def place(self, request: OrderRequest, how: How) -> Order:
        """Place an order.

        :raises UsageError: (or kin) where it can't be; nothing was sent.
        :raises NotSent: where it couldn't leave in time, was canceled before, or (``NotStored``)
            its intent can't be stored.
        :raises OutcomeUnknown: where it may have been taken; ``order`` is in state UNKNOWN.
        :raises ExchangeError: (or kin) where the exchange refused it.
        """
        intent = await self._intent(request)
        return await self._sent(intent, how)

    async def replace(self, cancel: CancelOrder, request: OrderRequest, how: How) -> Order | None:
        """Place an order in the stead of another one, in one request; None where that one isn't
        canceled (something of it was filled, say), so that nothing was placed.

        :raises CcrsError: as :meth:`place` does.
        """
        intent = attrs.evolve(await self._intent(request), replaces=cancel)
        try:
            return await self._sent(intent, how)
        except NotReplaced:
            return None

    async def _sent(self, intent: Intent, how: How) -> Order:
        try:
            return await intent.sending.run(self._place(intent, how), self._context.spawn)
        except (NotSent, OutcomeUnknown) as error:
            if error.order is None:  # withdrawn, or the account was closed
                with_order(error, self._context.ledger.order(intent.client_order_id))
            raise

    async def _intent(self, request: OrderRequest) -> Intent:
        """An order that passed all checks, with its id; nothing is stored yet."""
        instrument = await self._check(request)
        given = request.client_order_id
        if not given:
            return Intent(request, instrument, self._ids.make(request.tag), self._info())
        grammar = self._context.trading.client_ids
        if not grammar.allows(given):
            raise UsageError(
                f"{given!r:.100} is no client order id of {self._context.exchange.name}: up to "
                f"{grammar.longest} of {grammar.letters}{grammar.separator}"
            )
        if await self._known(given):
            error = OrderRejected(
                "", f"the client order id {given} was used before", EndReason.DUPLICATE
            )
            error.order = self._context.ledger.order(given)
            raise error
        return Intent(request, instrument, given, self._info())

    def _plan(self, intent: Intent) -> None:
        """From here on it has a place among what is under way.

        :raises OrderRejected: where another call has planned an order of the same id meanwhile.
        """
        context, identity = self._context, intent.client_order_id
        if context.ledger.order(identity) is not None:
            text = f"the client order id {identity} was used before"
            error = OrderRejected("", text, EndReason.DUPLICATE)
            error.order = context.ledger.order(identity)
            raise error
        self._flights.of(identity).placing = intent.sending

    async def _place(self, intent: Intent, how: How) -> Order:
        intent.sending.check()
        self._plan(intent)
        identity, context = intent.client_order_id, self._context
        try:
            await self._stored(intent)

            def sent(ns: int) -> None:
                intent.sending.sent(context.clock.monotonic())
                context.note(context.ledger.sent(identity, ns))

            placed, times = await self._left(intent, how, sent)
            return await self._settled(intent, placed, times)
        except asyncio.CancelledError:
            self._interrupted(intent)
            raise
        except CcrsError:
            raise
        except Exception as error:  # a mistake of a plugin's: it never left
            if intent.sending.left:
                raise
            self._not_sent(intent, EndReason.OTHER, repr(error))
            failure = NotWritten(f"it can't be sent: {error!r}")
            raise with_order(failure, context.ledger.order(identity)) from error
        finally:
            self._landed(intent)

    async def _stored(self, *intents: Intent) -> None:
        """Commit intents, together.

        :raises NotStored: where that fails; then they end as not sent.
        """
        if not intents:
            return
        context = self._context
        changes = [
            context.ledger.plan(i.request, i.instrument, i.client_order_id, context.now_ns)
            for i in intents
        ]
        try:
            for change in changes[:-1]:
                context.journal.add(change)
            await context.journal.commit(changes[-1])
        except StoreFailed as error:
            text = f"it can't be stored, so it isn't sent: {error}"
            for intent in intents:
                self._not_sent(intent, EndReason.OTHER, text)
            failure = NotStored(text)
            failure.order = context.ledger.order(intents[0].client_order_id)
            raise failure from error

    async def _left(
        self, intent: Intent, how: How, sent: Callable[[int], None]
    ) -> tuple[Done, Times]:
        """What the exchange says to one placement."""
        sending = intent.sending
        try:
            sending.check()
            asked: Request[Any] = intent.asked
            found, times = await self._context.asks.once(
                asked,
                via=how.via,
                patience=how.patience,
                send_before=how.send_before,
                on_sent=sent,
            )
            if not isinstance(found, Replaced):
                return found, times
            if isinstance(found.canceled, Placed) and found.canceled.report is not None:
                await self._context.take([found.canceled.report])
            return placed_of(found), times
        except CcrsError as error:
            return error, Times()
        except Exception as error:
            if not sending.left:
                raise
            unknown = OutcomeUnknown("", f"its answer can't be read: {error!r}")
            unknown.__cause__ = error
            return unknown, Times()

    # --- outcomes ---

    async def _settled(self, intent: Intent, outcome: Done, times: Times) -> Order:
        """Note what became of a placement.

        :raises CcrsError: what the caller is told of it.
        """
        context, identity = self._context, intent.client_order_id
        ledger = context.ledger
        if isinstance(outcome, Placed):
            context.note(ledger.answered(identity, outcome, times))
            self._watcher.owes(identity, intent.sending.left_at)
            return context.order(identity)
        if not nothing_left(outcome) and not tells_refusal(outcome):
            if not isinstance(outcome, OutcomeUnknown):
                unknown = OutcomeUnknown("", f"nothing tells whether it was taken: {outcome}")
                unknown.__cause__ = outcome
                outcome = unknown
            context.note(ledger.unknown(identity, str(outcome), context.now_ns))
            order = context.order(identity)
            if order.state is not OrderState.UNKNOWN:
                return order  # the stream has told meanwhile
            self._watcher.find_out(identity)
        elif nothing_left(outcome):
            self._not_sent(intent, why_not_sent(outcome), str(outcome))
        elif isinstance(outcome, OrderRejected) and outcome.reason is EndReason.DUPLICATE:
            await self._duplicate(intent, outcome)
        else:
            context.note(ledger.refused(identity, outcome, context.now_ns))
            context.rules.refused(intent.instrument.market, outcome)
        raise with_order(outcome, ledger.order(identity))

    def late(self, request: Request[Any], outcome: Answer[Any] | CcrsError, times: Times) -> None:
        """An answer that came after nobody waited for it: it proves what became of placements."""
        several = isinstance(request, PlaceOrders | PlaceEither)
        items = request.items if isinstance(request, PlaceOrders | PlaceEither) else (request,)
        found = outcome.value if isinstance(outcome, Answer) else outcome
        if isinstance(request, ReplaceOrder):
            items = (request.place,)
            found = placed_of(found) if isinstance(found, Replaced) else found
        each = found if several and isinstance(found, Sequence) else None
        for place, item in enumerate(items):
            if isinstance(item, PlaceOrder):
                said = found if each is None else each[place] if place < len(each) else None
                self._learned(item.client_order_id, said, times)

    def _learned(self, identity: str, said: object, times: Times) -> None:
        context = self._context
        if context.ledger.order(identity) is None:
            return
        if isinstance(said, Placed):
            context.note(context.ledger.answered(identity, said, times))
        elif isinstance(said, CcrsError) and tells_refusal(said):
            context.note(context.ledger.refused(identity, said, context.now_ns))

    async def _duplicate(self, intent: Intent, error: OrderRejected) -> None:
        """The exchange had an order of this id before: look at that one, before anything is said of
        the row that has its id."""
        context, identity = self._context, intent.client_order_id
        try:
            found = await look_up(context, context.order(identity))
        except CcrsError:
            context.note(context.ledger.unknown(identity, str(error), context.now_ns))
            self._watcher.find_out(identity)
            return
        if not found:
            context.note(context.ledger.refused(identity, error, context.now_ns))

    def _not_sent(self, intent: Intent, reason: EndReason, text: str) -> None:
        context = self._context
        change = context.ledger.not_sent(intent.client_order_id, reason, text, context.now_ns)
        context.note(change)

    def _interrupted(self, intent: Intent) -> None:
        """It was withdrawn, or the account is being closed."""
        context, identity = self._context, intent.client_order_id
        if intent.sending.left:
            text = intent.sending.withdrawn or "the account was closed before an answer came"
            context.note(context.ledger.unknown(identity, text, context.now_ns))
            self._watcher.find_out(identity)
        elif context.ledger.order(identity) is not None:
            why = intent.sending.withdrawn or "the account was closed"
            self._not_sent(intent, EndReason.BY_USER, why)

    def _landed(self, intent: Intent) -> None:
        flight = self._flights.of(intent.client_order_id)
        if flight.placing is intent.sending:
            flight.placing = None
        self._flights.landed(intent.client_order_id)

    # --- many ---

    async def place_either(
        self, requests: Sequence[OrderRequest], how: How
    ) -> list[Order | CcrsError]:
        """Place two orders of which one ends the other, and say of each what became of it.

        :raises UsageError: (or kin) where either can't be; nothing was sent.
        """
        intents = [await self._intent(request) for request in requests]
        whole: Sending[list[Order | CcrsError]] = Sending()
        work = self._place_chunk(intents, how, whole, together=True)
        return await whole.run(work, self._context.spawn)

    async def place_many(
        self, requests: Sequence[OrderRequest], how: How
    ) -> list[Order | CcrsError]:
        """Place several orders, and say of each, in their order, what became of it."""
        outcomes: list[Order | CcrsError | None] = [None] * len(requests)
        intents: dict[int, Intent] = {}
        for place, request in enumerate(requests):
            try:
                intents[place] = await self._intent(request)
            except CcrsError as error:
                outcomes[place] = error
        seen: set[str] = set()
        for place, intent in list(intents.items()):
            if intent.client_order_id in seen:
                text = f"the client order id {intent.client_order_id} comes twice"
                outcomes[place] = OrderRejected("", text, EndReason.DUPLICATE)
                del intents[place]
            seen.add(intent.client_order_id)
        items = {place: intent.item for place, intent in intents.items()}
        chunks = portions(self._context, PlaceOrders, items)
        results = await asyncio.gather(
            *(self._chunk([intents[place] for place in chunk], how) for chunk in chunks)
        )
        for chunk, found in zip(chunks, results, strict=True):
            for place, outcome in zip(chunk, found, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    async def _chunk(self, intents: list[Intent], how: How) -> list[Order | CcrsError]:
        if len(intents) == 1:
            (intent,) = intents
            try:
                return [await self._sent(intent, how)]
            except CcrsError as error:
                return [error]
        whole: Sending[list[Order | CcrsError]] = Sending()
        return await whole.run(self._place_chunk(intents, how, whole), self._context.spawn)

    async def _place_chunk(
        self,
        intents: list[Intent],
        how: How,
        whole: Sending[list[Order | CcrsError]],
        *,
        together: bool = False,
    ) -> list[Order | CcrsError]:
        whole.check()
        context = self._context
        refused: dict[str, CcrsError] = {}
        planned: list[Intent] = []
        for intent in intents:
            try:
                self._plan(intent)
                planned.append(intent)
            except CcrsError as error:
                refused[intent.client_order_id] = error
        if not planned:
            return [refused[intent.client_order_id] for intent in intents]
        leaving: list[Intent] = []

        def sent(ns: int) -> None:
            whole.sent(context.clock.monotonic())
            for intent in leaving:
                intent.sending.sent(whole.left_at)
                context.note(context.ledger.sent(intent.client_order_id, ns))

        try:
            try:
                await self._stored(*planned)
            except NotStored as error:
                order = context.ledger.order
                return [
                    refused.get(i.client_order_id)
                    or with_order(attributed(error), order(i.client_order_id))
                    for i in intents
                ]
            leaving += [intent for intent in planned if not intent.sending.withdrawn]
            if together and len(leaving) < len(intents):
                leaving.clear()
            for intent in leaving:
                intent.sending.joined = whole
            kind = PlaceEither if together else PlaceOrders
            done, times = await self._many_left(kind, leaving, how, whole, sent)
        except asyncio.CancelledError:
            for intent in planned:
                if not intent.sending.withdrawn:
                    intent.sending.withdrawn = whole.withdrawn
                self._interrupted(intent)
            raise
        except Exception as error:  # a mistake of a plugin's: they never left
            failure = NotWritten(f"it can't be sent: {error!r}")
            failure.__cause__ = error
            for intent in planned:
                if context.ledger.order(intent.client_order_id) is not None:
                    self._not_sent(intent, EndReason.OTHER, repr(error))
            return [
                refused.get(i.client_order_id)
                or with_order(attributed(failure), context.ledger.order(i.client_order_id))
                for i in intents
            ]
        finally:
            for intent in planned:
                self._landed(intent)
        told = {i.client_order_id: each for i, each in zip(leaving, done, strict=True)}
        found: list[Order | CcrsError] = []
        for intent in intents:
            identity = intent.client_order_id
            if identity in refused:
                found.append(refused[identity])
                continue
            outcome = told.get(identity)
            if outcome is None:
                why = intent.sending.withdrawn or "the other of the two doesn't leave"
                self._not_sent(intent, EndReason.BY_USER, why)
                found.append(with_order(NotSent(why), context.ledger.order(identity)))
                continue
            try:
                found.append(await self._settled(intent, outcome, times))
            except CcrsError as error:
                found.append(error)
        return found

    async def _many_left(
        self,
        kind: type[PlaceOrders] | type[PlaceEither],
        leaving: list[Intent],
        how: How,
        whole: Sending[list[Order | CcrsError]],
        sent: Callable[[int], None],
    ) -> tuple[Sequence[Done], Times]:
        """What the exchange says to each of a batch."""
        failure: CcrsError
        try:
            if not leaving:
                return (), Times()
            done, times = await self._context.asks.once(
                kind(tuple(intent.item for intent in leaving)),
                via=how.via,
                patience=how.patience,
                send_before=how.send_before,
                on_sent=sent,
            )
            if len(done) == len(leaving):
                return done, times
            text = f"{len(done)} outcomes were told of {len(leaving)} orders"
            failure = OutcomeUnknown("", text)
        except CcrsError as error:
            failure = error
        except Exception as error:
            if not whole.left:
                raise
            failure = OutcomeUnknown("", f"its answer can't be read: {error!r}")
        return [attributed(failure) for _ in leaving], Times()
