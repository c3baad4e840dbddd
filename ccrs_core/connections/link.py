"""Keeps one connection alive: dials, backs off, carries out what its session asks for.

One task per connection reads; a second one lives only while something is to be sent; an alarm calls
``Session.tick``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ccrs_core.connections.age import Age
from ccrs_core.connections.alarm import Alarm
from ccrs_core.connections.backoff import jittered
from ccrs_core.connections.bursts import deliver
from ccrs_core.connections.carried import Carried, Consumer
from ccrs_core.connections.dialling import Dialler
from ccrs_core.connections.effects import (
    Acknowledged,
    Answered,
    Begun,
    Close,
    Counters,
    Effect,
    Replace,
    Send,
    Silent,
    Superseded,
    TopicRefused,
    Unanswered,
    Unreadable,
)
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.states import LinkState
from ccrs_core.connections.trail import Trail
from ccrs_core.connections.unread import UnreadLog, broken, tell_unanswered
from ccrs_core.contract.access import Access
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.codec import Data, EntryReply, Outbound, Unchanged
from ccrs_core.contract.exchange import Route
from ccrs_core.errors import (
    AuthError,
    CcrsError,
    ConnectionLost,
    ReconnectsExhausted,
)
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.base import Connection, serve
from ccrs_core.transport.masking import shown_url
from ccrs_core.transport.outbox import Made, Outbox
from ccrs_core.transport.pace import hang_up
from ccrs_core.transport.paths import Path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("ccrs.connections")

_SLICE = 64
"""Frames of a burst that are decoded before the first of them is delivered."""


class Parent(Protocol):
    """What a link asks of the shard that it belongs to."""

    route: Route
    account: Account | None
    """For which its connections log in."""
    topics: dict[str, Carried]
    runners: list[Runner]
    trail: Trail
    replaceable: set[str]

    def wanted(self) -> Sequence[Subscription]: ...
    def opened(self, link: Link) -> None: ...
    def lost(self, link: Link, session: Session) -> None: ...
    def acknowledged(self, link: Link, topic: str, now_ns: int) -> None: ...
    def refused(self, link: Link, effect: TopicRefused) -> None: ...
    def silent(self, link: Link, effect: Silent, now_ns: int) -> None: ...
    def unchanged(self, topic: str, now_ns: int) -> None: ...
    def unreadable(self, link: Link, effect: Unreadable, now_ns: int) -> None: ...
    def answered(self, link: Link, asked_at: float) -> None: ...
    def begun(self, link: Link) -> None: ...
    def entered(self, link: Link, reply: EntryReply, now_ns: int) -> None: ...
    def replacing(self) -> bool: ...
    def replace(self, link: Link, reason: str) -> None: ...
    def full_consumer(self) -> Consumer | None: ...


class Link:
    """One supervised connection of a shard, over all its reconnects."""

    def __init__(self, shard: Parent, shared: Shared, path: Path | None = None) -> None:
        self.shard = shard
        self.shared = shared
        self.context = context = shared.context
        self.number = next(shared.numbers)
        self.path = shared.paths.next() if path is None else path
        """How it reaches the exchange."""
        self.address = self.path.alternatives.url(shard.route)
        self.state = LinkState.WAITING
        self.session: Session | None = None
        self.runner = Runner(0)
        self.retired = False
        self.waits_for_handover = False
        """Connect, but subscribe to nothing yet."""
        self.successor: Link | None = None
        self.connects = 0
        self.failures = 0
        self._let_in = False
        self.heir = False
        """Whether it was opened in place of another one."""
        self.error: str | None = None
        self.connected_at_ns: int | None = None
        self.last_received_ns: int | None = None
        self.totals = Counters()
        self._connection: Connection | None = None
        self._dialler = Dialler(shared, self.path, shard.route, shard.account, self._replace)
        self._outbox: Outbox | None = None
        self._alarm = Alarm(context.clock, shared.pace, self._tick)
        self._age: Age | None = None
        self._fatal: AuthError | None = None
        self._close_reason = ""
        self._last_words = ""
        self._unread = UnreadLog(f"connection {self.number}")

    # --- the life of a link ---

    async def run(self) -> None:
        """Connect, serve, and do so again, until retired.

        :raises AuthError: where the exchange refuses the login.
        :raises ReconnectsExhausted: where the limit of failures is reached.
        """
        self.shared.pace.join(self._unobserved)
        try:
            if self._last_words:
                self._failed(self._last_words)
            while not self._done():
                if self.failures:
                    self._change(LinkState.WAITING)
                    await asyncio.sleep(jittered(self.failures, self.context.options, self._let_in))
                self.address = self.path.alternatives.url(self.shard.route)
                limits = self.context.stream_limits(self.address, self.path.exit)
                if limits.connections.full:
                    self.error = f"{self.url}: as many connections as it allows are open"
                    log.warning("connection %d waits: %s", self.number, self.error)
                await limits.connections.acquire()
                try:
                    await limits.connects.acquire()
                    self._change(LinkState.CONNECTING)
                    stable = await self._connect()
                finally:
                    limits.connections.release()
                if stable is None:
                    continue
                if self._fatal is not None:
                    raise self._fatal
                if self._done():
                    return
                if stable:
                    self.failures = 0
                self._failed(self._last_words)
        finally:
            self.shared.pace.leave(self._unobserved)
            self._change(LinkState.CLOSED)

    async def _connect(self) -> bool | None:
        """Connect, and serve that to its end: whether it was stable, None where none came about."""
        try:
            connection = await self._dialler.dial(self.address)
        except AuthError:
            raise
        except Exception as error:
            self._let_in = False
            self._failed(str(error) if isinstance(error, CcrsError) else broken(error, self.url))
            return None
        return await self._serve(connection)

    def _done(self) -> bool:
        return self.retired or self.successor is not None

    @property
    def url(self) -> str:
        """What is dialled, without what is secret in it."""
        return shown_url(self.address)

    def _inherit(self, old: Link, reason: str) -> None:
        """Take the place of another one. Where that had done so itself, and didn't last, this is a
        failure: what is replaced over and over waits as long as what is lost over and over."""
        lasted = self.context.clock.monotonic() - old.runner.opened_at
        self.heir = True
        if (old.heir or old.failures) and lasted < self.context.options.stable_after:
            self.failures, self._last_words = old.failures, reason

    def fail(self, reason: str) -> None:
        """Give this connection up and open it anew, as if it had been lost."""
        self._close_reason = self._close_reason or reason
        if self._connection is not None:
            self._connection.abort()

    def _failed(self, reason: str) -> None:
        self.failures += 1
        self.error = reason
        log.info("connection %d to %s failed: %s", self.number, self.url, reason)
        limit = self.context.options.max_failures
        if limit is not None and self.failures >= limit:
            raise ReconnectsExhausted(
                f"{self.url}: gave up after {self.failures} failures in a row, last: {reason}"
            )

    def _change(self, state: LinkState, reason: str = "") -> None:
        if state is not self.state:
            self.state = state
            self.context.hook(
                "ccrs_session_changed",
                exchange=self.context.exchange.name,
                url=self.url,
                number=self.number,
                epoch=self.runner.epoch,
                state=state.value,
                reason=reason or self.error or "",
            )

    async def _serve(self, connection: Connection) -> bool:
        """Serve an open connection to its end; whether it had been stable."""
        context, shard = self.context, self.shard
        self._connection = connection
        self.connects += 1
        self.connected_at_ns = context.clock.time_ns()
        self._close_reason = ""
        old = self.runner
        self.runner = attrs.evolve(
            old,
            epoch=next(self.shared.epochs),
            generations={},
            tops={},
            opened_at=context.clock.monotonic(),
            apart=set(),
        )
        session = self.session = self._new_session()
        self._outbox = self._dialler.outbox(connection, session, self._sent, self.fail)

        def sink(frames: Sequence[bytes], arrived_ns: int) -> bool:
            if self.retired:
                session.counters.frames += len(frames)
                session.counters.retired += len(frames)
                return False
            self._received(session, frames, arrived_ns)
            return shard.full_consumer() is not None

        try:
            shard.opened(self)
            self._change(LinkState.OPEN)
            now = context.clock.monotonic()
            self._apply(session.add([] if self.waits_for_handover else shard.wanted()), now)
            self._apply(session.opened(now), now)
            self._watch_age()
            self._rearm()
            while True:
                await serve(connection, sink)
                consumer = shard.full_consumer()
                if consumer is not None:
                    await self._wait_for(consumer, session)
        except ConnectionLost as error:
            self._last_words = self._close_reason or str(error)
        except CcrsError:
            raise
        except Exception as error:
            self._last_words = broken(error, self.url)
        finally:
            self._disarm()
            self._dialler.end()
            self.session = None
            self.totals.add(session.counters)
            shard.lost(self, session)
            self._connection = None
            outbox, self._outbox = self._outbox, None
            if outbox is not None:
                outbox.end()
            await hang_up(connection, context.options.transport.close_timeout)
        self._dialler.judge(session, self.address, replaced=self.retired)
        since = session.first_data_at
        self._let_in = shard.route.private and since is not None
        lasted = -1.0 if since is None else context.clock.monotonic() - since
        return lasted >= context.options.stable_after

    async def _wait_for(self, consumer: Consumer, session: Session) -> None:
        session.paused = True
        try:
            await consumer.space()
        finally:
            session.resumed(self.context.clock.monotonic())

    def _new_session(self) -> Session:
        context, route = self.context, self.shard.route
        codec = context.exchange.codec(route)
        login: Callable[[str], Outbound | None] | None = None
        if self.shard.account is not None:

            def login(request_id: str) -> Outbound | None:
                return codec.login(self._dialler.access(), request_id)

        session = Session(
            codec,
            topics_per_request=route.topics_per_request,
            request_bytes=route.request_bytes,
            max_silence=context.exchange.max_silence,
            patience=context.options.patience,
            login_frame=login,
            runner=self.runner,
        )
        session.reader.trail = self.shard.trail
        session.reader.replaceable = self.shard.replaceable
        return session

    def compete(self, on: bool) -> None:
        """Recognise copies without decoding them, or (where there is nobody to race) don't."""
        if self.session is not None:
            self.session.reader.contests = self.shard.topics if on else None

    def counters(self) -> Counters:
        """Of all epochs, the running one included."""
        total = attrs.evolve(self.totals)
        if self.session is not None:
            total.add(self.session.counters)
        return total

    # --- frames and effects ---

    def _received(self, session: Session, frames: Sequence[bytes], arrived_ns: int) -> None:
        clock = self.context.clock
        now = clock.monotonic()
        now_ns = clock.time_ns()
        if arrived_ns:
            now_ns -= min(max(int(now * NS_PER_SECOND) - arrived_ns, 0), NS_PER_SECOND)
        self.last_received_ns = now_ns
        topics, runner = self.shard.topics, self.runner
        others = False
        # In slices: what was decoded is still in the processor's cache when it is delivered.
        # (Where bursts are conflated, little is decoded.)
        size = len(frames) if session.reader.replaceable else _SLICE
        for start in range(0, len(frames), size):
            piece = frames if len(frames) <= size else frames[start : start + size]
            effects: list[Any] = session.received(piece, now, now_ns)
            alone = session.reader.only_topic
            if alone is not None:
                if (topic := topics.get(alone)) is not None:
                    topic.deliver_all(effects, runner, now)
                continue
            if session.reader.data_alone:
                deliver(topics, effects, runner, now)
                continue
            burst: list[Data] = []
            for effect in effects:
                if effect.__class__ is Data:
                    burst.append(effect)
                    continue
                if burst:
                    deliver(topics, burst, runner, now)
                    burst = []
                self._carry_out(effect, now_ns)
                others = others or effect.__class__ is not EntryReply
            if burst:
                deliver(topics, burst, runner, now)
        if others:
            self._rearm()

    def _apply(self, effects: Sequence[Effect], now: float) -> None:
        now_ns = self.context.clock.time_ns()
        for effect in effects:
            self._carry_out(effect, now_ns)

    def apply(self, effects: Sequence[Effect]) -> None:
        """Carry out what a call of the session from outside has asked for."""
        self._apply(effects, self.context.clock.monotonic())
        self._rearm()

    def _carry_out(self, effect: Effect, now_ns: int) -> None:
        match effect:
            case Send(frame, request_id, signed):
                if self._outbox is not None:
                    self._outbox.post(frame, request_id, signed)
            case Acknowledged(topic):
                self.shard.acknowledged(self, topic, now_ns)
            case TopicRefused():
                self.shard.refused(self, effect)
            case Silent():
                log.info("%s on connection %d is silent", effect.topic, self.number)
                self.shard.silent(self, effect, now_ns)
            case Unchanged(topic):
                self.shard.unchanged(topic, now_ns)
            case Superseded(topic, count) if topic in self.shard.topics:
                self.shard.topics[topic].superseded(count)
            case Unreadable():
                self._unread.tell(effect, self.context.clock.monotonic())
                self.shard.unreadable(self, effect, now_ns)
            case Unanswered(name, text):
                tell_unanswered(self.context, self.number, self.url, name, text)
            case Answered(asked_at):
                self.shard.answered(self, asked_at)
            case EntryReply():
                self.shard.entered(self, effect, now_ns)
            case Begun():
                self.shard.begun(self)
            case Replace(reason):
                self._replace(reason)
            case Close(reason, fatal):
                self._close_reason = reason
                if fatal is not None:
                    self._fatal = AuthError(fatal.code, fatal.text)
                if self._connection is not None:
                    self._connection.abort()

    def _replace(self, reason: str) -> None:
        self.shard.replace(self, reason)

    def ask(self, now: float) -> bool:
        """Ask the exchange what it answers at once; False where that would take more than half of
        the budget of messages."""
        if self._outbox is not None and not self._outbox.spare(0.5):
            return False
        if self.session is not None:
            self.apply(self.session.probe(now))
        return True

    # --- sending ---

    def post(self, made: Made, urgent: bool) -> None:
        """Send a frame that is made when it leaves."""
        if self._outbox is not None:
            self._outbox.post_made(made, urgent)

    def access(self) -> Access:
        """What leaves now can be signed with this."""
        return self._dialler.access()

    def _sent(self, request_id: str) -> None:
        if self.session is not None:
            self.session.sent(request_id, self.context.clock.monotonic())
            self._rearm()

    # --- timers ---

    def _rearm(self) -> None:
        if self.session is not None and self._connection is not None:
            self._alarm.set(self.session.wake_at)

    def _unobserved(self, seconds: float) -> None:
        if self.session is not None:
            self.session.unobserved(seconds, self.context.clock.monotonic())
            self._rearm()

    def _tick(self) -> None:
        session = self.session
        if session is None:
            return
        now = self.context.clock.monotonic()
        if self._connection is not None and self._connection.last_heard:
            session.heard(self._connection.last_heard)  # below the level of frames
        if session.first_data_at is not None:
            self.path.alternatives.worked(self.shard.route, self.address)
        try:
            self._apply(session.tick(now), now)
        except Exception as error:  # a plugin's mistake must not leave it unwatched
            log.exception("the timer of connection %d failed", self.number)
            self.fail(f"its timer failed: {error!r}")
        if self._connection is not None:
            self._alarm.again(session.wake_at)

    def _watch_age(self) -> None:
        ages = (self.shard.route.max_age, self.context.options.max_connection_age)
        limit = min((age for age in ages if age is not None), default=None)
        if limit is not None:
            now, later = self.context.clock.monotonic, asyncio.get_running_loop().call_later
            self._age = Age(limit, now, later, self.shard.replacing, self._replace)

    def _disarm(self) -> None:
        self._alarm.cancel()
        if self._age is not None:
            self._age.cancel()
            self._age = None

    # --- its place among the others ---

    def succeed(self, reason: str, waits: bool) -> Link:
        """A link that is to take this one's place; ``waits``: it connects, but subscribes to
        nothing before it is told to."""
        new = self.successor = Link(self.shard, self.shared, self.path)
        new.waits_for_handover = waits
        new._inherit(self, reason)
        return new

    def skip(self, gone: Link) -> Link | None:
        """A successor is gone, or was replaced in its turn: the one behind it, if any."""
        self.successor = gone.successor
        return self.successor

    def take_over(self) -> None:
        """Subscribe to what was waited with."""
        self.waits_for_handover = False
        if self.session is not None:
            self.apply(self.session.add(self.shard.wanted()))

    def stop_delivering(self) -> None:
        """Whatever still comes is nobody's any more."""
        self.retired = True

    def hang_up(self) -> bool:
        """End; False where the task that runs it must be cancelled."""
        if self._connection is None:
            return False
        self._connection.abort()
        return True
