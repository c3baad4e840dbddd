"""What signs gets all that exchanges want signed: made-up exchanges of several kinds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any, ClassVar

import attrs
import orjson
import pytest

import ccrs_core
from ccrs_core import (
    Access,
    Budget,
    Credentials,
    Environment,
    HttpRequest,
    Outbound,
    UsageError,
    trades,
)
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import Header, Sent
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.scripted import Paged, Rest, page
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import scenario
from tests.watching import TOP, world

HEADER = Header(
    ns=0,
    exchange="toy",
    exchange_version="",
    core_version="",
    environment="emulator",
    subscriptions=(),
)
KEY = Credentials("key-of-nobody", "secret-of-nobody")


def proof(text: str) -> str:
    return hmac.new(KEY.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def with_fields(frame: Outbound, **fields: Any) -> Outbound:
    return orjson.dumps({**orjson.loads(frame), **fields}).decode()


class EachFrame(ToyCodec):
    """Signs each request by itself, with its time and the host; each frame has its time."""

    def login(self, access: Access, request_id: str) -> Outbound | None:
        return None

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        seconds = access.now_ms // 1000
        if "ping" in orjson.loads(frame):
            return with_fields(frame, time=seconds)
        auth = {"key": access.credentials.key, "sign": proof(f"{access.host}{seconds}")}
        return with_fields(frame, time=seconds, auth=auth)


class EachFrameServer(ToyServer):
    """Takes what is signed rightly, and no more than two seconds old."""

    clock = VirtualClock()

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        assert abs(message["time"] - self.clock.time_ns() / 1e9) < 2.0, "an old frame"
        if "ping" not in message:
            assert message["auth"]["sign"] == proof(f"ws.toy{message['time']}")
        super().received(peer, frame)


@scenario
async def test_frames_that_wait_for_their_turn_are_signed_when_they_leave() -> None:
    server = EachFrameServer()
    server.clock = VirtualClock()
    toy = Toy(
        private=True,
        codec=EachFrame,
        topics_per_request=1,
        messages=Budget(amount=1, seconds=4.0),
    )
    interests = [trades("BTC/USD"), trades("ETH/USD"), trades("SOL/USD")]
    async with world(*interests, exchange=toy, credentials=KEY, server=server) as seen:
        await asyncio.sleep(100.0)
        requests = [m for _, _, m in seen.server.sent if "sub" in m]
        assert len(requests) == 3
        assert requests[-1]["time"] - requests[0]["time"] >= 8
        for peer in server.open:
            peer.drop()
        await asyncio.sleep(100.0)
        assert seen.server.subscribed() == [{"trades.BTC", "trades.ETH", "trades.SOL"}]


@scenario
async def test_an_unsubscription_is_signed_as_well() -> None:
    server = EachFrameServer()
    server.clock = VirtualClock()
    toy = Toy(private=True, codec=EachFrame)
    async with world(TOP, exchange=toy, credentials=KEY, server=server) as seen:
        await seen.feed.subscribe(trades("BTC/USD"))
        await seen.feed.unsubscribe(TOP)
        await asyncio.sleep(1.0)
        assert [m["unsub"] for _, _, m in server.sent if "unsub" in m] == [["top.BTC"]]


class NamesTheUser(ToyCodec):
    """Names whose streams are asked for, without any proof."""

    def login(self, access: Access, request_id: str) -> Outbound | None:
        return None

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        return with_fields(frame, user=access.credentials.key)


@scenario
async def test_a_user_is_named_in_each_frame() -> None:
    toy = Toy(private=True, codec=NamesTheUser)
    async with world(TOP, exchange=toy, credentials=KEY) as seen:
        assert [m["user"] for _, _, m in seen.server.sent] == [KEY.key]
        assert seen.sequences() == [100]


class Stamped(ToyCodec):
    """A public protocol whose frames have times."""

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        with pytest.raises(UsageError, match="credentials"):
            _ = access.credentials
        return with_fields(frame, time=access.now_ms)


@scenario
async def test_public_frames_have_a_time_and_no_credentials_even_where_there_are_some() -> None:
    async with world(trades("BTC/USD"), exchange=Toy(codec=Stamped), credentials=KEY) as seen:
        await asyncio.sleep(61.0)
        assert {next(iter(m)) for _, _, m in seen.server.sent} == {"sub", "ping"}
        assert all("time" in m for _, _, m in seen.server.sent)


@scenario
async def test_a_codec_that_fails_to_sign_costs_its_connection_and_says_why() -> None:
    class Broken(ToyCodec):
        def sign(self, frame: Outbound, access: Access) -> Outbound:
            raise ZeroDivisionError("a plugin's mistake")

    client = ccrs_core.connect(
        Toy(codec=Broken), transport=MemoryTransport(ToyServer()), clock=VirtualClock()
    )
    async with client:
        feed = client.subscribe(TOP)
        entering = asyncio.ensure_future(feed.__aenter__())
        await asyncio.sleep(15.0)
        assert "a plugin's mistake" in str(client.status().connections[0].last_error)
        entering.cancel()


# --- handshakes -----------------------------------------------------------------------------


@scenario
async def test_headers_of_a_route_go_with_every_handshake() -> None:
    headers = (("X-Size-Decimal", "1"), ("X-Other", "a"))
    async with world(TOP, exchange=Toy(headers=headers), connections=2) as seen:
        seen.server.open[0].drop()
        await asyncio.sleep(60.0)
        assert len(seen.server.attempts) >= 3
        assert {tuple(peer.headers) for peer in seen.server.peers} == {headers}


# --- requests -------------------------------------------------------------------------------


class SignsTheHost(Paged):
    """Signs method, host and path, as it dials them."""

    environments: ClassVar = {
        "mainnet": Environment(addresses={"rest": "https://API.toy:8443", "stream": "wss://ws.toy"})
    }

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        text = f"{request.method}\n{access.host}\n{request.path}\n{access.now_ms}"
        return attrs.evolve(request, headers={"X-SIGN": proof(text), "X-TEXT": text})


@pytest.mark.parametrize(
    ("base_url", "host"),
    [(None, "api.toy:8443"), ("http://user:word@Relay.Example:81/x", "relay.example:81")],
)
def test_the_host_that_is_signed_is_the_one_that_is_dialled(
    base_url: str | None, host: str
) -> None:
    rest = Rest(page([]))
    rest.exchange = SignsTheHost()

    async def use(client: ccrs_core.Client) -> None:
        await client.get_funding_history("BTC/USD")

    rest.play(use, credentials=KEY, base_url=base_url)
    ((_, request),) = rest.asked
    assert request.headers["X-TEXT"].split("\n")[1] == host


def test_an_access_shows_no_secret_and_tells_the_host_as_headers_do() -> None:
    access = Access(now_ms=1, url="wss://u:p@H.x:1/ws?listenKey=abc", credentials=KEY, token="t0k")
    assert access.host == "h.x:1"
    assert not {KEY.key, KEY.secret, "t0k", "abc", "u:p"} & set(repr(access).split("'"))
    for hidden in (KEY.secret, "t0k", "abc", "u:p"):
        assert hidden not in repr(access) + str(access)


# --- recordings -----------------------------------------------------------------------------


def test_what_is_signed_is_masked_in_a_recording(tmp_path: Any) -> None:
    class Tokened(NamesTheUser):
        def sign(self, frame: Outbound, access: Access) -> Outbound:
            return with_fields(frame, jwt="eyJhbGciOi.J9.c2ln")

    path = tmp_path / "recording"

    async def main() -> None:
        with RecordingWriter(path) as writer:
            writer.begin(HEADER)
            transport = RecordingTransport(MemoryTransport(ToyServer()), writer)
            client = ccrs_core.connect(
                Toy(private=True, codec=Tokened),
                transport=transport,
                clock=VirtualClock(),
                credentials=KEY,
            )
            async with client, client.subscribe(TOP):
                await asyncio.sleep(1.0)
        sent = [record for record in read(path) if isinstance(record, Sent)]
        assert sent
        assert all(record.masked for record in sent)
        assert b"eyJ" not in path.read_bytes()

    run(main())
