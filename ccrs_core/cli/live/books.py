"""Order books rebuilt from a feed's events, so that what is shown matches the event shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ccrs_core.model.events import AnyEvent, BookUpdate, Gap, Reason, Stale
from ccrs_core.model.orderbook import Applied, OrderBook
from ccrs_core.model.subscriptions import Channel


class Books:
    """Follows a feed that carries books.

    A feed's own book is as new as the last frame received: ahead of the events that still wait for
    a slow reader. These are as new as the event at hand. ``live`` finds the feed's book by symbol,
    to start anew from where updates were dropped.
    """

    def __init__(self, live: Callable[[str], OrderBook]) -> None:
        self._live = live
        self._books: dict[str, OrderBook] = {}

    def __getitem__(self, symbol: str) -> OrderBook:
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = self._live(symbol).twin()
        return book

    def follow(self, batch: Sequence[AnyEvent]) -> Iterator[tuple[AnyEvent, OrderBook | None]]:
        """Each event; a book update with the book as it stands after it, always a valid one.

        The batch must be the newest that the feed has. Where updates were dropped before it, the
        feed's own book, which has them, replaces all updates of the batch.
        """
        dropped = {
            event.symbol
            for event in batch
            if isinstance(event, Gap)
            and event.reason is Reason.OVERFLOW
            and event.about is Channel.BOOK
        }
        for event in batch:
            if isinstance(event, BookUpdate):
                if event.symbol not in dropped:
                    book = self[event.symbol]
                    if book.apply(event) is Applied.APPLIED:
                        yield event, book
                continue
            if isinstance(event, Stale) and event.about is Channel.BOOK:
                silent = event.reason is Reason.SILENT
                # Silence for longer than the user likes leaves the book as it is.
                if not silent or not self._live(event.symbol).valid:
                    self[event.symbol].invalidate(event.reason)
            yield event, None
        for symbol in sorted(dropped):
            yield from self._anew(symbol, batch[0].exchange)

    def _anew(self, symbol: str, exchange: str) -> Iterator[tuple[AnyEvent, OrderBook]]:
        book, live = self[symbol], self._live(symbol)
        if not live.valid or live.sequence is None or live.received_time_ns is None:
            return  # a snapshot will come
        state = BookUpdate(
            exchange,
            symbol,
            live.exchange_time_ns,
            live.received_time_ns,
            live.sequence,
            True,
            (),
            (),
        )
        state = live.snapshot(state)
        if book.apply(state) is Applied.APPLIED:
            yield state, book
