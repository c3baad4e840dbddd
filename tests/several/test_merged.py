"""A merged feed does what every feed does."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Candle,
    Channel,
    Feed,
    FeedOverflow,
    Interest,
    MergedFeed,
    Policy,
    Reason,
    Side,
    Stale,
    TopOfBook,
    Trade,
)
from ccrs_core.model.events import MarketData
from ccrs_core.several.names import qualified
from tests import feeding as feeds

EXCHANGES = ("ant", "bee")
SYMBOLS = ("A/USD", "B/USD")
CHANNELS = (Channel.TRADES, Channel.TOP_OF_BOOK, Channel.CANDLES)


class Owner(feeds.Owner):
    """A merged feed's, which knows these exchanges."""

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        assert exchange in EXCHANGES
        super().overflowed(feed, exchange, lost)

    def qualify(self, interests: Iterable[Interest]) -> list[Interest]:
        return list(interests)


def event(exchange: str, symbol: str, channel: Channel, number: int) -> MarketData:
    one = Decimal(1)
    if channel is Channel.TRADES:
        name = str(number)
        return Trade(exchange, symbol, number, number, number, name, one, one, Side.BUY)
    if channel is Channel.TOP_OF_BOOK:
        return TopOfBook(exchange, symbol, number, number, number, one, one, one, one)
    interval = ("1m", "5m")[number % 2]
    prices = (one, one, one, one, one)
    return Candle(exchange, symbol, number, number, interval, 0, 1, *prices, None, False)


Step = tuple[str, str, str, Channel, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(("put", "put", "put", "notify", "pop", "drain", "withdraw")),
        st.sampled_from(EXCHANGES),
        st.sampled_from(SYMBOLS),
        st.sampled_from(CHANNELS),
        st.integers(1, 3),
    ),
    max_size=60,
)


def apart(found: AnyEvent | None) -> AnyEvent | None:
    """An event with the exchange in its symbol, as if there were one exchange with all of them."""
    if found is None or ":" in found.symbol:
        return found
    return attrs.evolve(found, symbol=qualified(found.exchange, found.symbol))


def figures(feed: Feed) -> tuple[int, ...]:
    status = feed.status()
    return (
        *(status.waiting, status.offered, status.delivered, status.conflated),
        *(status.dropped, status.discarded),
    )


def overflow(feed: Feed) -> int | None:
    try:
        feed.raise_error()
    except FeedOverflow as error:
        return error.lost
    return None


@given(steps, st.sampled_from(list(Policy)), st.integers(1, 4), st.integers(1, 6))
@example(
    [("put", "ant", "A/USD", Channel.TRADES, 3), ("put", "bee", "A/USD", Channel.TRADES, 3)],
    Policy.DROP_OLDEST,
    2,
    1,
)
def test_it_does_what_a_feed_does_whose_symbols_are_all_different(
    story: list[Step], policy: Policy, maxsize: int, notices: int
) -> None:
    owners = Owner(), Owner()
    merged = MergedFeed(owners[0], [], policy=policy, maxsize=maxsize)
    plain = Feed(owners[1], [], policy=policy, maxsize=maxsize)
    for feed in (merged, plain):
        feed._backlog._notices_limit = notices
        feed._backlog.__dict__["NOTICES"] = notices  # merging begins early
    number = 0
    for what, exchange, symbol, channel, count in story:
        name = qualified(exchange, symbol)
        if what == "put":
            made = [event(exchange, symbol, channel, number + n) for n in range(count)]
            number += count
            merged.put(made)
            plain.put([apart(each) for each in made])  # type: ignore[misc]
        elif what == "notify":
            number += 1
            notice = Stale(exchange, symbol, None, number, channel, Reason.SILENT)
            merged.notify(notice)
            plain.notify(apart(notice))  # type: ignore[arg-type]
        elif what == "pop":
            assert apart(merged._backlog.pop()) == plain._backlog.pop()
        elif what == "drain":
            assert [apart(each) for each in merged._backlog.drain()] == plain._backlog.drain()
        else:
            interval = "1m" if channel is Channel.CANDLES and count > 1 else None
            merged.discard(exchange, symbol, channel, interval)
            plain.discard(exchange, name, channel, interval)
        assert figures(merged) == figures(plain)
        assert merged.full == plain.full
        if not plain.waiting:
            assert overflow(merged) == overflow(plain)
    assert owners[0].lost == owners[1].lost
    assert [apart(each) for each in merged._backlog.drain()] == plain._backlog.drain()
