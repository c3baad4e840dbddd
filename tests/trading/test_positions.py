"""Positions and balances: the exchange's figure, what explains it, and what doesn't."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import Balance, Market, Side
from ccrs_core.errors import EndReason
from ccrs_core.model.accounts import Adjustment, AdjustmentKind, Income, IncomeKind, Position
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import FillKind, OrderState, Origin
from ccrs_core.model.reports import FillReport, IncomeReport, PositionReport, StrangeReport
from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.profit import Held, ProfitBook, Step, stepped
from tests.trading.books import SECOND, Book, D, fill, said
from tests.waiting import done

LINEAR: dict[str, Any] = {"market": Market.LINEAR, "native": "BTCUSDT"}
SYMBOL = "BTC/USDT:USDT"
DAY = 86_400


def held(size: str, at: int, **more: Any) -> PositionReport:
    """The exchange's word on the linear position, a second ``at``."""
    given: dict[str, Any] = {"side": PositionSide.NET, **LINEAR}
    return PositionReport(
        size=D(size),
        exchange_time_ns=at * SECOND,
        received_time_ns=at * SECOND,
        **given | more,
    )


def traded(fill_id: str, size: str, price: str = "100", at: int = 1, **more: Any) -> FillReport:
    """A fill of the linear contract: above zero bought, below sold."""
    side = Side.SELL if size.startswith("-") else Side.BUY
    return fill(fill_id, size.lstrip("-"), price, at, side=side, **LINEAR, **more)


def balance(total: str, at: int | None, asset: str = "USDT", **more: Any) -> Balance:
    """The exchange's word on an asset."""
    return Balance(
        exchange="exchange",
        symbol="",
        exchange_time_ns=None if at is None else at * SECOND,
        received_time_ns=(at or 0) * SECOND,
        account="default",
        asset=asset,
        total=D(total),
        **more,
    )


def income(income_id: str, amount: str, at: int, **more: Any) -> IncomeReport:
    """Money that came or went."""
    given: dict[str, Any] = {"kind": IncomeKind.FUNDING, "asset": "USDT", **LINEAR}
    return IncomeReport(
        income_id=income_id,
        amount=D(amount),
        exchange_time_ns=at * SECOND,
        received_time_ns=at * SECOND,
        **given | more,
    )


def adjustments(book: Book) -> list[Adjustment]:
    return [event for event in book.events if isinstance(event, Adjustment)]


def judged(book: Book, at: int) -> list[Adjustment]:
    """What is told once all fills until then are known."""
    before = len(adjustments(book))
    book.keep(book.ledger.judge(at * SECOND, at * SECOND))
    return adjustments(book)[before:]


def size(book: Book) -> Decimal:
    position = book.ledger.position(SYMBOL)
    assert position is not None
    return position.size


def test_a_fill_through_zero_closes_and_opens_in_one() -> None:
    """J2."""
    book = Book()
    book.take(traded("a", "2", "100"), traded("b", "-5", "110", at=2))
    profit = book.ledger.profit(SYMBOL)
    assert profit is not None
    assert (profit.realised, profit.size, profit.entry_price) == (20, -3, 110)
    assert len(book.fills) == 2


def test_what_the_exchange_traded_counts_with_its_origin_and_the_own_order_ends() -> None:
    """J4."""
    book = Book()
    book.take(held("0", 0))
    judged(book, 1)
    own: dict[str, Any] = {"exchange_order_id": "mine", "client_order_id": "m", **LINEAR}
    book.take(traded("a", "1.0", at=2), held("1.0", 2))
    book.take(said(OrderState.OPEN, 3, **own))
    book.take(
        said(OrderState.CANCELED, 4, reason=EndReason.DELEVERAGING, **own),
        traded("z", "-0.7", at=4, by_exchange=True, kind=FillKind.DELEVERAGING),
        held("0.3", 4),
    )
    assert size(book) == book.ledger.explained(SYMBOL) == D("0.3")
    assert book.fills[-1].origin is Origin.EXCHANGE
    assert book.fills[-1].kind is FillKind.DELEVERAGING
    assert not judged(book, 10)


def test_what_was_there_before_the_ledger_began_is_one_opening() -> None:
    """J6."""
    book = Book()
    book.take(held("-65", 7 * DAY, entry_price=D("0.041")))
    assert size(book) == -65
    for report in (traded("f1", "30", "0.040", DAY), traded("f2", "-20", "0.042", 2 * DAY)):
        book.take(report, backfilled=True)
    (opening,) = judged(book, 7 * DAY)
    assert (opening.kind, opening.amount) == (AdjustmentKind.OPENING, -75)
    assert len(book.fills) == 2
    assert book.ledger.explained(SYMBOL) == -65


def test_what_was_there_before_is_told_before_the_fills_where_all_is_read_at_once() -> None:
    """J6."""
    book = Book()
    reports = [
        traded("f1", "30", "0.040", DAY),
        held("-65", 7 * DAY, entry_price=D("0.041")),
        traded("f2", "-20", "0.042", 2 * DAY),
        balance("100", 7 * DAY),
    ]
    book.take(*reports, backfilled=True, whole_before_ns=7 * DAY * SECOND)
    told = [type(event).__name__ for event in book.events]
    assert told == ["Position", "Balance", "Adjustment", "Adjustment", "Fill", "Fill"]
    (opening, money) = adjustments(book)
    assert (opening.kind, opening.amount) == (AdjustmentKind.OPENING, -75)
    assert (money.asset, money.kind) == ("USDT", AdjustmentKind.OPENING)
    numbers = [entry.number for entry in done(book.store.entries_after(0, 99))]
    assert numbers == sorted(numbers)
    assert book.ledger.explained(SYMBOL) == size(book) == -65
    book.reopen()
    book.take(*reports, backfilled=True, whole_before_ns=8 * DAY * SECOND)
    assert len(adjustments(book)) == 2


@pytest.mark.parametrize("begun", [False, True])
def test_the_same_difference_is_told_once_whatever_is_started_again(begun: bool) -> None:
    """H6."""
    book = Book()
    if begun:
        book.take(held("0", 1))
        judged(book, 1)
    for start in range(3):
        book.take(held("0.01", 10 + start))
        judged(book, 10 + start)
        judged(book, 20 + start)
        book.reopen()
    (told,) = adjustments(book)
    assert told.amount == D("0.01")
    kind = AdjustmentKind.UNEXPLAINED if begun else AdjustmentKind.OPENING
    assert told.kind is kind


@pytest.mark.parametrize("begun", [False, True])
def test_figures_that_are_told_again_and_again_put_no_judgement_off(begun: bool) -> None:
    """Judged is what was so two minutes ago, and the lists are read each minute."""
    book = Book()
    if begun:
        book.take(held("0", 1), balance("0", 1))
        judged(book, 1)
    for minute in range(1, 6):
        book.take(held("0.01", minute * 60), balance("7", minute * 60))
        judged(book, minute * 60 - 120)
    assert [each.amount for each in adjustments(book)] == [D("0.01"), 7]
    book.take(traded("a", "0.02", at=301), held("0.03", 360))
    judged(book, 600)
    assert len(adjustments(book)) == 2


def test_a_late_fill_explains_an_old_figure_and_those_after_it() -> None:
    book = Book()
    book.take(held("0", 1))
    judged(book, 1)
    book.take(held("1", 10), held("1", 70), traded("b", "2", at=75), held("3", 80))
    book.take(traded("a", "1", at=9), backfilled=True)
    assert not judged(book, 600)
    assert book.ledger.explained(SYMBOL) == size(book) == 3


@given(st.randoms(use_true_random=False), st.integers(1, 30), st.booleans())
@settings(max_examples=60)
def test_only_what_is_of_no_fill_is_adjusted_whatever_arrives_when(
    chance: random.Random, length: int, numbered: bool
) -> None:
    """P55: what the exchange changes by itself is told, to the last digit, and nothing else is."""
    book = Book()
    book.take(held("0", 0), balance("0", 0))
    judged(book, 0)
    truth, elsewhere, on_the_way, whole = 0, 0, [], 0
    for n in range(1, length + 1):
        at = n * 60
        number = {"sequence": n} if numbered else {}
        if chance.random() < 0.6:
            amount = chance.choice([-2, -1, 1, 2])
            truth += amount
            on_the_way.append(traded(f"f{n}", str(amount), at=at, **number))
        elif chance.random() < 0.3:
            elsewhere += 1
            truth += 1
        if chance.random() < 0.7:
            on_the_way.append(held(str(truth), at, **number))
        while on_the_way and chance.random() < 0.5:
            book.take(on_the_way.pop(chance.randrange(len(on_the_way))))
        fills = [each for each in on_the_way if isinstance(each, FillReport)]
        whole = min((each.exchange_time_ns // SECOND for each in fills), default=at + 1) - 1
        if chance.random() < 0.3:
            judged(book, whole)
        if chance.random() < 0.1:
            book.reopen()
    chance.shuffle(on_the_way)
    # Far enough from the last fill for nobody to doubt which of them was first.
    book.take(*on_the_way, held(str(truth), length * 60 + 10))
    for _ in range(2):
        judged(book, length * 60 + 10)
    assert size(book) == book.ledger.explained(SYMBOL) == truth
    assert sum(each.amount for each in adjustments(book)) == elsewhere
    if not elsewhere:
        assert not adjustments(book)


def test_an_adjustments_id_follows_from_its_content() -> None:
    ids = []
    for _ in range(2):
        book = Book()
        book.take(held("0.01", 10))
        ids += [each.adjustment_id for each in judged(book, 10)]
    assert len(set(ids)) == 1
    other = Book()
    other.take(held("0.02", 10))
    assert judged(other, 10)[0].adjustment_id != ids[0]


def test_a_difference_is_no_adjustment_as_long_as_fills_may_be_missing() -> None:
    book = Book()
    book.take(held("0", 1))
    judged(book, 1)
    book.take(held("0.5", 5))
    assert not judged(book, 4)
    book.take(traded("a", "0.5", at=5))
    assert not judged(book, 60)
    assert size(book) == book.ledger.explained(SYMBOL) == D("0.5")


def test_a_fill_that_turns_up_after_its_difference_was_told_is_told_back() -> None:
    book = Book()
    book.take(held("0", 1))
    judged(book, 1)
    book.take(held("0.5", 5))
    (first,) = judged(book, 60)
    book.take(traded("late", "0.5", at=5), backfilled=True)
    (back,) = judged(book, 120)
    assert (first.amount, back.amount) == (D("0.5"), D("-0.5"))
    assert book.ledger.explained(SYMBOL) == size(book) == D("0.5")


def test_the_exchanges_own_numbers_say_which_fills_a_position_has() -> None:
    book = Book()
    book.take(held("0", 1, sequence=1))
    judged(book, 1)
    # Both fills and both positions in one second; told backwards.
    reports = [
        traded("a", "1", at=5, sequence=11),
        held("1", 5, sequence=11),
        traded("b", "1", at=5, sequence=12),
        held("2", 5, sequence=12),
    ]
    for report in reversed(reports):
        book.take(report)
    assert size(book) == 2
    assert not judged(book, 60)


def test_the_older_answer_that_arrives_later_changes_nothing() -> None:
    """K3."""
    book = Book()
    book.take(balance("40", 11), held("4", 11))
    told = len(book.events)
    book.take(balance("100", 10), held("9", 10))
    assert len(book.events) == told
    assert [each.total for each in book.ledger.balances()] == [40]
    assert size(book) == 4


def test_a_figure_without_a_time_keeps_none_away_that_has_one() -> None:
    book = Book()
    untimed = attrs.evolve(held("0", 3), exchange_time_ns=None)
    book.take(untimed)
    # By the exchange's clock, which tells milliseconds, it was before that arrived.
    book.take(attrs.evolve(held("2", 3), exchange_time_ns=3 * SECOND - 1))
    assert [p.size for p in book.ledger.positions()] == [2]


def test_a_local_clock_that_is_ahead_makes_nothing_newer_than_it_is() -> None:
    book = Book()
    ahead = {"ahead_ns": -30 * SECOND}
    untimed = attrs.evolve(held("0", 33), exchange_time_ns=None)
    book.take(untimed, **ahead)
    book.take(untimed, **ahead)
    book.take(held("2", 3), **ahead)
    assert [p.size for p in book.ledger.positions()] == [2]
    book.take(attrs.evolve(balance("10", None), received_time_ns=34 * SECOND), **ahead)
    book.take(balance("12", 4), **ahead)
    assert [each.total for each in book.ledger.balances()] == [12]


def test_what_streams_tell_late_and_without_a_time_keeps_nothing_away() -> None:
    """The loop was blocked for half a minute: what was pushed then is read now."""
    book = Book()
    untimed = attrs.evolve(held("0", 33), exchange_time_ns=None)
    book.take(untimed, untimed, held("2", 3))
    assert size(book) == 2
    book.take(untimed)
    assert size(book) == 2


def test_a_balance_without_a_time_says_no_more_than_what_came_before() -> None:
    """As of a position, whatever is told of it."""

    def untimed(total: str) -> Balance:
        return attrs.evolve(balance(total, None), received_time_ns=33 * SECOND)

    def shown(book: Book) -> list[Decimal]:
        return [each.total for each in book.ledger.balances()]

    book = Book()
    book.take(untimed("5"))
    assert shown(book) == [5]
    book.take(balance("2", 3))
    assert shown(book) == [2]
    book.take(untimed("5"))
    assert shown(book) == [2]
    # A list is asked for: it is news, and what only seemed newer is corrected by the next time.
    book.take(untimed("7"), backfilled=True)
    assert shown(book) == [7]
    book.take(balance("6", 20))
    assert shown(book) == [7]
    book.take(balance("6", 20), backfilled=True)
    assert shown(book) == [6]


def test_a_delivery_with_the_number_of_the_last_trade_is_no_part_of_the_opening() -> None:
    book = Book()
    sold = traded("f", "-3", at=10, sequence=7)
    closed = traded("d", "3", at=70, sequence=7, kind=FillKind.SETTLEMENT)
    book.take(held("-3", 10, sequence=7), backfilled=True)
    book.take(sold, backfilled=True)
    book.take(held("0", 70, sequence=7), closed)
    judged(book, 71)
    judged(book, 200)
    assert sum(each.amount for each in adjustments(book)) == 0


def test_a_list_corrects_what_was_only_guessed_to_be_newer() -> None:
    """An answer that lags, or was read late, doesn't hide a position for longer than a minute."""
    for guess in ("a row without a time", "no row"):
        book = Book()
        book.take(held("3", 1), backfilled=True)
        if guess == "no row":
            book.keep(book.ledger.flat(Market.LINEAR, set(), 30 * SECOND, 30 * SECOND))
        else:
            late = attrs.evolve(held("0", 40), exchange_time_ns=None)
            book.take(late, backfilled=True)
        assert not size(book)
        book.take(held("2", 20), backfilled=True)
        assert size(book) == 2


def test_a_deposit_is_counted_once_in_both_orders_of_its_two_events() -> None:
    """K2."""
    deposit = income("d", "5", 2, kind=IncomeKind.TRANSFER, market=None, native="")
    for reports in ((deposit, balance("15", 2)), (balance("15", 2), deposit)):
        book = Book()
        book.take(balance("10", 1))
        (opening,) = judged(book, 1)
        book.take(*reports)
        assert [each.total for each in book.ledger.balances()] == [15]
        assert not judged(book, 60)
        assert opening.amount == 10


def test_equity_is_the_exchanges_and_fills_are_reckoned_against_the_wallet() -> None:
    """K1."""
    book = Book()
    book.take(balance("950", 1, wallet=D(1000)))
    assert [each.total for each in book.ledger.balances()] == [950]
    (opening,) = judged(book, 1)
    assert opening.amount == 1000
    book.take(traded("a", "1", at=2, fee="0.5", fee_asset="USDT"))
    book.take(balance("900", 2, wallet=D("999.5")))
    assert not judged(book, 60)


def test_fees_in_two_assets_are_two_sums_and_leave_nothing_unexplained() -> None:
    """I1."""
    book = Book()
    for asset in ("BTC", "BNB", "USDT"):
        book.take(balance("1000", 0, asset))
    judged(book, 0)
    book.take(fill("a", "21.109", "2", fee="0.021109", fee_asset="BTC"))
    book.take(fill("b", "0.005", "2", fee="0.0000002", fee_asset="BNB"))
    book.take(said(OrderState.FILLED, 2, size="21.114", filled_size="21.114"))
    order = book.order()
    assert dict(order.fees) == {"BTC": D("0.021109"), "BNB": D("0.0000002")}
    book.take(
        balance("1021.092891", 2, "BTC"),
        balance("999.9999998", 2, "BNB"),
        balance("957.772", 2, "USDT"),
    )
    assert not judged(book, 60)


def test_funding_is_income_once_and_no_fill() -> None:
    """B4, I6."""
    book = Book()
    book.take(held("4.2", 1), balance("100", 1))
    judged(book, 1)
    # One of the rows leaves out that it is paid in what the instrument is settled in.
    for asset in ("", "USDT", ""):
        book.take(attrs.evolve(income("5511", "-1.050042", 2), asset=asset))
    book.take(balance("98.949958", 2))
    assert not judged(book, 60)
    told = [each for each in book.events if isinstance(each, Income)]
    assert [(each.amount, each.asset) for each in told] == [(D("-1.050042"), "USDT")]
    assert not book.fills
    assert size(book) == D("4.2")


def test_a_row_of_an_unknown_kind_is_told_once_and_not_booked() -> None:
    """B4."""
    book = Book()
    for _ in range(3):
        book.take(
            StrangeReport(
                what="Corporate",
                exchange_time_ns=SECOND,
                received_time_ns=SECOND,
                native_fields={"execQty": "3"},
                **LINEAR,
            )
        )
        book.reopen()
    (told,) = book.events
    assert told.what == "row of an unknown kind: Corporate"
    assert told.told == "execQty=3"
    assert told.symbol == SYMBOL


def test_what_a_whole_list_leaves_out_is_flat_and_what_could_not_be_read_is_unverified() -> None:
    """J3."""
    book = Book()
    book.take(held("1", 1))
    change = book.keep(book.ledger.unverified(Market.LINEAR, 2))
    (told,) = change.events
    assert isinstance(told, Position)
    assert (told.size, told.verified) == (1, False)
    assert not book.keep(book.ledger.unverified(Market.LINEAR, 2)).events
    book.take(held("1", 2))
    assert book.ledger.positions()[0].verified
    book.keep(book.ledger.flat(Market.LINEAR, {(SYMBOL, PositionSide.NET)}, 3 * SECOND, 3))
    assert size(book) == 1
    (gone,) = book.keep(book.ledger.flat(Market.LINEAR, set(), 3 * SECOND, 3)).events
    assert isinstance(gone, Position)
    assert gone.size == 0
    assert not book.ledger.positions()


def test_long_and_short_are_two_positions() -> None:
    """J1."""
    book = Book()
    long, short = PositionSide.LONG, PositionSide.SHORT
    book.take(
        traded("a", "0.5", "60000", 1, position_side=long),
        traded("b", "-0.2", "61000", 1, position_side=short),
        traded("c", "-0.5", "60100", 2, position_side=long),
    )
    assert (book.ledger.explained(SYMBOL, long), book.ledger.explained(SYMBOL, short)) == (
        *(0, D("-0.2")),
    )
    assert book.ledger.explained(SYMBOL) == 0
    profit = book.ledger.profit(SYMBOL, long)
    assert profit is not None
    assert profit.realised == 50


@pytest.mark.parametrize(
    "how", ["after", "together", "started again", "forgotten", "judged", "then started again"]
)
def test_a_fill_is_of_its_orders_position_as_soon_as_that_is_told(how: str) -> None:
    short = PositionSide.SHORT
    book = Book(recent=2)
    begin = held("0", 0, side=short), balance("1000", 0)
    book.take(*begin)
    judged(book, 0)
    fills = [
        traded("a", "-2", "100", 1, fee="1", fee_asset="USDT"),
        traded("b", "1", "90", 2, fee="2", fee_asset="USDT"),
    ]
    order = said(OrderState.OPEN, 3, side=Side.SELL, position_side=short, **LINEAR)
    if how == "together":
        book.take(*fills, order)
        assert {each.position_side for each in book.fills} == {short}
    else:
        book.take(*fills)
        if how == "judged":
            book.take(held("-1", 2, side=short))
            assert [each.amount for each in judged(book, 2)] == [D("-1")]
        if how == "forgotten":
            book.take(*(fill(f"s{n}", "1", at=3 + n, exchange_order_id=f"s{n}") for n in range(9)))
        if how in ("started again", "forgotten"):
            book.reopen()
        book.take(order)
        if how == "then started again":
            book.reopen()
    others = 900 if how == "forgotten" else 0
    book.take(held("-1", 40, side=short), balance(f"{1007 - others}", 40))
    judged(book, 40)
    stored = done(book.store.fills(limit=10))
    assert {e.position_side for e in stored if e.market is Market.LINEAR} == {short}
    for _ in range(2):
        profit = book.ledger.profit(SYMBOL, short)
        assert profit is not None
        assert (profit.size, profit.realised, dict(profit.fees)) == (-1, 10, {"USDT": 3})
        assert book.ledger.explained(SYMBOL) == 0
        none = book.ledger.profit(SYMBOL)
        assert none is None or (none.size, none.realised) == (0, 0)
        assert none is None or not any(fee for _, fee in none.fees)
        told = [e.side for e in book.ledger.explained_positions() if e.market is Market.LINEAR]
        assert told == [short]
        assert sum(each.amount for each in adjustments(book) if each.side is short) == 0
        assert [e for e in adjustments(book) if e.asset == "USDT" and e.amount != 1000] == []
        book.reopen()


def test_contracts_are_counted_in_base_units() -> None:
    """I4."""
    lots: dict[str, Any] = {"market": Market.LINEAR, "native": "ETHUSDT"}
    book = Book()
    book.take(fill("a", "2", "3000", **lots))
    book.take(held("5.5", 2, **lots))
    book.take(said(OrderState.OPEN, 2, size="5.5", filled_size="2", **lots))
    assert book.fills[0].size == D("0.02")
    assert book.fills[0].value == 60
    assert book.order().size == D("0.055")
    position = book.ledger.position("ETH/USDT:USDT")
    assert position is not None
    assert position.size == D("0.055")


# --- profit ---

steps = st.lists(
    st.tuples(
        st.integers(-5, 5).filter(bool), st.integers(1, 500), st.integers(0, 3), st.integers(0, 3)
    ),
    max_size=40,
)


def naive(trades: list[tuple[int, int]], contract: int | None) -> tuple[Fraction, Fraction]:
    """Size and realised profit, unit by unit."""
    opened: list[Fraction] = []  # the average worth of each open unit, all equal
    size, realised = 0, Fraction(0)
    for amount, price in trades:
        worth = Fraction(price) if contract is None else Fraction(contract, price)
        for _ in range(abs(amount)):
            if size * amount >= 0:
                opened.append(worth)
                opened = [sum(opened, Fraction(0)) / len(opened)] * len(opened)
                size += 1 if amount > 0 else -1
            else:
                cost = opened.pop()
                gain = worth - cost if contract is None else cost - worth
                realised += gain if size > 0 else -gain
                size += 1 if amount > 0 else -1
    return Fraction(size), realised


@given(steps, st.sampled_from([None, 100]), st.booleans())
def test_profit_is_that_of_the_exchanges_order_whatever_the_order_of_arrival(
    trades: list[tuple[int, int, int, int]], contract: int | None, restored: bool
) -> None:
    at, order = 0, []
    for number, (amount, price, pause, delay) in enumerate(trades):
        at += pause
        order.append((number + delay * 2, Step(at, -1, number, D(amount), D(price))))
    worth = None if contract is None else D(contract)
    book = ProfitBook(worth)
    for _, step in sorted(order):
        book.add(step)
        if restored:
            book = ProfitBook(worth, book.state)
    expected = naive([(amount, price) for amount, price, *_ in trades], contract)
    assert Fraction(book.held.size) == expected[0]
    assert abs(Fraction(book.held.realised) - expected[1]) < Fraction(1, 10**20)
    assert book.out_of_order == 0


def test_a_close_at_the_average_leaves_no_crumbs() -> None:
    state = Held()
    for amount, price in (("1", "3"), ("2", "7"), ("-3", "9")):
        state = stepped(state, Step(0, 0, 0, D(amount), D(price)), None)
    assert state == Held(D(0), D(0), D(10))


def test_what_a_ledger_holds_survives_a_start_digit_for_digit() -> None:
    """H4."""
    book = Book(store=MemoryStore())
    small = fill("s", "7441214.99014", "0.00000402", fee="0.000000018", fee_asset="BTC")
    book.take(small, said(OrderState.FILLED, 2, size="7441214.99014", filled_size="7441214.99014"))
    before = book.order()
    assert str(before.filled_value) == "29.9136842603628"
    book.reopen()
    assert book.order() == before
    assert str(dict(book.order().fees)["BTC"]) == "1.8E-8"
    profit = book.ledger.profit("BTC/USDT")
    assert profit is not None
    assert profit.size == D("7441214.99014")


def test_what_is_held_of_spot_on_margin_is_shown_and_no_fill_explains_it() -> None:
    book = Book()
    spot: dict[str, Any] = {"market": Market.SPOT, "native": "BTCUSDT"}
    for at, size in ((10, "0.5"), (20, "0.2")):
        book.take(
            PositionReport(
                size=D(size),
                side=PositionSide.NET,
                exchange_time_ns=at * SECOND,
                received_time_ns=at * SECOND,
                **spot,
            )
        )
        judged(book, at + 200)
    assert [held.size for held in book.ledger.positions()] == [D("0.2")]
    assert not adjustments(book)
