"""Small parts at their bounds: sweeping, bands, exposure, confirmations, lists, what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from ccrs_core import InvalidOrder, Market, OrderState, PriceBand, Side
from ccrs_core.contract.trading_requests import CancelAll, GetOpenOrders, Placed
from ccrs_core.errors import ExchangeError, OutcomeUnknown, RateLimited
from ccrs_core.model.accounts import Income, IncomeKind
from ccrs_core.model.orders import Order
from ccrs_core.model.reports import Act, ConfirmationReport
from ccrs_core.trading.checks import check_band
from ccrs_core.trading.confirmations import Confirmations
from ccrs_core.trading.exposure import exposure_of
from ccrs_core.trading.listing import counted
from ccrs_core.trading.profit import ProfitBook, Step
from ccrs_core.trading.sweeping import cancel_market
from tests.trading.books import SECOND, SPOT, Book, D, buy, fill, said
from tests.trading.test_positions import income
from tests.virtual import scenario

LIMITED = RateLimited("1", "too many")
UNKNOWN = OutcomeUnknown("", "no answer")
REFUSED = ExchangeError("7", "no")


@attrs.define
class Asks:
    """Answers to what is asked, in turn; nothing where there are none left."""

    outcomes: list[Any] = attrs.field(factory=list)
    asked: list[Any] = attrs.field(factory=list)

    async def once(self, request: Any) -> Any:
        self.asked.append(request)
        outcome = self.outcomes.pop(0) if self.outcomes else []
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, None

    async def counted(self, request: Any) -> Any:
        found, _ = await self.once(request)
        return found, 0


def context(asks: Asks, both: frozenset[Market] = frozenset()) -> Any:
    trading = SimpleNamespace(
        settles={Market.LINEAR: ("USDT", "USDC")}, cancels_both=both, visible_within=1.0
    )

    async def take(reports: Any, *, backfilled: bool) -> bool:
        return not reports

    return SimpleNamespace(asks=asks, trading=trading, take=take)


# --- sweeping -------------------------------------------------------------------------------


@scenario
async def test_all_of_a_market_is_ordinary_and_conditional_orders_of_each_settlement() -> None:
    for both in (False, True):
        asks = Asks()
        of = frozenset({Market.LINEAR}) if both else frozenset[Market]()
        assert await cancel_market(context(asks, of), Market.LINEAR, None) == ([], None)
        assert all(isinstance(each, CancelAll) for each in asks.asked)
        told = [(each.settle, each.everything, each.conditional) for each in asks.asked]
        kinds = [(True, False)] if both else [(False, False), (False, True)]
        assert told == [(settle, *kind) for settle in ("USDT", "USDC") for kind in kinds]
        one = Asks()
        await cancel_market(context(one, of), Market.SPOT, SPOT)
        assert [each.settle for each in one.asked] == [""] * (2 if Market.SPOT not in of else 1)


@pytest.mark.parametrize(
    ("outcomes", "failure", "count"),
    [
        ([LIMITED, LIMITED, []], None, 4),
        ([UNKNOWN, []], UNKNOWN, 2),
        ([[], REFUSED], REFUSED, 2),
        ([LIMITED] * 5 + [[]], LIMITED, 6),
        ([REFUSED, UNKNOWN], UNKNOWN, 2),
    ],
)
def test_what_a_limit_refuses_is_swept_again_and_what_is_unknown_never(
    outcomes: Sequence[Any], failure: Exception | None, count: int
) -> None:
    """A cancel of all that was taken once would take what is placed after it, too."""

    @scenario
    async def play() -> None:
        asks = Asks(list(outcomes))
        _, wrong = await cancel_market(context(asks), Market.SPOT, None)
        assert (wrong, len(asks.asked)) == (failure, count)

    play()


@scenario
async def test_what_was_named_before_a_failure_counts() -> None:
    placed = Placed(exchange_order_id="1", client_order_id="")
    named, wrong = await cancel_market(context(Asks([[placed], REFUSED])), Market.SPOT, None)
    assert (named, wrong) == ([placed], REFUSED)


@scenario
async def test_a_list_of_which_a_part_fails_is_no_list() -> None:
    asks = Asks([[], REFUSED])
    with pytest.raises(ExchangeError):
        await counted(context(asks), [Market.LINEAR])
    assert all(isinstance(each, GetOpenOrders) for each in asks.asked)
    assert [each.settle for each in asks.asked] == ["USDT", "USDC"]


# --- bands, exposure --------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "edge", "step"), [(Side.BUY, "110", 1), (Side.SELL, "90", -1)])
def test_a_price_at_the_edge_of_a_band_is_in_it(side: Side, edge: str, step: int) -> None:
    band = PriceBand(symbol=SPOT.symbol, lowest=D("90"), highest=D("110"), exchange_time_ns=None)
    for inside in (D(edge), D(edge) - step):
        check_band(side, inside, SPOT, band)
    with pytest.raises(InvalidOrder):
        check_band(side, D(edge) + D("0.01") * step, SPOT, band)


def test_what_is_presumed_absent_or_has_ended_adds_nothing_to_what_may_be_held() -> None:
    book = Book()
    states = [OrderState.PRESUMED_ABSENT, *(s for s in OrderState if s.final)]
    book.place()
    order = book.order("c1")
    orders = [attrs.evolve(order, state=state) for state in states]
    found = exposure_of(SPOT.symbol, [], orders)
    assert (found.most, found.least, found.unsized) == (0, 0, 0)
    others: list[Order] = [
        attrs.evolve(order, state=s) for s in OrderState if not s.final and s not in states
    ]
    assert exposure_of(SPOT.symbol, [], others).most == len(others)


# --- confirmations ----------------------------------------------------------------------------


def confirmed(act: Act, request_id: str = "", **more: Any) -> ConfirmationReport:
    given: dict[str, Any] = {"exchange_order_id": "1", "client_order_id": "c"}
    return ConfirmationReport(
        act=act,
        market=Market.SPOT,
        native="BTCUSDT",
        request_id=request_id,
        done=True,
        exchange_time_ns=1,
        received_time_ns=1,
        **given | more,
    )


@scenario
async def test_a_confirmation_is_of_one_kind_of_request_and_of_its_own_one() -> None:
    there = Confirmations()
    with (
        there.expecting(Act.CANCEL, ("c", "1")) as cancel,
        there.expecting(Act.AMEND, (), "r1") as amend,
        there.expecting(Act.AMEND, (), "r2") as other,
        there.expecting(Act.AMEND, ("c", "1"), "") as blank,
    ):
        there.heard([confirmed(Act.AMEND), confirmed(Act.AMEND, "r3")])
        assert not any(each.told.done() for each in (cancel, amend, other, blank))
        there.heard([confirmed(Act.AMEND, "r1")])
        assert [each.told.done() for each in (cancel, amend, other)] == [False, True, False]
        there.heard([confirmed(Act.CANCEL, exchange_order_id="2", client_order_id="")])
        assert not cancel.told.done()
        there.heard([confirmed(Act.CANCEL, client_order_id="")])
        assert cancel.told.done()
        assert not other.told.done()
        assert not blank.told.done()
    assert not there._expected
    await asyncio.sleep(0)


# --- what is kept -----------------------------------------------------------------------------


def test_steps_of_a_position_are_bounded_and_its_profit_is_exact() -> None:
    book, size = ProfitBook(None), Decimal(1)
    for n in range(2000):
        book.add(Step(n * SECOND, -1, n, size if n % 2 == 0 else -size, D(100 + n % 2)))
        assert book.steps <= 32
    assert (book.held.size, book.held.realised, book.out_of_order) == (0, 1000, 0)
    far = ProfitBook(None)
    for n in range(20):
        far.add(Step(n * 3600 * SECOND, -1, n, size, D(100)))
        assert far.steps == 1, "what is older than ten minutes isn't reckoned anew"


def test_conflicts_that_were_told_are_remembered_up_to_a_number() -> None:
    book = Book()
    for n in range(2500):
        book.take(fill(f"f{n}", "1"), fill(f"f{n}", "2"))
    assert len(book.ledger._books._conflicts) <= 1000


def test_after_a_start_the_oldest_are_let_go_of_first() -> None:
    book = Book(recent=4)
    for n in range(4):
        book.take(fill(f"f{n}", "1", at=1000 * (n + 1), exchange_order_id=f"o{n}"))
    book.reopen()
    book.take(fill("new", "1", at=9000, exchange_order_id="o9"))
    assert book.ledger._books.horizon.ns == 1000 * SECOND


def test_positions_and_balances_are_stored_now_and_then_not_with_each_fill() -> None:
    book = Book()
    stored = []
    for n in range(400):
        change = book.take(fill(f"f{n}", "1", at=n + 1))
        stored.append(any(type(row).__name__ == "PositionRow" for row in change.rows))
    assert sum(stored) <= 400 // 32


def test_what_a_fill_says_of_money_is_no_income_whatever_its_kind() -> None:
    book = Book()
    book.take(income("1", "5", 1, kind=IncomeKind.FEE, of_fill=True))
    book.take(income("2", "5", 1, kind=IncomeKind.TRADE))
    book.take(income("3", "5", 1, kind=IncomeKind.FEE))
    assert [each.income_id for each in book.events if isinstance(each, Income)] == ["3"]


def test_an_order_is_placed_under_an_id_once_though_others_use_it_too() -> None:
    book = Book()
    book.place()
    book.take(said(OrderState.OPEN, 1, client_order_id="c1", size="1"))
    book.take(said(OrderState.OPEN, 2, exchange_order_id="o2", client_order_id="c1", size="9"))
    assert (book.order("c1").exchange_order_id, book.order("c1").size) == ("o1", 1)
    assert (book.order("o2").asked, book.order("c1").asked) == (None, buy())
