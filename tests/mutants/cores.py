"""Mutants of the core's trading half: one thing of the ledger, of order entry or of reading is
broken, and the schedules that an account lives through must notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from ccrs_core.conformance import Subject
from ccrs_core.contract.trading_requests import GetFills
from ccrs_core.errors import OrderRejected, OutcomeUnknown, UsageError
from ccrs_core.model.orders import OrderState
from ccrs_core.trading import intake, keys, order_state, positions, upkeep
from ccrs_core.trading.asks import Asks
from ccrs_core.trading.delivery import AccountFeed
from ccrs_core.trading.figures import Figures
from ccrs_core.trading.hub import Hub
from ccrs_core.trading.intake import Intake
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.order_entry import OrderEntry
from ccrs_core.trading.outcomes import Outcomes
from ccrs_core.trading.upkeep import Upkeep
from tests.mutants.deliveries import options_are_delivered

Patch = Callable[[pytest.MonkeyPatch], None]


@attrs.frozen
class CoreMutant:
    """A core with one thing broken."""

    name: str
    breaks: str
    patch: Patch
    told_by: Callable[[Subject], None] | None = None
    """What has to notice it; random schedules where it is None."""


CORES: list[CoreMutant] = []


def core(patch: Patch) -> Patch:
    """Enter a mutant; the docstring says what it breaks."""
    assert patch.__doc__
    CORES.append(CoreMutant(patch.__name__.replace("_", "-"), patch.__doc__, patch))
    return patch


def at_delivery(patch: Patch) -> Patch:
    """Enter a mutant that what is held until it is delivered must notice."""
    core(patch)
    CORES[-1] = attrs.evolve(CORES[-1], told_by=options_are_delivered)
    return patch


# --- order entry ----------------------------------------------------------------------------


@core
def lost_answers_are_refusals(patch: pytest.MonkeyPatch) -> None:
    """An order whose answer was lost counts as rejected."""
    real = OrderEntry._settled

    async def settled(self: Any, intent: Any, outcome: Any, times: Any) -> Any:
        if isinstance(outcome, OutcomeUnknown):
            outcome = OrderRejected(outcome.code, outcome.text)
        return await real(self, intent, outcome, times)

    patch.setattr(OrderEntry, "_settled", settled)


@core
def lost_answers_are_tried_again(patch: pytest.MonkeyPatch) -> None:
    """An order whose answer was lost is placed once more."""
    real = OrderEntry.place

    async def place(self: Any, request: Any, how: Any) -> Any:
        try:
            return await real(self, request, how)
        except OutcomeUnknown:
            return await real(self, request, how)

    patch.setattr(OrderEntry, "place", place)


@core
def intents_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """An order leaves before its intent is stored."""

    async def stored(self: Any, *intents: Any) -> None:
        context = self._context
        for each in intents:
            planned = context.ledger.plan(
                each.request, each.instrument, each.client_order_id, context.now_ns
            )
            context.journal.add(planned)

    patch.setattr(OrderEntry, "_stored", stored)


@core
def unknown_orders_are_never_looked_for(patch: pytest.MonkeyPatch) -> None:
    """Nobody finds out what has become of an order of unknown outcome."""
    patch.setattr(Outcomes, "find_out", lambda self, identity: None)


@core
def errors_deny_orders(patch: pytest.MonkeyPatch) -> None:
    """An order of unknown outcome counts as absent at once, whatever was answered."""

    async def denied(self: Any, order: Any) -> bool:
        return True

    patch.setattr(Outcomes, "_denied", denied)
    patch.setattr(Outcomes, "_bound", lambda self: (0.0, True))


# --- the ledger -----------------------------------------------------------------------------


@core
def the_last_word_wins(patch: pytest.MonkeyPatch) -> None:
    """Whatever arrives last is an order's state, though it has ended."""
    real = order_state._climb

    def climb(order: Any, versions: Any, changes: Any, version: Any, state: Any, *why: Any) -> Any:
        found = real(order, versions, changes, version, state, *why)
        if state.rank < order.state.rank:
            changes["state"] = state
        return found

    patch.setattr(order_state, "_climb", climb)


@core
def fills_after_the_end_are_dropped(patch: pytest.MonkeyPatch) -> None:
    """A fill of an order that has ended isn't taken."""
    real = Intake.take_fill

    def take(self: Any, report: Any, draft: Any, known: Any) -> None:
        instrument = self._books.find(report.market, report.native)
        record = None
        if instrument is not None:
            record = self._books.known_order(
                instrument.symbol, report.exchange_order_id, report.client_order_id, draft
            )
        if record is not None and record.order is not None and record.order.state.final:
            return
        real(self, report, draft, known)

    patch.setattr(Intake, "take_fill", take)


@core
def fills_are_known_by_their_order(patch: pytest.MonkeyPatch) -> None:
    """A second fill of an order is taken for the first one."""
    real = keys.of_fill
    other = lambda market, symbol, fill_id, order: real(market, symbol, "", order)  # noqa: E731
    patch.setattr(keys, "of_fill", other)


@core
def fills_are_new_each_time(patch: pytest.MonkeyPatch) -> None:
    """A fill that is told by a list is another one than that of the stream."""
    real = Intake.take_fill

    def take(self: Any, report: Any, draft: Any, known: Any) -> None:
        if draft.backfilled:
            report = attrs.evolve(report, fill_id=f"again {report.fill_id}")
        real(self, report, draft, known)

    patch.setattr(Intake, "take_fill", take)


@core
def others_orders_are_ours(patch: pytest.MonkeyPatch) -> None:
    """Orders of other programs count as own."""
    real = intake.Intake._new_order

    def new(self: Any, *told: Any) -> Any:
        from ccrs_core.model.orders import Origin

        order = real(self, *told)
        return None if order is None else attrs.evolve(order, origin=Origin.OWN)

    patch.setattr(intake.Intake, "_new_order", new)


# --- reading --------------------------------------------------------------------------------


@core
def losses_of_streams_are_ignored(patch: pytest.MonkeyPatch) -> None:
    """After a connection was lost, and every minute, nothing is read but the first time."""
    patch.setattr(Upkeep, "missed", lambda self, why: None)
    patch.setattr(upkeep, "EVERY", 10**9)


@core
def fills_are_not_listed(patch: pytest.MonkeyPatch) -> None:
    """Fills are believed to come by the stream alone."""
    real, listed = Asks.read, Asks.counted

    async def read(self: Any, request: Any, **how: Any) -> Any:
        return [] if isinstance(request, GetFills) else await real(self, request, **how)

    async def counted(self: Any, request: Any, **how: Any) -> Any:
        return ([], 0) if isinstance(request, GetFills) else await listed(self, request, **how)

    patch.setattr(Asks, "read", read)
    patch.setattr(Asks, "counted", counted)


@core
def open_orders_that_are_missing_are_canceled(patch: pytest.MonkeyPatch) -> None:
    """An order that isn't in the list of open ones counts as canceled."""
    from ccrs_core.trading.missing import MissingOrders

    async def explain(
        self: Any, reading: Any, market: Any, missing: Sequence[Any], *, listed: bool
    ) -> None:
        context = self._context
        for order in missing:
            key = context.key(order)
            change = context.ledger.settled(key, OrderState.CANCELED, "gone", context.now_ns)
            context.note(change)

    patch.setattr(MissingOrders, "explain", explain)


@core
def untimed_positions_are_news(patch: pytest.MonkeyPatch) -> None:
    """A position that a stream tells without a time is the newest word on it, however late."""

    def guessed(*, arrived_ns: int, **_: Any) -> int:
        return arrived_ns

    patch.setattr(positions, "guessed_ns", guessed)


@at_delivery
def deliveries_count_twice(patch: pytest.MonkeyPatch) -> None:
    """A delivery that is told as a fill and as income is both."""
    real = Figures.take_income

    def take(self: Any, report: Any, draft: Any, known: Any) -> None:
        real(self, attrs.evolve(report, of_fill=False), draft, known)

    patch.setattr(Figures, "take_income", take)


@at_delivery
def deliveries_at_nothing_are_none(patch: pytest.MonkeyPatch) -> None:
    """What is delivered at a price of zero is taken for a row that says nothing."""
    real = Intake.take_fill

    def take(self: Any, report: Any, draft: Any, known: Any) -> None:
        if report.price:
            real(self, report, draft, known)

    patch.setattr(Intake, "take_fill", take)


@core
def accounts_over_the_socket_do_not_open(patch: pytest.MonkeyPatch) -> None:
    """An account whose orders go over a WebSocket ends as it is opened."""
    real = Asks.start

    def start(self: Any) -> None:
        if self._via == "websocket":
            raise UsageError("the socket isn't there yet")
        real(self)

    patch.setattr(Asks, "start", start)


# --- delivery -------------------------------------------------------------------------------


@core
def what_comes_again_is_not_marked(patch: pytest.MonkeyPatch) -> None:
    """What was delivered before a kill comes again without a mark."""

    def handed(self: Any, event: Any, number: int) -> Any:
        self._last = number
        self._source.hand(self.consumer, number)
        return event

    patch.setattr(AccountFeed, "_handed", handed)


@core
def acknowledgements_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What was acknowledged isn't stored."""

    def acknowledge(self: Any, consumer: str, number: int) -> None:
        self._acknowledged[consumer] = number

    patch.setattr(Hub, "acknowledge", acknowledge)


@core
def events_are_delivered_before_they_are_stored(patch: pytest.MonkeyPatch) -> None:
    """Events are delivered before the store has them."""
    real = Journal.add

    def add(self: Any, change: Any) -> None:
        if change.entries:
            self._listener.committed(list(change.events))
        real(self, attrs.evolve(change, entries=()))

    patch.setattr(Journal, "add", add)
