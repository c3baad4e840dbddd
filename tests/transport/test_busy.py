"""The busy loop does all that a loop does, and sleeps only where it was told to."""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

import ccrs_core
from ccrs_core import TopOfBook, UsageError, busy_loop, top_of_book
from ccrs_core.transport import busy
from ccrs_core.transport.busy import BusySelector

T = TypeVar("T")

SECONDS = 20.0
"""No test comes near it; one that hangs fails by it."""

SELECTORS = [
    getattr(selectors, name)
    for name in ("SelectSelector", "PollSelector", "EpollSelector", "KqueueSelector")
    if hasattr(selectors, name)
]


class Watched(selectors.DefaultSelector):
    """Notes for how long it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: set[float | None] = set()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.waits.add(timeout)
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        return found


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = busy_loop,
) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(SECONDS):
            return await main()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(bounded())


def on(selector: selectors.BaseSelector) -> Callable[[], asyncio.AbstractEventLoop]:
    return lambda: asyncio.SelectorEventLoop(selector)


async def echoed(words: int) -> list[bytes]:
    """Words that another thread sends back, one after the other."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()

    def echo() -> None:
        with far:
            while word := far.recv(16):
                far.sendall(word.upper())

    thread = threading.Thread(target=echo)
    thread.start()
    with near:
        near.setblocking(False)
        heard = []
        for n in range(words):
            await loop.sock_sendall(near, b"word %d" % n)
            heard.append(await loop.sock_recv(near, 16))
    thread.join(SECONDS)
    return heard


# --- it is a loop ---


@pytest.mark.parametrize("inner", SELECTORS)
def test_bytes_come_and_go_on_every_selector(inner: Callable[[], selectors.BaseSelector]) -> None:
    heard = run(lambda: echoed(50), on(BusySelector(inner())))
    assert heard == [b"WORD %d" % n for n in range(50)]


def test_it_never_sleeps_in_the_kernel_neither_for_bytes_nor_for_timers_nor_for_threads() -> None:
    watched = Watched()

    async def main() -> None:
        await echoed(5)
        await asyncio.sleep(0.002)
        await asyncio.to_thread(int)

    run(main, on(BusySelector(watched)))
    assert watched.waits == {0}


def test_other_threads_reach_it() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        reached: list[int] = []
        done = loop.create_future()

        def call() -> None:
            for n in range(100):
                loop.call_soon_threadsafe(reached.append, n)
            loop.call_soon_threadsafe(done.set_result, None)

        thread = threading.Thread(target=call)
        thread.start()
        await done
        thread.join()
        return reached

    assert run(main) == [*range(100)]


def test_other_threads_get_on_with_their_work_while_it_spins() -> None:
    def work() -> int:
        return sum(n * n for n in range(100_000))  # in Python, which takes the lock

    async def main() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(work) for _ in range(3)))

    assert run(main) == [work()] * 3


def test_timers_fire_in_order_and_never_early() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, float]] = []
        done = loop.create_future()
        start = loop.time()

        def fire(due: float) -> None:
            fired.append((due, loop.time()))

        for n in (5, 1, 3, 2, 4):
            loop.call_at(start + n / 1_000, fire, start + n / 1_000)
        loop.call_at(start + 0.006, done.set_result, None)
        await done
        assert [due for due, _ in fired] == sorted(due for due, _ in fired)
        return [now - due for due, now in fired]

    late = run(main)
    assert len(late) == 5
    assert min(late) > -1e-6  # the loop itself rounds by the clock's resolution


def test_a_timer_is_not_kept_waiting_by_bytes_that_never_end() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            far.send(b"never read, and thus always ready")
            loop.add_reader(near, int)
            await asyncio.sleep(0.002)
            loop.remove_reader(near)

    run(main)


INTERRUPTED = """
import asyncio, signal, threading
from ccrs_core import busy_loop

async def main():
    def interrupt():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    # Sent by a thread, as the loop has nothing left to do but spin.
    asyncio.get_running_loop().call_soon(threading.Thread(target=interrupt).start)
    await asyncio.Event().wait()

try:
    with asyncio.Runner(loop_factory=busy_loop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads")
def test_ctrl_c_interrupts_it_while_it_spins() -> None:
    # In a process of its own: whoever runs the tests must not be interrupted with it.
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal handlers of loops")
def test_signal_handlers_of_the_loop_are_called() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, called.set)
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        await called.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main)


def test_a_client_runs_on_it() -> None:
    async def main() -> int:
        async with (
            ccrs_core.connect("bybit", environment="emulator", rate=500.0) as client,
            client.subscribe(top_of_book("BTC/USDT"), connections=2) as feed,
        ):
            seen = 0
            async for event in feed:
                seen += isinstance(event, TopOfBook)
                if seen == 20:
                    break
            return seen

    assert run(main) == 20


# --- how long it spins ---


class Scripted(selectors.BaseSelector):
    """Ready at one moment of a clock that goes on by a second with every look without waiting."""

    def __init__(self, ready_at: float) -> None:
        self.now = 0.0
        self.ready_at = ready_at
        self.slept: list[float | None] = []
        self.looks = 0

    def monotonic(self) -> float:
        return self.now

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0:
            self.looks += 1
            self.now += 1
        else:
            self.slept.append(timeout)
            self.now = min(self.now + (math.inf if timeout is None else timeout), self.ready_at)
        return [(KEY, 1)] if self.now >= self.ready_at else []

    def register(self, *_: Any) -> selectors.SelectorKey:
        return KEY

    def unregister(self, *_: Any) -> selectors.SelectorKey:
        return KEY

    def get_map(self) -> dict[Any, selectors.SelectorKey]:
        return {0: KEY}


KEY = selectors.SelectorKey(0, 0, 0, None)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted(ready_at=1_000)
    monkeypatch.setattr(busy, "SYSTEM_CLOCK", made)
    return made


@pytest.mark.parametrize("timeout", [None, 5_000])
def test_without_a_limit_it_spins_until_something_arrives(
    scripted: Scripted, timeout: float | None
) -> None:
    assert BusySelector(scripted).select(timeout) == [(KEY, 1)]
    assert (scripted.slept, scripted.looks) == ([], 1_000)


@pytest.mark.parametrize("idle_after", [None, 0.0, 3, 500])
def test_it_returns_without_anything_once_the_time_is_over(
    scripted: Scripted, idle_after: float | None
) -> None:
    assert BusySelector(scripted, idle_after).select(100) == []
    assert 100 <= scripted.now <= 102


@pytest.mark.parametrize("idle_after", [None, 0.0, 3])
@pytest.mark.parametrize("timeout", [0, -1])
def test_asked_not_to_wait_it_looks_once(
    scripted: Scripted, idle_after: float | None, timeout: float
) -> None:
    assert BusySelector(scripted, idle_after).select(timeout) == []
    assert (scripted.slept, scripted.looks) == ([], 1)


def test_with_a_limit_it_sleeps_once_nothing_arrived_for_so_long(scripted: Scripted) -> None:
    selector = BusySelector(scripted, 300)
    assert selector.select(None) == [(KEY, 1)]
    assert (scripted.slept, scripted.looks) == ([None], 300)


def test_what_arrives_makes_it_spin_again(scripted: Scripted) -> None:
    selector = BusySelector(scripted, 300)
    selector.select(None)
    scripted.ready_at = 1_200
    assert selector.select(None) == [(KEY, 1)]
    assert (scripted.slept, scripted.looks) == ([None], 300 + 200)


def test_timers_do_not_keep_it_awake(scripted: Scripted) -> None:
    selector = BusySelector(scripted, 300)
    for _ in range(9):
        assert selector.select(100) == []
    assert scripted.looks < 320
    assert sum(wait or 0 for wait in scripted.slept) > 900 - 320


def test_with_a_limit_of_zero_it_is_an_ordinary_loop() -> None:
    assert len(run(lambda: echoed(5), on(BusySelector(Watched(), 0.0)))) == 5
    watched = Watched()
    idle = BusySelector(watched, 0.0)
    assert idle.select(0.02) == []
    assert any(watched.waits)
    idle.close()


def test_woken_from_its_sleep_by_a_byte_or_a_thread_it_goes_on() -> None:
    async def main() -> list[bytes]:
        await asyncio.to_thread(int)
        return await echoed(20)

    assert len(run(main, functools.partial(busy_loop, idle_after=1e-4))) == 20


@pytest.mark.parametrize("idle_after", [-1.0, math.nan])
def test_a_limit_that_is_no_time_is_refused(idle_after: float) -> None:
    with pytest.raises(UsageError, match="idle_after must be seconds from zero"):
        busy_loop(idle_after=idle_after)


def test_closing_it_closes_the_selector() -> None:
    inner = selectors.DefaultSelector()
    near, far = socket.socketpair()
    with near, far:
        busy_selector = BusySelector(inner)
        busy_selector.register(near, selectors.EVENT_READ)
        assert [*inner.get_map()] == [near.fileno()]
        asyncio.SelectorEventLoop(busy_selector).close()
    with pytest.raises((RuntimeError, KeyError)):
        inner.get_key(near)
    assert inner.get_map() is None
