"""What a command asks of the exchange: an urgent cancel nothing but the clock and the market's
instruments before it leaves, a look what it shows."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from ccrs_core import HttpRequest
from ccrs_core.cli import run
from ccrs_core.emulator import EmulatorServer
from ccrs_core.extensions import exchanges as plugins

ORDER = (
    "order",
    "place",
    "bybit",
    "BTC/USDT",
    "buy",
    "--size",
    "0.01",
    "--price",
    "99000",
    "--yes",
)


@attrs.define
class Counted:
    """An emulator in a thread, and what it was asked."""

    url: str = ""
    asked: list[str] = attrs.field(factory=list)
    capture: Any = None
    spoil: Any = None
    """Called with a fault that is to be there from now on."""

    def __call__(self, *command: str) -> list[Any]:
        """What a command prints; what it asked is noted."""
        self.asked.clear()
        arguments = [*command, "--environment", "emulator", "--base-url", self.url, "--json"]
        code = run(arguments)
        said = self.capture.readouterr()
        assert code == 0, said.err
        return [json.loads(line) for line in said.out.splitlines()]


@pytest.fixture(scope="module")
def served() -> Iterator[Counted]:
    counted, ready, loop = Counted(), threading.Event(), asyncio.new_event_loop()
    dialect = plugins.load("bybit")().dialect()
    assert dialect is not None
    server = EmulatorServer(dialect, seed=7, rate=20)
    ask = server.venue.ask

    def noting(request: HttpRequest, *more: Any) -> Any:
        counted.asked.append(request.path)
        return ask(request, *more)

    server.venue.ask = noting  # type: ignore[method-assign]
    stop = asyncio.Event()
    counted.spoil = lambda fault: loop.call_soon_threadsafe(server.venue.faults.add, fault)

    async def serve() -> None:
        async with server:
            counted.url = server.url
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(20)
        yield counted
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture
def counted(served: Counted, capsys: Any) -> Counted:
    served.capture = capsys
    return served


def test_a_cancel_leaves_after_the_clock_and_the_instruments_alone(counted: Counted) -> None:
    (order,) = counted(*ORDER)
    assert order["client_order_id"].endswith("-cli"), "orders of the command line are known by it"
    (ended,) = counted("order", "cancel", "bybit", order["client_order_id"], "--symbol", "BTC/USDT")
    assert ended["state"] == "canceled"
    before = counted.asked[: counted.asked.index("/v5/order/cancel")]
    assert sorted(before) == ["/v5/market/instruments-info", "/v5/market/time"]
    (order,) = counted(*ORDER)
    counted("order", "cancel", "bybit", order["exchange_order_id"])
    assert set(counted.asked) <= {
        *("/v5/market/time", "/v5/order/realtime", "/v5/market/instruments-info"),
        *("/v5/order/cancel", "/v5/order/history"),
    }
    assert len(counted.asked) <= 12


def test_a_look_that_gets_no_answer_ends_and_says_how_to_go_on(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccrs_core.cli.accounts.LONGEST", 0.3)
    counted.spoil("slow_answer,path=/v5/account/wallet-balance,seconds=5,count=1")
    code = run(["balance", "bybit", "--environment", "emulator", "--base-url", counted.url])
    assert code == 1
    assert "look with ccrs order list bybit" in counted.capture.readouterr().err


def test_all_orders_are_canceled_before_anything_is_asked(counted: Counted) -> None:
    (order,) = counted(*ORDER)
    (canceled,) = counted("order", "cancel-all", "bybit", "--yes")
    assert canceled["exchange_order_id"] == order["exchange_order_id"]
    first = counted.asked.index("/v5/order/realtime")
    assert set(counted.asked[:first]) <= {"/v5/market/time", "/v5/order/cancel-all"}


@pytest.mark.parametrize(
    ("command", "most"),
    [
        (("order", "list", "bybit"), 7),
        (("balance", "bybit"), 2),
        (("positions", "bybit"), 6),
        (("fees", "bybit", "BTC/USDT"), 3),
        (("fills", "bybit"), 24),
        (("order", "list", "bybit", "--past", "--symbol", "BTC/USDT"), 8),
    ],
)
def test_a_look_asks_for_what_it_shows(
    counted: Counted, command: tuple[str, ...], most: int
) -> None:
    counted(*command)
    assert len(counted.asked) <= most, counted.asked
