"""Faults of answers, keys, lists and the clock: what was carried out, and what a client hears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest

from ccrs_core import ConnectFailed, ConnectionLost, TransportError, Unsupported, UsageError
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import (
    LOGIN,
    ApiKey,
    Desk,
    EmulatedExchange,
    EmulatorServer,
    EmulatorTransport,
    Frame,
    Handshake,
    HttpRefusal,
    Venue,
    Visitor,
    parse_fault,
)
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.http import HttpTransport
from ccrs_core.transport.memory import run
from tests.emulator.plain import START_NS, PlainDialect

UNCLEAR = b"no idea"


class Clerk(Visitor):
    """Says what it is told, as the answer to an order or a login."""

    def __init__(self, done: list[str]) -> None:
        self._done = done

    def received(self, frame: str | bytes, now_ns: int) -> None:
        text = frame if isinstance(frame, str) else frame.decode()
        self._done.append(text)
        self.peer.answer(Frame(text.encode()), text, unclear=Frame(UNCLEAR))


class Counting(PlainDialect):
    """Notes what it carries out."""

    name: ClassVar[str] = "counting"

    def __init__(self) -> None:
        self.done: list[str] = []

    def attach(self, venue: Venue) -> None:
        super().attach(venue)
        self.desk = Desk(venue)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        self.done.append(request.path)
        return HttpResponse(200, {}, b"done")

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        return HttpResponse(status, {}, b"failure")

    def unclear(self, now_ns: int) -> HttpResponse | None:
        return HttpResponse(200, {}, UNCLEAR)

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        return Clerk(self.done)


class World:
    def __init__(self) -> None:
        self.dialect = Counting()
        self.venue = EmulatedExchange(self.dialect, start_ns=START_NS)
        self.transport = EmulatorTransport(self.venue)

    async def ask(self, path: str = "/order") -> tuple[int, bytes]:
        answer = await self.transport.request("http://anywhere", HttpRequest("POST", path))
        return answer.status, answer.body


def scene(act: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        try:
            await act(world)
        finally:
            await world.transport.aclose()

    run(main())


@pytest.mark.parametrize(
    ("fault", "said", "done"),
    [
        ("http,status=503", (503, b"failure"), 0),
        ("http,status=503,effect=yes", (503, b"failure"), 1),
        ("unclear", (200, UNCLEAR), 1),
        ("unclear,effect=no", (200, UNCLEAR), 0),
        ("ban", (403, b"failure"), 0),
        ("ban,status=418", (418, b"failure"), 0),
        ("lose_answer", None, 1),
        ("lose_answer,effect=no", None, 0),
    ],
)
def test_an_answer_is_spoiled_before_or_after_the_request_is_carried_out(
    fault: str, said: tuple[int, bytes] | None, done: int
) -> None:
    async def act(world: World) -> None:
        world.venue.faults.add(f"{fault},path=/order,count=1")
        if said is None:
            with pytest.raises(ConnectionLost) as lost:
                await world.ask()
            assert not lost.value.nothing_sent
        else:
            assert await world.ask() == said
        assert len(world.dialect.done) == done
        assert await world.ask("/else") == (200, b"done")
        assert await world.ask() == (200, b"done")

    scene(act)


def test_an_answer_comes_late_and_is_of_its_time() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("slow_answer,seconds=3,count=1")
        loop = asyncio.get_running_loop()
        start = loop.time()
        asking = loop.create_task(world.ask())
        await asyncio.sleep(1)
        assert world.dialect.done == ["/order"]
        assert await asking == (200, b"done")
        assert loop.time() - start == pytest.approx(3)

    scene(act)


def test_a_ban_refuses_handshakes_as_well_and_ends() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("ban,duration=5")
        with pytest.raises(ConnectFailed) as refused:
            await world.transport.connect("ws://anywhere/ws")
        assert refused.value.status == 403
        world.venue.advance(START_NS + 6 * NS_PER_SECOND)
        assert await world.ask() == (200, b"done")

    scene(act)


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("lose_answer,topic=order.*", None),
        ("lose_answer,topic=cancel", b"order.create"),
        ("lose_answer,effect=no", b"order.create"),
        ("unclear", UNCLEAR),
        ("slow_answer,seconds=2", b"order.create"),
        ("no_login", b"order.create"),
        ("stall_all", b""),
    ],
)
def test_answers_to_orders_on_a_websocket_suffer_too(fault: str, heard: bytes | None) -> None:
    async def act(world: World) -> None:
        connection = await world.transport.connect("ws://anywhere/trade")
        world.venue.faults.add(fault)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await connection.send("order.create")
        if heard is None:
            with pytest.raises(ConnectionLost):
                await connection.receive()
        elif not heard:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.receive(), 60)
        else:
            assert await connection.receive() == [heard]
            assert loop.time() - start == pytest.approx(2 if "slow" in fault else 0)
        assert world.dialect.done == ["order.create"]

    scene(act)


def test_a_login_is_never_answered_and_others_are() -> None:
    async def act(world: World) -> None:
        world.venue.faults.add("no_login")
        connection = await world.transport.connect("ws://anywhere/trade")
        await connection.send(LOGIN)
        await connection.send("order.create")
        assert await connection.receive() == [b"order.create"]

    scene(act)


def test_keys_are_revoked_for_a_while_by_name() -> None:
    async def act(world: World) -> None:
        desk = world.venue.desk
        desk.open_account("ann")
        for key in ("one", "two"):
            desk.add_key(ApiKey(key=key, secret="s", account="ann"))

        def works(key: str) -> bool:
            found = desk.key(key)
            return found is not None and found.works(world.venue.now_ns)

        world.venue.faults.add("revoke,key=o*,duration=5")
        assert (works("one"), works("two"), desk.key("three")) == (False, True, None)
        world.venue.advance(START_NS + 6 * NS_PER_SECOND)
        assert works("one")
        desk.revoke("one")
        assert not works("one")

    scene(act)


def test_the_clock_is_off_and_lists_lag_as_long_as_they_are_told_to() -> None:
    async def act(world: World) -> None:
        venue = world.venue
        assert (venue.told_ns, venue.lag_ns("/list")) == (venue.now_ns, 0)
        clock = venue.faults.add("clock,seconds=-1.5")
        venue.faults.add("lag,path=/list,seconds=9")
        assert venue.told_ns == venue.now_ns - 1_500_000_000
        assert (venue.lag_ns("/list"), venue.lag_ns("/other")) == (9 * NS_PER_SECOND, 0)
        clock.cancel()
        assert venue.told_ns == venue.now_ns

    scene(act)


def test_what_makes_no_sense_is_refused_with_a_word() -> None:
    for text in ("clock,seconds=0", "lag,seconds=-1", "unclear,effect=maybe"):
        with pytest.raises(UsageError):
            parse_fault(text)
    plain = EmulatedExchange(PlainDialect(), start_ns=START_NS)
    with pytest.raises(Unsupported, match="no words"):
        plain.faults.add("unclear")
    with pytest.raises(Unsupported, match="doesn't trade"):
        plain.desk  # noqa: B018


@pytest.mark.sockets
def test_behind_real_sockets_an_answer_is_lost_or_late() -> None:
    async def main() -> None:
        dialect = Counting()
        async with EmulatorServer(dialect, faults=("lose_answer,count=1",)) as server:
            transport = HttpTransport(TransportOptions())
            try:
                with pytest.raises(TransportError) as lost:
                    await transport.request(server.url, HttpRequest("POST", "/order"))
                assert not lost.value.nothing_sent
                assert dialect.done == ["/order"]
                server.venue.faults.add("slow_answer,seconds=0.2,count=1")
                start = asyncio.get_running_loop().time()
                answer = await transport.request(server.url, HttpRequest("POST", "/order"))
                assert answer.body == b"done"
                assert asyncio.get_running_loop().time() - start >= 0.2
            finally:
                await transport.aclose()

    asyncio.run(main())
