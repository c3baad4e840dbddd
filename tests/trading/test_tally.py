"""How far a figure and what explains it may lie apart: in time, and by the exchange's rounding."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import OrderState, PositionSide, Side
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.moves import Move, Told
from ccrs_core.trading.tally import Tally
from tests.trading.books import Book, D, said
from tests.trading.test_positions import LINEAR, SYMBOL, balance, held, judged, traded

NEAR = 5 * NS_PER_SECOND
FIGURE = 100 * NS_PER_SECOND


def begun() -> Tally:
    tally = Tally()
    tally.tell(Told(D(0), 0, -1))
    assert tally.judge(0) is None
    return tally


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("apart", [0, 1, NEAR, NEAR + 1, 10 * NEAR])
def test_the_times_of_a_figure_and_of_its_entries_may_differ_a_little(
    seen: bool, apart: int
) -> None:
    """``seen``: the figure has an entry that is later than itself; else it lacks one that was
    before it."""
    tally = begun()
    tally.move(Move(FIGURE + apart if seen else FIGURE - apart, -1, 1, D(7)))
    tally.tell(Told(D(7) if seen else D(0), FIGURE, -1))
    found = tally.judge(FIGURE)
    if apart <= NEAR:
        assert found is None
    else:
        assert found is not None
        assert found.rest == (7 if seen else -7)
    # Whatever was told of it, from there on all is explained.
    tally.move(Move(FIGURE + 100 * NEAR, -1, 2, D(1)))
    known = D(7) + 1 if found is None or seen else D(0) + 1
    if found is not None and seen:
        known = D(7) + 7 + 1  # what came of it after all came once more
    tally.tell(Told(known, FIGURE + 100 * NEAR, -1))
    assert tally.judge(FIGURE + 200 * NEAR) is None


def closed(crumbs: str) -> Book:
    """Closed with a profit of 20, of which the exchange tells some crumbs more."""
    book = Book()
    book.take(balance("100", 0))
    judged(book, 0)
    book.take(traded("a", "2", "100", at=10), traded("b", "-2", "110", at=20))
    book.take(balance(f"{D(120) + D(crumbs)}", 30))
    return book


@pytest.mark.parametrize("sign", [1, -1])
def test_one_profit_is_rounded_to_eight_digits_and_what_is_more_is_a_difference(sign: int) -> None:
    assert not judged(closed(f"{sign * D('0.00000001')}"), 60)
    (more,) = judged(closed(f"{sign * D('0.00000002')}"), 60)
    assert more.amount == sign * D("0.00000002")


def test_each_profit_is_rounded_by_itself() -> None:
    book = closed("0")
    book.take(traded("c", "2", "100", at=40), traded("d", "-2", "110", at=41))
    book.take(traded("e", "2", "100", at=42), traded("f", "-2", "110", at=43))
    assert not judged(book, 35)
    book.take(balance("160.00000002", 50))
    assert not judged(book, 60)


def test_a_profit_that_is_learned_later_is_rounded_too() -> None:
    """Which of two positions a fill is of is told with its order: it closes one after all."""
    book = Book()
    short = {"side": Side.SELL, "position_side": PositionSide.SHORT, **LINEAR}
    book.take(held("0", 0, side=PositionSide.SHORT), balance("1000", 0))
    judged(book, 0)
    book.take(said(OrderState.OPEN, 1, **short))
    book.take(traded("a", "-2", "100", 10))
    closes = {**short, "side": Side.BUY, "exchange_order_id": "o2", "client_order_id": "c2"}
    ids = {"exchange_order_id": "o2", "client_order_id": "c2"}
    book.take(traded("b", "1", "90", 20, **ids))
    book.take(said(OrderState.OPEN, 21, **closes))
    profit = book.ledger.profit(SYMBOL, PositionSide.SHORT)
    assert profit is not None
    assert profit.realised == 10
    book.take(balance("1010.00000001", 30))
    assert not judged(book, 60)


def test_what_was_rounded_once_excuses_nothing_later() -> None:
    book = closed("0.00000001")
    judged(book, 60)
    book.take(balance("120.00000002", 70))
    (more,) = judged(book, 90)
    assert more.amount == D("0.00000001")


def test_what_was_rounded_is_known_after_a_start() -> None:
    book = Book()
    book.take(balance("100", 0))
    judged(book, 0)
    book.take(traded("a", "2", "100", at=10), traded("b", "-2", "110", at=20))
    judged(book, 15)  # its figures are stored by then
    book.reopen()
    book.take(balance("120.00000001", 30))
    assert not judged(book, 60)


def test_what_rounding_may_come_to_is_told_beside_the_sum() -> None:
    book = closed("0.00000001")
    money = book.ledger._figures.money
    assert money.explained("USDT", 25 * NS_PER_SECOND) == (120, D("0.00000001"))
    assert money.explained("DOGE", 25 * NS_PER_SECOND) == (0, 0)


@pytest.mark.parametrize("figures", [("-7", "-9"), ("-9", "-7", "-9"), ("-9",), ("-7",)])
def test_a_first_figure_may_be_of_between_two_entries_of_its_millisecond(
    figures: tuple[str, ...],
) -> None:
    """Where neither figures nor times tell which of them it has seen: nothing was there before."""
    tally = Tally()
    for number, amount in enumerate((D(-7), D(-2)), 1):
        tally.move(Move(FIGURE, number, number, amount))
    for each in figures:
        tally.tell(Told(D(each), FIGURE, -1))
    assert not list(tally.judgements(FIGURE))
    assert tally.at(FIGURE) == -9


@given(
    amounts=st.lists(st.integers(-9, 9).filter(bool), min_size=1, max_size=6),
    known=st.randoms(use_true_random=False),
    first=st.integers(0, 6),
    anchored=st.booleans(),
)
@example([2470, 988, 494], Random(1), 1, False)
def test_entries_of_a_figures_millisecond_may_become_known_in_any_order(
    amounts: list[int], known: Random, first: int, anchored: bool
) -> None:
    """A figure that has seen the first ones of them is explained, and so is all that follows."""
    tally = begun() if anchored else Tally()
    arrived = list(amounts)
    known.shuffle(arrived)
    for number, amount in enumerate(arrived, 1):
        tally.move(Move(FIGURE, -1, number, D(amount)))
    tally.tell(Told(D(sum(amounts[:first])), FIGURE, -1))
    assert not list(tally.judgements(FIGURE))
    tally.tell(Told(D(sum(amounts)), FIGURE, -1))
    assert not list(tally.judgements(FIGURE))
    assert tally.at(FIGURE) == sum(amounts)


def test_what_no_entries_of_its_millisecond_come_to_was_there_before() -> None:
    tally = Tally()
    for number, amount in enumerate((2470, 988, 494), 1):
        tally.move(Move(FIGURE, -1, number, D(amount)))
    tally.tell(Told(D(3951), FIGURE, -1))
    (found,) = tally.judgements(FIGURE)
    assert (found.rest, found.opening) == (-1, True)


def test_a_figure_with_a_number_says_itself_which_entries_it_has_seen() -> None:
    tally = Tally()
    for number, amount in enumerate((2470, 988, 494), 1):
        tally.move(Move(FIGURE, number, number, D(amount)))
    tally.tell(Told(D(494), FIGURE, 3))
    (found,) = tally.judgements(FIGURE)
    assert (found.rest, found.opening) == (-3458, True)


def test_of_a_great_many_entries_of_a_millisecond_not_all_choices_are_tried() -> None:
    tally = Tally()
    for number in range(60):
        tally.move(Move(FIGURE, -1, number, D(2) ** number))
    tally.tell(Told(D("0.5"), FIGURE, -1))
    (found,) = tally.judgements(FIGURE)
    assert found.rest == D("0.5") - sum(D(2) ** n for n in range(60))


def test_of_a_first_figure_that_no_such_place_explains_the_rest_was_there_before() -> None:
    tally = Tally()
    tally.move(Move(FIGURE - 1, 8, 1, D(-7)))
    tally.move(Move(FIGURE, 9, 2, D(-2)))
    tally.tell(Told(D(-7), FIGURE, 9))
    (found,) = tally.judgements(FIGURE)
    assert (found.rest, found.opening) == (2, True)
    tally = Tally()
    tally.move(Move(FIGURE - 1, -1, 1, D(-7)))
    tally.tell(Told(D(0), FIGURE, -1))
    (found,) = tally.judgements(FIGURE)
    assert (found.rest, found.opening) == (7, True)


def test_entries_of_what_no_figure_is_told_of_are_bounded_and_none_is_lost() -> None:
    tally, most = begun(), 4096
    for n in range(1, 3 * most + 1):
        tally.move(Move(n, -1, n, D("0.1")))
        assert len(tally.moves) <= most
    tally.tell(Told(D("0.1") * 3 * most, 3 * most, -1))
    assert tally.judge(3 * most) is None


def test_no_two_differences_are_the_same_one_though_they_look_alike() -> None:
    """Three figures of one millisecond, there and back."""
    tally = begun()
    told = []
    for figure in (1, 0, 1, 0, 1):
        tally.tell(Told(D(figure), FIGURE, -1))
        judged = tally.judge(FIGURE)
        assert judged is not None
        told.append(judged.content)
    assert len(set(told)) == len(told)


def test_an_entry_that_was_of_another_figure_is_undone_though_a_figure_has_it() -> None:
    """Which of two positions a fill is of may be told late."""
    tally, entry = begun(), Move(FIGURE, -1, 1, D(7))
    tally.move(entry)
    tally.tell(Told(D(7), FIGURE, -1))
    assert not len(tally.moves)
    tally.take_back(entry)
    assert tally.at(FIGURE) == 0
    tally.tell(Told(D(0), 2 * FIGURE, -1))
    assert tally.judge(2 * FIGURE) is None
