"""Books of depths that the exchange has no stream of (21): the best of a deeper one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import attrs

from ccrs_core.conformance.judges.kept_book import Bench, recorded
from ccrs_core.conformance.workbench.generated import Kind, vary
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.exchange import resolve, unsupported_reason
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import StreamData
from ccrs_core.model.instruments import Market
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel

_LIVELY = Kind(Decimal("0.5"), 30_000, Decimal("0.001"), 0, 40.0)


class _Follower:
    """A feed in which a book is rebuilt from what it is told, and from nothing else."""

    policy = Policy.DROP_OLDEST
    freshness = None

    def __init__(self) -> None:
        self.book: OrderBook | None = None
        self.told = 0

    def put(self, events: Sequence[StreamData]) -> None:
        assert self.book is not None
        for update in events:
            self.told += 1
            self.book.apply(cast(Any, update))


class WishProperties:
    """Properties of books that show fewer levels than their streams bring."""

    @proves(21)
    def test_a_book_of_any_depth_is_the_best_of_the_next_deeper_stream(
        self, subject: Subject
    ) -> None:
        """Any number of levels up to the deepest is had: of the smallest stream that has them, and
        whoever rebuilds the book from its updates has the market's best so many. More than the
        deepest, or another one where it must be exact, is refused with what there is."""
        for case in subject.cases(Channel.BOOK):
            self._resolved(subject, case.market)
            depths = subject.exchange.capabilities.book_depths.get(case.market, ())
            for depth in depths:
                wish = max(depth // 2, 1)
                if wish < depth:
                    self._followed(subject, case.market, depth, wish)

    @proves(21)
    def test_books_with_orders_of_retail_price_improvement_are_true_and_of_their_own(
        self, subject: Subject
    ) -> None:
        """Each stream of books that holds such orders, too, is another one than that without, and
        has the whole size of each level; where there is none, it is refused."""
        offered = subject.exchange.capabilities.rpi_book_depths
        if not any(offered.values()):
            subject.undeclared("book with orders of retail price improvement")
        for market in subject.markets:
            for depth in offered.get(market, ()):
                self._improved(subject, market, depth)
            if not offered.get(market):
                instrument = subject.instrument(market)
                wish = resolve(subject.exchange, Channel.BOOK, instrument, None, None, rpi=True)
                assert unsupported_reason(subject.exchange, wish) is not None

    @staticmethod
    def _improved(subject: Subject, market: Market, depth: int) -> None:
        kind = attrs.evolve(_LIVELY, seed=subject.seed)
        line, truth, instrument = vary(subject, subject.instrument(market), kind, depth=depth)
        exchange = line.exchange
        wish = resolve(exchange, Channel.BOOK, instrument, depth, None, rpi=True)
        assert unsupported_reason(exchange, wish) is None
        assert (wish.rpi, wish.depth) == (True, depth)
        bench = Bench(exchange, truth, wish)
        for plain in exchange.capabilities.book_depths.get(market, ()):
            other = attrs.evolve(wish, rpi=False, depth=plain)
            codec = exchange.codec(exchange.route(other))
            assert codec.topic(other) != bench.topic.name, (
                f"{wish} and {other} are told apart by nothing: both are {bench.topic.name}"
            )
        codec = bench.codec()
        for each in recorded(line, wish, 2.0):
            bench.hear(codec, each.frame, each.time_ns)
        assert bench.book.valid, f"the book of {wish} is {bench.book.state.value}"
        assert len(bench.delivered) > 1, f"no change is told of {wish}"

    @staticmethod
    def _resolved(subject: Subject, market: Market) -> None:
        exchange, instrument = subject.exchange, subject.instrument(market)
        depths = exchange.capabilities.book_depths.get(market, ())
        for depth in depths:
            for wish in {1, depth - 1, depth, depth + 1} - {0}:
                enough = [each for each in depths if each >= wish]
                found = resolve(exchange, Channel.BOOK, instrument, wish, None)
                reason = unsupported_reason(exchange, found)
                if not enough:
                    assert reason is not None
                    assert str(max(depths)) in reason, f"{reason}: it must say the deepest"
                    continue
                assert reason is None, f"a book of {wish} levels is refused: {reason}"
                assert found.depth == min(enough), (
                    f"a book of {wish} levels of {instrument.symbol} is taken from {found}"
                )
                exact = resolve(exchange, Channel.BOOK, instrument, wish, None, exact=True)
                assert (unsupported_reason(exchange, exact) is None) == (wish in depths)
                interval = exchange.push_interval(found)
                assert interval is None or interval >= 0, f"push_interval of {found}: {interval}"

    @staticmethod
    def _followed(subject: Subject, market: Market, depth: int, wish: int) -> None:
        kind = attrs.evolve(_LIVELY, seed=subject.seed)
        line, truth, instrument = vary(
            subject, subject.instrument(market), kind, depth=depth, levels=wish + 5
        )
        bench = Bench(line.exchange, truth, subject.subscription(Channel.BOOK, instrument, depth))
        follower = _Follower()
        bench.topic.attach(bench.stream, cast(Any, follower), wish)
        shown = bench.topic.book_of(cast(Any, follower))
        follower.book = shown.twin()
        codec = bench.codec()
        for each in recorded(line, bench.subscription, 1.0):
            bench.hear(codec, each.frame, each.time_ns)
            if not bench.book.valid:
                continue
            best = bench.book.bids(wish), bench.book.asks(wish)
            assert (shown.bids(), shown.asks()) == best
            assert (follower.book.bids(), follower.book.asks()) == best, (
                f"whoever follows the updates of the best {wish} levels of {bench.subscription} "
                "has others than the book"
            )
        assert follower.told, f"nothing was told of {bench.subscription}"
