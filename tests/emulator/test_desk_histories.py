"""What lists tell of accounts: later than it happened, page by page, and not for ever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.emulator import Lag, Lifetime
from ccrs_core.emulator.trading.histories import Shelf
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType
from ccrs_core.model.units import NS_PER_SECOND
from tests.emulator.trading_floor import HOUR_NS, SPOT, D, Exchange, frozen

SECOND = NS_PER_SECOND


def busy(**more: object) -> Exchange:
    """An account with an order that was filled in two parts, one canceled and one open."""
    it = Exchange(frozen(**more))
    it.book(SPOT, bids=[], asks=[])
    it.place(it.ann, SPOT, Side.BUY, "2", price=D(60000), client_order_id="filled")
    for _ in range(2):
        it.venue.submit(SPOT, Side.SELL, D(1), D(60000), owner="x", lifetime=Lifetime.IOC)
    gone = it.place(it.ann, SPOT, Side.BUY, "1", price=D(59000), client_order_id="canceled")
    it.desk.cancel(it.ann, gone.number)
    it.place(it.ann, SPOT, Side.BUY, "1", price=D(59000), client_order_id="open")
    return it


def ids(it: Exchange) -> list[str]:
    page = it.desk.histories.orders("ann").page(it.venue.now_ns)
    return [order.client_order_id for order in page.rows]


def test_orders_that_ended_are_in_the_history_after_their_lag_and_others_among_the_open() -> None:
    it = busy(orders_lag=Lag(2 * SECOND, 2 * SECOND))
    now_ns, histories = it.venue.now_ns, it.desk.histories
    assert [o.client_order_id for o in histories.open_orders("ann", now_ns)] == ["open"]
    recent = histories.recent_orders("ann", "spot", now_ns)
    assert [o.client_order_id for o in recent] == ["canceled", "filled"]
    assert ids(it) == []
    it.wait(2)
    assert ids(it) == ["canceled", "filled"]
    assert histories.orders("ann").page(it.venue.now_ns, lag_ns=1).rows == ()
    histories.forget_recent()
    assert histories.recent_orders("ann", "spot", it.venue.now_ns) == []
    assert ids(it) == ["canceled", "filled"]
    assert histories.orders("bob").page(it.venue.now_ns).rows == ()


def test_unfilled_orders_are_forgotten_sooner_than_others() -> None:
    it = busy(keeps_ns=10 * HOUR_NS, keeps_unfilled_ns=HOUR_NS)
    page = it.desk.histories.orders("ann").page
    now_ns = it.venue.now_ns
    assert [o.client_order_id for o in page(now_ns + HOUR_NS).rows] == ["filled"]
    assert [o.client_order_id for o in page(now_ns + 10 * HOUR_NS).rows] == []


def test_a_list_that_lags_tells_of_orders_as_they_were() -> None:
    it = Exchange(frozen(open_lag=Lag(0, SECOND)))
    it.book(SPOT, bids=[], asks=[])
    order = it.place(it.ann, SPOT, Side.BUY, "2", price=D(60000))
    histories = it.desk.histories

    def told(lag_ns: int = 0) -> list[object]:
        found = histories.open_orders("ann", it.venue.now_ns, lag_ns=lag_ns)
        one = histories.one("ann", it.venue.now_ns, lambda o: o.number == order.number)
        assert lag_ns or (one.filled if one else None) == (found[0].filled if found else None)
        return [each.filled for each in found]

    assert told() == []
    it.wait(1)
    assert told() == [0]
    it.venue.submit(SPOT, Side.SELL, D(1), D(60000), owner="x", lifetime=Lifetime.IOC)
    assert told() == [0]
    it.wait(1)
    assert told() == [1]
    it.desk.cancel(it.ann, order.number)
    assert told() == [1]
    it.wait(1)
    assert histories.open_orders("ann", it.venue.now_ns) == []
    assert told(lag_ns=SECOND) == [1]


def test_fills_and_money_are_paged_newest_first() -> None:
    it = busy()
    histories, now_ns = it.desk.histories, it.venue.now_ns
    first = histories.executions("ann").page(now_ns, limit=1)
    second = histories.executions("ann").page(now_ns, limit=1, before=first.before)
    assert [each.number for page in (first, second) for each in page.rows] == [2, 1]
    assert second.before is None
    rows = histories.moved("ann").page(now_ns, limit=50).rows
    assert [row.number for row in rows] == sorted((r.number for r in rows), reverse=True)
    assert {row.balance for row in rows if row.asset == "USDT"} == {
        *(D(1_000_000), D(940_000), D(880_000)),
    }


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20), st.booleans()), max_size=40),
    limit=st.integers(1, 7),
    now=st.integers(0, 120),
    kept=st.integers(1, 80),
    later=st.sampled_from([0, 0, 5]),
)
def test_pages_together_are_all_that_can_be_seen_each_once(
    rows: list[tuple[int, int, bool]], limit: int, now: int, kept: int, later: int
) -> None:
    shelf: Shelf[int] = Shelf()
    rows.sort(key=lambda row: row[0])
    newest = rows[-1][0] if rows else 0
    now = max(now, newest)
    for number, (time, lag, brief) in enumerate(rows):
        keeps = kept // 2 if brief else kept
        shelf.add(number, time, time + lag, time + keeps, brief=brief)
    seen = [
        number
        for number, (time, lag, brief) in enumerate(rows)
        if time + lag + later <= now < time + (kept // 2 if brief else kept)
    ]
    found: list[int] = []
    before = None
    while True:
        page = shelf.page(now, limit=limit, before=before, lag_ns=later)
        assert len(page.rows) <= limit
        found += page.rows
        before = page.before
        if before is None:
            break
    assert found == seen[::-1]


def test_an_hour_of_quoting_leaves_no_more_than_the_newest_behind() -> None:
    it = Exchange(frozen(keeps_unfilled_ns=SECOND * 60))
    it.book(SPOT, bids=[("59999", "5")], asks=[("60001", "5")])
    files = it.desk.histories
    for step in range(3000):
        order = it.place(
            it.ann, SPOT, Side.BUY, "0.1", price=D(50000 + step % 9), client_order_id=f"q{step}"
        )
        it.desk.cancel(it.ann, order.number)
        it.venue.advance(it.venue.now_ns + SECOND)
        it.told.clear()
    now_ns = it.venue.now_ns
    assert len(files.orders("ann").page(now_ns, limit=10_000).rows) == 59
    assert len(files.recent_orders("ann", "spot", now_ns)) == 500
    assert sum(map(len, (files.orders("ann")._brief, files.orders("ann")._kept))) < 70
    assert not it.ann.orders
    assert it.place(it.ann, SPOT, Side.BUY, "0.1", type=OrderType.MARKET)
