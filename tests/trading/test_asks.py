"""Which way a request goes: over the socket where it can, by REST where nothing was written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ccrs_core import (
    GetOpenOrders,
    Market,
    NotSent,
    OutcomeUnknown,
    PlaceOrder,
    Route,
    Side,
    Unsupported,
    UsageError,
    limit,
)
from ccrs_core.model.orders import Times
from ccrs_core.trading.asks import Asks
from ccrs_core.trading.entry_lines import EntryLines
from tests.trading.desk_toy import SPOT, instruments
from tests.trading.desk_world import world
from tests.trading.test_placing import buy, placements
from tests.virtual import scenario

ITEM = PlaceOrder(instruments(SPOT)[0], limit("BTC/USD", Side.BUY, price="1", size="1"), "cc1")


class Way:
    """Notes what goes this way, and what becomes of it."""

    def __init__(self, outcome: Any = "taken") -> None:
        self.ready = True
        self.taken: list[Any] = []
        self.outcome = outcome
        self.closed = False

    def carries(self, request: Any) -> bool:
        return isinstance(request, PlaceOrder)

    async def ask(self, request: Any, **how: Any) -> tuple[Any, Times]:
        self.taken.append(request)
        if isinstance(self.outcome, Exception):
            self.ready = not getattr(self.outcome, "lost", False)
            raise self.outcome
        return self.outcome, Times()

    timed = ask

    async def aclose(self) -> None:
        self.closed = True


class Clocked:
    """A context whose clock stands still."""

    @property
    def clock(self) -> Clocked:
        return self

    def monotonic(self) -> float:
        return 10.0


class Here:
    """An exchange with one socket for all orders."""

    name = "toy"

    def entry_route(self, market: Market) -> Route:
        return Route(url="wss://toy/orders", private=True)


def both(line: Way, rest: Way, via: Any = "websocket") -> Asks:
    lines = EntryLines(Here(), (), {}, lambda route: line)  # type: ignore[arg-type, return-value]
    return Asks(rest, Clocked(), lines, via)  # type: ignore[arg-type]


def went(asks: Asks, **how: Any) -> Any:
    return asyncio.run(asks.once(ITEM, **how))[0]


def test_it_goes_over_the_socket_where_that_is_wanted_and_can_be() -> None:
    line, rest = Way(), Way()
    asks = both(line, rest)
    went(asks)
    went(asks, via="rest")
    assert (len(line.taken), len(rest.taken)) == (1, 1)
    line.ready = False
    went(asks)
    asyncio.run(asks.once(GetOpenOrders(market=Market.SPOT), via="websocket"))
    assert (len(line.taken), len(rest.taken)) == (1, 3)
    with pytest.raises(UsageError, match="via must be"):
        went(asks, via="pigeon")
    asyncio.run(asks.aclose())
    assert line.closed


def test_it_goes_by_rest_only_where_nothing_was_written() -> None:
    unwritten = NotSent("the connection ended before")
    unwritten.lost = True  # type: ignore[attr-defined]
    line, rest = Way(unwritten), Way()
    assert went(both(line, rest)) == "taken"
    assert len(rest.taken) == 1
    late = NotSent("too late")
    late.lost = True  # type: ignore[attr-defined]
    for outcome, how in (
        (OutcomeUnknown("", "the connection ended"), {}),
        (late, {"send_before": 9.0}),
        (NotSent("withdrawn by its budget"), {}),
    ):
        line, rest = Way(outcome), Way()
        with pytest.raises(type(outcome)):
            went(both(line, rest), **how)
        assert not rest.taken


@scenario
async def test_an_exchange_without_a_socket_for_orders_says_so_before_anything_is_sent() -> None:
    async with world() as seen:
        with pytest.raises(Unsupported, match="WebSocket"):
            await seen.account.place(buy(), via="websocket")
        assert not placements(seen)
        assert all(order.state.final for order in seen.account.orders())
        with pytest.raises(UsageError):
            await seen.account.place(buy(), via="pigeon")  # type: ignore[arg-type]


@scenario
async def test_an_account_whose_orders_are_to_go_over_a_socket_opens_it_or_says_there_is_none() -> (
    None
):
    with pytest.raises(Unsupported, match="WebSocket"):
        async with world(via="websocket"):
            raise AssertionError("it was opened")
