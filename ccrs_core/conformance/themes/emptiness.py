"""What a market has none of is told as none, and once it is there again, as that (2, 19)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

import attrs

from ccrs_core.conformance.judges.figures import candle_is_true
from ccrs_core.conformance.judges.judge import Capture, Judge
from ccrs_core.conformance.judges.steered import STATES, Stage, figures, stated_by
from ccrs_core.conformance.workbench.moments import sides
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Case, Subject, requests_of
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.contract.rest import GetBook, GetTopOfBook
from ccrs_core.emulator import Oddity
from ccrs_core.model.events import Candle, OpenInterest, TopOfBook
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND

_BIDS = frozenset({"bid_price", "bid_size"})
_ASKS = frozenset({"ask_price", "ask_size"})
_TRADED = frozenset({"last_price", "open_price", "high_price", "low_price"})
_KEPT_NS = 10 * NS_PER_SECOND
_QUIET = 1.2
"""Seconds within which every book tells of a change."""

_ZEROS = {"funding_rate": ("0", "-0.000123"), "open_interest": ("0",)}
"""Figures that may be zero or less."""
_WORTHLESS = {"mark_price": ("0",)}
"""So may what an option is worth."""

_LACKS: tuple[tuple[Oddity, frozenset[str], Mapping[str, Any]], ...] = (
    (Oddity.ONE_SIDED, _BIDS, {"bids": ()}),
    (Oddity.ONE_SIDED, _ASKS, {"asks": ()}),
    (Oddity.ONE_SIDED, _BIDS | _ASKS, {"bids": (), "asks": ()}),
    (Oddity.UNTRADED, _TRADED, {"last_price": None}),
    (Oddity.NO_MARK_PRICE, frozenset({"mark_price"}), {"mark_price": None}),
    (Oddity.NO_INDEX_PRICE, frozenset({"index_price"}), {"index_price": None}),
    (Oddity.NO_OPEN_INTEREST, frozenset({"open_interest"}), {"open_interest": None}),
    (Oddity.NO_FUNDING_RATE, frozenset({"funding_rate", "rate"}), {"funding_rate": None}),
    (
        Oddity.NO_FUNDING_TIME,
        frozenset({"next_funding_time_ns", "funding_time_ns"}),
        {"next_funding_time_ns": None},
    ),
)
"""What may lack, the fields that are None then, and how it is brought about."""


class EmptinessProperties:
    """Values that become empty, and come back."""

    @proves(2)
    def test_what_a_market_lacks_is_none_and_comes_back(self, subject: Subject) -> None:
        """A side without orders, a price before the first trade, a rate that isn't set yet: the
        field is None exactly as long as there is nothing, neither zero nor what it was before, and
        then has its new value, again and again. (Where the exchange never lacks something its
        dialect says so in ``Dialect.lacks``; else the dialect writes what the exchange writes.)"""
        lacks = subject.dialect().lacks
        for case in subject.cases(*STATES):
            stage = Stage(subject, case)
            stated = stated_by(stage.first())
            for oddity, names, empty in _LACKS:
                if not names & stated or oddity in lacks:
                    continue
                for turn, other in enumerate(_others(stage, empty)):
                    stage.steer(**empty)
                    when = f"while there is none of {', '.join(empty)}"
                    stage.expect(stated, when)
                    if turn == 0:
                        stage.joins(stated, when)
                        stage.again(stated, when)
                    stage.steer(**other)
                    stage.expect(stated, f"when {', '.join(empty)} came back")

    @proves(2)
    def test_blank_fields_are_none_and_not_what_they_were(self, subject: Subject) -> None:
        """While the exchange leaves its optional fields blank, null or absent
        (``EmulatedExchange.blank``), what events and answers state is true, and all else None:
        neither zero nor what it was before."""
        for market in subject.markets:
            _answers(subject, subject.instrument(market))
        for case in subject.cases():
            if case.channel in (Channel.TRADES, Channel.CANDLES):
                _rows(subject, case)
            if case.channel not in STATES:
                continue
            stage = Stage(subject, case)
            stated = stated_by(stage.first())
            stage.venue.faults.add("blank")
            _change(stage, stated)
            for event in stage.hear(stage.patience):
                untraded = [n for n in ("volume", "turnover") if getattr(event, n, None) == 0]
                stateless = attrs.evolve(event, **dict.fromkeys(untraded))
                wrong = stage.wrong(stateless, None)
                if wrong:
                    stage.fail("while optional fields are blank", "; ".join(wrong))
            stage.venue.faults.clear()
            _change(stage, stated)
            stage.expect(stated, "once its fields have values again")

    @proves(2)
    def test_zero_is_a_value_and_so_is_less(self, subject: Subject) -> None:
        """A funding rate, an open interest and an option's mark price of exactly zero, and a rate
        below it, are told as that after one above it, to who was there and to who comes then:
        neither None nor what was before; and so is what comes next."""
        for case in subject.cases(*STATES):
            stage = Stage(subject, case)
            stated = stated_by(stage.first())
            worthless = _WORTHLESS if case.market is Market.OPTION else {}
            for name, values in (_ZEROS | worthless).items():
                if not {name, name.removeprefix("funding_")} & stated:
                    continue
                before = stage.state[name]
                for value in values:
                    for each in (Decimal(value), before):
                        stage.steer(**{name: each})
                        when = f"when {name} became {each}"
                        stage.expect(stated, when)
                        stage.joins(stated, when)
                    stage.again(stated, f"after {name} had been {value}")

    @proves(19)
    def test_a_book_without_a_side_is_one_and_fills_again(self, subject: Subject) -> None:
        """Where a side of a book loses all its levels the maintained book has none on that side,
        and is no reason to begin anew; what comes then is in it."""
        if Oddity.ONE_SIDED in subject.dialect().lacks:
            subject.undeclared("books without a side")
        for market in subject.markets:
            _asked(subject, subject.instrument(market))
        for case in subject.cases(Channel.BOOK):
            for depth in sorted(subject.exchange.capabilities.book_depths[case.market]):
                _empties(subject, case, depth)


def _change(stage: Stage, stated: frozenset[str]) -> None:
    """Let all figures that are stated change at once."""
    changes: dict[str, Any] = {}
    for _, names, empty in _LACKS:
        if names & stated:
            changes |= next(_others(stage, empty))
    stage.steer(**changes)


def _others(stage: Stage, empty: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What comes after nothing: other values, then those from before."""
    former = {name: stage.state[name] for name in empty}
    yield {name: _other(name, value, stage) for name, value in former.items()}
    yield former


def _other(name: str, value: Any, stage: Stage) -> Any:
    tick, lot = stage.listing.tick, stage.listing.lot
    if name in ("bids", "asks"):
        return [(price + tick, size + lot) for price, size in value]
    steps: Mapping[str, Callable[[], Any]] = {
        "open_interest": lambda: value + lot,
        "funding_rate": lambda: value + Decimal("0.000001"),
        "next_funding_time_ns": lambda: value + 3600 * NS_PER_SECOND,
    }
    return steps.get(name, lambda: value + tick)()


def _rows(subject: Subject, case: Case) -> None:
    """Fails where a trade or candle with blank fields states what isn't true."""
    stage = Stage(subject, case)
    price, lot, tick = stage.state["last_price"], stage.listing.lot, stage.listing.tick
    rpi = Oddity.RPI_TRADE not in subject.dialect().lacks
    for turn in range(6):
        if turn == 2:
            stage.venue.faults.add("blank")
        if turn == 4:
            stage.venue.faults.clear()
        side = (Side.BUY, Side.SELL)[turn % 2]
        at, size = price + turn * tick, lot * (100 + turn)
        stage.venue.trade(stage.listing, side, size, at, rpi=rpi and turn % 2 == 0)
        for event in stage.hear(2.5):
            if isinstance(event, Candle):
                candle_is_true(stage.history, stage.market, event)
                continue
            true = next((each for each in stage.history.trades if each.price == event.price), None)
            if true is None or event.side is not true.side or event.rpi not in (None, true.rpi):
                stage.fail("while optional fields are blank", f"{event} is told of {true}")


def _answers(subject: Subject, instrument: Instrument) -> None:
    """Fails where a blank answer states anything else than the whole one does."""
    plain, blank = subject.line(), subject.line()
    blank.venue.faults.add("blank")
    for request in requests_of(subject, instrument):
        whole, sparse = plain.ask(request), blank.ask(request)
        if not isinstance(whole, list):
            whole, sparse = [whole], [sparse]
        known = {_name(each): each for each in whole}
        for each in sparse:
            want = known.get(_name(each))
            if want is None or not attrs.has(type(each)):
                continue
            for field in attrs.fields(type(each)):
                value, full = getattr(each, field.name), getattr(want, field.name)
                if field.name.endswith("exchange_time_ns") or value is None or value == full:
                    continue
                raise AssertionError(
                    f"{type(request).__name__} of {instrument.symbol}: where optional fields are "
                    f"blank {field.name} is {value}; it is {full} where they aren't. What the "
                    "exchange doesn't say is None: neither zero nor something else"
                )


def _name(value: Any) -> object:
    """What tells a row of an answer from others."""
    if isinstance(value, OpenInterest):
        return value.exchange_time_ns
    names = ("native", "trade_id", "open_time_ns", "funding_time_ns")
    return next((getattr(value, name) for name in names if hasattr(value, name)), None)


def _asked(subject: Subject, instrument: Instrument) -> None:
    """Fails where an answer about a book without a side has one, or none of one that is back."""
    line = subject.line()
    truth = Truth(line.venue)
    listing, history = truth.listing(instrument), truth.of(instrument)
    state = figures(listing)
    kinds = (GetTopOfBook, GetBook)
    asked = [r for r in requests_of(subject, instrument) if isinstance(r, kinds)]
    back = {side: state[side] for side in ("bids", "asks")}
    for step in (state, {"bids": ()}, {"asks": ()}, {"bids": state["bids"]}, back):
        line.venue.steer(listing, **step)
        # An answer may be one that was kept for a while.
        line.venue.advance(line.venue.now_ns + _KEPT_NS)
        for request in asked:
            answer = cast(Any, line).ask(request)
            top = isinstance(answer, TopOfBook)
            told = sides(answer) if top else (list(answer.bids), list(answer.asks))
            now = history.present.levels(1 if top else None)
            if told != now:
                history.fail(
                    f"{type(request).__name__} answers with {told[0]} and {told[1]}, the market "
                    f"has {now[0]} and {now[1]}: of a side without orders there is neither price "
                    "nor size"
                )


def _empties(subject: Subject, case: Case, depth: int) -> None:
    subscription = subject.subscription(case.channel, case.subscription.instrument, depth)
    line = subject.line()
    truth = Truth(line.venue, depth=max(50, depth))
    listing = truth.listing(subscription.instrument)
    state = figures(listing)
    line.venue.steer(listing, bids=state["bids"], asks=state["asks"])
    capture = Capture(line, [subscription])
    judge = Judge(line, truth, [subscription])
    judge.take(capture.events)
    bids, asks = state["bids"], state["asks"]
    more = [(price, size + listing.lot) for price, size in bids]
    steps: tuple[Mapping[str, Any], ...] = (
        {"bids": more},
        {"bids": ()},
        {"bids": bids},
        {"asks": ()},
        {"bids": ()},
        {"asks": asks[1:]},
        {"bids": bids[1:]},
        {"bids": bids, "asks": asks},
    )
    for step in steps:
        line.venue.steer(listing, **step)
        for events in capture.run(_QUIET):
            judge.take(events)
        history, book = judge.history, judge.books.get(subscription)
        now = history.present.levels(depth)
        told = None if book is None else (book.bids(depth), book.asks(depth))
        if told != now:
            what = " and ".join(f"{side} became {list(levels)}" for side, levels in step.items())
            history.fail(
                f"after {what} the book of {subscription} is {told}, the market's {now}: a level "
                "of size zero is gone, a side that isn't in an update stays as it is, and one that "
                "isn't in a snapshot has no levels"
            )
