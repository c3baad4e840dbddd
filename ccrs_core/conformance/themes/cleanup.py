"""Cancellation, and what remains after the end (62-65): nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st

from ccrs_core.client.client import Client, connect
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Case, Subject, requests_of
from ccrs_core.conformance.workbench.threads import started
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import EmulatorServer
from ccrs_core.errors import ReconnectsExhausted
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import Policy
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.subscriptions import Channel, Interest
from ccrs_core.transport.options import Options

_LIVELIEST = (Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK)
_LATENCY = 0.01
"""Virtual seconds that connecting and each request take, so that there is something to cancel."""
_MOMENTS = st.sampled_from([0.0, 0.005, 0.01, 0.015, 0.025, 0.5])
_LOOP_STEPS = st.integers(0, 6)


def lively(subject: Subject, count: int) -> Sequence[Case]:
    """Up to so many cases of one market, of channels that bring something all the time."""
    cases = subject.cases()
    order = {channel: at for at, channel in enumerate(_LIVELIEST)}
    cases.sort(key=lambda case: order.get(case.channel, len(order)))
    return [case for case in cases if case.market is cases[0].market][:count]


async def first_events(feed: Feed, count: int) -> list[AnyEvent]:
    """The next events of a feed."""
    reader = aiter(feed)
    return [await anext(reader) for _ in range(count)]


Call = Callable[[Client, Feed], Awaitable[object]]
"""Something that a user awaits, given an open client and an open feed."""


def _calls(subject: Subject, case: Case, more: Interest) -> dict[str, Call]:
    """Every call of the client and its feeds that waits, by name."""

    async def subscribe(client: Client, feed: Feed) -> None:
        async with client.subscribe(case.interest) as other:
            await other.ready()
            await first_events(other, 2)

    async def life(client: Client, feed: Feed) -> None:
        # A blocking feed has a connection of its own, which is dialled and closed.
        other = client.subscribe(more, policy=Policy.BLOCK)
        async with other:
            await other.ready()
        await other.aclose()

    async def callback(client: Client, feed: Feed) -> None:
        async with client.subscribe(case.interest, callback=lambda event: None):
            await asyncio.sleep(0.02)

    async def change(client: Client, feed: Feed) -> None:
        await feed.subscribe(more)
        await feed.ready()
        await feed.unsubscribe(more)

    async def remove(client: Client, feed: Feed) -> None:
        await feed.unsubscribe(more)

    async def replace(client: Client, feed: Feed) -> None:
        await feed.unsubscribe(case.interest)
        await feed.subscribe(case.interest)

    async def batch(client: Client, feed: Feed) -> None:
        await anext(feed.batches())

    calls: dict[str, Call] = {
        "async with client.subscribe()": subscribe,
        "feed.ready() and feed.aclose()": life,
        "a feed with a callback": callback,
        "feed.subscribe() and feed.unsubscribe()": change,
        "feed.unsubscribe()": remove,
        "feed.unsubscribe() and feed.subscribe()": replace,
        "feed.batches()": batch,
        "anext(feed)": lambda client, feed: first_events(feed, 1),
    }
    for request in requests_of(subject, case.subscription.instrument):
        calls[type(request).__name__] = lambda client, feed, request=request: client.request(  # type: ignore[misc]
            request
        )
    if "GetInstruments" in calls:
        symbol = case.subscription.symbol
        calls["client.instrument()"] = lambda client, feed: client.instrument(symbol)
        calls["client.get_instruments()"] = lambda client, feed: client.get_instruments(case.market)
    return calls


def _slow(world: World) -> None:
    """Let connecting and requests take time, as they do in life."""
    tap = world.tap
    connect_now, request_now = tap.connect, tap.request

    async def connect_later(url: str, headers: Any = ()) -> Any:
        await asyncio.sleep(_LATENCY)
        connection = await connect_now(url, headers)
        try:
            await asyncio.sleep(_LATENCY)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def request_later(base_url: str, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(_LATENCY)
        response = await request_now(base_url, request)
        await asyncio.sleep(_LATENCY)
        return response

    tap.connect = connect_later  # type: ignore[method-assign]
    tap.request = request_later  # type: ignore[method-assign]


async def _until(seconds: float, steps: int) -> None:
    """A moment: so much time, and then so many turns of the loop."""
    await asyncio.sleep(seconds)
    for _ in range(steps):
        await asyncio.sleep(0)


async def _cancel(task: asyncio.Task[Any], name: str) -> None:
    """Cancel a task, which ends cancelled unless it had finished by itself."""
    pending = not task.done()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=30.0)
    assert done, f"{name} went on for 30 s after it was cancelled"
    if pending:
        assert task.cancelled(), f"{name} swallowed its cancellation: it " + (
            "returned" if task.exception() is None else f"raised {task.exception()!r}"
        )
    elif not task.cancelled():
        task.result()


class CleanupProperties:
    """What holds when anything is cancelled or closed at any moment."""

    # --- 62, 64: cancellation ---

    @proves(62, against=Against.NOTHING, quick=False)
    def test_cancelling_any_call_at_any_point_leaves_everything_consistent(
        self, subject: Subject
    ) -> None:
        """Any awaiting call of client and feeds can be cancelled at any await point: it ends with
        CancelledError, the same call works when made again, other feeds stay as they were, and
        nothing remains subscribed that nobody wants."""
        case, *others = lively(subject, 2)
        more = (others or [case])[0].interest
        calls = _calls(subject, case, more)

        def check(name: str, call: Call, seconds: float, steps: int) -> None:
            async def scenario(world: World) -> None:
                _slow(world)
                client = world.client
                kept = client.subscribe(case.interest)
                async with kept, client.subscribe(case.interest, more) as feed:
                    await subscribed(kept)
                    task = asyncio.ensure_future(call(client, feed))
                    await _until(seconds, steps)
                    await _cancel(task, name)
                    async with asyncio.timeout(30.0):
                        await call(client, feed)
                        again = set(feed.interests)
                        # Both are no changes where the cancelled call was carried out.
                        await feed.subscribe(case.interest)
                        await feed.unsubscribe(*(again - {case.interest}))
                        await first_events(feed, 1)
                    assert len(client.status().feeds) == 2, "a feed of a cancelled call remains"
                    assert len(client.status().subscriptions) == 1, (
                        f"subscriptions remain after {name} was cancelled and repeated: "
                        f"{client.status().subscriptions}"
                    )
                    async with asyncio.timeout(30.0):
                        batch = await anext(kept.batches())
                    feed_notices = [e for e in batch if e.channel is None]
                    assert not feed_notices, (
                        f"another feed was told {feed_notices[0]} because {name} was cancelled"
                    )
                await settle(0.1)
                status = client.status()
                assert not status.feeds, "feeds remain after all have been closed"
                assert not status.subscriptions, "subscriptions remain after all have been closed"
                assert not status.connections, "connections remain after all feeds were closed"
                assert not world.venue.peers, "the exchange still has a connection of closed feeds"

            subject.world(rate=20.0).run(scenario)

        def cancelling(name: str, call: Call) -> Callable[[float, int], None]:
            def cancelled(seconds: float, steps: int) -> None:
                check(name, call, seconds, steps)

            return cancelled

        for name, call in calls.items():
            subject.check(cancelling(name, call), _MOMENTS, _LOOP_STEPS, examples=24)

    @proves(64, against=Against.NOTHING)
    def test_a_cancelled_program_ends_cancelled_wherever_it_is(self, subject: Subject) -> None:
        """CancelledError is never swallowed: a program cancelled at any moment between opening the
        client and its end raises CancelledError, and nothing else."""
        cases = lively(subject, 2)

        def check(seconds: float, steps: int) -> None:
            world = subject.world(rate=20.0)
            _slow(world)

            async def program() -> None:
                async with world._connect() as world.client:
                    await use(world.client, cases)

            async def main() -> None:
                task = asyncio.ensure_future(program())
                await _until(seconds, steps)
                await _cancel(task, "a program")

            run(world, main())

        with _only_new_objects():
            subject.check(check, _MOMENTS, _LOOP_STEPS, examples=30)

    @proves(64, against=Against.NOTHING)
    def test_what_goes_wrong_leaves_the_client_as_one_exception(self, subject: Subject) -> None:
        """An exception of the program, of a callback or of a connection leaves the client's block
        as itself; several at once leave as one ExceptionGroup of exactly those."""
        cases = lively(subject, 1)
        interests = [case.interest for case in cases]

        async def program(world: World) -> None:
            async with world.client.subscribe(*interests) as feed:
                await first_events(feed, 1)
                raise _Mistake

        with pytest.raises(_Mistake):
            subject.world().run(program)

        def callback(event: AnyEvent) -> None:
            raise _Mistake

        async def with_callback(world: World) -> None:
            async with world.client.subscribe(*interests, callback=callback):
                await settle(5.0)

        with pytest.raises(_Mistake):
            subject.world().run(with_callback)

        options = Options(max_failures=1)

        async def unreachable(world: World) -> None:
            world.fault("refuse,status=503")
            async with world.client.subscribe(*interests) as feed:
                await first_events(feed, 1)

        with pytest.raises(ReconnectsExhausted):
            subject.world(options=options).run(unreachable)

        async def both(world: World) -> None:
            world.fault("refuse,status=503")
            async with world.client.subscribe(*interests):
                try:
                    await settle(60.0)
                finally:
                    raise _Mistake

        with pytest.raises(BaseExceptionGroup) as told:
            subject.world(options=options).run(both)
        kinds = {type(error) for error in told.value.exceptions}
        assert kinds == {_Mistake, ReconnectsExhausted}, f"the group has {kinds}"

    # --- 63: after the end ---

    @proves(63, against=Against.NOTHING)
    def test_nothing_remains_after_closing_at_any_moment(self, subject: Subject) -> None:
        """Whenever the client is closed, be it while dialling, subscribing or reading, no task,
        timer, connection, pending future or unclosed resource remains."""
        cases = lively(subject, 2)

        def check(seconds: float, steps: int, fault: str | None, hasty: bool) -> None:
            # Hasty clients are always about to replace a connection.
            options = Options(max_connection_age=0.4 if hasty else None)
            world = subject.world(rate=20.0, options=options)
            _slow(world)
            if fault is not None:
                world.fault(fault)

            async def main() -> None:
                client = world._connect()
                async with client:
                    user = asyncio.ensure_future(use(client, cases))
                    await _until(seconds, steps)
                # A program that goes on using a closed client is told so, and never left hanging.
                user.cancel()
                await asyncio.wait([user])
                if not user.cancelled():
                    user.exception()

            run(world, main())

        faults = st.sampled_from([None, None, "half_open", "refuse,status=503", "no_ack"])
        with _only_new_objects():
            subject.check(check, _MOMENTS, _LOOP_STEPS, faults, st.booleans(), examples=50)

    @proves(63, against=Against.NOTHING)
    def test_nothing_remains_after_closing_over_real_sockets(self, subject: Subject) -> None:
        """The same over real sockets: after closing no task, thread, socket, timer or unclosed
        resource remains, and the exchange sees every connection end."""
        cases = lively(subject, 2)
        moments = [0.0, 0.0005, 0.001, 0.003, 0.005, 0.01, 0.02, 0.04]
        count = subject.profile.examples(12)

        async def main() -> None:
            async with EmulatorServer(subject.dialect(), seed=subject.seed) as server:
                running = asyncio.all_tasks()
                for at in range(count):
                    await _once(server, moments[at % len(moments)])
                await ends(lambda: not server.connections, "the exchange's end of a connection")
                await ends(lambda: asyncio.all_tasks() <= running, "a task of the client")

        async def _once(server: EmulatorServer, seconds: float) -> None:
            async with connect(subject.make(), base_url=server.url) as client:
                user = asyncio.ensure_future(use(client, cases))
                await asyncio.sleep(seconds)
            user.cancel()
            await asyncio.wait([user])
            if not user.cancelled():
                user.exception()

        with started() as threads, no_resource_warnings():
            asyncio.run(main())
        left = [thread for thread in threads if thread.is_alive()]
        assert not left, f"threads remain after closing: {left}"


class _Mistake(Exception):
    """A program's own fault."""


async def use(client: Client, cases: Sequence[Case]) -> None:
    """A program that subscribes and reads for ever."""
    interests = [case.interest for case in cases]
    async with client.subscribe(*interests) as feed, client.subscribe(interests[0]) as other:
        await feed.ready()
        await first_events(other, 3)
        async for _ in feed:
            pass


def run(world: World, main: Coroutine[Any, Any, None]) -> None:
    """Run a scenario that opens the client itself; then nothing may remain in the loop."""
    loop = world.loop
    loop.set_exception_handler(world._unhandled)
    try:
        with no_resource_warnings():
            loop.run_until_complete(main)
            world._nothing_remains()
            timers = [t for t in loop._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
            assert not timers, f"timers remain after the client was closed: {timers}"
            pending = [
                found
                for found in gc.get_objects()
                if isinstance(found, asyncio.Future)
                and not found.done()
                and found.get_loop() is loop
            ]
            assert not pending, f"futures are pending after the client was closed: {pending}"
    finally:
        world._close()


@contextlib.contextmanager
def _only_new_objects() -> Iterator[None]:
    """Let the garbage collector look at what is made from here on only, which is much faster."""
    before = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        # What whoever runs the tests has set aside stays there.
        if not before:
            gc.unfreeze()


class no_resource_warnings:  # noqa: N801 - used like a function
    """Fails where something was left to the garbage collector to close."""

    def __enter__(self) -> None:
        gc.collect()
        self._catch = warnings.catch_warnings(record=True)
        self._seen = self._catch.__enter__()
        warnings.simplefilter("always")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        gc.collect()
        self._catch.__exit__(None, None, None)
        if kind is None:
            left = [w for w in self._seen or () if issubclass(w.category, ResourceWarning)]
            never = [w for w in self._seen or () if "was never awaited" in str(w.message)]
            assert not left, f"something was not closed: {left[0].message}"
            assert not never, str(never[0].message)


async def ends(condition: Callable[[], bool], what: str) -> None:
    """Wait for what takes a few turns of the loop to go."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{what} remains 5 s after the client was closed")
