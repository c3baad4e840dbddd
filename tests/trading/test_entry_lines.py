"""An account's sockets for orders: which there are, when each is dialled, and what goes by REST."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ccrs_core import Market, Route, Unsupported
from ccrs_core.trading.entry_lines import EntryLines

ONE = Route(url="{one}/orders", private=True)
TWO = Route(url="{two}/orders", private=True)
ROUTES = {Market.SPOT: ONE, Market.OPTION: ONE, Market.LINEAR: TWO}


class Addresses(dict[str, str]):
    def __missing__(self, name: str) -> str:
        raise Unsupported(f"no address {name}")


class Line:
    def __init__(self, route: Route) -> None:
        self.route = route
        self.ready = True
        self.closed = False

    def carries(self, request: Any) -> bool:
        return bool(request.carried)

    async def aclose(self) -> None:
        self.closed = True


def asked(market: Market | None, *, carried: bool = True) -> Any:
    return SimpleNamespace(market=market, carried=carried)


def lines(addresses: Mapping[str, str]) -> tuple[EntryLines, list[Line]]:
    dialled: list[Line] = []

    def dial(route: Route) -> Any:
        dialled.append(Line(route))
        return dialled[-1]

    exchange: Any = SimpleNamespace(name="toy", entry_route=ROUTES.get)
    return EntryLines(exchange, Market, Addresses(addresses), dial), dialled


ALL = {"one": "wss://a", "two": "wss://b"}


def test_markets_of_one_route_share_a_socket_that_the_first_order_dials() -> None:
    found, dialled = lines(ALL)
    assert not dialled
    for market in (Market.SPOT, Market.OPTION, Market.LINEAR, Market.SPOT):
        line = found.carrying(asked(market), insists=False)
        assert line is not None
        assert line.route == ROUTES[market]
    assert [each.route for each in dialled] == [ONE, TWO]
    assert [(each.line, set(each.markets)) for each in found.open] == [
        (dialled[0], {Market.SPOT, Market.OPTION}),
        (dialled[1], {Market.LINEAR}),
    ]
    asyncio.run(found.aclose())
    assert all(each.closed for each in dialled)


def test_all_that_there_are_are_dialled_where_that_is_the_usual_way() -> None:
    found, dialled = lines(ALL)
    found.start()
    found.start()
    assert [each.route for each in dialled] == [ONE, TWO]
    some, dialled = lines({"two": "wss://b"})
    some.start()
    assert [each.route for each in dialled] == [TWO]
    none, dialled = lines({})
    with pytest.raises(Unsupported):
        none.start()
    assert not dialled


@pytest.mark.parametrize("market", [Market.INVERSE, Market.SPOT])
def test_a_market_without_a_socket_goes_by_rest_unless_one_was_named(market: Market) -> None:
    found, dialled = lines({"two": "wss://b"})  # none of inverse at all, none of spot here
    assert found.carrying(asked(market), insists=False) is None
    with pytest.raises(Unsupported):
        found.carrying(asked(market), insists=True)
    assert not dialled


def test_what_a_socket_cant_take_now_or_at_all_goes_by_rest() -> None:
    found, dialled = lines(ALL)
    assert found.carrying(asked(Market.LINEAR, carried=False), insists=True) is None
    assert found.carrying(asked(None), insists=True) is None
    dialled[0].ready = False
    assert found.carrying(asked(Market.LINEAR), insists=True) is None
