"""A plugin that breaks, or says nonsense, costs a connection at most: never the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

import ccrs_core
from ccrs_core import (
    Answer,
    Client,
    Data,
    LoggedIn,
    Lost,
    Message,
    Options,
    Stale,
    Token,
    Trade,
    trades,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock
from tests.client.test_tokens import KEY, GetToken, Tokened, TokenServer
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import follow, scenario

ETH, BTC = trades("ETH/USD"), trades("BTC/USD")


def breaks(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("a plugin's mistake")


def says(*messages: Any) -> Callable[..., Sequence[Message]]:
    """Says this of all data, in place of what it says."""

    def decode(self: Any, frame: bytes, now_ns: int) -> Any:
        told = ToyCodec.decode(self, frame, now_ns)
        return messages if any(isinstance(each, Data) for each in told) else told

    return decode


NONSENSE: dict[str, dict[str, Any]] = {
    "asks once, and breaks": {"once": ("cancel",), "ask_once": breaks},
    "asks once, and doesn't say what": {"once": ("cancel",)},
    "logs in, and breaks": {"login": breaks},
    "subscribes, and breaks": {"subscribe": breaks},
    "signs, and breaks": {"sign": breaks},
    "signs nothing": {"sign": lambda self, frame, access: 5},
    "decodes to nothing at all": {"decode": lambda self, frame, now_ns: None},
    "brings no events": {"decode": says(Data("trades.BTC", ()))},
    "renews its login at some text": {"decode": says(LoggedIn("soon"))},  # type: ignore[arg-type]
    "loses a number": {"decode": says(Lost("x", 5))},  # type: ignore[arg-type]
    "peeks nonsense": {"peek": lambda self, frame: 5},
}


class Half(Toy):
    """BTC's connections have a codec that breaks, the others' don't."""

    def __init__(self, members: dict[str, Any]) -> None:
        super().__init__(private=True)
        self.breaks = True
        self._bad = type("Bad", (ToyCodec,), members)
        self._other = attrs.evolve(self._route, name="btc")

    def route(self, subscription: Any) -> Any:
        return self._other if subscription.instrument.native == "BTC" else self._route

    def codec(self, route: Any) -> Any:
        return self._bad() if route.name and self.breaks else ToyCodec()


async def prove(server: ToyServer, exchange: Half, events: list[Any]) -> None:
    for _ in range(100):
        server.tick("trades.ETH")
        server.tick("trades.BTC")
        await asyncio.sleep(1.0)
    healthy = [e for e in events if isinstance(e, Trade) and e.symbol == "ETH/USD"]
    assert len(healthy) >= 98
    assert not any(isinstance(e, Stale) and e.symbol == "ETH/USD" for e in events)
    exchange.breaks = False
    server.tick("trades.BTC")  # over which what is open still breaks
    await asyncio.sleep(200.0)
    del events[:]
    server.tick("trades.BTC")
    await asyncio.sleep(1.0)
    assert any(isinstance(e, Trade) and e.symbol == "BTC/USD" for e in events)


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_a_codec_breaks_over_costs_its_own_connection_and_heals(nonsense: str) -> None:
    @scenario
    async def play() -> None:
        server, exchange = ToyServer(), Half(NONSENSE[nonsense])
        server.now = asyncio.get_running_loop().time
        client = ccrs_core.connect(
            exchange, transport=MemoryTransport(server), clock=VirtualClock(), credentials=KEY
        )
        events: list[Any] = []
        async with client, client.subscribe(ETH, BTC, connections=2) as feed:
            reader = asyncio.ensure_future(follow(feed, events, []))
            try:
                await prove(server, exchange, events)
            finally:
                reader.cancel()
                await asyncio.wait([reader])

    play()


def tokened(token: Any) -> Tokened:
    """Answers with this for a token."""

    class Strange(Tokened):
        endpoints = {  # noqa: RUF012
            **Tokened.endpoints,
            GetToken: attrs.evolve(Tokened.endpoints[GetToken], decode=lambda *_: Answer(token)),
        }

    return Strange(in_address=True)


async def _asked(exchange: Tokened, use: Callable[[Client], Any]) -> int:
    server = TokenServer()
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(
        exchange,
        transport=MemoryTransport(server),
        clock=VirtualClock(),
        credentials=KEY,
        options=Options(request_attempts=1),
    )
    async with client, client.subscribe(trades("BTC/USD")):
        await asyncio.sleep(600.0)
        use(client)
    return len(server.asked)


@pytest.mark.parametrize(
    "token",
    [
        None,
        "t",
        Token(5),  # type: ignore[arg-type]
        Token(""),
        Token("t/1", 0.0),
        Token("t/1", -1.0),
        Token("t/1", float("nan")),
        Token("t/1", "soon"),  # type: ignore[arg-type]
        Token("\ud800"),
    ],
    ids=repr,
)
def test_a_token_that_is_none_is_told_and_asked_for_again_ever_more_slowly(token: Any) -> None:
    @scenario
    async def play() -> None:
        def told(client: Client) -> None:
            assert client.status().connections[0].last_error

        assert 1 <= await _asked(tokened(token), told) <= 100

    play()


@pytest.mark.parametrize("question", [breaks, lambda *_: "x", lambda *_: []])
def test_a_question_for_a_token_that_is_none_is_told(question: Any) -> None:
    @scenario
    async def play() -> None:
        class Strange(Tokened):
            token = question

        def told(client: Client) -> None:
            assert client.status().connections[0].last_error

        assert await _asked(Strange(in_address=True), told) == 0

    play()


@scenario
async def test_a_token_that_is_good_for_no_time_is_not_renewed_all_the_time() -> None:
    exchange = tokened(Token("t/1", 1e-9))
    server = TokenServer()
    server.tokens["t/1"] = 1e9
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(
        exchange, transport=MemoryTransport(server), clock=VirtualClock(), credentials=KEY
    )
    async with client, client.subscribe(trades("BTC/USD")):
        await asyncio.sleep(60.0)
        assert 50 <= len(server.asked) <= 62
