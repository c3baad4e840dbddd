"""Minutes of steady quoting leave memory flat; an hour of it is in ``test_hour``."""

from __future__ import annotations

import gc
import tracemalloc

from ccrs_core import OrderState
from ccrs_core.conformance.workbench.subject import Subject
from tests.trading.books import Book, fill, said
from tests.trading.hours import Quoting, grown, remembering
from tests.waiting import done


def test_minutes_of_quoting_leave_memory_flat() -> None:
    quoting = Quoting(Subject("bybit"))
    with remembering(10):
        before, after = quoting.run(60, 120)
    assert quoting.fills > 10
    assert not grown(before, after, 20)


def _traded(book: Book, first: int, count: int) -> None:
    """Orders of one fill each; what only told changes is forgotten."""
    for number in range(first, first + count):
        ids = {"exchange_order_id": f"order-{number:08d}"}
        at = 10 * number
        book.take(said(OrderState.OPEN, at + 1, size="1", price="100", **ids))
        book.take(fill(f"fill-{number:08d}", "1", "100", at + 2, fee="1", fee_asset="USDT", **ids))
        book.take(said(OrderState.FILLED, at + 3, size="1", price="100", filled_size="1", **ids))
    book.events.clear()
    done(book.store.forget(book.ledger.number, {"order", "position", "balance"}))


def test_the_memory_store_grows_by_some_kilobytes_an_order_with_its_fill() -> None:
    book = Book(recent=20)
    _traded(book, 0, 100)
    gc.collect()
    tracemalloc.start()
    try:
        _traded(book, 100, 200)
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / 200
    finally:
        tracemalloc.stop()
    # Its order and its fill; of five events one, but for the newest.
    assert len(done(book.store.entries_after(0, 10_000))) <= 301
    assert 500 < each < 6000, each
