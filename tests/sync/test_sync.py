"""The client for scripts: the asynchronous one's methods, waited for, and nothing left behind."""

from __future__ import annotations

import _thread
import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ccrs_core
from ccrs_core import (
    ConnectFailed,
    GetServerTime,
    HttpRequest,
    HttpResponse,
    Options,
    ReconnectsExhausted,
    TimedOut,
    TopOfBook,
    UnknownInstrument,
    UsageError,
    sync,
    top_of_book,
)
from ccrs_core.transport.memory import MemoryTransport, Peer
from tests.toy import Toy, ToyServer
from tests.watching import TOP

ELSEWHERE = {
    *("open", "aclose", "subscribe", "emulator", "placement", "watch_instruments"),
}
"""What the asynchronous client alone has: ``watch`` and ``close`` stand for some of it, what lists
change is asked for, by ``refresh_instruments``."""


class Server(ToyServer):
    """An exchange that ticks as it is subscribed to, can be gone, and can keep silent."""

    gone = False

    def opened(self, peer: Peer) -> None:
        if self.gone:
            raise ConnectFailed("refused")
        super().opened(peer)


class Transport(MemoryTransport):
    """One whose answers can be kept back for ever."""

    asked = 0
    mute = False

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        if self.mute:
            self.asked += 1
            await asyncio.sleep(3600)
        return await super().request(base_url, request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def transport(server: Server) -> Transport:
    return Transport(server)


@pytest.fixture(autouse=True)
def nothing_left(server: Server) -> Iterator[None]:
    yield
    assert not [each for each in threading.enumerate() if each.name == "ccrs.sync"]
    assert not server.open


def connect(transport: Transport, **options: Any) -> sync.Client:
    return sync.connect(Toy(), transport=transport, options=Options(**options))


def test_it_has_what_the_asynchronous_client_has_with_the_same_arguments() -> None:
    def public(kind: type[Any]) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(ccrs_core.Client) - ELSEWHERE <= public(sync.Client)
    assert public(sync.Client) - public(ccrs_core.Client) == {"close", "watch", "exchange"} | (
        {"environment"}
    )
    for name in public(ccrs_core.Client) & public(sync.Client) - ELSEWHERE:
        one, other = getattr(ccrs_core.Client, name), getattr(sync.Client, name)
        if callable(one):
            assert inspect.signature(one) == inspect.signature(other), name
            assert not inspect.iscoroutinefunction(other)
    subscribe = inspect.signature(ccrs_core.Client.subscribe).parameters
    watch = dict(inspect.signature(sync.Client.watch).parameters)
    assert watch.pop("seconds").default is None
    assert watch == {name: each for name, each in subscribe.items() if name != "callback"}
    assert inspect.signature(sync.connect).parameters == (
        inspect.signature(ccrs_core.connect).parameters
    )


def test_questions_are_answered_and_fail_as_they_do_elsewhere(transport: Transport) -> None:
    with connect(transport) as client:
        assert client.instrument("BTC/USD").native == "BTC"
        assert client.request(GetServerTime()) == client.get_server_time()
        with pytest.raises(UnknownInstrument):
            client.instrument("NONE/USD")
        assert client.status().requests
        assert repr(client).startswith("<sync.Client toy (mainnet): open")
        with pytest.raises(UsageError, match="opened once"):
            client.open()
    with pytest.raises(UsageError, match="the client is closed"):
        client.get_server_time()
    client.close()
    with pytest.raises(UsageError, match=r"open the client first: with ccrs_core\.sync\.connect"):
        connect(transport).get_server_time()


def test_it_works_where_a_loop_is_running_and_for_several_threads(transport: Transport) -> None:
    async def cell() -> sync.Client:
        return connect(transport).open()

    async def other() -> list[int]:
        many = (asyncio.to_thread(client.get_server_time) for _ in range(8))
        return [client.get_server_time(), *await asyncio.gather(*many)]

    client = asyncio.run(cell())
    assert len(asyncio.run(other())) == 9
    client.close()


def test_a_watch_brings_events_until_it_is_left_or_its_time_is_over(
    server: Server, transport: Transport
) -> None:
    with connect(transport) as client:
        first, second = client.watch(TOP, seconds=60), client.watch(TOP, seconds=60)
        assert client.status().subscriptions == (), "nothing begins before the first step"
        ticking = threading.Event()

        def tick() -> None:
            while not ticking.wait(0.01):
                client._background.call(_ticked)

        async def _ticked() -> None:
            server.tick("top.BTC")

        ticker = threading.Thread(target=tick)
        ticker.start()
        try:
            assert isinstance(next(first), TopOfBook)
            for event in second:
                assert isinstance(event, TopOfBook)
                break
            del second
            first.close()
            assert client.status().subscriptions == ()
            short = list(client.watch(TOP, seconds=0.2))
            assert short
        finally:
            ticking.set()
            ticker.join()
        for wrong in (0, -1, float("nan"), float("inf")):
            with pytest.raises(UsageError, match="seconds"):
                client.watch(TOP, seconds=wrong)
        with pytest.raises(UnknownInstrument):
            next(client.watch(top_of_book("NONE/USD")))


def test_what_cant_be_subscribed_to_in_time_is_told(transport: Transport) -> None:
    transport.mute = True
    with connect(transport) as client, pytest.raises(TimedOut, match=r"within 0\.05 seconds"):
        next(client.watch(TOP, seconds=0.05))


def test_ctrl_c_ends_the_call_and_what_it_waits_for_and_the_client_goes_on(
    transport: Transport,
) -> None:
    with connect(transport) as client:
        client.instrument("BTC/USD")
        transport.mute = True

        def press() -> None:
            while not transport.asked:
                pass
            _thread.interrupt_main()

        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            client.get_server_time()
        presser.join()
        transport.mute = False

        async def tasks() -> set[str]:
            return {str(each.get_coro()) for each in asyncio.all_tasks()}

        assert not [each for each in client._background.call(tasks) if "get_server_time" in each]
        assert client.get_server_time()


def test_ctrl_c_that_comes_while_a_call_is_handed_over_leaves_nothing_running(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(transport) as client:
        client.instrument("BTC/USD")
        transport.mute = True
        hand_over, pressed = asyncio.run_coroutine_threadsafe, []

        def interrupted(work: Any, loop: Any) -> Any:
            handed_over = hand_over(work, loop)
            if not pressed:
                pressed.append(True)
                raise KeyboardInterrupt
            return handed_over

        monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.get_server_time()
        transport.mute = False

        async def tasks() -> int:
            return len([each for each in asyncio.all_tasks() if "run" in str(each.get_coro())])

        assert client._background.call(tasks) == 1  # this one
        assert client.get_server_time()


def test_what_waits_in_other_threads_when_it_is_closed_is_told_so(transport: Transport) -> None:
    told: list[BaseException] = []

    def ask() -> None:
        try:
            client.get_server_time()
        except BaseException as error:
            told.append(error)

    with connect(transport) as client:
        client.instrument("BTC/USD")
        transport.mute = True
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for each in threads:
            each.start()
        while transport.asked < len(threads):
            pass
    for each in threads:
        each.join()
    assert [type(each) for each in told] == [UsageError] * len(threads)
    assert all("closed by another thread" in str(each) for each in told)


def test_what_ends_the_client_is_told_by_the_next_call_and_when_it_is_closed(
    server: Server, transport: Transport
) -> None:
    client = connect(transport, max_failures=2, backoff_initial=0.01).open()

    async def go() -> None:
        server.gone = True
        for peer in list(server.open):
            peer.drop()

    watch = client.watch(TOP, seconds=60)
    client._background.call(lambda: client._client.subscribe(TOP).open())
    client._background.call(go)
    with pytest.raises(ReconnectsExhausted):
        list(watch)
    with pytest.raises(ReconnectsExhausted):
        client.get_server_time()
    with pytest.raises(ReconnectsExhausted):
        client.close()
    client.close()
    assert "ended by ReconnectsExhausted" in repr(client)


FORGETFUL = """
import ccrs_core
from tests.toy import Toy, ToyServer
from tests.watching import TOP
from ccrs_core.transport.memory import MemoryTransport

client = ccrs_core.sync.connect(Toy(), transport=MemoryTransport(ToyServer())).open()
watch = client.watch(TOP, seconds=0.1)
print(list(watch))
watch = client.watch(TOP)
print(client.get_server_time() > 0)
"""


def test_a_script_that_forgets_to_close_ends_all_the_same() -> None:
    command = [sys.executable, "-W", "error", "-c", FORGETFUL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split()[-1], done.stderr, done.returncode) == ("True", "", 0)
