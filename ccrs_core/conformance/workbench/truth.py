"""What really happened in the emulated markets, and judges of what was delivered of it.

The oracle sees the matching engine and the tape, never a frame: encoder and decoder can't share a
misconception with it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NoReturn

from ccrs_core.conformance.workbench.moments import (
    RESOLUTION_NS,
    Moment,
    Print,
    Steps,
    clock,
    difference,
    same_print,
    sides,
    steps_of,
)
from ccrs_core.emulator import EmulatedExchange, Figure, Listing, SimulatedMarket
from ccrs_core.emulator.matching import Rules
from ccrs_core.model.events import AnyEvent, Gap, Level, Liquidation, TopOfBook, Trade
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel


class Truth:
    """Watches all markets of an emulated exchange from now on; make it before they start.

    ``depth`` is how many levels per side are kept of each state.
    """

    def __init__(self, venue: EmulatedExchange, *, depth: int = 50) -> None:
        self.venue = venue
        self.depth = depth
        self._histories: dict[tuple[str, str], History] = {}
        for listing in venue.listings.values():
            market = venue.peek(listing)
            if market is not None:
                self._witness(market)
        venue.witnesses.append(self._witness)

    def of(self, instrument: Instrument) -> History:
        """What happened in an instrument's market."""
        listing = self.listing(instrument)
        history = self._histories.get(listing.key)
        if history is None:
            history = self._histories[listing.key] = History(instrument.symbol, self.depth)
        history.symbol = instrument.symbol
        return history

    def listing(self, instrument: Instrument) -> Listing:
        """The emulator's listing that an instrument was read from."""
        for listing in self.venue.listings.values():
            if (listing.market, listing.symbol) == (instrument.market, instrument.native):
                return listing
        raise AssertionError(
            f"{instrument.symbol} is {instrument.native!r} to the plugin, but the emulator's "
            f"dialect lists no {instrument.market.value} instrument of that symbol: "
            "Instrument.native and Listing.symbol must be the exchange's own symbol, letter by "
            "letter"
        )

    def _witness(self, market: SimulatedMarket) -> None:
        key = market.listing.key
        history = self._histories.get(key)
        if history is None:
            history = self._histories[key] = History(market.listing.symbol, self.depth)
        history.see(market)


class History:
    """One market's states, trades and liquidations, in order."""

    def __init__(self, symbol: str, depth: int) -> None:
        self.symbol = symbol
        self.moments: list[Moment] = []
        self.times: list[int] = []
        """When each moment began."""
        self.trades: list[Print] = []
        self.liquidations: list[Print] = []
        self._depth = depth
        self._market: SimulatedMarket | None = None
        self._version = -1
        self._counts = (0, 0)

    def __repr__(self) -> str:
        return f"<History {self.symbol}: {len(self.moments)} moments, {len(self.trades)} trades>"

    def see(self, market: SimulatedMarket) -> None:
        """Take down what is new in the market."""
        anew = market is not self._market
        if anew:
            self._market, self._version, self._counts = market, -1, (0, 0)
        rules, engine = market.rules, market.engine
        price, size, has = rules.price.value, rules.size.value, market.has
        printed, liquidated = self._counts
        for trade in market.tape.since(printed):
            self.trades.append(
                Print(
                    trade.number,
                    trade.time_ns,
                    trade.side,
                    price(trade.price),
                    size(trade.size),
                    trade.block,
                    trade.rpi,
                )
            )
        if market.liquidation_count > liquidated:
            self.liquidations += [
                Print(each.number, each.time_ns, each.side, price(each.price), size(each.size))
                for each in market.liquidations
                if each.number > liquidated
            ]
        self._counts = market.tape.count, market.liquidation_count
        if engine.version == self._version:
            before = self.moments[-1]
            bids, asks = before.bids, before.asks
        else:
            self._version = engine.version
            bids, asks = tuple(engine.bids.top(self._depth)), tuple(engine.asks.top(self._depth))
        self.moments.append(
            Moment(
                market.now_ns,
                rules,
                bids,
                asks,
                price(market.tape.last) if has(Figure.LAST_PRICE) else None,
                price(market.index) / 100 if has(Figure.INDEX_PRICE) else None,
                price(market.mark) / 100 if has(Figure.MARK_PRICE) else None,
                Decimal(market.funding_rate).scaleb(-6) if has(Figure.FUNDING_RATE) else None,
                market.next_funding_ns,
                size(market.open_interest) if has(Figure.OPEN_INTEREST) else None,
                len(self.trades),
            )
        )
        self.times.append(market.now_ns)

    # --- what was true ---

    @property
    def begin_ns(self) -> int:
        """When the market started."""
        return self.times[0]

    @property
    def present(self) -> Moment:
        """The state now."""
        return self.moments[-1]

    def index_at(self, time_ns: int) -> int:
        """The index of the last moment before a time; 0 where there was none."""
        return max(0, bisect_left(self.times, time_ns) - 1)

    def at(self, time_ns: int) -> Sequence[Moment]:
        """The states that were true at a time: several where things happened just then."""
        return self.moments[self.index_at(time_ns) : bisect_right(self.times, time_ns)]

    # --- books ---

    def book_is_true(
        self,
        bids: Sequence[Level],
        asks: Sequence[Level],
        depth: int | None = None,
        *,
        since: int = 0,
        until_ns: int | None = None,
    ) -> int:
        """The index of the first moment from ``since`` on whose book this is; fails where there is
        none. Hand it in as the next ``since``: delivered states must not go back in time.

        :param depth: what is subscribed to; the book must be just as deep, as far as the market is.
        :param until_ns: the moment must have begun by then (when the book was received).
        """
        depth = self._depth if depth is None else depth
        assert depth <= self._depth, f"Truth keeps {self._depth} levels, ask it for {depth} or more"
        end = len(self.moments) if until_ns is None else bisect_right(self.times, until_ns)
        index = self._find(bids, asks, depth, since, end)
        if index is None:
            self._no_such_book(list(bids), list(asks), depth, since, end)
        return index

    def kept_is_true(
        self, book: OrderBook, depth: int | None, *, since: int = 0, until_ns: int | None = None
    ) -> int:
        """As :meth:`book_is_true`, for a valid book as far as it is known: of a market deeper than
        a snapshot, the book may know less than ``depth``."""
        bids, asks = book.bids(), book.asks()
        most = self._depth if depth is None else depth
        known = [
            len(s) for s, edge in zip((bids, asks), book.known, strict=True) if edge is not None
        ]
        count = min([most, *known])
        assert 2 * count >= min(most, book.reach or most), (
            f"the book of {book.symbol} knows no more than {count} of {most} levels and is valid"
        )
        if count < most:
            bids, asks = bids[:count], asks[:count]
        return self.book_is_true(bids, asks, count, since=since, until_ns=until_ns)

    def book_is_present(
        self, bids: Sequence[Level], asks: Sequence[Level], depth: int | None = None
    ) -> None:
        """Fails where this isn't the market's book now."""
        last = len(self.moments) - 1
        self.book_is_true(bids, asks, depth, since=last)

    def top_is_true(self, top: TopOfBook, *, since: int = 0, until_ns: int | None = None) -> int:
        """As :meth:`book_is_true`, for a best bid and ask, and for its exchange time."""
        until_ns = top.received_time_ns if until_ns is None else until_ns
        bids, asks = sides(top)
        index = self.book_is_true(bids, asks, 1, since=since, until_ns=until_ns)
        self.time_is_true(top, index)
        return index

    def time_is_true(self, event: AnyEvent, index: int) -> None:
        """Fails where an event's exchange time is before the moment that it tells of, or after it
        was received."""
        time_ns = event.exchange_time_ns
        if time_ns is None:
            return
        began_ns = self.times[index] // RESOLUTION_NS * RESOLUTION_NS
        if not began_ns <= time_ns <= event.received_time_ns:
            self.fail(
                f"a {event.type} says exchange_time_ns={time_ns} ({clock(time_ns)}), but it tells "
                f"of {clock(self.times[index])} and was received at "
                f"{clock(event.received_time_ns)}: are the units right (ns_of_ms, "
                "ns_of_seconds, …)?"
            )

    def _find(
        self, bids: Iterable[Level], asks: Iterable[Level], depth: int, begin: int, end: int
    ) -> int | None:
        moments = self.moments
        rules: Rules | None = None
        want: tuple[Steps | None, Steps | None] = (None, None)
        for index in range(begin, end):
            moment = moments[index]
            if moment.rules is not rules:
                rules = moment.rules
                want = steps_of(bids, rules), steps_of(asks, rules)
            if moment.bids[:depth] == want[0] and moment.asks[:depth] == want[1]:
                return index
        return None

    def _no_such_book(
        self, bids: list[Level], asks: list[Level], depth: int, since: int, end: int
    ) -> NoReturn:
        what = f"a book of {len(bids)} bids and {len(asks)} asks (depth {depth})"
        advice = "Compare with the frames that brought it"
        found = self._find(bids, asks, depth, 0, since)
        if found is not None:
            self.fail(
                f"{what} was true at {clock(self.times[found])}, but the state of "
                f"{clock(self.times[since])} had been delivered before: it went back in time. "
                "Something stale was applied"
            )
        if self._find(asks, bids, depth, 0, end) is not None:
            self.fail(f"{what} has its sides swapped: its bids are the market's asks")
        turned = [[(size, price) for price, size in side] for side in (bids, asks)]
        if self._find(turned[0], turned[1], depth, 0, end) is not None:
            self.fail(f"{what} has prices and sizes swapped")
        closest, wrong = max(since, end - 1), (len(bids) + len(asks) + 2 * depth, "")
        # The newest of those that differ least is most likely meant.
        for index in range(max(since, end - 200), end):
            true = self.moments[index].levels(depth)
            found_wrong = difference(bids, asks, *true)
            if found_wrong[0] <= wrong[0]:
                closest, wrong = index, found_wrong
        true_bids, true_asks = self.moments[closest].levels(depth)
        if len(bids) != len(true_bids) or len(asks) != len(true_asks):
            advice = (
                f"The market has {len(true_bids)} bids and {len(true_asks)} asks within the depth. "
                "Is it the topic of the subscribed depth, are levels of size 0 removed, and is "
                "every level of the frame read?"
            )
        self.fail(
            f"{what} was never the market's since {clock(self.times[since])}. Closest is the one "
            f"of {clock(self.times[closest])}; {wrong[0]} levels differ: {wrong[1]}. {advice}"
        )

    # --- trades and liquidations ---

    def trades_are_true(
        self,
        events: Sequence[AnyEvent],
        *,
        after_ns: int | None = None,
        until_ns: int | None = None,
    ) -> None:
        """Fails unless the trades among a feed's events are the tape's: in order, each once, exact;
        where some are missing, a Gap about trades must come first.

        :param after_ns: the first delivered must be at least as early as the tape's first after it.
        :param until_ns: none up to this time may be missing at the end.
        """
        stretch = [
            event
            for event in events
            if event.symbol == self.symbol
            and (isinstance(event, Trade) or (isinstance(event, Gap) and _of_trades(event)))
        ]
        self._prints_are_true(stretch, self.trades, "trade", after_ns, until_ns)

    def liquidations_are_true(
        self,
        events: Sequence[AnyEvent],
        *,
        after_ns: int | None = None,
        until_ns: int | None = None,
    ) -> None:
        """As :meth:`trades_are_true`, for liquidations."""
        stretch = [
            event
            for event in events
            if event.symbol == self.symbol
            and (
                isinstance(event, Liquidation)
                or (isinstance(event, Gap) and event.about is Channel.LIQUIDATIONS)
            )
        ]
        self._prints_are_true(stretch, self.liquidations, "liquidation", after_ns, until_ns)

    def _prints_are_true(
        self,
        events: Sequence[AnyEvent],
        tape: Sequence[Print],
        what: str,
        after_ns: int | None,
        until_ns: int | None,
    ) -> None:
        # Prints can be alike: all places on the tape are kept where the last event may have been.
        places: list[int] | None = None
        gap = True
        for number, event in enumerate(events):
            if not isinstance(event, Trade | Liquidation):
                gap = True
                continue
            if places is None:
                first = 0 if after_ns is None else _first_after(tape, after_ns)
                early = range(len(tape) if after_ns is None else min(first + 1, len(tape)))
                found = [place for place in early if same_print(event, tape[place])]
            elif gap:
                found = [p for p in range(places[0] + 1, len(tape)) if same_print(event, tape[p])]
            else:
                found = [
                    p + 1 for p in places if p + 1 < len(tape) and same_print(event, tape[p + 1])
                ]
            if not found:
                self._no_such_print(event, number, tape, what, places, gap, after_ns)
            places, gap = found, False
        if until_ns is None or gap:
            return
        last = _first_after(tape, until_ns) - 1
        if places is not None and last >= 0 and places[-1] < last:
            self.fail(
                f"the {what}s after {tape[places[-1]]} were never delivered, {last - places[-1]} "
                f"of them, the last one {tape[last]}"
            )

    def _no_such_print(
        self,
        event: Trade | Liquidation,
        number: int,
        tape: Sequence[Print],
        what: str,
        places: list[int] | None,
        gap: bool,
        after_ns: int | None,
    ) -> NoReturn:
        time_ns = event.exchange_time_ns
        told = f"the {what} {event.side.value} {event.size} at {event.price}"
        told += (
            f" ({'no time' if time_ns is None else clock(time_ns)}), delivered as number {number}"
        )
        anywhere = [p for p in range(len(tape)) if same_print(event, tape[p])]
        if anywhere:
            if places is None:
                assert after_ns is not None
                self.fail(
                    f"{told}, is the first that was delivered, but "
                    f"{tape[_first_after(tape, after_ns)]} came before it, after the subscription"
                )
            if anywhere[0] <= places[0]:
                self.fail(
                    f"{told}, is out of order or a repeat: on the tape it comes before or is "
                    f"{tape[places[0]]}, which was delivered before it. Are a frame's {what}s put "
                    "oldest first, and is trade_id the same in each copy?"
                )
            self.fail(
                f"before {told}, {anywhere[0] - places[0] - 1} are missing that are on the tape, "
                f"such as {tape[places[0] + 1]}, and no Gap says so. Is every item of a frame read?"
            )
        at = time_ns if time_ns is not None else event.received_time_ns
        near = min(tape, key=lambda each: abs(each.time_ns - at), default=None)
        if places is not None and not gap and places[0] + 1 < len(tape):
            near = tape[places[0] + 1]
        self.fail(
            f"{told}, never happened; what happened is {near}. Compare side (the "
            f"{'taker' if what == 'trade' else 'position'}'s), price, size and time (ns from the "
            "exchange's unit)"
        )

    def fail(self, text: str) -> NoReturn:
        """Fail about this market."""
        raise AssertionError(f"{self.symbol}: {text}")


def _first_after(tape: Sequence[Print], time_ns: int) -> int:
    return bisect_right(tape, time_ns, key=lambda each: each.time_ns)


def _of_trades(gap: Gap) -> bool:
    return gap.about is Channel.TRADES
