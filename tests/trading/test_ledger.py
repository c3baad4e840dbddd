"""The ledger of an account: whose an order is, each fill once, and what memory doesn't hold."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core import Instrument, Market, Side
from ccrs_core.contract.trading_requests import Placed
from ccrs_core.errors import (
    AuthError,
    EndReason,
    ExchangeError,
    OrderRejected,
    RateLimited,
    UsageError,
)
from ccrs_core.model.accounts import LedgerConflict, MarginCall
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Liquidity, OrderState, OrderUpdate, Origin, Times
from ccrs_core.model.reports import EarlyFillReport, FeeIn, MarginCallReport
from ccrs_core.trading import keys
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.store import LedgerName
from tests.trading.books import LINEAR, NAME, SECOND, SPOT, Book, D, buy, fill, said, total
from tests.waiting import done

OPEN, FILLED = OrderState.OPEN, OrderState.FILLED
UNKNOWN, PRESUMED = OrderState.UNKNOWN, OrderState.PRESUMED_ABSENT


def conflicts(book: Book) -> list[LedgerConflict]:
    return [event for event in book.events if isinstance(event, LedgerConflict)]


def states(book: Book) -> list[OrderState]:
    return [event.order.state for event in book.events if isinstance(event, OrderUpdate)]


def answer(book: Book, client_id: str = "c1", exchange_id: str = "o1", **more: Any) -> None:
    placed = Placed(exchange_order_id=exchange_id, client_order_id=client_id, **more)
    book.keep(book.ledger.answered(client_id, placed, Times(sent_ns=1, received_ns=9)))


# --- own orders ---


def test_an_intent_is_stored_before_anything_is_told() -> None:
    book = Book()
    change = book.ledger.plan(buy(tag="abc"), SPOT, "c1", 5)
    assert not change.events
    (row,) = change.rows
    assert row.order.state is OrderState.PLANNED  # type: ignore[union-attr]
    assert row.order.asked == buy(tag="abc")  # type: ignore[union-attr]
    assert not book.ledger.sent("c1", 6).rows
    assert book.order("c1").state is OrderState.SENT


def test_an_intent_that_was_stored_is_there_after_a_start_and_may_have_left() -> None:
    """H1."""
    book = Book()
    book.place()
    book.reopen()
    order = book.order("c1")
    assert (order.state, order.origin, order.asked) == (OrderState.PLANNED, Origin.OWN, buy())
    book.keep(book.ledger.unknown("c1", "it may have left", 9))
    assert book.order("c1").state is UNKNOWN
    assert book.order("c1").state.exposed
    book.take(said(FILLED, 2, client_order_id="c1", size="1", filled_size="1"))
    assert book.order("c1").state is FILLED
    assert book.order("c1").origin is Origin.OWN


def test_an_answer_says_the_exchanges_id_and_the_times() -> None:
    book = Book()
    book.place()
    answer(book)
    order = book.order("o1")
    assert (order.client_order_id, order.state) == ("c1", OrderState.ACCEPTED)
    assert order.times == Times(planned_ns=0, sent_ns=1, received_ns=9)
    answer(book)
    assert states(book) == [OrderState.ACCEPTED]
    answer(book, exchange_id="other")
    assert [each.what for each in conflicts(book)] == ["exchange's id of an order"]
    assert book.order("c1").exchange_order_id == "o1"


def test_an_answer_after_the_fill_changes_nothing_but_the_times() -> None:
    book = Book()
    book.place()
    book.take(fill("t", "1", client_order_id="c1"))
    assert book.order("c1").state is OPEN
    book.take(said(FILLED, 2, client_order_id="c1", size="1", filled_size="1"))
    told = len(book.events)
    answer(book)
    assert len(book.events) == told
    assert book.order("c1").times.received_ns == 9
    book.reopen()
    assert book.order("c1").times.received_ns == 9


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OrderRejected("1", "would take", EndReason.POST_ONLY), EndReason.POST_ONLY),
        (AuthError("2", "no permission"), EndReason.PERMISSION),
        (RateLimited("3", "too many"), EndReason.RATE_LIMIT),
        (ExchangeError("4", "no"), EndReason.OTHER),
    ],
)
def test_a_refused_order_ends_with_the_reason(error: ExchangeError, reason: EndReason) -> None:
    book = Book()
    book.place()
    book.keep(book.ledger.refused("c1", error, 3))
    order = book.order("c1")
    assert (order.state, order.reason) == (OrderState.REJECTED, reason)
    assert order.reason_text == str(error)


def test_a_refusal_of_a_repeat_does_not_end_the_living_order() -> None:
    """A5."""
    duplicate = OrderRejected("110072", "OrderLinkedID is duplicate", EndReason.DUPLICATE)
    book = Book()
    book.place("c5")
    book.take(said(OPEN, 1, client_order_id="c5", filled_size="0.2", size="1"))
    book.keep(book.ledger.refused("c5", duplicate, 3))
    assert (book.order("c5").state, book.order("c5").filled_size) == (OPEN, D("0.2"))
    # Not known to live: an order of that id there is, so ours can't be called rejected.
    book.place("c6")
    book.keep(book.ledger.refused("c6", duplicate, 3))
    assert book.order("c6").state is UNKNOWN
    book.take(said(OPEN, 4, exchange_order_id="o6", client_order_id="c6", filled_size="0.2"))
    assert (book.order("c6").state, book.order("c6").filled_size) == (OPEN, D("0.2"))


def test_an_id_that_was_used_is_refused() -> None:
    book = Book()
    book.place()
    with pytest.raises(UsageError, match="c1 was used before"):
        book.ledger.plan(buy(), SPOT, "c1", 3)


def test_what_is_presumed_absent_is_no_exposure_and_any_trace_reopens_it() -> None:
    for trace in (
        said(OPEN, 5, client_order_id="c1", size="1"),
        fill("t", "1", at=5, client_order_id="c1"),
    ):
        book = Book()
        book.place()
        book.keep(book.ledger.unknown("c1", "timed out", 2))
        book.keep(book.ledger.presumed_absent("c1", "denied twice", 3))
        assert not book.order("c1").state.exposed
        book.keep(book.ledger.unknown("c1", "timed out", 4))
        assert book.order("c1").state is PRESUMED
        book.reopen()
        book.take(trace)
        assert book.order("c1").state is OPEN
        assert not book.order("c1").reason_text
        assert not conflicts(book)


def test_proof_of_absence_is_none_where_the_exchange_has_it() -> None:
    book = Book()
    book.place()
    book.take(said(OPEN, 1, client_order_id="c1"))
    assert not book.ledger.absent("c1", "denied", 5).rows
    assert book.order("c1").state is OPEN


def test_an_order_that_was_not_sent_is_none_for_certain() -> None:
    book = Book()
    book.place()
    book.keep(book.ledger.not_sent("c1", EndReason.TOO_LATE, "not within 0.1 s", 5))
    assert (book.order("c1").state, book.order("c1").reason) == (
        OrderState.NOT_SENT,
        EndReason.TOO_LATE,
    )
    assert book.order("c1").remaining == 0


def test_an_amendment_changes_what_was_asked_and_the_exchange_what_is() -> None:
    book = Book()
    book.place(asked=buy("10", "100"))
    book.take(said(OPEN, 1, client_order_id="c1", size="10", price="100", filled_size="4"))
    book.keep(book.ledger.amended("c1", 5, size=D(8)))
    order = book.order("c1")
    assert order.asked is not None
    assert (order.asked.size, order.size) == (8, 10)
    book.take(said(OPEN, 2, client_order_id="c1", size="8", price="100", filled_size="4"))
    assert (book.order("c1").size, book.order("c1").remaining) == (8, 4)
    assert not book.order("c1").altered


def test_an_order_is_settled_by_hand() -> None:
    book = Book()
    book.place()
    book.keep(book.ledger.unknown("c1", "timed out", 2))
    with pytest.raises(UsageError, match="no state in which an order ends"):
        book.ledger.settled("c1", OPEN, "", 3)
    with pytest.raises(UsageError, match="no order 'x'"):
        book.ledger.settled("x", FILLED, "", 3)
    book.keep(book.ledger.settled("c1", OrderState.CANCELED, "looked it up", 3))
    assert book.order("c1").reason_text == "looked it up"
    with pytest.raises(UsageError, match="has ended already"):
        book.ledger.settled("c1", FILLED, "", 3)


# --- whose it is ---


def test_orders_of_others_are_taken_and_never_for_ones_own() -> None:
    """J5, D4."""
    book = Book()
    book.place()
    other = {"exchange_order_id": "9", "client_order_id": "web_9"}
    for _ in range(2):
        book.take(said(OPEN, 1, size="1", **other), fill("t", "1", at=2, **other))
        book.reopen()
    assert book.order("9").origin is Origin.OTHER
    assert book.order("9").asked is None
    assert [each.origin for each in book.fills] == [Origin.OTHER]
    assert book.order("c1").state is OrderState.PLANNED
    assert not book.order("c1").filled_size
    assert [o.exchange_order_id for o in book.ledger.orders(origin=Origin.OTHER)] == ["9"]


def test_another_order_of_a_client_id_that_was_ours_is_another_order() -> None:
    book = Book()
    book.place()
    answer(book)
    book.take(said(OrderState.CANCELED, 2, client_order_id="c1"))
    book.take(said(OPEN, 3, exchange_order_id="o2", client_order_id="c1", size="7"))
    assert book.order("c1").state is OrderState.CANCELED
    assert (book.order("o2").state, book.order("o2").size) == (OPEN, 7)
    assert book.order("o2").origin is Origin.OWN


def test_a_client_id_of_another_instrument_is_not_ours() -> None:
    book = Book()
    book.place()
    book.take(said(OPEN, 1, client_order_id="c1", market=Market.LINEAR))
    assert book.order("c1").state is OrderState.SENT
    assert book.order("o1").origin is Origin.OTHER


def test_the_exchanges_own_orders_are_its() -> None:
    book = Book()
    book.take(said(FILLED, 1, by_exchange=True), fill("t", "1", by_exchange=True))
    assert book.order().origin is Origin.EXCHANGE
    assert book.fills[0].origin is Origin.EXCHANGE


def test_a_trade_without_an_order_is_a_fill() -> None:
    book = Book()
    book.take(fill("t", "1", exchange_order_id="", by_exchange=True))
    assert book.fills[0].origin is Origin.EXCHANGE
    assert not book.ledger.orders()


def test_what_was_told_before_an_answer_under_the_exchanges_id_alone_is_of_the_order() -> None:
    for first in (
        [fill("t", "0.4", fee="0.1", fee_asset="USDT")],
        [said(OPEN, 1, size="1", filled_size="0.4"), fill("t", "0.4", fee="0.1", fee_asset="USDT")],
    ):
        for reopened in (False, True):
            book = Book()
            book.place()
            book.take(*first)
            if reopened:
                book.reopen()
            answer(book)
            order = book.order("c1")
            assert order is book.order("o1")
            assert (order.filled_size, order.fees) == (D("0.4"), (("USDT", D("0.1")),))
            assert order.state is OPEN
            assert len(book.ledger.orders()) == 1
            book.take(fill("u", "0.6", at=2), *first)
            assert book.order("c1").filled_size == 1
            key = book.ledger.order_key("c1")
            assert total(done(book.store.fills(order=key))) == 1
            book.reopen()
            assert book.order("c1").filled_size == 1
            assert len(book.ledger.orders()) == 1


def test_two_accounts_share_nothing() -> None:
    """J7."""
    books = [Book(name=LedgerName("exchange", "emulator", name)) for name in "ab"]
    for book in books:
        book.place("m1")
        book.take(fill("5", "1", client_order_id="m1"))
        book.keep(book.ledger.move_cursor("fills", 7))
    assert [len(book.fills) for book in books] == [1, 1]
    assert [book.fills[0].account for book in books] == ["a", "b"]


# --- each fill once ---


def test_a_fill_that_does_not_say_its_side_is_of_its_orders_side() -> None:
    book = Book()
    book.take(said(position_side=PositionSide.LONG))
    book.take(fill("f1", "1", position_side=None))
    assert [each.position_side for each in book.fills] == [PositionSide.LONG]


def test_one_id_of_two_symbols_is_two_fills() -> None:
    """B1."""
    book = Book()
    for _ in range(2):
        book.take(fill("9001", "40"), fill("9001", "12", market=Market.LINEAR))
        book.reopen()
    assert [each.symbol for each in book.fills] == [SPOT.symbol, LINEAR.symbol]


def test_both_sides_of_a_trade_with_oneself_are_fills() -> None:
    """B2."""
    book = Book()
    reports = (
        fill("77", "10", "12", exchange_order_id="501", fee="0.01", fee_asset="LINK"),
        fill("77", "10", "12", exchange_order_id="502", side=Side.SELL, fee="0.12"),
    )
    book.take(*reports, *reversed(reports))
    assert len(book.fills) == 2


def test_a_fee_that_comes_later_is_the_fills_and_counted_once() -> None:
    """B3, B9."""
    book = Book()
    row = said(FILLED, 1, size="1", filled_size="1")
    book.take(row, fill("t", "1"))
    assert book.fills[0].fee is None
    assert not book.order().fees
    late = fill("t", "1", fee="0.488", fee_in=FeeIn.QUOTE, liquidity=Liquidity.TAKER)
    for _ in range(3):
        book.take(late)
    assert len(book.fills) == 1
    assert book.order().fees == (("USDT", D("0.488")),)
    book.reopen()
    (stored,) = done(book.store.fills())
    assert (stored.fee, stored.fee_asset, stored.liquidity) == (
        *(D("0.488"), "USDT", Liquidity.TAKER),
    )
    book.take(late)
    assert book.order().fees == (("USDT", D("0.488")),)
    profit = book.ledger.profit(SPOT.symbol)
    assert profit is not None
    assert profit.fees == (("USDT", D("0.488")),)


def test_a_fill_that_says_something_else_is_not_taken_and_told() -> None:
    book = Book()
    book.take(fill("t", "1", "100"))
    for _ in range(2):
        book.take(fill("t", "2", "100"))
    (told,) = conflicts(book)
    assert (told.known, told.told) == ("buy 1 at 100", "buy 2 at 100")
    assert total(book.fills) == 1


@pytest.mark.parametrize("recent", [50, 20_000])
def test_more_fills_than_memory_holds_are_each_told_once(recent: int) -> None:
    """B8."""
    reports = [fill(f"f{n}", "1", at=n, exchange_order_id=f"o{n // 3}") for n in range(12_001)]
    book = Book(recent=recent)
    for start in range(0, len(reports), 500):
        book.take(*reports[start : start + 500])
    assert len(book.fills) == 12_001
    book.take(*reports[-3000:], backfilled=True)
    book.reopen()
    book.take(*reports[-6000:], backfilled=True)
    assert len(book.fills) == 12_001
    if recent == 50:
        books: Any = book.ledger
        assert len(books._books.seen) <= 50
        assert len(books._books.index) <= 51


def test_an_order_that_memory_has_let_go_of_is_found_in_the_store() -> None:
    book = Book(recent=3)
    book.place("mine")
    mine = {"exchange_order_id": "first", "client_order_id": "mine"}
    book.take(said(OrderState.CANCELED, 1, size="1", filled_size="0", **mine))
    for n in range(2, 40):
        each = {"exchange_order_id": f"o{n}"}
        book.take(
            said(FILLED, n, size="1", filled_size="1", **each), fill(f"f{n}", "1", at=n, **each)
        )
    assert book.ledger.order("mine") is None
    told = len(book.events)
    change = book.take(said(OPEN, 1, size="1", filled_size="0", **mine))
    assert change.doubtful
    assert len(book.events) == told
    late = book.take(fill("late", "0.5", at=1, **mine), backfilled=True)
    assert late.doubtful
    assert book.order("mine").filled_size == D("0.5")
    assert book.order("mine").origin is Origin.OWN
    assert book.fills[-1].origin is Origin.OWN
    assert book.fills[-1].backfilled


def test_an_order_of_which_fills_alone_were_known_keeps_them_until_its_first_word() -> None:
    book = Book(recent=2)
    for n in range(1, 9):
        book.take(fill(f"f{n}", "1", at=n, exchange_order_id=f"o{n}"))
    # Memory has let go of the first ones by now.
    for n in range(1, 9):
        ids = {"exchange_order_id": f"o{n}"}
        book.take(fill(f"g{n}", "1", at=5000, **ids))
        book.take(said(FILLED, 9000, size="2", filled_size="2", created_ns=SECOND, **ids))
        order = book.order(f"o{n}")
        assert order.fills_complete
        assert order.filled_size == 2


def test_news_of_now_never_waits_for_the_store() -> None:
    book = Book(recent=3)
    for n in range(2, 400):
        each = {"exchange_order_id": f"o{n}", "client_order_id": f"w{n}"}
        at = n * 30
        change = book.ledger.take(
            [
                said(OPEN, at, size="1", filled_size="0", **each),
                fill(f"f{n}", "1", at=at + 1, **each),
                said(FILLED, at + 1, size="1", filled_size="1", **each),
            ],
            n,
        )
        assert not change.doubtful


ids = st.text(alphabet="a %2", max_size=4)


@given(st.tuples(ids, ids, ids), st.tuples(ids, ids, ids))
@example(("a b", "c", "d"), ("a", "b c", "d"))
@example(("a", "a b", "c"), ("a", "a", "b c"))
@example(("a%20b", "c", "d"), ("a b", "c", "d"))
def test_no_two_things_have_one_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    for key in (
        keys.digest,
        partial(keys.of_fill, Market.SPOT),
        partial(keys.of_income, "funding"),
    ):
        assert (key(*one) == key(*other)) == (one == other)


# --- what can't be placed ---


def test_what_is_of_no_known_instrument_is_handed_back_and_taken_once_it_is_listed() -> None:
    listed: dict[str, Instrument] = {}
    ledger = Ledger("exchange", "emulator", "default", lambda market, native: listed.get(native))
    ledger.restore(done(MemoryStore().open(NAME)))
    reports = [fill("t", "1"), said(FILLED, 1, size="1", filled_size="1")]
    change = ledger.take(reports, 1)
    assert change.unplaced == tuple(reports)
    assert not change.rows
    listed["BTCUSDT"] = SPOT
    assert [type(event).__name__ for event in ledger.take(change.unplaced, 2).events] == [
        *("Fill", "OrderUpdate"),
    ]


def test_early_words_of_fills_are_neither_numbered_nor_kept() -> None:
    book = Book()
    early = EarlyFillReport(
        market=Market.SPOT,
        native="BTCUSDT",
        fill_id="3301",
        exchange_order_id="o1",
        client_order_id="",
        side=Side.BUY,
        price=D("61000.0"),
        size=D("0.020"),
        exchange_time_ns=1,
        received_time_ns=2,
    )
    change = book.take(early)
    assert [each.fill_id for each in change.early] == ["3301"]
    assert not change.rows
    assert not book.ledger.number


def test_an_order_that_can_not_be_told_from_others_is_told_and_not_taken() -> None:
    book = Book()
    book.take(said(OPEN, 1, exchange_order_id=""), said(OPEN, 1, side=None))
    assert [each.what for each in conflicts(book)] == ["order without id, side or type"] * 2
    assert not book.ledger.orders()


def test_a_margin_call_is_told() -> None:
    book = Book()
    call = MarginCallReport(
        text="add margin", maintenance_rate=D("0.9"), exchange_time_ns=1, received_time_ns=2
    )
    book.take(call)
    (told,) = book.events
    assert isinstance(told, MarginCall)
    assert (told.symbol, told.text) == ("", "add margin")


# --- numbers and cursors ---


def test_numbers_rise_and_go_on_after_a_start() -> None:
    book = Book()
    numbers: list[int] = []
    for n in range(5):
        change = book.take(said(OPEN, n + 1, filled_size=str(n)), fill(f"f{n}", "1", at=n + 1))
        numbers += [entry.number for entry in change.entries]
        for entry in change.entries:
            assert entry.event.number == entry.number  # type: ignore[union-attr]
        book.reopen()
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_cursor_moves_with_what_was_read_there() -> None:
    book = Book()
    assert book.ledger.cursor("fills") is None
    change = book.ledger.take([fill("t", "1")], 1)
    book.keep(book.ledger.move_cursor("fills", 7, change))
    book.reopen()
    assert book.ledger.cursor("fills") == 7
    assert len(done(book.store.fills())) == 1


# --- any history of several orders, with starts and a small memory, against a plain model ---


@given(st.randoms(use_true_random=False), st.integers(1, 40), st.integers(1, 5))
@settings(max_examples=40)
def test_any_schedule_of_reports_starts_and_lapses_of_memory_ends_at_the_truth(
    chance: random.Random, length: int, recent: int
) -> None:
    book = Book(recent=recent)
    truth: dict[str, dict[str, Any]] = {}
    fills: dict[str, str] = {}
    told: list[Any] = []
    at = 0
    for step in range(length):
        at += chance.randrange(50)
        what = chance.random()
        living = [key for key, order in truth.items() if order["state"] is OPEN]
        if what < 0.4 or not living:
            key = f"o{step}"
            truth[key] = {"state": OPEN, "filled": 0, "size": chance.randrange(1, 5), "own": ""}
            if chance.random() < 0.5:
                truth[key]["own"] = f"c{step}"
                book.place(f"c{step}", buy(str(truth[key]["size"])))
                if chance.random() < 0.5:
                    book.keep(book.ledger.unknown(f"c{step}", "timed out", at))
        else:
            key = chance.choice(living)
        order = truth[key]
        ids = {"exchange_order_id": key, "client_order_id": order["own"] or "web"}
        if what >= 0.4 and living:
            if chance.random() < 0.7:
                order["filled"] += 1
                fills[f"f{step}"] = key
                told.append(fill(f"f{step}", "1", at=at, **ids))
                if order["filled"] == order["size"]:
                    order["state"] = FILLED
            else:
                order["state"] = OrderState.CANCELED
        told.append(
            said(
                order["state"], at, size=str(order["size"]), filled_size=str(order["filled"]), **ids
            )
        )
        # What is told arrives late, twice, or only when it is asked for.
        for _ in range(chance.randrange(3)):
            report = chance.choice(told)
            book.take(report, backfilled=chance.random() < 0.3)
        if chance.random() < 0.2:
            book.reopen()
    chance.shuffle(told)
    for report in told:
        book.take(report)
    book.reopen()
    book.take(*told, backfilled=True)
    assert {each.fill_id: each.exchange_order_id for each in book.fills} == fills
    assert len(book.fills) == len(fills)
    assert {each.fill_id for each in done(book.store.fills(limit=10**6))} == set(fills)
    orders = {order.exchange_order_id: order for order in done(book.store.orders())}
    assert set(orders) == set(truth)
    for key, order in truth.items():
        found = orders[key]
        assert (found.state, found.filled_size) == (order["state"], order["filled"])
        assert found.fills_complete
        assert found.origin is (Origin.OWN if order["own"] else Origin.OTHER)
    assert not conflicts(book)
    rising = [entry.number for entry in done(book.store.entries_after(0, 10**6))]
    assert rising == list(range(1, len(rising) + 1))
