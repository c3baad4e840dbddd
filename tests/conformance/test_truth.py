"""The oracle itself: it accepts what happened in a market, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest

from ccrs_core.conformance.judges.judge import Capture, Judge
from ccrs_core.conformance.workbench.generated import Deed, Kind, vary
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.truth import History, Truth
from ccrs_core.emulator import Lifetime
from ccrs_core.model.events import AnyEvent, Gap, Reason, TopOfBook, Trade
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.subscriptions import Channel

KIND = Kind(Decimal("0.5"), 30_000, Decimal("0.001"), 7, 30.0)
SELDOM = attrs.evolve(KIND, rate=0.001)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject("bybit")


def a_market(subject: Subject, kind: Kind = KIND) -> tuple[Line, Truth, Instrument]:
    return vary(subject, subject.instrument(Market.LINEAR), kind)


def delivered(
    subject: Subject, channel: Channel, seconds: float = 10.0
) -> tuple[History, list[AnyEvent]]:
    """What an undisturbed subscription brings, and the truth about it."""
    line, truth, instrument = a_market(subject)
    capture = Capture(line, [subject.subscription(channel, instrument)])
    for _ in capture.run(seconds):
        pass
    return truth.of(instrument), list(capture.events)


def test_what_is_delivered_is_accepted(subject: Subject) -> None:
    history, trades = delivered(subject, Channel.TRADES)
    assert len(trades) > 20
    history.trades_are_true(trades, after_ns=history.begin_ns, until_ns=history.times[-1] - 10**9)


def test_a_market_starts_with_its_first_moment(subject: Subject) -> None:
    line, truth, instrument = a_market(subject, SELDOM)
    market = line.venue.market(truth.listing(instrument))
    history = truth.of(instrument)
    assert len(history.moments) == 1
    bids, asks = history.present.levels(5)
    assert bids == [
        (market.rules.price.value(p), market.rules.size.value(s))
        for p, s in market.engine.depth(Side.BUY, 5)
    ]
    assert history.book_is_true(bids, asks, 5) == 0
    history.book_is_present(bids, asks, 5)


def test_orders_are_published_and_on_record(subject: Subject) -> None:
    line, truth, instrument = a_market(subject, SELDOM)
    listing = truth.listing(instrument)
    wanted = [
        subject.subscription(channel, instrument)
        for channel in (Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK)
    ]
    judge = Judge(line, truth, wanted)
    capture = Capture(line, wanted)
    before = len(capture.events)
    Deed(0.0, Side.BUY, None, 5, Lifetime.IOC).carry_out(line.venue, listing)
    for _ in capture.run(0.1):
        pass
    judge.take(capture.events)
    found = [event for event in capture.events[before:] if isinstance(event, Trade)]
    assert [(trade.side, trade.size) for trade in found] == [(Side.BUY, Decimal("0.005"))]
    assert len(truth.of(instrument).trades) == 1
    assert {type(event).__name__ for event in capture.events[before:]} == {
        "TopOfBook",
        "Trade",
        "BookUpdate",
    }


def test_an_order_against_the_rules_changes_nothing(subject: Subject) -> None:
    line, truth, instrument = a_market(subject, SELDOM)
    listing = truth.listing(instrument)
    line.venue.market(listing)
    Deed(0.0, Side.BUY, None, 10**12, Lifetime.IOC).carry_out(line.venue, listing)
    assert len(truth.of(instrument).moments) == 1


Wrong = Callable[[list[AnyEvent]], list[AnyEvent]]


def edited(change: Callable[[Trade], AnyEvent]) -> Wrong:
    def wrong(trades: list[AnyEvent]) -> list[AnyEvent]:
        trade = trades[5]
        assert isinstance(trade, Trade)
        return [*trades[:5], change(trade), *trades[6:]]

    return wrong


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (edited(lambda t: attrs.evolve(t, price=t.price + Decimal("0.5"))), "never happened"),
        (edited(lambda t: attrs.evolve(t, size=t.size * 2)), "never happened"),
        (edited(lambda t: attrs.evolve(t, side=_other(t.side))), "never happened"),
        (edited(lambda t: attrs.evolve(t, exchange_time_ns=_ns(t) * 1000)), "no plausible time"),
        (lambda trades: trades[:5] + trades[6:], "no Gap says so"),
        (lambda trades: [*trades[:6], *trades[3:]], "out of order or a repeat"),
        (lambda trades: trades[::-1], "is the first that was delivered, but"),
        (lambda trades: trades[3:], "is the first that was delivered, but"),
        (lambda trades: trades[:-3], "never delivered"),
    ],
)
def test_wrong_trades_are_told(subject: Subject, wrong: Wrong, says: str) -> None:
    history, trades = delivered(subject, Channel.TRADES)
    with pytest.raises(AssertionError, match=says):
        history.trades_are_true(wrong(trades), after_ns=history.begin_ns, until_ns=_ns(trades[-1]))


def test_a_gap_excuses_what_is_missing_but_no_more(subject: Subject) -> None:
    history, trades = delivered(subject, Channel.TRADES)
    gap = Gap("bybit", history.symbol, None, 0, Channel.TRADES, Reason.RECONNECTED)
    history.trades_are_true([*trades[:5], gap, *trades[9:]], until_ns=_ns(trades[-1]))
    other = attrs.evolve(gap, about=Channel.BOOK)
    with pytest.raises(AssertionError, match="no Gap says so"):
        history.trades_are_true([*trades[:5], other, *trades[9:]])
    with pytest.raises(AssertionError, match="out of order or a repeat"):
        history.trades_are_true([*trades[:9], gap, *trades[4:]])


def test_wrong_books_are_told(subject: Subject) -> None:
    history, _ = delivered(subject, Channel.TOP_OF_BOOK, 3.0)
    first, last = history.moments[0], history.moments[-1]
    bids, asks = last.levels(10)
    now = len(history.moments) - 1
    assert history.book_is_true(bids, asks, 10, since=now) == now
    with pytest.raises(AssertionError, match="sides swapped"):
        history.book_is_true(asks, bids, 10)
    with pytest.raises(AssertionError, match="prices and sizes swapped"):
        history.book_is_true([(s, p) for p, s in bids], [(s, p) for p, s in asks], 10)
    with pytest.raises(AssertionError, match="within the depth"):
        history.book_is_true(bids[:5], asks[:5], 10)
    with pytest.raises(AssertionError, match="went back in time"):
        history.book_is_true(*first.levels(10), 10, since=now)
    wrong = [(bids[0][0], bids[0][1] + Decimal("0.001")), *bids[1:]]
    with pytest.raises(AssertionError, match=r"1 levels differ: bids\[0\]"):
        history.book_is_true(wrong, asks, 10)
    with pytest.raises(AssertionError, match="differ"):
        history.book_is_true([(bids[0][0] / 7, bids[0][1]), *bids[1:]], asks, 10)
    with pytest.raises(AssertionError, match="never the market's"):
        history.book_is_true(bids, asks, 10, until_ns=history.times[0])


def test_tops_must_not_go_back_in_time(subject: Subject) -> None:
    history, tops = delivered(subject, Channel.TOP_OF_BOOK)
    since = 0
    for top in tops:
        assert isinstance(top, TopOfBook)
        since = history.top_is_true(top, since=since)
    assert since > 50
    old = tops[0]
    assert isinstance(old, TopOfBook)
    with pytest.raises(AssertionError, match="went back in time"):
        history.top_is_true(old, since=since, until_ns=history.times[-1])
    with pytest.raises(AssertionError, match="units"):
        history.top_is_true(attrs.evolve(old, exchange_time_ns=_ns(old) // 1000))


def test_an_instrument_that_the_dialect_does_not_list_is_told(subject: Subject) -> None:
    _, truth, instrument = a_market(subject)
    with pytest.raises(AssertionError, match="letter by letter"):
        truth.of(attrs.evolve(instrument, native="btc-usdt"))


def test_times_are_shown_for_people() -> None:
    assert clock(1_700_000_000_123_456_789) == "2023-11-14 22:13:20.123"
    assert "no plausible time" in clock(10**30)


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _ns(event: AnyEvent) -> int:
    assert event.exchange_time_ns is not None
    return event.exchange_time_ns
