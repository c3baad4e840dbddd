"""Whether states that differ are told apart, and counts that begin anew are told (26, 27)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.conformance.judges.steered import followed
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.emulator import Listing
from ccrs_core.model.events import BookUpdate
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.subscriptions import Channel

_CHANNELS = tuple(channel for channel in Channel if channel not in (Channel.BOOK, Channel.TRADES))
_LOT = Decimal("1E-8")
_TURNS, _PAUSE = 12, 1.1
_RESTARTS, _COUNTED = 2, 3.0
"""How often the exchange begins to count anew, and seconds in which it counts."""
_STILL = 1e-7
"""Changes a second where nothing happens."""
_HOURS = (1, 2, 4)


class StateProperties:
    """Channels that tell one state after the other."""

    @proves(26)
    def test_states_that_differ_are_all_delivered(self, subject: Subject) -> None:
        """Of the states that a connection tells of a channel each that differs from the one before
        is delivered, however little they differ: whatever number ``Data.sequence`` is made of, no
        two of them share it, and it doesn't fall."""
        for case in subject.cases(*_CHANNELS):
            told, delivered = _followed(subject, case)
            missing = [event for event in told if event not in delivered]
            assert not missing, (
                f"{case.subscription} told {len(told)} states, of which {len(missing)} were taken "
                f"for repeats, such as {missing[0]}: the number in Data.sequence must tell all "
                "states apart (where nothing does, put bytes that say all of it)"
            )

    @proves(26)
    def test_numbers_do_not_wrap_while_nothing_is_traded(self, subject: Subject) -> None:
        """In markets where nothing happens for hours, numbers go on rising: what is told later has
        no smaller number than what was told before, on whichever connection."""
        for case in subject.cases(*_CHANNELS):
            route = subject.exchange.route(case.subscription)
            if route.sequence_scope is not SequenceScope.GLOBAL:
                continue
            line = subject.line(subject.venue(rate=_STILL))
            last: tuple[int, Any] | None = None
            for hours in (*_HOURS, 0):
                wire = line.open(route)
                for message in wire.subscribe(case.subscription) + wire.run(_PAUSE):
                    if not isinstance(message, Data) or message.restart:
                        continue
                    number, state = message.sequence, _state(message.events[-1])
                    if not isinstance(number, int) or state.channel is not case.channel:
                        continue
                    assert last is None or number >= last[0], (
                        f"{case.subscription} told {state} with the number {number}, after "
                        f"{last[1]} with {last[0]}: what rises with time mustn't wrap"
                    )
                    last = number, state
                wire.peer.gone()
                # Nothing is subscribed, so that hours cost little.
                line.venue.advance(line.venue.now_ns + hours * 3600 * 10**9)

    @proves(27)
    def test_a_count_that_begins_anew_is_told_with_its_first_frame(self, subject: Subject) -> None:
        """On one healthy connection no number in ``Data.sequence`` falls unless ``Data.restart``
        says that the exchange counts anew: nobody has to find that out by waiting."""
        for case in subject.cases():
            line = subject.line()
            wire = line.open(subject.exchange.route(case.subscription))
            messages = wire.subscribe(case.subscription)
            for _ in range(_RESTARTS):
                messages += wire.run(_COUNTED)
                line.venue.faults.add("restart")
            messages += wire.run(_COUNTED)
            last: dict[str, int] = {}
            for message in messages:
                if not isinstance(message, Data) or not isinstance(message.sequence, int):
                    continue
                before = last.get(message.topic, message.sequence)
                assert message.restart or message.sequence >= before, (
                    f"{case}: after the number {before} came {message.sequence}, with "
                    "Data.restart False: what follows would be taken for old. Set it on the frame "
                    "by which the exchange says that it begins to count anew"
                )
                last[message.topic] = message.sequence

    @proves(28)
    def test_each_change_of_a_book_names_the_update_that_it_follows(self, subject: Subject) -> None:
        """On an undisturbed connection ``BookUpdate.previous_sequence``, where it is told, is the
        ``sequence`` of the update before it, at every depth: else a hole goes unseen, or is seen
        where none is."""
        for case in subject.cases(Channel.BOOK):
            for depth in subject.exchange.capabilities.book_depths.get(case.market, ()):
                sub = attrs.evolve(case.subscription, depth=depth)
                line = subject.line()
                wire = line.open(subject.exchange.route(sub))
                last: int | None = None
                for message in wire.subscribe(sub) + wire.run(_COUNTED):
                    for event in message.events if isinstance(message, Data) else ():
                        if not isinstance(event, BookUpdate):
                            continue
                        told = event.previous_sequence
                        assert event.snapshot or None in (told, last) or told == last, (
                            f"{sub}: the change {event.sequence} names {told} as the update that "
                            f"it follows; {last} came before it. Look at what decode() makes of "
                            "BookUpdate.previous_sequence: a number that isn't the former one's "
                            "own hides what is lost between them"
                        )
                        last = event.sequence


def _followed(subject: Subject, case: Case) -> tuple[list[Any], list[Any]]:
    """What the frames of a market say that changes by single lots after much was traded, without
    immediate repeats; and what is delivered of it."""
    symbol = case.subscription.instrument.native
    listings = [
        _finely(each) if each.symbol == symbol and each.market is case.market else each
        for each in subject.venue().listings.values()
    ]
    listing = next(e for e in listings if e.symbol == symbol and e.market is case.market)
    line = subject.line(subject.venue(rate=0.001, listings=listings))
    runner = Runner(0)
    name = line.exchange.codec(line.exchange.route(case.subscription)).topic(case.subscription)
    topic, delivered = followed(line.exchange, name, case.subscription, runner)
    wire = line.open(line.exchange.route(case.subscription))
    messages = wire.subscribe(case.subscription) + wire.run(_PAUSE)
    told: list[Any] = []

    def take() -> None:
        for message in messages:
            if isinstance(message, Data) and message.topic == topic.name:
                for event in message.events:
                    state = _state(event)
                    if not told or told[-1] != state:
                        told.append(state)
                topic.deliver(message, runner, line.venue.now_ns / 1e9)

    take()
    lots = 0
    for turn in range(_TURNS):
        side = (Side.BUY, Side.SELL)[turn % 2]
        if turn == 0:
            depth = line.venue.market(listing).engine.depth(Side.SELL, 1000)
            lots = sum(size for _, size in depth) // 2
        line.venue.submit(listing, side, listing.lot * max(1, lots), owner="somebody")
        lots = 1
        messages = wire.run(_PAUSE)
        take()
    return told, [_state(event) for event in delivered]


def _finely(listing: Listing) -> Listing:
    """A listing in which single lots are next to nothing."""
    lot = listing.lot if listing.market is Market.INVERSE else _LOT
    return attrs.evolve(
        listing, lot=lot, min_size=lot, max_size=lot * 10**15, min_notional=Decimal(0)
    )


def _state(event: Any) -> Any:
    """An event without the time of its receipt."""
    return attrs.evolve(event, received_time_ns=0)
