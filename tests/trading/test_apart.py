"""Accounts that an exchange tells in parts: wallets that hold the same assets apart, streams of one
market each, lists of one instrument at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import orjson

from ccrs_core import (
    Adjustment,
    Balance,
    Codec,
    Fill,
    IncomeKind,
    IncomeReport,
    Market,
    MemoryStore,
    Message,
    Outbound,
    Route,
    Side,
    Subscription,
)
from ccrs_core.contract.codec import Data
from ccrs_core.contract.trading_requests import GetFills, GetOrderHistory
from ccrs_core.model.order_requests import limit
from ccrs_core.trading.ledger import Ledger
from tests.trading.books import NAME, SECOND, Book, fill, find
from tests.trading.desk_toy import TOPICS, Desk, DeskCodec
from tests.trading.desk_world import world
from tests.trading.test_placing import buy
from tests.virtual import scenario
from tests.waiting import done

D = Decimal
PURSES = {Market.SPOT: "spot", Market.LINEAR: "usdm"}


# --- wallets ---


@attrs.define
class Wallets(Book):
    """A ledger of an account that has two."""

    def open(self) -> None:
        name = (self.name.exchange, self.name.environment, self.name.account)
        self.ledger = Ledger(*name, find, purses=PURSES)
        self.ledger.restore(done(self.store.open(self.name, recent=self.recent)))

    @property
    def adjustments(self) -> list[Adjustment]:
        return [each for each in self.events if isinstance(each, Adjustment)]

    def judge(self, at: int) -> None:
        self.keep(self.ledger.judge(at * SECOND, at * SECOND))


def balance(total: str, at: int, purse: str, asset: str = "USDT") -> Balance:
    return Balance(
        exchange=NAME.exchange,
        symbol="",
        exchange_time_ns=at * SECOND,
        received_time_ns=at * SECOND,
        account=NAME.account,
        asset=asset,
        total=D(total),
        purse=purse,
    )


def test_one_asset_in_two_wallets_is_two_balances_and_each_is_explained_by_its_own() -> None:
    book = Wallets()
    book.take(balance("1000", 1, "spot"), balance("50", 1, "usdm"), balance("0", 1, "spot", "BTC"))
    book.judge(2)
    assert {(each.purse, each.amount) for each in book.adjustments} == {
        ("spot", D(1000)),
        ("usdm", D(50)),
    }
    book.take(fill("a", "2", "100", at=3, fee=D(1), fee_asset="USDT"))
    book.take(balance("799", 4, "spot"), balance("2", 4, "spot", "BTC"))
    book.judge(5)
    assert len(book.adjustments) == 2
    assert {each.name: each.total for each in book.ledger.balances()} == {
        "USDT spot": D(799),
        "USDT usdm": D(50),
        "BTC spot": D(2),
    }


def test_a_move_between_two_wallets_is_one_entry_in_each_whatever_its_id() -> None:
    book = Wallets()
    book.take(balance("1000", 1, "spot"), balance("50", 1, "usdm"))
    book.judge(2)
    for market, amount in ((Market.SPOT, "-10"), (Market.LINEAR, "10")):
        moved = IncomeReport(
            income_id="TRANSFER 7",
            kind=IncomeKind.TRANSFER,
            asset="USDT",
            amount=D(amount),
            market=market,
            exchange_time_ns=3 * SECOND,
            received_time_ns=3 * SECOND,
        )
        book.take(moved)
        book.take(moved)
    book.take(balance("990", 4, "spot"), balance("60", 4, "usdm"))
    book.judge(5)
    assert len(book.adjustments) == 2
    assert [each.purse for each in book.events if each.type == "income"] == ["spot", "usdm"]


def test_wallets_are_told_apart_after_a_restart_too() -> None:
    book = Wallets()
    book.take(balance("1000", 1, "spot"), balance("50", 1, "usdm"))
    book.judge(2)
    book.take(fill("a", "1", "100", at=3))
    book.keep(book.ledger.save(4 * SECOND))
    book.take(fill("b", "1", "100", at=5))
    book.reopen()
    book.take(balance("800", 6, "spot"), balance("50", 6, "usdm"))
    book.judge(7)
    assert not [each for each in book.adjustments if each.asset == "USDT"][2:]
    assert book.ledger.explained_balance("USDT spot", 6 * SECOND) is not None


def test_what_a_whole_list_leaves_out_of_one_wallet_is_gone_from_that_alone() -> None:
    book = Wallets()
    book.take(balance("1000", 1, "spot"), balance("50", 1, "usdm"))
    book.keep(book.ledger.nothing_else({"USDT usdm"}, 2 * SECOND, 2 * SECOND))
    assert [each.name for each in book.ledger.balances()] == ["USDT usdm"]


# --- lists of one instrument at a time ---

ALONE = frozenset({GetFills, GetOrderHistory})


def asked(seen: Any) -> list[dict[str, Any]]:
    return [body for _, path, body in seen.server.calls if path == "/fills"]


@scenario
async def test_fills_are_read_of_each_instrument_that_the_account_has_to_do_with() -> None:
    async with world(Desk(by_symbol=ALONE)) as seen:
        assert not asked(seen)
        assert seen.account.synced
        order = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        for peer in seen.server.open:
            if peer in seen.server.keys:
                peer.drop()
        seen.server.fill("key", order.id, "0.2")
        await asyncio.sleep(10.0)
        assert seen.account.synced
        assert [each.size for each in seen.events if isinstance(each, Fill)] == [D("0.2")]
        assert {each.get("native") for each in asked(seen)} == {"BTCUSD"}


@scenario
async def test_what_was_traded_once_is_read_after_a_restart_though_nothing_is_open() -> None:
    store = MemoryStore()
    async with world(Desk(by_symbol=ALONE), store=store) as seen:
        order = await seen.account.place(buy())
        seen.server.fill("key", order.id, "1")
        await seen.account.reconcile()
        server = seen.server
    server.calls.clear()
    async with world(Desk(by_symbol=ALONE), server=server, store=store) as seen:
        assert seen.account.synced
        assert {each.get("native") for each in asked(seen)} == {"BTCUSD"}
        comparison = await seen.account.compare()
        assert not comparison.differences


@scenario
async def test_one_instrument_whose_fills_cannot_be_read_is_enough_not_to_be_whole() -> None:
    async with world(Desk(by_symbol=ALONE)) as seen:
        lives = [
            await seen.account.place(limit(symbol, "buy", price="100", size="1"))
            for symbol in ("BTC/USD", "ETH/USD")
        ]
        await asyncio.sleep(0.1)
        seen.server.push_of = lambda topic, row: []
        for each in lives:
            seen.server.fill("key", each.id, "0.2")

        def fault(path: str, body: dict[str, Any]) -> str | None:
            return "key" if path == "/fills" and body.get("native") == "BTCUSD" else None

        seen.server.faults.append(fault)
        done = await seen.account.reconcile()
        assert set(done.failures) == {"fills of spot"}
        assert not seen.account.synced
        seen.server.faults.clear()
        await asyncio.sleep(60.0)
        assert {each.symbol for each in seen.of(Fill)} == {"BTC/USD", "ETH/USD"}
        assert seen.account.synced


# --- streams of one market each ---


class PartCodec(DeskCodec):
    """Of one market: its topics are called so."""

    market = Market.SPOT

    def topic(self, subscription: Subscription) -> str:
        return f"{self.market} {super().topic(subscription)}"

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = orjson.loads(super().subscribe(subscriptions, request_id))
        plain = [each.partition(" ")[2] for each in frame["sub"]]
        self.known |= dict.fromkeys(plain, "")
        return orjson.dumps({**frame, "sub": plain}).decode()

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        found = super()._read(message, now_ns)
        if isinstance(found, Data) and found.topic in TOPICS.values():
            return Data(f"{self.market} {found.topic}", found.events)
        return found


class LinearCodec(PartCodec):
    market = Market.LINEAR


CHANNELS = frozenset(TOPICS)


class Parted(Desk):
    """Its streams are of one market each, on connections of their own."""

    def __init__(self) -> None:
        super().__init__(streams={Market.SPOT: CHANNELS, Market.LINEAR: CHANNELS})
        self._parts = {
            market: Route(url="{stream}/private", private=True, name=market.value)
            for market in (Market.SPOT, Market.LINEAR)
        }

    def route(self, subscription: Subscription) -> Route:
        if subscription.account is None:
            return super().route(subscription)
        assert subscription.market is not None
        return self._parts[subscription.market]

    def codec(self, route: Route) -> Codec:
        kinds = {"spot": PartCodec, "linear": LinearCodec}
        return kinds.get(route.name, DeskCodec)()


@scenario
async def test_each_market_has_a_stream_and_the_account_is_whole_with_all_of_them() -> None:
    async with world(Parted()) as seen:
        assert seen.account.synced
        assert len(seen.client.status().connections) == 2
        order = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.fill("key", order.id, "0.5")
        await asyncio.sleep(0.1)
        # Both tell of it here, and the ledger takes it once.
        assert [each.size for each in seen.events if isinstance(each, Fill)] == [D("0.5")]
        first = next(peer for peer in seen.server.open if peer in seen.server.keys)
        seen.server.refuse_connects = 3
        first.drop()
        await asyncio.sleep(0.05)
        assert not seen.account.synced
        await asyncio.sleep(15.0)
        assert seen.account.synced
        assert order.side is Side.BUY
