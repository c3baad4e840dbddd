"""A line that is down when a feed is entered is outlasted, as it would be later."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    AuthError,
    Client,
    ConnectFailed,
    ExchangeError,
    ExchangeUnavailable,
    Feed,
    GarbledAnswer,
    HttpRequest,
    HttpResponse,
    Options,
    RateLimited,
    ReconnectsExhausted,
    TimedOut,
    TopOfBook,
    UnknownInstrument,
    Unsupported,
    UsageError,
    top_of_book,
    trades,
)
from ccrs_core.emulator import EmulatorServer
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.several_exchanges import TOP as BOTH_TOPS
from tests.several_exchanges import laid
from tests.toy import Toy, ToyServer
from tests.virtual import follow, scenario

TOP = top_of_book("BTC/USD")


class Line(ToyServer):
    """The toy exchange behind a line that can be down; notes when it is asked for instruments."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.now = asyncio.get_running_loop().time
        self.error = error
        self.asked: list[float] = []

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        self.asked.append(self.now())
        if self.error is not None:
            raise self.error
        return super().requested(base_url, request)


def down() -> Line:
    return Line(ConnectFailed("no route to host"))


def client_of(server: ToyServer, **options: Any) -> Client:
    return ccrs_core.connect(
        Toy(),
        transport=MemoryTransport(server, latency=0.01),
        clock=VirtualClock(),
        # One try for each request, so that tries can be counted.
        options=Options(request_attempts=1, **options),
    )


async def first(feed: Feed) -> Any:
    return await anext(aiter(feed))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_feed_that_is_entered_while_the_line_is_down_begins_when_it_is_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        server = down()
        asyncio.get_running_loop().call_later(600.0, setattr, server, "error", None)
        async with client_of(server) as client, client.subscribe(TOP) as feed:
            assert 600.0 <= server.now() <= 632.0
            await feed.ready()
            assert isinstance(await first(feed), TopOfBook)

    run(main())
    assert len(warnings(caplog)) == 1
    assert "no route to host" in warnings(caplog)[0]


@scenario
async def test_tries_back_off_with_full_jitter_up_to_the_bound() -> None:
    server = down()
    async with client_of(server, backoff_initial=0.5, backoff_max=8.0) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(400.0), client.subscribe(TOP):
                pass
    waits = [b - a for a, b in pairwise(server.asked)]
    assert max(waits) <= 8.1
    assert waits[0] <= 0.6
    assert sum(waits) / len(waits) == pytest.approx(4.0, rel=0.4)  # half of the bound
    assert len({round(w, 3) for w in waits}) > 20


@pytest.mark.parametrize(
    "error",
    [
        ConnectFailed("refused"),
        TimedOut("no answer"),
        GarbledAnswer("a page for people"),
        ExchangeUnavailable("503", "maintenance"),
        RateLimited("429", "slow down"),
    ],
)
def test_what_may_pass_is_waited_for(error: Exception) -> None:
    async def main() -> None:
        server = Line(error)
        asyncio.get_running_loop().call_later(100.0, setattr, server, "error", None)
        async with client_of(server) as client, client.subscribe(TOP):
            assert server.now() >= 100.0
            assert len(server.asked) > 3

    run(main())


@pytest.mark.parametrize(
    "error", [AuthError("401", "bad key"), ExchangeError("451", "not in your country")]
)
def test_what_does_not_pass_is_raised_at_once_even_after_what_did(error: Exception) -> None:
    async def main() -> None:
        for before in (None, 50.0):
            server = Line(error)
            if before is not None:
                server.error = ConnectFailed("no route to host")
                asyncio.get_running_loop().call_later(before, setattr, server, "error", error)
            begun = server.now()
            async with client_of(server) as client:
                with pytest.raises(type(error), match=re.escape(str(error))):
                    async with client.subscribe(TOP):
                        pass
            assert server.now() - begun <= (before or 0.0) + 31.0
            if before is None:
                assert len(server.asked) == 1

    run(main())


@scenario
async def test_a_wrong_symbol_is_told_once_the_list_is_there() -> None:
    server = down()
    asyncio.get_running_loop().call_later(50.0, setattr, server, "error", None)
    async with client_of(server) as client:
        with pytest.raises(UnknownInstrument):
            async with client.subscribe(top_of_book("NIX/USD")):
                pass
        with pytest.raises(UsageError):  # no need for a list to know that
            async with client.subscribe(top_of_book("nonsense")):
                pass
        with pytest.raises(Unsupported):
            async with client.subscribe(ccrs_core.candles("BTC/USD")):
                pass


@scenario
async def test_the_exchange_s_own_pause_is_kept() -> None:
    server = Line(RateLimited("429", "slow down", 120.0))
    asyncio.get_running_loop().call_later(60.0, setattr, server, "error", None)
    async with client_of(server) as client, client.subscribe(TOP):
        assert len(server.asked) == 2
        assert server.asked[1] - server.asked[0] >= 120.0


@pytest.mark.parametrize("limit", [1, 4])
def test_the_limit_of_failures_holds(limit: int) -> None:
    async def main() -> None:
        server = down()
        async with client_of(server, max_failures=limit) as client, client.subscribe(TOP):
            raise AssertionError

    with pytest.raises(ReconnectsExhausted, match=f"{limit} failures in a row.*no route"):
        run(main())


@scenario
async def test_plain_requests_are_not_waited_for() -> None:
    server = down()
    async with client_of(server) as client:
        for question in (client.instrument("BTC/USD"), client.get_instruments()):
            begun = server.now()
            with pytest.raises(ConnectFailed):
                await question
            assert server.now() - begun < 1.0


@scenario
async def test_adding_to_an_open_feed_waits_as_well_and_disturbs_it_not() -> None:
    server = Line()
    async with client_of(server, instruments_max_age=5.0) as client, client.subscribe(TOP) as feed:
        events: list[Any] = []
        reader = asyncio.ensure_future(follow(feed, events, []))
        await asyncio.sleep(6.0)  # the list is too old by now
        server.error = ConnectFailed("no route to host")
        adding = asyncio.ensure_future(feed.subscribe(top_of_book("ETH/USD")))
        for _ in range(50):
            await asyncio.sleep(2.0)
            server.tick("top.BTC")
        assert not adding.done()
        assert [event.sequence for event in events] == list(range(100, 150))
        server.error = None
        await adding
        await feed.ready()
        assert {event.symbol for event in events} == {"BTC/USD", "ETH/USD"}
        reader.cancel()
        await asyncio.wait([reader])


def test_many_feeds_ask_as_one_and_one_warning_tells_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> list[float]:
        server = down()
        async with client_of(server) as client:
            entered: list[float] = []

            async def enter() -> None:
                async with client.subscribe(TOP, trades("ETH/USD")):
                    entered.append(server.now())

            tasks = [asyncio.ensure_future(enter()) for _ in range(20)]
            await asyncio.sleep(300.0)
            tasks[0].cancel()  # the one that asks; another one goes on
            await asyncio.sleep(300.0)
            assert len(server.asked) < 70
            server.error = None
            await asyncio.wait(tasks)
            assert len(entered) == 19
            return entered

    run(main())
    assert len(warnings(caplog)) == 1


@scenario
async def test_the_limit_ends_all_who_wait() -> None:
    server = down()
    async with client_of(server, max_failures=5) as client:

        async def enter() -> None:
            async with client.subscribe(TOP):
                pass

        found = await asyncio.gather(*(enter() for _ in range(5)), return_exceptions=True)
        assert {type(each) for each in found} == {ReconnectsExhausted}
        assert len(server.asked) == 5
        server.error = None
        await enter()


@given(moment=st.floats(0.0, 200.0), how=st.sampled_from(["cancel", "timeout", "close"]))
@settings(max_examples=40, deadline=None)
def test_waiting_can_be_ended_at_any_moment_and_leaves_nothing(moment: float, how: str) -> None:
    async def main() -> None:
        server, ended = down(), 0.0
        async with client_of(server) as client:

            async def enter() -> None:
                async with client.subscribe(TOP):
                    pass

            tasks = [asyncio.ensure_future(enter()) for _ in range(3)]
            if how == "timeout":
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(moment):
                        await enter()
            else:
                await asyncio.sleep(moment)
            if how != "close":
                for task in tasks:
                    task.cancel()
            ended = server.now()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert server.now() - ended <= 0.02
        if how == "close":
            assert {str(each) for each in found} == {
                "the client is closed; call connect() for another one"
            }
        else:
            assert {type(each) for each in found} == {asyncio.CancelledError}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


@scenario
async def test_of_several_exchanges_none_begins_before_all_can() -> None:
    internet, _, clients = laid(("ant", "bee"))
    bee = internet.servers["bee"]
    bee.respond = _no_route
    asyncio.get_running_loop().call_later(60.0, setattr, bee, "respond", None)
    async with clients, clients.subscribe(BOTH_TOPS, policy="raise", maxsize=5) as feed:
        assert bee.now() >= 60.0
        await feed.ready()
        seen = {(await first(feed)).exchange for _ in range(2)}
        assert seen == {"ant", "bee"}


def _no_route(request: HttpRequest) -> HttpResponse:
    raise ConnectFailed("no route to host")


@pytest.mark.sockets
def test_an_exchange_that_comes_up_after_the_client_is_met() -> None:
    async def main() -> None:
        exchange = plugins.load("bybit")()
        dialect = exchange.dialect()
        assert dialect is not None
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]

        async def watch() -> Any:
            options = Options(backoff_initial=0.05, backoff_max=0.1)
            address = f"http://127.0.0.1:{port}"
            async with (
                ccrs_core.connect(exchange, base_url=address, options=options) as client,
                client.subscribe(top_of_book("BTC/USDT")) as feed,
            ):
                return await first(feed)

        watching = asyncio.ensure_future(watch())
        done, _ = await asyncio.wait([watching], timeout=2.0)
        assert not done
        async with EmulatorServer(dialect, port=port), asyncio.timeout(20.0):
            assert isinstance(await watching, TopOfBook)

    asyncio.run(main())
