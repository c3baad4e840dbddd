"""Best prices over several exchanges, and who moves first: judged by what the words mean."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    BestPrice,
    Channel,
    ConsolidatedBBO,
    Gap,
    Lead,
    LeadLag,
    QuoteState,
    Reason,
    Resumed,
    Stale,
    TopOfBook,
)

SYMBOL = "BTC/USD"
NAMES = ("ant", "bee", "cow")
MS = 1_000_000
PRICES = st.none() | st.integers(1, 6).map(Decimal)
SIZES = st.integers(1, 3).map(Decimal)


def quote(
    exchange: str, at: int, bid: object, ask: object, size: object = 1, symbol: str = SYMBOL
) -> TopOfBook:
    prices = [None if price is None else Decimal(str(price)) for price in (bid, ask)]
    sizes = [None if price is None else Decimal(str(size)) for price in prices]
    return TopOfBook(exchange, symbol, None, at, None, prices[0], sizes[0], prices[1], sizes[1])


def stale(exchange: str, at: int = 0, channel: Channel = Channel.TOP_OF_BOOK) -> Stale:
    return Stale(exchange, SYMBOL, None, at, channel, Reason.DISCONNECTED)


def silent(exchange: str, at: int = 0) -> Stale:
    return attrs.evolve(stale(exchange, at), reason=Reason.SILENT)


def gap(exchange: str, at: int = 0, channel: Channel = Channel.TOP_OF_BOOK) -> Gap:
    return Gap(exchange, SYMBOL, None, at, channel, Reason.RECONNECTED)


def resumed(exchange: str, at: int = 0) -> Resumed:
    return Resumed(exchange, SYMBOL, None, at, Channel.TOP_OF_BOOK)


def fed(*events: AnyEvent, **how: object) -> ConsolidatedBBO:
    made = ConsolidatedBBO(SYMBOL, **how)  # type: ignore[arg-type]
    for event in events:
        made.take(event)
    return made


def offers(best: ConsolidatedBBO) -> tuple[str | None, str | None]:
    bid, ask = best.best_bid, best.best_ask
    return None if bid is None else bid.exchange, None if ask is None else ask.exchange


def states(best: ConsolidatedBBO) -> dict[str, QuoteState]:
    return {each.exchange: each.state for each in best.exchanges}


# --- the best prices --------------------------------------------------------------------------


def test_the_highest_bid_and_the_lowest_ask_win_wherever_they_are() -> None:
    best = fed(quote("ant", 1, 100, 103), quote("bee", 2, 101, 104), quote("cow", 3, 99, 102, 7))
    assert best.best_bid == BestPrice("bee", Decimal(101), Decimal(1), 2)
    assert best.best_ask == BestPrice("cow", Decimal(102), Decimal(7), 3)
    assert (best.spread, best.mid) == (Decimal(1), Decimal("101.5"))
    assert not best.locked
    assert not best.crossed


def test_prices_keep_the_digits_that_they_came_with() -> None:
    best = fed(quote("ant", 1, "100.10", "100.200"))
    assert best.best_bid is not None
    assert best.best_ask is not None
    assert (str(best.best_bid.price), str(best.best_ask.price)) == ("100.10", "100.200")


def test_of_equal_prices_more_size_wins_then_who_was_there_first_then_the_name() -> None:
    assert offers(fed(quote("ant", 1, 100, 101), quote("bee", 2, 100, 101, 2))) == ("bee", "bee")
    assert offers(fed(quote("bee", 1, 100, 101), quote("ant", 2, 100, 101))) == ("bee", "bee")
    assert offers(fed(quote("bee", 1, 100, 101), quote("ant", 1, 100, 101))) == ("ant", "ant")


def test_a_change_of_size_alone_costs_no_place_among_equals() -> None:
    best = fed(quote("bee", 1, 100, 101, 5), quote("ant", 2, 100, 101), quote("bee", 3, 100, 101))
    assert offers(best) == ("bee", "bee")
    assert best.best_bid is not None
    assert best.best_bid.since_ns == 1
    best.take(quote("bee", 4, 99, 101))
    best.take(quote("bee", 5, 100, 101))
    assert offers(best) == ("ant", "bee")


def test_locked_and_crossed_are_told_apart() -> None:
    locked = fed(quote("ant", 1, 100, 102), quote("bee", 2, 102, 103))
    assert (locked.spread, locked.locked, locked.crossed) == (Decimal(0), True, False)
    crossed = fed(quote("ant", 1, 100, 102), quote("bee", 2, "102.5", 103))
    assert (crossed.spread, crossed.locked, crossed.crossed) == (Decimal("-0.5"), False, True)
    nothing = fed(quote("ant", 1, 100, None))
    assert (nothing.spread, nothing.mid) == (None, None)
    assert not nothing.locked
    assert not nothing.crossed


def test_a_stale_quote_counts_for_nothing_and_is_reported() -> None:
    best = fed(quote("ant", 1, 100, 102), quote("bee", 2, 101, 103), stale("bee", 3))
    assert offers(best) == ("ant", "ant")
    ant, bee = best.exchanges
    assert (ant.state, ant.reason, ant.spread) == (QuoteState.FRESH, None, Decimal(2))
    assert (bee.state, bee.reason) == (QuoteState.STALE, Reason.DISCONNECTED)
    assert bee.quote is not None
    assert bee.age_ns(12) == 10
    best.take(quote("bee", 4, 101, 103))
    assert offers(best) == ("bee", "ant")
    assert states(best)["bee"] is QuoteState.FRESH


@pytest.mark.parametrize("notices", [[gap("bee")], [stale("bee"), gap("bee"), resumed("bee")]])
def test_after_an_interruption_it_takes_a_new_quote(notices: Sequence[AnyEvent]) -> None:
    best = fed(quote("ant", 1, 100, 102), quote("bee", 2, 101, 103), *notices)
    assert offers(best) == ("ant", "ant")
    assert states(best)["bee"] is QuoteState.STALE


def test_a_quote_of_an_exchange_that_was_merely_silent_counts_again_when_it_says_so() -> None:
    best = fed(quote("ant", 1, 100, 102), quote("bee", 2, 101, 103), silent("bee", 3))
    assert offers(best) == ("ant", "ant")
    assert best.exchanges[1].reason is Reason.SILENT
    best.take(resumed("bee", 4))
    assert offers(best) == ("bee", "ant")
    assert best.best_bid is not None
    assert best.best_bid.since_ns == 2
    assert best.exchanges[1].reason is None


@pytest.mark.parametrize(
    "notices",
    [
        [stale("bee"), silent("bee"), resumed("bee")],
        [gap("bee"), silent("bee"), resumed("bee")],
        [silent("bee"), stale("bee"), resumed("bee")],
        [silent("bee"), gap("bee"), resumed("bee")],
        [silent("bee"), gap("bee"), silent("bee"), resumed("bee")],
        [silent("bee"), resumed("bee"), gap("bee"), silent("bee"), silent("bee"), resumed("bee")],
    ],
)
def test_an_interruption_counts_whatever_silence_comes_before_or_after_it(
    notices: Sequence[AnyEvent],
) -> None:
    best = fed(quote("ant", 1, 100, 102), quote("bee", 2, 101, 103), *notices)
    assert offers(best) == ("ant", "ant")
    for again in (silent("bee", 8), resumed("bee", 9)):
        best.take(again)
        assert offers(best) == ("ant", "ant")
    best.take(quote("bee", 10, 101, 103))
    assert offers(best) == ("bee", "ant")
    best.take(silent("bee", 11))
    best.take(resumed("bee", 12))
    assert offers(best) == ("bee", "ant")


def test_what_concerns_others_changes_nothing() -> None:
    best = fed(
        quote("ant", 1, 100, 102), stale("ant", 2, Channel.TRADES), gap("ant", 2, Channel.BOOK)
    )
    best.take(quote("bee", 3, 1000, 1001, symbol="ETH/USD"))
    best.take(attrs.evolve(stale("ant"), symbol="ETH/USD"))
    assert offers(best) == ("ant", "ant")
    assert states(best) == {"ant": QuoteState.FRESH}


def test_exchanges_that_are_expected_are_listed_before_they_say_anything() -> None:
    best = fed(stale("bee", 1), exchanges=NAMES)
    assert states(best) == dict.fromkeys(NAMES, QuoteState.WAITING)
    assert [each.reason for each in best.exchanges] == [None, Reason.DISCONNECTED, None]
    assert best.exchanges[0].age_ns(5) is None
    assert (best.best_bid, best.best_ask) == (None, None)


def test_a_removed_exchange_is_forgotten() -> None:
    best = fed(quote("ant", 1, 100, 102), quote("bee", 2, 101, 103))
    best.remove("bee")
    best.remove("nobody")
    assert offers(best) == ("ant", "ant")
    assert list(states(best)) == ["ant"]


NOTICES: dict[str, Callable[[str, int], AnyEvent]] = {
    "s": stale,
    "g": gap,
    "r": resumed,
    "z": silent,
}


@st.composite
def stories(draw: st.DrawFn) -> list[AnyEvent]:
    """Quotes and notices of three exchanges, at times that never fall."""
    told: list[AnyEvent] = []
    at = 0
    for _ in range(draw(st.integers(0, 25))):
        at += draw(st.integers(0, 3))
        name = draw(st.sampled_from(NAMES))
        kind = draw(st.sampled_from("qqqqszzgrro"))
        if kind == "q":
            told.append(quote(name, at, draw(PRICES), draw(PRICES), draw(SIZES)))
        elif kind == "o":
            told.append(quote(name, at, 50, 1, 99, symbol="ETH/USD"))
        else:
            told.append(NOTICES[kind](name, at))
    return told


@given(stories(), st.lists(st.booleans(), min_size=25, max_size=25))
def test_at_any_moment_it_says_what_the_definition_says(
    story: list[AnyEvent], looked: list[bool]
) -> None:
    best = ConsolidatedBBO(SYMBOL)
    for length, (event, look) in enumerate(zip(story, looked, strict=False), start=1):
        best.take(event)
        if not look and length < len(story):
            continue
        past = [each for each in story[:length] if each.symbol == SYMBOL]
        bids, asks = [], []
        for name in NAMES:
            own = settled(e for e in past if e.exchange == name)
            if not own or not isinstance(own[-1], TopOfBook):
                continue  # nothing yet, or nothing since an interruption
            last = own[-1]
            if last.bid_price is not None:
                since = unbroken(own, "bid_price")
                bids.append((-last.bid_price, -last.bid_size, since, name))  # type: ignore[operator]
            if last.ask_price is not None:
                since = unbroken(own, "ask_price")
                asks.append((last.ask_price, -last.ask_size, since, name))  # type: ignore[operator]
        for found, expected, sign in ((best.best_bid, bids, -1), (best.best_ask, asks, 1)):
            if not expected:
                assert found is None
                continue
            price, size, since, name = min(expected)
            assert found == BestPrice(name, sign * price, -size, since)


def settled(own: Iterable[AnyEvent]) -> list[AnyEvent]:
    """Without silences that have ended."""
    kept: list[AnyEvent] = []
    for event in own:
        if not isinstance(event, Resumed):
            kept.append(event)
            continue
        while kept and isinstance(kept[-1], Stale) and kept[-1].reason is Reason.SILENT:
            kept.pop()
    return kept


def unbroken(own: Sequence[AnyEvent], side: str) -> int:
    """Since when the last quote's price has been there."""
    since = own[-1].received_time_ns
    for event in reversed(own):
        if not isinstance(event, TopOfBook) or getattr(event, side) != getattr(own[-1], side):
            break
        since = event.received_time_ns
    return since


# --- lead and lag -------------------------------------------------------------------------------

Move = tuple[str, bool, int]


def counted(moves: Sequence[Move], window_ns: int = 1000) -> LeadLag:
    made = LeadLag(window_ns)
    for name, rising, at in moves:
        made.moved(name, rising, at)
    return made


@st.composite
def moves(draw: st.DrawFn) -> list[Move]:
    at, told = 0, []
    for _ in range(draw(st.integers(0, 40))):
        at += draw(st.integers(0, 8))
        told.append((draw(st.sampled_from(NAMES)), draw(st.booleans()), at))
    return told


def by_definition(told: Sequence[Move], a: str, b: str, window_ns: int) -> list[int]:
    """Times by which ``a`` was ahead of ``b``, in pairs of moves that are each other's nearest."""
    found = []
    for rising in (True, False):
        line = [(name, at) for name, up, at in told if up is rising and name in (a, b)]

        def nearest(n: int, line: list[tuple[str, int]] = line) -> int | None:
            """The place of the other exchange's nearest move; of equally near ones the earlier."""
            others = [m for m, (name, _) in enumerate(line) if name != line[n][0]]
            before = max((m for m in others if m < n), default=None)
            after = min((m for m in others if m > n), default=None)
            if before is None or after is None:
                return after if before is None else before
            return before if line[n][1] - line[before][1] <= line[after][1] - line[n][1] else after

        for first in range(len(line)):
            second = nearest(first)
            if second is None or second < first or nearest(second) != first:
                continue
            if not any(name == line[first][0] for name, _ in line[second + 1 :]):
                continue  # not settled yet
            apart = line[second][1] - line[first][1]
            if apart <= window_ns:
                found.append(apart if line[first][0] == a else -apart)
    return found


@given(moves(), st.integers(0, 12))
@example([("ant", True, 0), ("bee", True, 5), ("ant", True, 7)], 10)
def test_samples_are_the_moves_that_are_nearest_to_each_other(
    told: list[Move], window_ns: int
) -> None:
    made = counted(told, window_ns)
    everything = {name: list[int]() for name in NAMES}
    for a in NAMES:
        for b in NAMES:
            if a == b:
                continue
            samples = by_definition(told, a, b, window_ns)
            lead = made.between(a, b)
            assert lead.samples == len(samples)
            if samples:
                assert lead.mean_ns == pytest.approx(sum(samples) / len(samples))
            everything[a] += samples
    for name, samples in everything.items():
        lead = made.of(name)
        assert lead.samples == len(samples)
        if samples:
            assert lead.mean_ns == pytest.approx(sum(samples) / len(samples))
            firsts = sum(1.0 if s > 0 else 0.5 if s == 0 else 0.0 for s in samples)
            assert lead.first == pytest.approx(firsts / len(samples))


@given(moves())
def test_a_lead_of_one_is_a_lag_of_the_other(told: list[Move]) -> None:
    made = counted(told)
    for a, b in (("ant", "bee"), ("bee", "cow"), ("ant", "cow")):
        there, back = made.between(a, b), made.between(b, a)
        assert there.samples == back.samples
        if there.mean_ns is not None and back.mean_ns is not None:
            assert there.mean_ns == -back.mean_ns
            assert there.first is not None
            assert back.first is not None
            assert there.first + back.first == pytest.approx(1)


@given(st.lists(st.tuples(st.integers(21, 500), st.booleans()), min_size=2), st.integers(0, 10))
def test_who_repeats_another_s_moves_lags_by_exactly_the_delay(
    steps: list[tuple[int, bool]], delay: int
) -> None:
    at, told = 0, list[Move]()
    for pause, rising in steps:
        at += pause
        told += [("ant", rising, at), ("bee", rising, at + delay)]
    lead = counted(told).between("ant", "bee")
    settled = len(steps) - len({rising for _, rising in steps})
    assert lead.samples == settled
    if settled:
        assert (lead.mean_ns, lead.first) == (delay, 1.0 if delay else 0.5)


@pytest.mark.parametrize("busier", [1, 10])
def test_who_moves_independently_neither_leads_nor_lags_however_busy(busier: int) -> None:
    chance = random.Random(busier)
    told: list[Move] = []
    for name, rate in (("ant", 1.0), ("bee", 1.0 * busier)):
        at = 0.0
        while at < 60_000:
            at += chance.expovariate(rate)
            told.append((name, chance.random() < 0.5, round(at * 1000)))
    told.sort(key=lambda move: move[2])
    lead = counted(told, 1_000_000_000).between("ant", "bee")
    assert lead.samples > 10_000
    assert lead.mean_ns == pytest.approx(0, abs=20)  # of a thousand between moves of the slower one
    assert lead.first == pytest.approx(0.5, abs=0.02)


def test_without_samples_there_is_no_mean() -> None:
    made = counted([("ant", True, 1), ("bee", False, 2), ("ant", True, 3)])
    nothing = Lead(samples=0, mean_ns=None, first=None)
    assert made.between("ant", "bee") == made.of("bee") == nothing
    assert made.between("ant", "ant") == made.between("ant", "nobody") == nothing
    assert made.of("nobody") == nothing


def test_a_removed_exchange_takes_its_samples_with_it() -> None:
    told: list[Move] = []
    for n in range(20):
        told += [("ant", True, 100 * n), ("bee", True, 100 * n + 3), ("cow", True, 100 * n + 9)]
    made = counted(told)
    assert made.of("ant").mean_ns == pytest.approx(6)
    made.remove("bee")
    made.remove("bee")
    assert made.of("ant") == made.between("ant", "cow")
    assert made.of("ant").mean_ns == pytest.approx(9)
    assert made.of("bee").samples == 0
    made.moved("bee", True, 3000)
    assert made.between("bee", "ant").samples == 0


def test_times_that_fall_are_no_lead() -> None:
    made = counted([("ant", True, 100), ("bee", True, 90), ("ant", True, 300)])
    lead = made.between("ant", "bee")
    assert (lead.samples, lead.mean_ns) == (1, 0)


# --- lead and lag of quotes ---------------------------------------------------------------------


def mover(best: ConsolidatedBBO, steps: int = 6, delay: int = 4 * MS) -> None:
    """Ant's price rises by a ten-thousandth every 100 ms, bee's follows."""
    for n in range(steps):
        at, price = n * 100 * MS, 10_000 + n
        best.take(quote("ant", at, price, price + 1))
        best.take(quote("bee", at + delay, price + 50, price + 51))


def test_the_exchange_whose_price_moves_first_leads() -> None:
    best = fed()
    mover(best)
    ant, bee = best.exchanges
    assert ant.lead == Lead(samples=4, mean_ns=4e6, first=1.0)
    assert bee.lead == Lead(samples=4, mean_ns=-4e6, first=0.0)


def test_what_is_smaller_than_a_move_adds_up_to_one() -> None:
    best = fed(min_move=Decimal("0.0001"))
    rises: list[tuple[str, bool, int]] = []
    best.lead_lag.moved = lambda *move: rises.append(move)  # type: ignore[method-assign]
    for n in range(10):
        price = 10_000 + Decimal(n) / 4
        best.take(quote("ant", n, price, price))
    assert rises == [("ant", True, 4), ("ant", True, 9)]  # a ten-thousandth of 10,001 is more
    best.take(quote("ant", 20, 9_990, 9_990))
    assert rises[-1] == ("ant", False, 20)


def test_sizes_and_what_happened_during_an_interruption_are_no_moves() -> None:
    best = fed()
    rises: list[tuple[str, bool, int]] = []
    best.lead_lag.moved = lambda *move: rises.append(move)  # type: ignore[method-assign]
    for event in (
        quote("ant", 1, 100, 101),
        quote("ant", 2, 100, 101, 9),
        stale("ant", 3),
        quote("ant", 4, 200, 201),
        quote("ant", 5, None, 201),
        quote("ant", 6, 300, 301),
        gap("ant", 7),
        quote("ant", 8, 400, 401),
    ):
        best.take(event)
    assert rises == []
    best.take(quote("ant", 9, 400, 402))
    assert rises == [("ant", True, 9)]
