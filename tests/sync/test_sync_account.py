"""Trading without async: the asynchronous account's methods, waited for, its ledger kept between
them."""

from __future__ import annotations

import inspect
import threading
import time
from decimal import Decimal

import pytest

import ccrs_core
from ccrs_core import OrderState, OutcomeUnknown, UsageError, limit, market, sync
from ccrs_core.sync.background import Background

ELSEWHERE = {
    *("aclose", "clock", "dead_man", "early_fills", "events", "fills"),
    *("changed", "hold", "key_of", "newest"),
}
"""What the asynchronous account alone has: what happens as it happens, and what has to go on by
itself."""


def names(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


def test_it_has_all_that_the_asynchronous_one_has_but_what_goes_on_by_itself() -> None:
    missing = names(ccrs_core.Account) - names(sync.Account) - ELSEWHERE - {"open"}
    assert not missing
    assert names(ccrs_core.Account) >= ELSEWHERE
    for name in ("cancel", "fetch_fills", "orders", "compare", "place"):
        ours = inspect.signature(getattr(sync.Account, name)).parameters
        theirs = inspect.signature(getattr(ccrs_core.Account, name)).parameters
        assert list(ours) == list(theirs), name


def test_orders_go_their_way_and_the_ledger_is_kept_between_calls() -> None:
    with sync.connect("bybit", environment="emulator", rate=20) as client:
        account = client.account()
        with pytest.raises(UsageError, match="open the account first"):
            account.orders()
        with account:
            order = account.place(market("BTC/USDT", "buy", quote_size="1000"))
            ended = account.ended(order, timeout=20)
            assert ended.state.final
            assert ended.filled_size > 0
            assert sum((f.size for f in account.fetch_fills(symbol="BTC/USDT")), Decimal(0)) > 0
            bid = client.get_top_of_book("BTC/USDT").bid_price
            assert bid is not None
            placed = account.place_many(
                [limit("BTC/USDT", "buy", size="0.01", price=bid - 1000 - n) for n in range(2)]
            )
            assert len(account.open_orders()) == 2
            assert account.amend(placed[0], price=bid - 2000).client_order_id  # type: ignore[arg-type]
            assert account.cancel_all()
            deadline = time.monotonic() + 20
            while account.open_orders() and time.monotonic() < deadline:
                pass  # the ledger hears of it by itself
            assert account.open_orders() == []
            assert [o for page in account.order_history(symbol="BTC/USDT") for o in page]
            assert account.synced
        account.close()
        with pytest.raises(UsageError, match="closed"):
            account.place(market("BTC/USDT", "buy", quote_size="100"))


def test_a_lost_answer_is_unknown_and_found_out_while_nobody_waits() -> None:
    with sync.connect("bybit", environment="emulator", rate=20) as client:
        its = client._client.emulator
        assert its is not None
        with client.account() as account:
            bid = client.get_top_of_book("BTC/USDT").bid_price
            assert bid is not None

            async def spoil() -> None:
                its.venue.faults.add("lose_answer,path=/v5/order/create,count=1")

            client._background.call(spoil)
            with pytest.raises(OutcomeUnknown) as told:
                account.place(limit("BTC/USDT", "buy", size="0.01", price=bid - 1000))
            identity = told.value.order.client_order_id
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                found = account.order(identity)
                assert found is not None
                if found.state is not OrderState.UNKNOWN:
                    break
            assert found.state is OrderState.OPEN


def test_many_threads_read_the_ledger_while_it_changes() -> None:
    with (
        sync.connect("bybit", environment="emulator", rate=20) as client,
        client.account(follow=False) as account,
    ):
        failed: list[BaseException] = []

        def read() -> None:
            try:
                for _ in range(20):
                    account.orders()
                    account.balances()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for each in threads:
            each.start()
        account.fetch_balances()
        for each in threads:
            each.join()
        assert failed == []


def test_it_needs_an_open_client() -> None:
    client = sync.connect("bybit", environment="emulator")
    with pytest.raises(UsageError, match="open the client first"):
        client.account(store="memory").open()
    assert not Background().running
