"""Tokens that private connections show, in their address or in what they send, renewed in time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import attrs
import orjson
import pytest

import ccrs_core
from ccrs_core import (
    Access,
    Answer,
    AuthError,
    Client,
    Credentials,
    Endpoint,
    ExchangeError,
    ExchangeUnavailable,
    HttpRequest,
    HttpResponse,
    Market,
    Options,
    Outbound,
    Patience,
    Request,
    Route,
    Token,
    trades,
)
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import scenario

KEY = Credentials("key", "secret")
LIFE, RENEW = 3600.0, 1800.0


@attrs.frozen
class GetToken(Request[Token]):
    """A token, or that it lives on."""

    idempotent: ClassVar[bool] = True

    held: str = attrs.field(default="", repr=False)


def _decode(_: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Answer[Token]:
    return Answer(Token(orjson.loads(response.body)["token"], RENEW))


def _encode(request: GetToken, cursor: str | None) -> HttpRequest:
    return HttpRequest("PUT" if request.held else "POST", "/token", (("token", request.held),))


class InTheFrame(ToyCodec):
    """Puts the token into each request."""

    def login(self, access: Access, request_id: str) -> Outbound | None:
        return None

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        assert access.token
        return orjson.dumps({**orjson.loads(frame), "token": access.token}).decode()


class InTheAddress(ToyCodec):
    def login(self, access: Access, request_id: str) -> Outbound | None:
        return None


class Tokened(Toy):
    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Toy.endpoints,
        GetToken: Endpoint(encode=_encode, decode=_decode, markets=frozenset(Market), signed=True),
    }

    def __init__(self, *, in_address: bool) -> None:
        super().__init__(private=True, codec=InTheAddress if in_address else InTheFrame)
        if in_address:
            self._route = attrs.evolve(self._route, url="{stream}/ws?listenKey={token}")

    def token(self, route: Route, held: str = "") -> Request[Token] | None:
        return GetToken(held)

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        return {
            200: None,
            401: AuthError("401", "bad key"),
            503: ExchangeUnavailable("503", "down"),
        }.get(response.status, ExchangeError(str(response.status), "no such token"))


class TokenServer(ToyServer):
    """Tokens die when they aren't renewed for an hour, and with them who shows them."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, float] = {}
        self.asked: list[tuple[float, str]] = []
        self.status = 200
        self.respond = self._respond

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if request.path != "/token":
            return HttpResponse(200, {}, orjson.dumps(self.NATIVES))
        self.asked.append((self.now(), request.method))
        if self.status != 200:
            return HttpResponse(self.status, {}, b"{}")
        if request.method == "PUT":
            held = request.query[0][1]
            if not self.alive(held):
                return HttpResponse(400, {}, b"{}")
            self.tokens[held] = self.now()
            return HttpResponse(200, {}, b'{"token":""}')
        token = f"t/{len(self.asked)}"
        self.tokens[token] = self.now()
        return HttpResponse(200, {}, orjson.dumps({"token": token}))

    def alive(self, token: str) -> bool:
        return self.now() - self.tokens.get(token, -1e9) < LIFE

    def opened(self, peer: Peer) -> None:
        super().opened(peer)
        if "listenKey" in peer.url:
            assert self.alive(peer.url.partition("listenKey=")[2].replace("%2F", "/"))

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "token" in message and "ping" not in message:
            assert self.alive(message["token"])
        super().received(peer, frame)


@asynccontextmanager
async def running(server: TokenServer, *, in_address: bool, **how: Any) -> AsyncIterator[Client]:
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(
        Tokened(in_address=in_address),
        transport=MemoryTransport(server, latency=0.01),
        clock=VirtualClock(),
        credentials=KEY,
        # Nothing happens on this market.
        options=Options(patience=Patience(unproved=1e9)),
    )
    async with client, client.subscribe(trades("BTC/USD"), connections=2):
        await asyncio.sleep(1.0)
        yield client


@pytest.mark.parametrize("in_address", [False, True])
def test_one_token_is_shared_and_renewed_for_as_long_as_there_are_connections(
    in_address: bool,
) -> None:
    @scenario
    async def play() -> None:
        server = TokenServer()
        async with running(server, in_address=in_address):
            assert [method for _, method in server.asked] == ["POST"]
            await asyncio.sleep(10 * LIFE)
            assert [method for _, method in server.asked] == ["POST", *20 * ["PUT"]]
            for peer in list(server.open):
                peer.drop()
            await asyncio.sleep(60.0)
            assert server.subscribed() == 2 * [{"trades.BTC"}]
            assert len(server.attempts) == 4
        asked = len(server.asked)
        await asyncio.sleep(10 * LIFE)
        assert len(server.asked) == asked

    play()


@pytest.mark.parametrize("in_address", [False, True])
def test_a_token_that_is_gone_is_replaced_and_those_who_show_it_in_their_address_too(
    in_address: bool,
) -> None:
    @scenario
    async def play() -> None:
        server = TokenServer()
        async with running(server, in_address=in_address):
            server.tokens.clear()
            await asyncio.sleep(RENEW + 60.0)
            assert [method for _, method in server.asked] == ["POST", "PUT", "POST"]
            assert len(server.attempts) == (4 if in_address else 2)
            for peer in list(server.open):
                peer.drop()
            await asyncio.sleep(60.0)
            assert server.subscribed() == 2 * [{"trades.BTC"}]

    play()


@scenario
async def test_an_exchange_that_is_down_when_a_token_is_to_be_renewed_is_asked_again() -> None:
    server = TokenServer()
    async with running(server, in_address=True):
        server.status = 503
        await asyncio.sleep(RENEW + 300.0)
        server.status = 200
        await asyncio.sleep(60.0)
        assert server.alive(next(iter(server.tokens)))
        assert server.asked[-1][1] == "PUT"
        assert len(server.attempts) == 2
        await asyncio.sleep(LIFE)
        assert server.subscribed() == 2 * [{"trades.BTC"}]


@scenario
async def test_where_no_token_is_to_be_had_yet_nothing_is_dialled_and_it_is_tried_again() -> None:
    server = TokenServer()
    server.status = 503
    client = ccrs_core.connect(
        Tokened(in_address=True),
        transport=MemoryTransport(server),
        clock=VirtualClock(),
        credentials=KEY,
        options=Options(request_attempts=1),
    )
    server.now = asyncio.get_running_loop().time
    async with client, client.subscribe(trades("BTC/USD")):
        await asyncio.sleep(120.0)
        assert not server.attempts
        assert 3 <= len(server.asked) <= 20
        assert client.status().connections[0].last_error == "down (code 503)"
        server.status = 200
        await asyncio.sleep(60.0)
        assert server.subscribed() == [{"trades.BTC"}]


@scenario
async def test_a_key_that_is_refused_a_token_ends_the_client_at_once() -> None:
    server = TokenServer()
    server.status = 401
    client = ccrs_core.connect(
        Tokened(in_address=False),
        transport=MemoryTransport(server),
        clock=VirtualClock(),
        credentials=KEY,
    )
    server.now = asyncio.get_running_loop().time
    with pytest.raises(AuthError, match="bad key"):
        async with client, client.subscribe(trades("BTC/USD")):
            await asyncio.sleep(1000.0)
    assert len(server.asked) == 1


class UnderAnotherName(InTheFrame):
    def sign(self, frame: Outbound, access: Access) -> Outbound:
        return orjson.dumps({**orjson.loads(frame), "token": access.token, "s": [access.token]})


@pytest.mark.parametrize("in_address", [False, True])
def test_a_recording_holds_no_token_however_it_is_shown(in_address: bool, tmp_path: Path) -> None:
    @scenario
    async def play() -> None:
        server = TokenServer()
        server.now = asyncio.get_running_loop().time
        writer = RecordingWriter(tmp_path / "it.jsonl", credentials=KEY)
        transport = RecordingTransport(MemoryTransport(server), writer, clock=VirtualClock())
        exchange = Tokened(in_address=in_address)
        if in_address:
            exchange._route = attrs.evolve(exchange._route, url="{stream}/ws/{token}/all")
        else:
            exchange._codec = UnderAnotherName
        client = ccrs_core.connect(
            exchange, transport=transport, clock=VirtualClock(), credentials=KEY
        )
        writer.begin(
            Header(
                ns=0,
                exchange="toy",
                exchange_version="1",
                core_version="1",
                environment="mainnet",
                subscriptions=(),
            )
        )
        async with client, client.subscribe(trades("BTC/USD")):
            await asyncio.sleep(RENEW + 60.0)
            server.tokens.clear()
            await asyncio.sleep(RENEW + 60.0)
        writer.close()
        assert len(server.asked) > 3
        text = (tmp_path / "it.jsonl").read_text("utf-8")
        assert text.count("***") > 3
        assert not re.search(r"t(/|\\/|%2[fF])\d", text)

    play()


@scenario
async def test_a_token_shows_nowhere() -> None:
    server = TokenServer()
    told: list[str] = []
    async with running(server, in_address=True) as client:
        for peer in list(server.open):
            peer.drop()
        await asyncio.sleep(30.0)
        status = client.status()
        told += [repr(status), *(str(line.url) for line in status.connections)]
    assert server.tokens
    for token in server.tokens:
        assert not any(token in text or token.replace("/", "%2F") in text for text in told)
    assert repr(Token("hidden")) == "Token(renew_after=None)"
