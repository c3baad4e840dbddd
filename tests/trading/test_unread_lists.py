"""What of a list can't be read is said by whoever asked: a sweep isn't clean, a comparison doesn't
tell differences of what it couldn't see, and neither takes silence for absence."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from ccrs_core import OrderState, Side, limit
from ccrs_core.contract.trading_requests import (
    CancelAll,
    GetFills,
    GetOpenOrders,
    GetPositions,
    GetWallet,
)
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_finding import placed_elsewhere
from tests.trading.test_placing import buy
from tests.trading.test_unread_rows import patchy
from tests.virtual import scenario


class NoSweeps(Desk):
    """An exchange that cancels orders by their ids alone."""

    endpoints = {k: v for k, v in Desk.endpoints.items() if k is not CancelAll}  # noqa: RUF012


class Clumsy(Desk):
    """A plugin that fails to spell a cancel of all."""

    @staticmethod
    def _fails(request: Any, cursor: str | None) -> Any:
        raise ZeroDivisionError("a mistake")

    endpoints = {  # noqa: RUF012
        **Desk.endpoints,
        CancelAll: attrs.evolve(Desk.endpoints[CancelAll], encode=_fails),
    }


@scenario
async def test_a_sweep_is_not_clean_while_an_open_order_can_not_be_read() -> None:
    async with world(patchy(GetOpenOrders)) as seen:
        ids = [seen.server.place("key", placed_elsewhere(f"theirs{n}"))["id"] for n in range(2)]
        seen.server.faults.append(lambda path, asked: "busy" if path == "/cancel_all" else None)
        seen.server.book_of("key").orders[ids[0]].row["odd"] = True
        swept = await seen.account.sweep()
        assert not swept.clean
        assert "can't be read" in str(swept.failures["open orders of spot"])
        assert [each.exchange_order_id for each in swept.canceled] == [ids[1]]


@pytest.mark.parametrize("plugin", [NoSweeps, Clumsy])
def test_where_no_request_cancels_all_what_lists_do_not_show_yet_is_canceled_too(
    plugin: type[Desk],
) -> None:
    @scenario
    async def story() -> None:
        async with world(plugin()) as seen:
            seen.server.list_lag = 30.0
            live = await seen.account.place(buy())
            swept = await seen.account.sweep()
            assert [each.client_order_id for each in swept.canceled] == [live.id]
            await asyncio.sleep(0.1)
            assert live.state is OrderState.CANCELED

    story()


@scenario
async def test_an_order_that_was_filled_before_a_sweep_reached_it_is_not_called_canceled() -> None:
    async with world(NoSweeps()) as seen:
        live = await seen.account.place(buy())
        seen.server.push_of = lambda topic, row: []

        def filled(path: str, asked: dict[str, Any]) -> str | None:
            if path in ("/cancel", "/cancel_many") and live.filled_size == 0:
                seen.server.fill("key", live.id, "1")
            return None

        seen.server.faults.append(filled)
        swept = await seen.account.sweep()
        assert (swept.canceled, swept.clean) == ((), True)
        assert live.state is OrderState.FILLED


async def traded(seen: World) -> None:
    live = await seen.account.place(limit("BTC/USD:USD", Side.BUY, price="100", size="2"))
    seen.server.fill("key", live.id, "1")
    await asyncio.sleep(200.0)


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        (GetOpenOrders, "open orders of linear"),
        (GetFills, "fills of linear"),
        (GetPositions, "positions of linear"),
        (GetWallet, "balances"),
    ],
)
def test_what_can_not_be_read_leaves_a_comparison_incomplete_and_is_no_difference(
    kind: type[Any], about: str
) -> None:
    @scenario
    async def story() -> None:
        async with world(patchy(kind)) as seen:
            await traded(seen)
            assert (await seen.account.compare()).agrees
            server, book = seen.server, seen.server.book_of("key")
            next(iter(book.orders.values())).row["odd"] = True
            book.fills[0][1]["odd"] = True
            position, usd = server._position, server._usd
            server._position = lambda *of: {**position(*of), "odd": True}  # type: ignore[method-assign]
            server._usd = lambda *of: {**usd(*of), "odd": True}  # type: ignore[method-assign]
            found = await seen.account.compare()
            assert found.agrees, [str(each) for each in found.differences]
            assert f"{about} that can't be read: 1" in found.unread
            assert not found.complete

    story()
