"""The best bid and offer of one symbol over several exchanges (the consolidated BBO). Pure.

It is fed with the events of a feed, best bid and ask of several exchanges among them, and knows at
any time who offers what. It never takes an old quote for a fresh one: an exchange whose data were
interrupted (:class:`~ccrs_core.Stale`, :class:`~ccrs_core.Gap`) counts for nothing
until its next quote, and says so. One that was merely silent counts again once it says that nothing
has changed (:class:`~ccrs_core.Resumed`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from decimal import Decimal

import attrs

from ccrs_core.model.events import AnyEvent, Gap, Reason, Resumed, Stale, TopOfBook
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.several.leadlag import Lead, LeadLag


@attrs.frozen
class BestPrice:
    """The best price of one side, and who offers it."""

    exchange: str
    price: Decimal
    size: Decimal
    """That exchange's own size, in its own unit."""
    since_ns: int
    """Arrival of the quote with which it began to offer this price, without a break."""


class QuoteState(enum.StrEnum):
    """Whether an exchange's quote counts."""

    WAITING = "waiting"
    """None has come yet."""
    FRESH = "fresh"
    STALE = "stale"
    """Interrupted: the exchange's last quote may be out of date, and counts for nothing."""


@attrs.frozen(kw_only=True)
class ExchangeQuote:
    """What one exchange contributes."""

    exchange: str
    state: QuoteState
    quote: TopOfBook | None
    """The last one that came, whether it counts or not."""
    reason: Reason | None
    """What has interrupted it since its last quote (or since the beginning, where none came)."""
    lead: Lead
    """How far its price is ahead of those of the others."""

    def age_ns(self, now_ns: int) -> int | None:
        """Time since its last quote arrived; None before the first."""
        return None if self.quote is None else max(now_ns - self.quote.received_time_ns, 0)

    @property
    def spread(self) -> Decimal | None:
        """Its own ask minus its own bid."""
        quote = self.quote
        if quote is None or quote.bid_price is None or quote.ask_price is None:
            return None
        return quote.ask_price - quote.bid_price


@attrs.define(eq=False)
class _Venue:
    """One exchange."""

    exchange: str
    quote: TopOfBook | None = None
    state: QuoteState = QuoteState.WAITING
    reason: Reason | None = None
    silent: bool = False
    """Whether nothing but silence keeps the quote from counting."""
    bid_since_ns: int = 0
    ask_since_ns: int = 0
    anchor: Decimal | None = None
    """Bid plus ask at the last move; None where nothing can be compared with."""
    least: Decimal = Decimal(0)
    """How far from the anchor the next move begins."""


class ConsolidatedBBO:
    """Best bid and offer of one symbol over the exchanges that quote it.

    Feed it with every event of a feed, in their order; what concerns other symbols and channels is
    passed over. Prices are compared as they are: of one symbol all are in the same currency. Fees
    are not taken into account.

    :param exchanges: those that are expected, so that they are listed before their first quote.
    :param window_ns: see :class:`~ccrs_core.LeadLag`.
    :param min_move: the part of the price by which bid and ask together must have moved since the
        last move to count as one for lead and lag; so exchanges with finer ticks don't seem to lead
        only because they move earlier and more often.
    """

    def __init__(
        self,
        symbol: str,
        exchanges: Iterable[str] = (),
        *,
        window_ns: int = NS_PER_SECOND,
        min_move: Decimal = Decimal("0.00001"),
    ) -> None:
        self.symbol = symbol
        self.lead_lag = LeadLag(window_ns)
        """Leads between exchanges, two by two."""
        self._min_move = min_move
        self._venues = {exchange: _Venue(exchange) for exchange in exchanges}
        self._best: tuple[BestPrice | None, BestPrice | None] | None = None

    # --- writing ---

    def take(self, event: AnyEvent) -> None:
        """Note a quote, or that quotes were interrupted."""
        if event.symbol != self.symbol:
            return
        if isinstance(event, TopOfBook):
            self._quoted(event)
        elif isinstance(event, Stale | Gap) and event.about is Channel.TOP_OF_BOOK:
            venue = self._venue(event.exchange)
            silent = isinstance(event, Stale) and event.reason is Reason.SILENT
            venue.silent = silent and (venue.silent or venue.state is QuoteState.FRESH)
            if venue.state is not QuoteState.WAITING:
                venue.state = QuoteState.STALE
            venue.reason = event.reason
            venue.anchor = None
            self._best = None
        elif isinstance(event, Resumed) and event.about is Channel.TOP_OF_BOOK:
            venue = self._venue(event.exchange)
            # After anything but silence the old quote is no news: it takes a new one.
            if venue.silent:
                venue.state, venue.reason, venue.silent = QuoteState.FRESH, None, False
                self._best = None

    def _venue(self, exchange: str) -> _Venue:
        venue = self._venues.get(exchange)
        if venue is None:
            venue = self._venues[exchange] = _Venue(exchange)
        return venue

    def _quoted(self, quote: TopOfBook) -> None:
        venue = self._venue(quote.exchange)
        last = venue.quote if venue.state is QuoteState.FRESH else None
        if last is None or last.bid_price != quote.bid_price:
            venue.bid_since_ns = quote.received_time_ns
        if last is None or last.ask_price != quote.ask_price:
            venue.ask_since_ns = quote.received_time_ns
        venue.quote, venue.state, venue.reason = quote, QuoteState.FRESH, None
        venue.silent = False
        self._best = None
        self._follow(venue, quote)

    def _follow(self, venue: _Venue, quote: TopOfBook) -> None:
        """Tell a move from what is none."""
        bid, ask = quote.bid_price, quote.ask_price
        if bid is None or ask is None:
            venue.anchor = None
            return
        price = bid + ask
        anchor = venue.anchor
        if anchor is not None:
            if price == anchor or abs(price - anchor) < venue.least:
                return
            self.lead_lag.moved(venue.exchange, price > anchor, quote.received_time_ns)
        venue.anchor = price
        venue.least = abs(price) * self._min_move

    def remove(self, exchange: str) -> None:
        """Forget an exchange, for one that was unsubscribed from or refused the subscription."""
        self._venues.pop(exchange, None)
        self.lead_lag.remove(exchange)
        self._best = None

    # --- reading ---

    @property
    def best_bid(self) -> BestPrice | None:
        """The highest bid of all fresh quotes.

        Of equal prices the one with more size, then the one that was there first, then by name.
        """
        return self._sides()[0]

    @property
    def best_ask(self) -> BestPrice | None:
        """The lowest ask of all fresh quotes; equal ones as with :attr:`best_bid`."""
        return self._sides()[1]

    def _sides(self) -> tuple[BestPrice | None, BestPrice | None]:
        if self._best is None:
            bid: BestPrice | None = None
            ask: BestPrice | None = None
            for venue in self._venues.values():
                quote = venue.quote
                if quote is None or venue.state is not QuoteState.FRESH:
                    continue
                price, size = quote.bid_price, quote.bid_size
                if price is not None and size is not None and (bid is None or price >= bid.price):
                    offer = BestPrice(venue.exchange, price, size, venue.bid_since_ns)
                    if bid is None or price > bid.price or _rank(offer) < _rank(bid):
                        bid = offer
                price, size = quote.ask_price, quote.ask_size
                if price is not None and size is not None and (ask is None or price <= ask.price):
                    offer = BestPrice(venue.exchange, price, size, venue.ask_since_ns)
                    if ask is None or price < ask.price or _rank(offer) < _rank(ask):
                        ask = offer
            self._best = bid, ask
        return self._best

    @property
    def spread(self) -> Decimal | None:
        """Best ask minus best bid, below zero where they cross; None where a side has no price."""
        bid, ask = self._sides()
        return None if bid is None or ask is None else ask.price - bid.price

    @property
    def mid(self) -> Decimal | None:
        """The middle between best bid and best ask; None where a side has no price."""
        bid, ask = self._sides()
        return None if bid is None or ask is None else (bid.price + ask.price) / 2

    @property
    def locked(self) -> bool:
        """Whether best bid and best ask are the same price."""
        return self.spread == 0

    @property
    def crossed(self) -> bool:
        """Whether somebody bids more than somebody else asks."""
        spread = self.spread
        return spread is not None and spread < 0

    @property
    def exchanges(self) -> tuple[ExchangeQuote, ...]:
        """What each exchange contributes, in the order in which they were named or first came."""
        return tuple(
            ExchangeQuote(
                exchange=venue.exchange,
                state=venue.state,
                quote=venue.quote,
                reason=venue.reason,
                lead=self.lead_lag.of(venue.exchange),
            )
            for venue in self._venues.values()
        )


def _rank(offer: BestPrice) -> tuple[Decimal, int, str]:
    """Which of two equal prices goes first: the lower."""
    return -offer.size, offer.since_ns, offer.exchange
