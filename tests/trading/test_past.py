"""Past orders are told whole, also those that the ledger's memory has let go of; and not for years
unless that is asked for."""

from __future__ import annotations

import pytest

from ccrs_core import NS_PER_SECOND, OrderState, Unsupported, UsageError
from ccrs_core.trading.past import UNLESS_TOLD_NS
from tests.trading.desk_server import DeskServer
from tests.trading.desk_world import World, new_server, world
from tests.trading.test_finding import placed_elsewhere
from tests.virtual import scenario

DAY_NS = 86_400 * NS_PER_SECOND


def ended(server: DeskServer, count: int, since_ns: int, every_ns: int) -> list[str]:
    """Orders that ended one after the other; their ids."""
    ids: list[str] = []
    for n in range(count):
        identity = server.place("key", placed_elsewhere(f"past{n}"))["id"]
        server.end("key", identity)
        order = server.find("key", identity)
        assert order is not None
        order.row |= {"created": since_ns + n * every_ns, "at": since_ns + n * every_ns}
        ids.append(identity)
    return ids


def forgetful(seen: World) -> None:
    """Its ledger has few orders in memory."""
    seen.account._parts.ledger._books.index._most = 3


@scenario
async def test_all_past_orders_are_told_though_memory_holds_a_few() -> None:
    async with world() as seen:
        forgetful(seen)
        now_ns = seen.clock.time_ns()
        ids = ended(seen.server, 50, now_ns - 2 * DAY_NS, DAY_NS // 50)
        found = await seen.account.fetch_order_history(symbol="BTC/USD")
        assert [each.exchange_order_id for each in found] == ids
        assert all(each.state is OrderState.CANCELED for each in found)
        assert len(seen.account.orders()) < 10
        pages = [
            [each.exchange_order_id for each in page]
            async for page in seen.account.order_history(market="spot")
        ]
        assert [each for page in pages for each in page] == ids
        assert len(pages) > 1
        last = await seen.account.fetch_order_history(symbol="BTC/USD", limit=7)
        assert {each.exchange_order_id for each in last} <= set(ids)


@scenario
async def test_a_bounded_time_is_asked_for_unless_told_and_no_more_often_than_needed() -> None:
    async with world() as seen:
        now_ns = seen.clock.time_ns()
        # The desk keeps seven days, and so much is asked for at most.
        ids = ended(seen.server, 4, now_ns - 8 * DAY_NS, 2 * DAY_NS)
        calls = len(seen.server.sent_of("/history"))
        found = await seen.account.fetch_order_history(symbol="BTC/USD")
        assert [each.exchange_order_id for each in found] == ids[1:]
        assert len(seen.server.sent_of("/history")) - calls <= 6
        few = await seen.account.fetch_order_history(symbol="BTC/USD", start=now_ns - 3 * DAY_NS)
        assert [each.exchange_order_id for each in few] == ids[-1:]
        with pytest.raises(Unsupported, match="Ask from"):
            await seen.account.fetch_order_history(symbol="BTC/USD", start=now_ns - 10 * DAY_NS)
        await seen.account.fetch_fills(symbol="BTC/USD")
        asked = seen.server.sent_of("/fills")[-1]
        assert abs(now_ns - UNLESS_TOLD_NS - int(asked["start"])) < 120 * NS_PER_SECOND
        with pytest.raises(UsageError, match="before end"):
            await seen.account.fetch_fills(symbol="BTC/USD", start=now_ns, end=now_ns)


def test_busy_stretches_are_read_in_shorter_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccrs_core.trading.past._MANY", 10)
    monkeypatch.setattr("ccrs_core.trading.past._FEW", 3)
    scenario(_busy)()


async def _busy() -> None:
    async with world(server=new_server()) as seen:
        now_ns = seen.clock.time_ns()
        ids = ended(seen.server, 60, now_ns - DAY_NS, DAY_NS // 60)
        pages = [page async for page in seen.account.order_history(symbol="BTC/USD")]
        assert [each.exchange_order_id for page in pages for each in page] == ids
        assert max(map(len, pages)) < 10
