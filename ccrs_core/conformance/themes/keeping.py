"""Books kept from snapshots and deltas: right at every step, or invalid."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import attrs
from hypothesis import strategies as st

from ccrs_core.conformance.judges.kept_book import Bench, Heard, Near, recorded, updates
from ccrs_core.conformance.themes.sequences import numbers_rise
from ccrs_core.conformance.workbench.generated import Deed, Kind, deeds, explore, kinds, vary
from ccrs_core.conformance.workbench.line import Line, Wire, events_of
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.emulator.matching import Lifetime
from ccrs_core.model.events import BookUpdate, Level, Reason
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.orderbook import BookState
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND

Action = Deed | float | Literal["repeat", "restart", "reconnect"]
"""An order, seconds that pass, or something that exchanges do and networks make them do."""

_actions = st.lists(
    st.sampled_from((0.02, 0.3, 1.0, "repeat", "restart", "reconnect"))
    | deeds.filter(bool).map(lambda found: found[0]),
    min_size=3,
    max_size=12,
)
_LIVELY = Kind(Decimal("0.5"), 30_000, Decimal("0.001"), 0, 40.0)

_NEAR = 50
"""Levels that are compared where the market goes far."""
_SWAPPED = "swapped with the next one"
_CHANGES = ("left out", "repeated", _SWAPPED)


class KeepingProperties:
    """The maintained order book."""

    @proves(19)
    def test_the_book_is_the_markets_after_each_update(self, subject: Subject) -> None:
        """Whatever the exchange's rules allow (deltas, repeated snapshots, subscribing again, a
        count that begins anew, a new connection), the maintained book equals a state of the market
        after each update, never goes back, and is the present one in the end."""
        for case in subject.cases(Channel.BOOK):
            self._kept(subject, case.market)

    @proves(19, quick=False)
    def test_books_of_every_depth_are_the_markets_after_each_update(self, subject: Subject) -> None:
        """At every declared depth, not the shallowest alone, the maintained book is the market's
        through repeated snapshots, counts that begin anew and new connections."""
        for case in subject.cases(Channel.BOOK):
            for depth in _other_depths(subject, case.market):
                self._kept(subject, case.market, depth)

    @staticmethod
    def _kept(subject: Subject, market: Market, depth: int | None = None) -> None:
        def check(kind: Kind, actions: Sequence[Action], shallow: bool) -> None:
            line, truth, sub = _book(subject, market, kind, shallow=shallow, depth=depth)
            bench = Bench(line.exchange, truth, sub)
            wire = _Life(line, bench)
            for action in actions:
                wire.act(action)
                wire.act(0.0)
                assert bench.book.valid, (
                    f"after {action!r} the book of {sub} is {bench.book.state.value} "
                    f"({bench.book.reason}), though nothing was lost: does the snapshot decode as "
                    "one, do sequence and previous_sequence of the deltas follow it, and does "
                    "Data.restart say when the exchange begins to count anew?"
                )
            wire.act(2.0)
            numbers_rise(bench.log, sub)
            # The market never rests: what was told last must still have been true a while ago.
            late_ns = line.venue.now_ns - NS_PER_SECOND
            assert bench.history.index_at(late_ns) <= _until(bench), (
                f"the book of {sub} stands still since "
                f"{clock(bench.history.times[bench.since])}, the market doesn't"
            )

        check(_LIVELY, [1.0, "restart", 0.3, "reconnect", 0.3], True)
        if depth is not None:
            check(_LIVELY, [0.3, "repeat", 0.3, "reconnect", "reconnect", 0.3], True)
            return
        explore(subject, check, kinds, _actions, st.booleans(), examples=12)

    @proves(19)
    def test_a_delta_before_its_snapshot_is_not_applied(self, subject: Subject) -> None:
        """Deltas that come before any snapshot are not applied or delivered: the book stays
        unreadable and is asked for, once, until a snapshot comes."""
        for case in subject.cases(Channel.BOOK):
            line, truth, sub = _book(subject, case.market, _LIVELY, shallow=True)
            frames = recorded(line, sub, 2.0)
            if not any(each.delta for each in frames):
                continue  # a channel of snapshots only
            first = next(at for at, each in enumerate(frames) if each.snapshot)
            bench = Bench(line.exchange, truth, sub)
            codec = bench.codec()
            for each in frames[:first] + frames[first + 1 :]:
                if each.snapshot:
                    break
                bench.hear(codec, each.frame, each.time_ns)
                assert not bench.delivered, (
                    f"a delta of {sub} was delivered, though no snapshot had come: deltas must "
                    "have BookUpdate.snapshot False; the codec must not make up what it hasn't seen"
                )
            assert bench.resyncs == 1, (
                f"the book of {sub} was asked for {bench.resyncs} times instead of once, when "
                "deltas came without a snapshot"
            )

    @proves(20)
    def test_a_lost_repeated_or_swapped_delta_never_leaves_a_wrong_valid_book(
        self, subject: Subject
    ) -> None:
        """Leaving out, repeating or swapping any one delta leads to the right book or to an invalid
        one, never to a wrong book that is valid."""
        for case in subject.cases(Channel.BOOK):
            self._changed(subject, case.market)

    @proves(20, quick=False)
    def test_changes_lost_at_any_depth_never_leave_a_wrong_valid_book(
        self, subject: Subject
    ) -> None:
        """At every declared depth, not the shallowest alone, leaving out, repeating or swapping a
        delta leads to the right book or to an invalid one."""
        for case in subject.cases(Channel.BOOK):
            for depth in _other_depths(subject, case.market):
                self._changed(subject, case.market, depth)

    @staticmethod
    def _changed(subject: Subject, market: Market, depth: int | None = None) -> None:
        def check(kind: Kind, picks: Sequence[int], change: str) -> None:
            kind = attrs.evolve(kind, rate=40.0)
            line, truth, sub = _book(subject, market, kind, shallow=True, depth=depth)
            frames = recorded(line, sub, 1.5)
            deltas = [at for at, each in enumerate(frames) if each.delta]
            summed = line.exchange.checksum(sub) is not None
            for pick in picks if deltas else ():
                at = deltas[pick % len(deltas)]
                bench = Bench(line.exchange, truth, sub)
                codec, begun = bench.codec(), False
                for number, each in enumerate(_with(frames, at, change)):
                    try:
                        bench.hear(codec, each.frame, each.time_ns)
                    except AssertionError as error:
                        if number == at + 1 and change == _SWAPPED and summed:
                            # The older of the two may fit its own checksum: the next one tells.
                            continue
                        raise AssertionError(
                            f"after one delta of {sub} was {change}, its book is wrong and valid: "
                            f"{error}\nThe core finds out by BookUpdate.previous_sequence (where "
                            "the exchange numbers its updates) or by BookUpdate.checksum with "
                            "Exchange.checksum; give it one of them"
                        ) from None
                    begun = begun or bench.book.valid
                    if begun and not bench.book.valid:
                        break

        for change in _CHANGES:
            check(_LIVELY, (1, 3, 7), change)
        if depth is not None:
            return
        picks = st.lists(st.integers(0, 200), min_size=3, max_size=3)
        explore(subject, check, kinds, picks, st.sampled_from(_CHANGES), examples=12)

    @proves(21)
    def test_a_valid_book_is_well_formed_and_as_deep_as_subscribed(self, subject: Subject) -> None:
        """At every declared depth a valid book is uncrossed and sorted, holds no size of zero and
        no price twice, is never deeper than subscribed, and is as deep where the market is."""
        for case in subject.cases(Channel.BOOK):
            for depth in subject.exchange.capabilities.book_depths.get(case.market, ()):
                plain = subject.subscription(Channel.BOOK, subject.instrument(case.market), depth)
                unbounded = subject.exchange.book_depth(plain) is None
                line, truth, instrument = vary(
                    subject,
                    case.subscription.instrument,
                    attrs.evolve(_LIVELY, seed=subject.seed),
                    depth=depth,
                    # Of a market deeper than the request's answer the rest isn't known.
                    levels=depth - depth // 10 if unbounded else depth + depth // 10 + 20,
                )
                sub = subject.subscription(Channel.BOOK, instrument, depth)
                bench = Bench(line.exchange, truth, sub)
                codec = bench.codec()
                for each in recorded(line, sub, 1.0):
                    bench.hear(codec, each.frame, each.time_ns)
                    if bench.book.valid:
                        _well_formed(bench, depth)
                assert bench.book.valid, (
                    f"no snapshot of {sub} came, or it doesn't apply: is {depth} a depth that the "
                    "exchange has (Capabilities.book_depths), and Codec.topic its topic's name?"
                )

    @proves(21, quick=False)
    def test_a_book_stays_the_markets_however_far_the_market_goes(self, subject: Subject) -> None:
        """In a market far deeper than any answer tells, a valid book's best levels are the market's
        after each frame while the market goes down and up by far more levels than are known: what
        the plugin says of depths, and of the requests that a book starts from, is so."""
        for case in subject.cases(Channel.BOOK):
            for depth in self._telling(subject, case.market):
                for side in Side:
                    self._walked(subject, case.market, depth, side)

    @staticmethod
    def _telling(subject: Subject, market: Market) -> list[int]:
        """The depths whose books are kept from changes of all levels, and the shallowest one."""
        exchange, instrument = subject.exchange, subject.instrument(market)
        depths = subject.exchange.capabilities.book_depths.get(market, ())
        subs = [subject.subscription(Channel.BOOK, instrument, depth) for depth in depths]
        all_levels = [sub.depth for sub in subs if exchange.book_depth(sub) is None]
        starts = [sub.depth for sub in subs if exchange.book_snapshot(sub) is not None]
        return sorted({*depths[:1], *filter(None, (*all_levels, *starts))})

    @staticmethod
    def _walked(subject: Subject, market: Market, depth: int, side: Side) -> None:
        kind = attrs.evolve(_LIVELY, seed=subject.seed, rate=20.0)
        line, truth, instrument = vary(
            subject, subject.instrument(market), kind, depth=_NEAR, levels=2 * depth + 20
        )
        bench = Near(line, truth, subject.subscription(Channel.BOOK, instrument, depth))
        wire = _Life(line, bench)
        wire.act(0.3)
        (listing,) = line.venue.listings.values()
        traded = line.venue.market(listing)
        engine, most = traded.engine, int(listing.max_size / traded.rules.size.value(1))
        for _ in range(30):
            resting = engine.bids if side is Side.SELL else engine.asks
            lots = sum(size for _, size in resting.top(max(depth // 20, 3)))
            for part in (*[most] * (lots // most), lots % most):
                wire.act(Deed(0.0, side, None, part, Lifetime.IOC))
            wire.act(0.2)
            bench.widen()
        wire.act(0.5)
        assert bench.book.valid, (
            f"the book of {bench.subscription} is {bench.book.state.value} ({bench.book.reason}) "
            "after the market has gone far, and nothing that was asked for makes it right"
        )

    @proves(22)
    def test_the_plugins_checksum_is_the_exchanges(self, subject: Subject) -> None:
        """Each book update that carries a checksum passes it, for any ticks, lots and orders; where
        the plugin computes one, updates carry one, and nowhere else."""
        subject = subject.checked()
        computed = False
        for case in subject.cases(Channel.BOOK):
            if subject.exchange.checksum(case.subscription) is not None:
                computed = True
                self._checksummed(subject, case.market)
                continue
            line, _, sub = _book(subject, case.market, _LIVELY, shallow=True)
            wire = line.open(line.exchange.route(sub))
            events = [*wire.subscribe(sub), *wire.run(1.0)]
            sums = [e.checksum for e in events_of(events) if isinstance(e, BookUpdate)]
            assert not any(each is not None for each in sums), (
                f"updates of {sub} carry a checksum that nobody verifies: say in Exchange.checksum "
                "how it is computed, or leave it out of BookUpdate.checksum"
            )
        if not computed:
            subject.undeclared("book checksum")

    @staticmethod
    def _checksummed(subject: Subject, market: Market) -> None:
        def check(kind: Kind, orders: list[Deed]) -> None:
            line, truth, sub = _book(subject, market, kind, shallow=True)
            bench = Bench(line.exchange, truth, sub)
            wire = _Life(line, bench)
            for deed in orders:
                wire.act(deed)
            wire.act(2.0)
            assert bench.book.reason is not Reason.CHECKSUM, (
                f"Exchange.checksum of {sub} differs from what the exchange sends, of a book that "
                f"was right before: {bench.history.present.levels(3)} are the market's best levels"
            )
            sums = [e.checksum for e in bench.delivered if isinstance(e, BookUpdate)]
            assert any(each is not None for each in sums), (
                f"Exchange.checksum computes one for {sub}, but no BookUpdate carries one to "
                "compare: the codec must put the frame's into BookUpdate.checksum"
            )

        explore(subject, check, kinds, deeds, examples=15)

    @proves(22)
    def test_a_wrong_checksum_makes_the_book_invalid_and_asks_for_it_once(
        self, subject: Subject
    ) -> None:
        """An update whose checksum the book fails makes it invalid at once, is not delivered, and
        has the book asked for exactly once; what follows is ignored until a snapshot comes."""
        subject = subject.checked()
        cases = [
            case
            for case in subject.cases(Channel.BOOK)
            if subject.exchange.checksum(case.subscription) is not None
        ]
        if not cases:
            subject.undeclared("book checksum")
        for case in cases:
            line, truth, sub = _book(subject, case.market, _LIVELY, shallow=True)
            bench = Bench(line.exchange, truth, sub)
            codec, spoiled, waiting = bench.codec(), False, 0
            for each in recorded(line, sub, 3.0):
                if isinstance(each.frame, BookUpdate):
                    bench.take(each.frame, each.time_ns)
                    continue
                for data in updates(codec, each.frame, each.time_ns):
                    if not spoiled and len(bench.delivered) >= 5:
                        spoiled = _spoil(data)
                        assert spoiled, f"an update of {sub} carries no checksum: {data}"[:600]
                        before = len(bench.delivered)
                        bench.deliver(data, each.time_ns)
                        assert bench.book.state is BookState.INVALID, "the book is still valid"
                        assert bench.book.reason is Reason.CHECKSUM, bench.book.reason
                        assert len(bench.delivered) == before, "the update was delivered"
                        continue
                    waiting += spoiled and each.delta
                    bench.deliver(data, each.time_ns)
            assert spoiled, f"less than six updates of {sub} came in 3 s"
            assert waiting, "nothing came after the wrong checksum"
            assert bench.resyncs == 1, f"the book was asked for {bench.resyncs} times, not once"
            _Life(line, bench).act(0.5)
            assert bench.book.valid, "a snapshot doesn't make the book valid again"

    @proves(25)
    def test_a_stale_snapshot_is_never_applied(self, subject: Subject) -> None:
        """A snapshot older than the book, from a second connection that lags, is never applied: the
        book doesn't go back."""
        cases = [
            case
            for case in subject.cases(Channel.BOOK)
            if subject.exchange.route(case.subscription).sequence_scope is SequenceScope.GLOBAL
        ]
        if not cases:
            subject.undeclared("book whose sequence numbers are the same on all connections")
        for case in cases:
            line, truth, sub = _book(subject, case.market, _LIVELY, shallow=True)
            frames = recorded(line, sub, 2.0)
            old = next(each for each in frames if each.snapshot)
            for pause in (1, 2, len(frames) // 2, len(frames) - 1):
                bench = Bench(line.exchange, truth, sub)
                codec = bench.codec()
                bench.runners.append(Runner(2))
                for number, each in enumerate(frames):
                    bench.hear(codec, each.frame, each.time_ns)
                    if number == pause:
                        bench.hear(bench.codec(), old.frame, each.time_ns, bench.runners[1])
                assert bench.book.valid, f"the old snapshot made the book of {sub} invalid"
                late = frames[-1].time_ns
                assert bench.since >= bench.history.index_at(late) - 2, "the book stands still"


# --- what they have in common ---------------------------------------------------------------


class _Life:
    """A connection that feeds a bench, through all that an exchange may do to it."""

    def __init__(self, line: Line, bench: Bench) -> None:
        self.line = line
        self.bench = bench
        self.wire = self._subscribed()
        self._restarted = 0

    def _subscribed(self) -> Wire:
        wire = self.line.open(self.line.exchange.route(self.bench.subscription))
        self._send(wire, wire.codec.subscribe([self.bench.subscription], "1"))
        return wire

    def _send(self, wire: Wire, frame: str | bytes) -> None:
        if delay := wire.delay():
            self.act(delay)
        wire.peer.received(frame, self.line.venue.now_ns)
        self._take(wire)

    def _take(self, wire: Wire) -> None:
        for frame in wire.raw():
            self.bench.hear(wire.codec, frame, self.line.venue.now_ns)
        self.bench.fetch(self.line)

    def act(self, action: Action) -> None:
        """Do something, and hear what comes of it."""
        venue, wire, sub = self.line.venue, self.wire, self.bench.subscription
        match action:
            case float():
                end_ns = venue.now_ns + round(action * NS_PER_SECOND)
                while (due := venue.next_wake_ns) is not None and due <= end_ns:
                    venue.advance(due)
                    self._take(wire)
                venue.advance(end_ns)
            case Deed():
                listing = next(iter(venue.listings.values()))
                action.carry_out(venue, listing)
            case "repeat":
                self._send(wire, wire.codec.unsubscribe([sub], "2"))
                self._send(wire, wire.codec.subscribe([sub], "3"))
            case "restart":
                # Two restarts without an update between them would carry the same number.
                if len(self.bench.delivered) > self._restarted:
                    venue.faults.add("restart")
                    venue.faults.clear()
                    self._take(wire)
                    self._restarted = len(self.bench.delivered)
            case _:
                wire.peer.abort()
                self.bench.reconnected()
                self.wire = wire = self._subscribed()
        self._take(wire)


def _other_depths(subject: Subject, market: Market) -> list[int]:
    """The declared depths but for the one that generated markets are tried with."""
    depths = subject.exchange.capabilities.book_depths.get(market, ())
    return [depth for depth in depths if depth != subject.depth(market)]


def _book(
    subject: Subject, market: Market, kind: Kind, *, shallow: bool, depth: int | None = None
) -> tuple[Line, Truth, Subscription]:
    """A generated market, and a subscription to its book."""
    depths = subject.exchange.capabilities.book_depths.get(market, ())
    assert depths, (
        f"{subject.name} declares books of {market.value} instruments, but no depth of them: set "
        "Capabilities.book_depths"
    )
    if depth is None:
        depth = subject.depth(market) if shallow else sorted(depths)[len(depths) // 2]
    line, truth, instrument = vary(subject, subject.instrument(market), kind, depth=depth)
    return line, truth, subject.subscription(Channel.BOOK, instrument, depth)


def _until(bench: Bench) -> int:
    """The last moment at which the book's state was still true."""
    history, depth = bench.history, bench.subscription.depth
    told = history.moments[bench.since]
    state = told.bids[:depth], told.asks[:depth]
    index = bench.since
    for moment in history.moments[bench.since :]:
        if (moment.bids[:depth], moment.asks[:depth]) != state:
            break
        index += 1
    return index


def _with(frames: Sequence[Heard], at: int, change: str) -> list[Heard]:
    """Frames of which one was left out, repeated or swapped with the next."""
    before, one, after = list(frames[:at]), frames[at], list(frames[at + 1 :])
    if change == "left out":
        return before + after
    if change == "repeated" or not after:
        return [*before, one, one, *after]
    swapped = attrs.evolve(one, time_ns=after[0].time_ns)
    return [*before, after[0], swapped, *after[1:]]


def _well_formed(bench: Bench, depth: int) -> None:
    book, sub = bench.book, bench.subscription
    bids, asks = book.bids(), book.asks()
    for name, side, sign in (("bids", bids, -1), ("asks", asks, 1)):
        prices = [price for price, _ in side]
        assert prices == sorted(set(prices), key=lambda price: price * sign), (
            f"the {name} of {sub} aren't sorted, best first, each price once: {side[:10]}"
        )
        assert all(size > 0 for _, size in side), f"the {name} of {sub} hold sizes of zero: {side}"
        assert len(side) <= depth, f"the {name} of {sub} are {len(side)} levels deep"
    assert not (bids and asks) or bids[0][0] < asks[0][0], f"{sub}: {bids[0]} crosses {asks[0]}"
    there: tuple[list[Level], list[Level]] = bench.history.moments[bench.since].levels(depth)
    assert (len(bids), len(asks)) == (len(there[0]), len(there[1])), (
        f"the book of {sub} has {len(bids)} bids and {len(asks)} asks, the market {len(there[0])} "
        f"and {len(there[1])}"
    )


def _spoil(data: Data) -> bool:
    """Make an update's checksum wrong; False where it has none."""
    update = data.events[0]
    assert isinstance(update, BookUpdate)
    if update.checksum is None:
        return False
    data.events = [attrs.evolve(update, checksum=update.checksum ^ 1), *data.events[1:]]
    return True
