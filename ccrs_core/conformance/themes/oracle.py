"""The emulator as the oracle of decoding: what the codec reads is what happened in the market."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import strategies as st

from ccrs_core.conformance.judges import answers
from ccrs_core.conformance.judges.judge import PATIENCE, Capture, Judge
from ccrs_core.conformance.workbench.generated import (
    Deed,
    Kind,
    deeds,
    explore,
    kinds,
    subscriptions_to,
    vary,
)
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.contract.rest import (
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetOpenInterest,
    GetTopOfBook,
    GetTrades,
)
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND


class OracleProperties:
    """Decoding, judged by the markets themselves."""

    @proves(2)
    def test_what_streams_bring_is_what_happened_in_the_market(self, subject: Subject) -> None:
        """For every declared channel of every market, with any ticks, lots and orders, decoding
        what the emulator encodes gives exactly what happened in the market: prices, sizes, sides,
        order and times."""
        subject.cases()

        for market in subject.channels:
            self._streams(subject, market)

    @staticmethod
    def _streams(subject: Subject, market: Market) -> None:
        def check(kind: Kind, orders: list[Deed], choice: int) -> None:
            of = subject.instrument(market)
            depth = subscriptions_to(subject, of, choice).get(Channel.BOOK)
            deep = 1 if depth is None else depth.depth
            line, truth, instrument = vary(subject, of, kind, depth=deep)
            wanted = list(subscriptions_to(subject, instrument, choice).values())
            judge = Judge(line, truth, wanted)
            capture = Capture(line, wanted)
            judge.take(capture.events)
            for deed in orders:
                for events in capture.run(deed.pause):
                    judge.take(events)
                deed.carry_out(line.venue, judge.listing)
                judge.take(capture.take())
            for seconds in (3.0, PATIENCE):
                for events in capture.run(seconds):
                    judge.take(events)
                    if seconds == PATIENCE and not judge.missing():
                        break
            judge.finish()
            if missing := judge.missing():
                frames = [frame for wire in capture.wires.values() for frame in wire.frames]
                last = f"the last of {len(frames)} frames is {frames[-1][:300]!r}" if frames else ""
                raise AssertionError(
                    f"{missing[0]} brought nothing in {PATIENCE:g} s of a lively market; "
                    f"{last or 'no frame came'}. Does the dialect's stream speak, is Codec.topic "
                    "the topic in its frames, and does the codec decode them?"
                )

        explore(subject, check, kinds, deeds, st.integers(0, 11), examples=10)

    @proves(2)
    def test_liquidations_are_those_of_the_market(self, subject: Subject) -> None:
        """Each liquidation is delivered once, in order, with the side of the liquidated position,
        its price, its size and its time."""
        for case in subject.cases(Channel.LIQUIDATIONS):
            kind = Kind(Decimal("0.5"), 30_000, Decimal(1), subject.seed, 40.0)
            line, truth, instrument = vary(subject, subject.instrument(case.market), kind, depth=1)
            sub = subject.subscription(Channel.LIQUIDATIONS, instrument)
            judge = Judge(line, truth, [sub])
            capture = Capture(line, [sub])
            for _ in range(20):
                for _ in capture.run(20.0):
                    pass
                if len(judge.history.liquidations) >= 5:
                    break
            for _ in capture.run(3.0):
                pass
            judge.take(capture.events)
            judge.finish()
            assert capture.events, f"no liquidation came, though there were some, for {case}"

    # --- requests ---

    @proves(2)
    def test_what_requests_answer_is_what_the_market_holds(self, subject: Subject) -> None:
        """Every declared request answers with exactly what the market holds: best bid and ask, the
        book, the last trades, candles, funding rates and open interest, whatever the ticks and lots
        are."""
        declared = subject.exchange.endpoints
        wanted = [kind for kind in _ABOUT_MARKETS if kind in declared]
        if not wanted:
            subject.undeclared("request about markets")
        for market in subject.markets:
            here = [kind for kind in wanted if market in declared[kind].markets]
            if here:
                self._requests(subject, market, here)

    @staticmethod
    def _requests(subject: Subject, market: Market, wanted: Sequence[object]) -> None:
        def check(kind: Kind, orders: list[Deed], count: int) -> None:
            line, truth, instrument = vary(subject, subject.instrument(market), kind)
            listing, venue = truth.listing(instrument), line.venue
            venue.market(listing)
            for deed in orders:
                venue.advance(venue.now_ns + round(deed.pause * NS_PER_SECOND))
                deed.carry_out(venue, listing)
            venue.advance(venue.now_ns + 2 * NS_PER_SECOND)
            for request in wanted:
                _ask(request, line, truth, instrument, count)

        explore(subject, check, kinds, deeds, st.integers(1, 60), examples=8)

    @proves(2)
    def test_histories_span_pages(self, subject: Subject) -> None:
        """Candles and funding rates of any span and number come complete, each once and in order,
        over as many pages as it takes."""
        declared = subject.exchange.endpoints
        wanted = [kind for kind in (GetCandles, GetFundingHistory) if kind in declared]
        if not wanted:
            subject.undeclared("history")
        for request in wanted:
            markets = [m for m in Market if m in declared[request].markets]
            market = markets[subject.seed % len(markets)]
            line = subject.line()
            truth = Truth(line.venue)
            count = 2500 if request is GetCandles else 450
            _ask(request, line, truth, subject.instrument(market), count)


_ABOUT_MARKETS = (
    GetTopOfBook,
    GetBook,
    GetTrades,
    GetCandles,
    GetFundingHistory,
    GetOpenInterest,
)


def _ask(request: object, line: Line, truth: Truth, instrument: Instrument, count: int) -> None:
    """Ask such a question, and judge the answer."""
    history, listing = truth.of(instrument), truth.listing(instrument)
    line.venue.market(listing)
    if request is GetTopOfBook:
        answers.top_of_book_is_true(line, history, instrument)
    elif request is GetBook:
        answers.book_is_true(line, history, instrument, min(count, truth.depth))
    elif request is GetTrades:
        answers.trades_are_true(line, history, instrument, count)
    elif request is GetOpenInterest:
        answers.open_interest_is_true(line, history, listing, instrument)
    elif request is GetFundingHistory:
        answers.funding_is_true(line, history, listing, instrument, count)
    else:
        intervals = line.exchange.capabilities.intervals
        name = intervals[0 if count > 100 else count % len(intervals)]
        answers.candles_are_true(line, history, listing, instrument, name, count)
