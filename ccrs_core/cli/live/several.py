"""Running figures of a feed of several exchanges: each one's own, and the best prices of all."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

import attrs

from ccrs_core.cli.live.books import Books
from ccrs_core.cli.live.figures import Board, Figures
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Channel
from ccrs_core.several.best import ConsolidatedBBO
from ccrs_core.several.feed import MergedFeed
from ccrs_core.several.names import qualified, split


class SeveralBooks:
    """:class:`Books` of each exchange of a merged feed."""

    def __init__(self, feed: MergedFeed) -> None:
        self._feed = feed
        self._books: dict[str, Books] = {}

    def _of(self, exchange: str) -> Books:
        books = self._books.get(exchange)
        if books is None:
            feed = self._feed
            books = Books(lambda symbol: feed.book(qualified(exchange, symbol)))
            self._books[exchange] = books
        return books

    def follow(self, batch: Sequence[AnyEvent]) -> Iterator[tuple[AnyEvent, OrderBook | None]]:
        """Each event, in order; a book update with the book as it stands after it."""
        for exchange, run in groupby(batch, attrgetter("exchange")):
            yield from self._of(exchange).follow(list(run))


class Boards:
    """Everything of one merged feed. What is shown first is what was asked for first."""

    def __init__(self, feed: MergedFeed) -> None:
        self.boards: dict[str, Board] = {}
        self.best: dict[str, ConsolidatedBBO] = {}
        """By symbol, for those whose best prices are watched."""
        self._digits: dict[str, int] = {}
        self._books = SeveralBooks(feed)
        expected: dict[str, list[str]] = {}
        for interest in feed.subscribed:
            exchange, symbol = split(interest.symbol)
            assert exchange is not None
            self.boards.setdefault(exchange, Board()).expect(symbol, interest.channel)
            if interest.channel is Channel.TOP_OF_BOOK:
                expected.setdefault(symbol, []).append(exchange)
        for symbol, exchanges in expected.items():
            self.best[symbol] = ConsolidatedBBO(symbol, exchanges)

    def take(self, batch: Sequence[AnyEvent]) -> None:
        for event in batch:
            best = self.best.get(event.symbol)
            if best is not None:
                best.take(event)
        for exchange, run in groupby(self._books.follow(batch), lambda each: each[0].exchange):
            self.boards.setdefault(exchange, Board()).take(list(run))

    def row(self, exchange: str, symbol: str) -> Figures:
        """The figures of an exchange's best prices."""
        return self.boards[exchange].rows[symbol, Channel.TOP_OF_BOOK]

    def digits(self, symbol: str) -> int:
        """Digits after the point that all prices of a symbol need so far: exchanges write more or
        fewer zeros behind them, and a table is read by its columns."""
        most = self._digits.get(symbol, 0)
        for each in self.best[symbol].exchanges:
            if each.quote is not None:
                for price in (each.quote.bid_price, each.quote.ask_price):
                    if price is not None:
                        exponent = price.normalize().as_tuple().exponent
                        most = max(most, -int(exponent))
        self._digits[symbol] = most
        return most

    def figures(self) -> Iterator[Figures]:
        for board in self.boards.values():
            yield from board.rows.values()

    def as_one(self) -> Board:
        """A board on which the exchange is a part of each symbol."""
        made = Board()
        for exchange, board in self.boards.items():
            for (symbol, channel), row in board.rows.items():
                shown = copy.copy(row)
                shown.symbol = qualified(exchange, symbol)
                made.rows[shown.symbol, channel] = shown
        tape = [
            attrs.evolve(event, symbol=qualified(exchange, event.symbol))
            for exchange, board in self.boards.items()
            for event in board.tape
        ]
        made.tape.extend(sorted(tape, key=attrgetter("received_time_ns")))
        return made
