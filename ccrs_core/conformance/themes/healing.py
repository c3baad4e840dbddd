"""Faults come to an end, and are told of: silence, missing answers, dead peers, refused logins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from ccrs_core.conformance.judges.agreement import (
    Order,
    Watch,
    disagreement,
    healing_time,
    interest_of,
    path_of,
    topic_pattern,
    watching,
    world_of,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.spy import SpiedExchange
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.codec import Ack, Pong
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.errors import AuthError, SubscriptionRefused
from ccrs_core.model.events import Reason, Resumed, Stale
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.options import Options

_IMPATIENT = Options(backoff_initial=0.2, backoff_max=2.0, stable_after=2.0)
_EPSILON = 0.1
"""Slack (s) for the grain of timers and rounding."""


class HealingProperties:
    """What single faults lead to, and that all is well again after them."""

    @proves(31, quick=False)
    def test_after_each_kind_of_fault_all_is_as_wanted_again(self, subject: Subject) -> None:
        """After any single fault that ends, every connection is up again and subscribed to exactly
        what is wanted, within the time that noticing and healing may take."""
        for subscriptions in of_each_route(subject).values():
            self._menu(subject, subscriptions)

    def _menu(self, subject: Subject, subscriptions: list[Subscription]) -> None:
        menu = [
            "drop", "close,code=1001", "half_open", "refuse,duration=3", "no_ack,duration=7",
            "slow_ack,seconds=6,duration=4", "slow_handshake,seconds=4,duration=9", "stall_all",
            "stall", "delay,seconds=2", "duplicate,count=20", "truncate,count=2", "restart",
        ]  # fmt: skip

        async def scenario(world: World) -> None:
            bound = healing_time(world.exchange, subscriptions, _IMPATIENT)
            async with watching(world, *subscriptions) as watch:
                order = Order(subscriptions, world.exchange)
                await well(world, subject, watch, subscriptions, bound, "the start")
                left = subscriptions[1::2]
                await watch.feed.unsubscribe(*map(interest_of, left))
                kept = [sub for sub in subscriptions if sub not in left]
                await well(world, subject, watch, kept, bound, "unsubscribing from some")
                await watch.feed.subscribe(*map(interest_of, left))
                await well(world, subject, watch, subscriptions, bound, "subscribing again")
                order.take(watch.events)
                for fault in menu:
                    world.fault(fault)
                    if fault in {"refuse,duration=3", "no_ack,duration=7"} or "slow" in fault:
                        world.fault("drop")  # what they are about happens while connecting
                    await asyncio.sleep(9.0)
                    world.quieten()
                    await well(world, subject, watch, subscriptions, bound, fault)
                    order.take(watch.events)

        world_of(subject, rate=2.0, options=_IMPATIENT).run(scenario)

    @proves(32, quick=False)
    def test_a_stream_within_its_cadence_is_never_called_stale(self, subject: Subject) -> None:
        """A subscription that gets its frames within ``max_silence`` never yields ``Stale``, even
        where hardly anything happens in its market."""
        paced = with_cadence(subject)
        longest = max(subject.exchange.max_silence(sub) or 0.0 for sub in paced)

        async def scenario(world: World) -> None:
            async with watching(world, *paced) as watch:
                await asyncio.sleep(longest * 2.2)
                stale = watch.notices(Stale)
                assert not stale, (
                    f"{stale[0]}: in a healthy market Exchange.max_silence promises a frame at "
                    "least that often; raise it (or return None where silence proves nothing), or "
                    "let the dialect repeat its state as the exchange does"
                )

        world_of(subject, rate=0.001).run(scenario)

    @proves(32)
    def test_a_stream_that_falls_silent_is_called_stale_in_time(self, subject: Subject) -> None:
        """A subscription that gets no frame for ``max_silence`` yields ``Stale`` then, not earlier,
        and ``Resumed`` once its data flows again."""
        for sub in with_cadence(subject):
            self._falls_silent(subject, sub)

    def _falls_silent(self, subject: Subject, sub: Subscription) -> None:
        silence = subject.exchange.max_silence(sub) or 0.0
        bound = healing_time(subject.exchange, [sub], Options())

        async def scenario(world: World) -> None:
            async with watching(world, sub) as watch:
                await asyncio.sleep(2.0)
                assert watch.of(sub), f"{sub} brought nothing within 2 s of subscribing"
                world.fault(f"stall,topic={topic_pattern(subject, sub)}")
                await asyncio.sleep(silence + _EPSILON)
                _check_stale(watch, sub, silence)
                world.quieten()
                for _ in range(round(bound)):
                    if any(isinstance(event, Resumed) for event in watch.of(sub)):
                        return
                    await asyncio.sleep(1.0)
                raise AssertionError(f"{sub} was stale and is not resumed {bound:.0f} s after")

        world_of(subject, rate=2.0).run(scenario)

    @proves(33)
    def test_a_missing_acknowledgement_is_asked_for_again_then_told(self, subject: Subject) -> None:
        """A subscribe request without answer is repeated, then surfaced as an error, and its
        subscription is never reported as active."""
        for sub in one_of_each_route(subject):
            self._unacknowledged(subject, sub)

    def _unacknowledged(self, subject: Subject, sub: Subscription) -> None:
        spy = SpiedExchange(subject.make())
        venue = subject.venue(rate=2.0)
        venue.faults.add("no_ack")
        venue.faults.add("stall")
        world = World(spy, venue)

        async def scenario(world: World) -> None:
            patience = Options().patience
            until = patience.ack * patience.ack_attempts + 2.0
            async with watching(world, sub) as watch:
                for _ in range(round(until * 4)):
                    await asyncio.sleep(0.25)
                    (status,) = world.client.status().subscriptions
                    assert not status.state.acknowledged, (
                        f"{sub} is reported as active though the exchange has not acknowledged it; "
                        "decode only the exchange's answer as Ack"
                    )
                requests = [asked for asked in spy.asked if asked.subscribe]
                assert len(requests) >= patience.ack_attempts, (
                    f"{len(requests)} subscribe requests in {until:g} s without an answer"
                )
                refused = [e for _, e in watch.errors if isinstance(e, SubscriptionRefused)]
                assert len(refused) == 1, f"{sub}: surfaced {len(refused)} times, not once"
                world.quieten()
                await asyncio.sleep(2 * patience.ack)
                (status,) = world.client.status().subscriptions
                assert status.state.acknowledged, (
                    f"{sub} is {status.state.value} after the exchange answers again"
                )

        world.run(scenario)

    @proves(34)
    def test_a_peer_that_vanished_is_noticed_in_time(self, subject: Subject) -> None:
        """A half-open connection is given up within the heartbeat's interval and timeout after its
        last frame, and replaced."""
        for sub in one_of_each_route(subject):
            beat = subject.exchange.codec(subject.exchange.route(sub)).heartbeat
            limit = Options().patience.idle if beat is None else beat.interval + beat.timeout
            self._vanished(subject, sub, limit)

    def _vanished(self, subject: Subject, sub: Subscription, limit: float) -> None:
        async def scenario(world: World) -> None:
            async with watching(world, sub) as watch:
                await asyncio.sleep(3.0)
                assert len(world.tap.attempts) == 1, (
                    f"{sub}: several connections were dialled before anything was wrong"
                )
                world.fault("half_open")
                await asyncio.sleep(limit + _EPSILON)
                stale = watch.notices(Stale)
                assert stale, f"{sub}: a dead connection goes unnoticed for {limit:g} s"
                assert stale[0].reason in {Reason.DISCONNECTED, Reason.SILENT}, (
                    f"{sub}: a dead connection is told of as {stale[0].reason}"
                )
                await asyncio.sleep(_IMPATIENT.backoff_max + 1.0)
                assert len(world.tap.attempts) == 2, "a dead connection must be replaced, once"
                reason = disagreement(world, subject, watch.feed, [sub])
                assert reason is None, reason

        world_of(subject, rate=2.0, options=_IMPATIENT).run(scenario)

    @proves(34, quick=False)
    def test_heartbeats_keep_a_quiet_connection_alive(self, subject: Subject) -> None:
        """A connection on which nothing happens is neither hung up by the exchange nor given up by
        the client."""
        for sub in quietest_of_each_route(subject):
            self._quiet(subject, sub)

    def _quiet(self, subject: Subject, sub: Subscription) -> None:
        exchange = subject.exchange
        route = exchange.route(sub)
        beat = exchange.codec(route).heartbeat
        idle = subject.line().open(route).peer.visitor.idle_timeout or 0.0
        dead = Options().patience.idle if beat is None else beat.interval + beat.timeout

        async def scenario(world: World) -> None:
            async with watching(world, sub):
                await asyncio.sleep(max(idle, dead) * 1.5)
                (link,) = world.client.status().connections
                assert len(world.tap.attempts) == 1, (
                    f"a quiet connection to {route.url} was opened {len(world.tap.attempts)} times "
                    f"in {max(idle, dead) * 1.5:g} s, last error {link.last_error!r}: "
                    + (
                        "set Codec.heartbeat"
                        if beat is None
                        else f"the heartbeat is {beat}; does Codec.ping() write a frame that the "
                        "exchange answers, and often enough for its own idle timeout?"
                    )
                )

        world_of(subject, rate=0.001, options=_IMPATIENT).run(scenario)

    @proves(34)
    def test_the_answer_to_a_heartbeat_is_a_sign_of_life(self, subject: Subject) -> None:
        """``Codec.ping()`` writes a frame that the exchange answers, and the answer decodes to
        ``Pong``."""
        for sub in one_of_each_route(subject):
            route = subject.exchange.route(sub)
            wire = subject.line().open(route)
            wire.take()
            frame = wire.codec.ping("17")
            if wire.codec.heartbeat is None or frame is None:
                continue  # protocol-level pings are the transport's
            answer = wire.send(frame)
            assert any(isinstance(m, Pong) for m in answer), (
                f"the exchange answers the heartbeat {frame!r} on {route.url} with "
                f"{wire.frames[-1:]!r}, which decodes to {answer}: the frame must be the "
                "exchange's ping, and its pong decode to Pong()"
            )

    @proves(43)
    def test_a_probe_is_answered_after_all_that_was_sent_before(self, subject: Subject) -> None:
        """Where several connections can be merged, ``Codec.probe()`` writes a frame that the
        exchange answers, once, and the answer decodes to ``Pong`` or to the ``Ack`` of it: by that
        alone the core knows that the loss of a connection cost nothing."""
        for sub in one_of_each_route(subject):
            route = subject.exchange.route(sub)
            if route.sequence_scope is not SequenceScope.GLOBAL:
                continue
            wire = subject.line().open(route)
            wire.subscribe(sub)
            wire.take()
            frame = wire.codec.probe("17")
            assert frame is not None, (
                f"Codec.probe() writes nothing on {route.url}: where ping() stands for the "
                "WebSocket's own frame, let probe() write a small request that is answered at once"
            )
            answer = wire.send(frame)
            proofs = [m for m in answer if isinstance(m, Pong) or m == Ack("17")]
            assert len(proofs) == 1, (
                f"the exchange answers the probe {frame!r} on {route.url} with "
                f"{wire.frames[-1:]!r}, which decodes to {answer}, not to one Pong or Ack('17')"
            )
            unasked = [m for m in wire.run(4.0) if isinstance(m, Pong)]
            assert not unasked, f"{unasked[0]} came unasked: only answers are a Pong"

    @proves(36, against=Against.NOTHING)
    def test_pauses_between_attempts_are_random_and_bounded(self, subject: Subject) -> None:
        """Back-off grows to its cap, with jitter, and never beyond."""
        sub = one_of_each_route(subject)[0]
        options = Options(backoff_initial=0.5, backoff_max=8.0)

        async def scenario(world: World) -> list[float]:
            world.fault("refuse")
            async with watching(world, sub):
                await asyncio.sleep(200.0)
            times = [at for at, _ in world.tap.attempts]
            return [b - a for a, b in pairwise(times)]

        pauses = world_of(subject, options=options).run(scenario)
        for n, pause in enumerate(pauses):
            most = min(options.backoff_max, options.backoff_initial * 2**n)
            assert pause <= most + _EPSILON, f"the {n + 1}. pause was {pause:.2f} s, above {most} s"
        late = sorted(pauses[6:])
        assert late[-1] > options.backoff_max * 0.6, f"the pauses don't grow: {pauses}"
        assert late[0] < options.backoff_max * 0.5, f"the pauses have no jitter: {pauses}"

    @proves(36, against=Against.NOTHING)
    def test_only_a_stable_connection_ends_the_back_off(self, subject: Subject) -> None:
        """Back-off goes on growing while connections end at once, and begins anew after one that
        brought data for ``stable_after`` seconds."""
        sub = chattiest(subject)
        options = Options(backoff_initial=0.2, backoff_max=30.0, stable_after=5.0)

        async def scenario(world: World) -> None:
            async with watching(world, sub):
                await asyncio.sleep(1.0)
                flapping = world.venue.faults.add("drop,every=1")
                await asyncio.sleep(240.0)
                flapping.cancel()
                (link,) = world.client.status().connections
                assert link.failures >= 6, (
                    f"after 240 s of connections that last a second, {link.failures} failures "
                    "count: unstable connections must not reset the back-off"
                )
                for _ in range(60):
                    await asyncio.sleep(1.0)
                    (link,) = world.client.status().connections
                    if link.state == "open":
                        break
                await asyncio.sleep(options.stable_after + 2.0)
                attempts = len(world.tap.attempts)
                world.fault("drop")
                # The drop comes with the exchange's next event.
                await asyncio.sleep(options.backoff_initial + 1.0)
                assert len(world.tap.attempts) == attempts + 1, (
                    "after a stable connection with data the back-off must begin anew"
                )

        world_of(subject, rate=5.0, options=options).run(scenario)

    @proves(44, against=Against.NOTHING)
    def test_a_refused_login_ends_the_client_once(self, subject: Subject) -> None:
        """A login that the exchange refuses is raised once and never tried again."""
        found = [c.subscription for c in subject.cases() if _route(subject, c).private]
        if not found:
            subject.undeclared("private route")

        async def scenario(world: World) -> None:
            async with watching(world, found[0]):
                await asyncio.sleep(120.0)

        world = world_of(subject, credentials=Credentials("no such key", "wrong secret"))
        try:
            world.run(scenario)
        except AuthError:
            dialled = len(world.tap.attempts)
            assert dialled == 1, f"a refused login was tried {dialled} times"
        else:
            raise AssertionError(
                "the exchange takes any login: let the dialect refuse a wrong signature, and the "
                "codec decode its answer to LoginRefused"
            )


# --- which subscriptions to try ---


def _route(subject: Subject, case: Case) -> Route:
    return subject.exchange.route(case.subscription)


def of_each_route(subject: Subject) -> dict[Route, list[Subscription]]:
    """The declared public channels by route."""
    found: dict[Route, list[Subscription]] = {}
    for case in subject.cases():
        route = _route(subject, case)
        if not route.private:
            found.setdefault(route, []).append(case.subscription)
    if not found:
        subject.undeclared("public channel")
    return found


def one_of_each_route(subject: Subject) -> list[Subscription]:
    """A subscription of each route, one with a cadence where there is one."""
    silence = subject.exchange.max_silence
    return [
        min(subs, key=lambda sub: (silence(sub) is None, silence(sub) or 0.0))
        for subs in of_each_route(subject).values()
    ]


def quietest_of_each_route(subject: Subject) -> list[Subscription]:
    """A subscription of each route, one without a cadence where there is one."""
    silence = subject.exchange.max_silence
    return [
        max(subs, key=lambda sub: (silence(sub) is None, silence(sub) or 0.0))
        for subs in of_each_route(subject).values()
    ]


def with_cadence(subject: Subject) -> list[Subscription]:
    """A subscription of each channel that declares a cadence."""
    silence = subject.exchange.max_silence
    found = [sub for subs in of_each_route(subject).values() for sub in subs if silence(sub)]
    if not found:
        subject.undeclared("max_silence of any channel")
    return found


def chattiest(subject: Subject) -> Subscription:
    """The subscription with the shortest cadence, whose data come most reliably."""
    silence = subject.exchange.max_silence
    subs = [sub for subs in of_each_route(subject).values() for sub in subs]
    return min(subs, key=lambda sub: (silence(sub) is None, silence(sub) or 0.0))


# --- judging ---


async def well(
    world: World,
    subject: Subject,
    watch: Watch,
    subscriptions: Sequence[Subscription],
    bound: float,
    after: str,
) -> None:
    """Wait until client and exchange agree about what is subscribed, at most for the bound."""
    reason: str | None = ""
    for _ in range(round(bound)):
        reason = disagreement(world, subject, watch.feed, subscriptions)
        if reason is None:
            return
        await asyncio.sleep(1.0)
    paths = {path_of(world.exchange, world.exchange.route(s)) for s in subscriptions}
    raise AssertionError(f"{bound:.0f} s after {after} ({', '.join(sorted(paths))}): {reason}")


def _check_stale(watch: Watch, sub: Subscription, silence: float) -> None:
    stale = [event for event in watch.of(sub) if isinstance(event, Stale)]
    assert stale, f"{sub} brought nothing for {silence:g} s, its max_silence: no Stale tells it"
    silent = (stale[0].silent_ns or 0) / 1e9
    assert stale[0].reason is Reason.SILENT, f"{stale[0]}, though the connection is alive"
    assert abs(silent - silence) <= 1.0, (
        f"{sub} was called stale after {silent:.2f} s, its max_silence is {silence:g} s"
    )
