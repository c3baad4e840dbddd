"""The order book against a naive one: right or invalid, never wrong and valid at once."""

from __future__ import annotations

import decimal
import json
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ccrs_core import (
    BookInvalid,
    BookState,
    BookUpdate,
    Channel,
    Instrument,
    Market,
    OrderBook,
    Reason,
    Side,
    Subscription,
    UsageError,
)
from ccrs_core.model.events import Level
from ccrs_core.model.orderbook import Applied

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = (
    Path(os.environ.get("CCRS_FIXTURES") or ROOT.parent / "shared" / "fixtures") / "bybit" / "ws"
)


def update(
    sequence: int,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    snapshot: bool = False,
    previous: int | None = None,
    checksum: int | None = None,
) -> BookUpdate:
    return BookUpdate(
        "toy",
        "BTC/USD",
        sequence * 10,
        sequence * 10 + 1,
        sequence,
        snapshot,
        tuple(bids),
        tuple(asks),
        previous,
        checksum,
    )


def level(price: str, size: str = "1") -> Level:
    return Decimal(price), Decimal(size)


@attrs.define
class Naive:
    """The book as one would write it in a minute."""

    bids: dict[Decimal, Decimal] = attrs.field(factory=dict)
    asks: dict[Decimal, Decimal] = attrs.field(factory=dict)

    def apply(self, update: BookUpdate, depth: int | None = None) -> None:
        if update.snapshot:
            self.bids, self.asks = {}, {}
        for side, levels in ((self.bids, update.bids), (self.asks, update.asks)):
            for price, size in levels:
                side[price] = size
                if not size:
                    del side[price]
        if depth is not None:
            self.bids = dict(self.sorted_bids()[:depth])
            self.asks = dict(self.sorted_asks()[:depth])

    def sorted_bids(self) -> list[Level]:
        return sorted(self.bids.items(), reverse=True)

    def sorted_asks(self) -> list[Level]:
        return sorted(self.asks.items())


# Bids lie below 50 and asks above, so that no book crosses unless a test wants it.
sizes = st.one_of(
    st.just(Decimal(0)), st.decimals("0.001", "1000", places=3, allow_nan=False).filter(bool)
)
bid_levels = st.lists(st.tuples(st.decimals("49.90", "49.99", places=2), sizes), max_size=6)
ask_levels = st.lists(st.tuples(st.decimals("50.00", "50.09", places=2), sizes), max_size=6)


@st.composite
def chains(draw: st.DrawFn, shortest: int = 0) -> list[BookUpdate]:
    """A snapshot and deltas that follow each other, with numbers that skip as they please."""
    number = draw(st.integers(0, 1000))
    made = [update(number, draw(bid_levels), draw(ask_levels), snapshot=True)]
    for _ in range(draw(st.integers(shortest, 8))):
        following = number + draw(st.integers(1, 3))
        snapshot = draw(st.integers(0, 9)) == 9
        bids, asks = draw(bid_levels), draw(ask_levels)
        made.append(update(following, bids, asks, snapshot=snapshot, previous=number))
        number = following
    return made


def consistent(book: OrderBook, depth: int | None = None) -> None:
    """What every valid book is."""
    bids, asks = book.bids(), book.asks()
    prices = [price for price, _ in bids]
    assert prices == sorted(set(prices), reverse=True)
    prices = [price for price, _ in asks]
    assert prices == sorted(set(prices))
    assert all(size for _, size in [*bids, *asks])
    assert not bids or not asks or bids[0][0] < asks[0][0]
    assert depth is None or max(len(bids), len(asks)) <= depth


@given(chains(), st.one_of(st.none(), st.integers(1, 4)))
def test_after_every_update_the_book_equals_a_naive_one(
    chain: list[BookUpdate], depth: int | None
) -> None:
    book, naive = OrderBook("BTC/USD", depth=depth), Naive()
    for number, each in enumerate(chain, 1):
        assert book.apply(each) is Applied.APPLIED
        naive.apply(each, depth)
        consistent(book, depth)
        assert book.bids() == naive.sorted_bids()
        assert book.asks() == naive.sorted_asks()
        assert (book.sequence, book.updates) == (each.sequence, number)
        assert book.received_time_ns == each.received_time_ns
        assert book.exchange_time_ns == each.exchange_time_ns
    assert book.snapshots == sum(each.snapshot for each in chain)


@given(chains(), st.data())
def test_reading_some_levels_gives_the_best_of_all(
    chain: list[BookUpdate], data: st.DataObject
) -> None:
    book = OrderBook("BTC/USD")
    for each in chain:
        book.apply(each)
    count = data.draw(st.integers(0, 7))
    assert book.bids(count) == book.bids()[:count]
    assert book.asks(count) == book.asks()[:count]
    assert book.best_bid == next(iter(book.bids()), None)
    assert book.best_ask == next(iter(book.asks()), None)


def remove(chain: list[BookUpdate], at: int) -> list[BookUpdate]:
    return chain[:at] + chain[at + 1 :]


def duplicate(chain: list[BookUpdate], at: int) -> list[BookUpdate]:
    return chain[: at + 1] + chain[at:]


def repeat_later(chain: list[BookUpdate], at: int) -> list[BookUpdate]:
    return [*chain, chain[at]]


def swap(chain: list[BookUpdate], at: int) -> list[BookUpdate]:
    return [*chain[:at], chain[at + 1], chain[at], *chain[at + 2 :]]


@given(
    chains(shortest=2), st.sampled_from([remove, duplicate, repeat_later, swap]), st.integers(1, 7)
)
def test_a_delta_removed_doubled_or_swapped_never_makes_a_wrong_valid_book(
    chain: list[BookUpdate], harm: Callable[[list[BookUpdate], int], list[BookUpdate]], at: int
) -> None:
    chain = [chain[0], *(attrs.evolve(each, snapshot=False) for each in chain[1:])]
    assume(at < len(chain) - (harm is swap))
    truth, naive = {}, Naive()
    for each in chain:
        naive.apply(each)
        truth[each.sequence] = (naive.sorted_bids(), naive.sorted_asks())
    book = OrderBook("BTC/USD")
    for each in harm(chain, at):
        held: int | None = book.sequence
        applied = book.apply(each)
        assert applied in (Applied.APPLIED, Applied.OLD, Applied.AHEAD)
        assert book.sequence is not None
        assert (book.bids(), book.asks()) == truth[book.sequence]
        assert (applied is Applied.OLD) == (held is not None and each.sequence <= held)
        if applied is not Applied.APPLIED:
            assert book.sequence == held
    if harm in (duplicate, repeat_later):
        assert book.sequence == chain[-1].sequence
    elif harm is remove:
        assert book.sequence == chain[at - 1].sequence


def test_what_follows_an_update_that_came_too_early_can_still_be_applied() -> None:
    book = OrderBook("BTC/USD")
    book.apply(update(1, [level("49")], snapshot=True))
    late = update(2, [level("48")], previous=1)
    early = update(3, [level("47")], previous=2)
    assert book.apply(early) is Applied.AHEAD
    assert [book.apply(each) for each in (late, early)] == [Applied.APPLIED] * 2
    assert [price for price, _ in book.bids()] == [49, 48, 47]


def test_an_update_that_overlaps_what_is_held_applies() -> None:
    book = OrderBook("BTC/USD")
    book.apply(update(10, [level("49")], snapshot=True))
    assert book.apply(update(12, [level("48")], previous=8)) is Applied.APPLIED
    assert book.sequence == 12


@given(st.text("0123456789", min_size=1, max_size=40), st.text("0123456789", max_size=12))
def test_prices_and_sizes_keep_the_exact_digits_whatever_the_decimal_context(
    whole: str, fraction: str
) -> None:
    text = f"{whole}.{fraction}" if fraction else whole
    assume(Decimal(text))
    book = OrderBook("BTC/USD")
    with decimal.localcontext() as context:
        context.prec = 3
        book.apply(update(1, asks=[level(text, text)], snapshot=True))
        book.apply(update(2, [level(text, text)], [level(text, "0")], previous=1))
        assert [tuple(map(str, each)) for each in book.bids()] == [
            (str(Decimal(text)), str(Decimal(text)))
        ]
        book.apply(update(3, [level(text, "0")], [level(text, text)], previous=2))
        assert book.bids() == []
        assert str(book.asks()[0][0]) == str(Decimal(text))
        assert book.best_ask is not None
        assert str(book.best_ask[0]) == str(Decimal(text))


def test_trailing_zeros_survive() -> None:
    book = OrderBook("BTC/USD")
    book.apply(update(1, [level("1.10", "2.500")], [level("1.20", "0.10")], snapshot=True))
    assert str(book.bids()) == "[(Decimal('1.10'), Decimal('2.500'))]"
    assert str(book.asks()) == "[(Decimal('1.20'), Decimal('0.10'))]"


# --- wrong books ---------------------------------------------------------------------------------

accessors: dict[str, Callable[[OrderBook], object]] = {
    "bids": lambda book: book.bids(),
    "asks": lambda book: book.asks(),
    "best_bid": lambda book: book.best_bid,
    "best_ask": lambda book: book.best_ask,
    "mid": lambda book: book.mid,
    "spread": lambda book: book.spread,
    "size_to": lambda book: book.size_to(Side.BUY, Decimal(1)),
    "vwap": lambda book: book.vwap(Side.SELL, Decimal(1)),
    "known": lambda book: book.known,
}


def refuses(book: OrderBook) -> bool:
    for read in accessors.values():
        with pytest.raises(BookInvalid):
            read(book)
    return True


def test_every_public_way_to_read_a_book_is_known_here() -> None:
    state = {"valid", "apply", "invalidate", "close", "shows", "twin", "adopt", "snapshot", "MOST"}
    assert {name for name in vars(OrderBook) if not name.startswith("_")} - state == set(accessors)


def test_a_book_without_a_snapshot_refuses_to_be_read_and_ignores_deltas() -> None:
    book = OrderBook("BTC/USD")
    assert refuses(book)
    assert book.apply(update(5, [level("49")], previous=4)) is Applied.UNSYNCED
    assert (book.state, book.sequence, book.updates) == (BookState.SYNCING, None, 0)
    assert "syncing" in repr(book)


@given(chains(), st.booleans(), st.integers(0, 9))
def test_a_crossed_book_is_invalid_at_once_until_the_next_snapshot(
    chain: list[BookUpdate], by_snapshot: bool, cents: int
) -> None:
    book = OrderBook("BTC/USD")
    for each in chain:
        book.apply(each)
    number = chain[-1].sequence + 1
    price = Decimal("49.90") + Decimal(cents) / 100
    crossing = update(
        number,
        [level("49.9"), level("49.99")],
        [(price, Decimal(2))],
        snapshot=by_snapshot,
        previous=chain[-1].sequence,
    )
    assert book.apply(crossing) is Applied.BROKEN
    assert not book.valid
    assert (book.state, book.reason) == (BookState.INVALID, Reason.CROSSED)
    assert refuses(book)
    after = update(number + 1, [level("49.9", "0")], previous=number)
    assert book.apply(after) is Applied.UNSYNCED
    assert refuses(book)
    fresh = update(number + 2, [level("49")], [level("51")], snapshot=True)
    assert book.apply(fresh) is Applied.APPLIED
    assert (book.bids(), book.asks()) == ([level("49")], [level("51")])


def checksum(book: OrderBook) -> int:
    return hash((tuple(book.bids(3)), tuple(book.asks(3)))) & 0xFFFF_FFFF


@given(chains(), st.data())
def test_a_wrong_checksum_makes_the_book_invalid_and_a_right_one_does_not(
    chain: list[BookUpdate], data: st.DataObject
) -> None:
    bad = data.draw(st.integers(0, len(chain) - 1))
    book, model = OrderBook("BTC/USD", checksum=checksum), OrderBook("BTC/USD")
    for at, each in enumerate(chain):
        model.apply(each)
        right = checksum(model)
        if at == bad:
            assert book.apply(attrs.evolve(each, checksum=right ^ 1)) is Applied.BROKEN
            assert (book.state, book.reason) == (BookState.INVALID, Reason.CHECKSUM)
            assert refuses(book)
            return
        assert book.apply(attrs.evolve(each, checksum=right)) is Applied.APPLIED


@given(st.sampled_from(Reason))
def test_an_invalidated_book_says_why(reason: Reason) -> None:
    book = OrderBook("BTC/USD")
    book.apply(update(1, [level("49")], snapshot=True))
    book.invalidate(reason)
    with pytest.raises(BookInvalid, match=f"BTC/USD is invalid \\({reason.value}\\)"):
        book.bids()
    assert refuses(book)


# --- figures -------------------------------------------------------------------------------------


@given(chains(), st.sampled_from(Side), st.decimals("0.001", "3000", places=3))
def test_figures_equal_their_naive_computation(
    chain: list[BookUpdate], side: Side, amount: Decimal
) -> None:
    book, naive = OrderBook("BTC/USD"), Naive()
    for each in chain:
        book.apply(each)
        naive.apply(each)
    bids, asks = naive.sorted_bids(), naive.sorted_asks()
    if bids and asks:
        assert book.mid == (bids[0][0] + asks[0][0]) / 2
        assert book.spread == asks[0][0] - bids[0][0]
    else:
        assert book.mid is None
        assert book.spread is None
    levels = asks if side is Side.BUY else bids
    for limit in [Decimal("49.95"), Decimal("50.05"), *(price for price, _ in levels)]:
        good = [s for p, s in levels if (p <= limit if side is Side.BUY else p >= limit)]
        assert book.size_to(side, limit) == sum(good)
    taken, cost = Decimal(0), Decimal(0)
    for price, size in levels:
        part = min(size, amount - taken)
        taken, cost = taken + part, cost + part * price
    assert book.vwap(side, amount) == (cost / amount if taken == amount else None)


@given(st.decimals("-10", "0", places=2), st.sampled_from(Side))
def test_an_average_over_nothing_is_refused(size: Decimal, side: Side) -> None:
    book = OrderBook("BTC/USD")
    book.apply(update(1, [level("49")], snapshot=True))
    with pytest.raises(UsageError, match="above zero"):
        book.vwap(side, size)


def test_empty_sides_read_as_nothing() -> None:
    book = OrderBook("BTC/USD")
    book.apply(update(1, snapshot=True))
    assert book.valid
    assert (book.bids(), book.asks(), book.best_bid, book.best_ask) == ([], [], None, None)
    assert (book.mid, book.spread) == (None, None)
    assert book.size_to(Side.BUY, Decimal(100)) == 0
    assert book.vwap(Side.SELL, Decimal(1)) is None


@given(st.lists(st.integers(1, 40), min_size=1, unique=True), st.integers(1, 5))
def test_levels_beyond_the_subscribed_depth_are_dropped(cents: list[int], depth: int) -> None:
    book = OrderBook("BTC/USD", depth=depth)
    book.apply(update(1, snapshot=True))
    for number, each in enumerate(cents, 2):
        up, down = level(f"{50 + each}"), level(f"{50 - each}")
        book.apply(update(number, [down], [up], previous=number - 1))
    best = sorted(cents)
    # A level that was pushed out stays out; here every level that belongs in was never pushed out.
    assert [int(price) - 50 for price, _ in book.asks()] == best[:depth]
    assert [50 - int(price) for price, _ in book.bids()] == best[:depth]


# --- books that were really sent ------------------------------------------------------------------


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recorded frames in {RECORDINGS}")
@pytest.mark.parametrize(
    ("name", "native", "market", "depth"),
    [
        ("recording-orderbook500-linear-XRPUSDT-2024.jsonl", "XRPUSDT", "linear", 500),
        ("session-spot-testnet-2026-09.jsonl", "BTCUSDT", "spot", 50),
    ],
)
def test_a_recorded_book_stays_valid_and_equals_the_naive_one(
    name: str, native: str, market: str, depth: int
) -> None:
    exchange = pytest.importorskip("ccrs_bybit.exchange").Bybit()
    instrument = Instrument(
        exchange="bybit",
        symbol="A/B",
        native=native,
        market=Market(market),
        base="A",
        quote="B",
    )
    wanted = Subscription(Channel.BOOK, instrument, depth)
    codec = exchange.codec(exchange.route(wanted))
    codec.subscribe([wanted], "1")
    book, naive, seen = OrderBook("A/B", depth=depth), Naive(), 0
    for line in (RECORDINGS / name).read_text().splitlines():
        if not line:
            continue
        # Some recordings wrap each frame to keep its exact text.
        frame = json.loads(line).get("raw", line)
        for message in codec.decode(frame.encode(), 1):
            for event in getattr(message, "events", ()):
                if isinstance(event, BookUpdate):
                    assert book.apply(event) is Applied.APPLIED
                    naive.apply(event, depth)
                    consistent(book, depth)
                    assert book.bids() == naive.sorted_bids()
                    assert book.asks() == naive.sorted_asks()
                    seen += 1
    assert seen > 5
    assert len(book.bids()) == len(book.asks()) == depth
