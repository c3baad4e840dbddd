"""The life of one connection as a pure state machine: log in, subscribe, live, notice trouble.

No I/O and no clock: every call takes ``now`` (monotonic seconds) and returns effects for the
link to carry out; ``wake_at`` says when ``tick`` wants to be called next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ccrs_core.connections.effects import (
    Acknowledged,
    Begun,
    Close,
    Counters,
    Effect,
    Replace,
    Send,
    Silent,
    TopicRefused,
    TopicState,
    Unreadable,
)
from ccrs_core.connections.frames import FrameReader
from ccrs_core.connections.login import Login, Once
from ccrs_core.connections.open_requests import OpenRequest, Outstanding
from ccrs_core.connections.pings import Pings
from ccrs_core.connections.request_frames import RequestFrames
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.unread import topics_of, typed
from ccrs_core.connections.wanted import MISREAD, Wanted, WantedTopic
from ccrs_core.contract.codec import (
    Ack,
    Closing,
    Codec,
    EntryReply,
    LeftOut,
    LoggedIn,
    LoginRefused,
    Lost,
    Message,
    Outbound,
    Pong,
    Refused,
    Reply,
)
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Reason
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.patience import Patience

NEVER = float("inf")


class Session(Wanted):
    """One connection. Feed it with calls, carry out the effects, keep to ``wake_at``."""

    UNREADABLE_LIMIT = 3
    """Unreadable frames within UNREADABLE_SECONDS after which the connection is given up."""
    UNREADABLE_SECONDS = 60.0

    def __init__(
        self,
        codec: Codec,
        *,
        topics_per_request: int,
        request_bytes: int | None = None,
        max_silence: Callable[[Subscription], float | None],
        patience: Patience,
        runner: Runner,
        login_frame: Callable[[str], Outbound | None] | None = None,
    ) -> None:
        self._codec = self.codec = codec
        self._max_silence = max_silence
        self._patience = patience
        self._login = Login(login_frame, patience.login)
        self.runner = runner
        self.counters = Counters()
        super().__init__(login_frame is None)
        self._heard: dict[str, WantedTopic] = {}
        """Without those that an unsubscribe request is still open for: what they bring ends when it
        arrives, and until it begins anew something may be missed."""
        self.reader = FrameReader(
            codec,
            self._heard,
            runner,
            self.counters,
            control=self._control,
            unreadable=self._undecodable,
            first=self._first,
        )
        self._requests = Outstanding()
        self.new_request_id = self._requests.new_id
        self._frames = RequestFrames(codec, self._requests, topics_per_request, request_bytes)
        self._once = Once(codec, patience, self._requests.new_id)
        self._queue: list[str] = []
        self._last_received = 0.0
        self._pings = Pings(codec, self._requests.new_id)
        self._unreadable: list[float] = []
        self.fell_silent = False
        """Whether it was given up for a topic that stayed silent."""

    # --- what the link asks for ---

    @property
    def last_received(self) -> float:
        """Until when the connection is known to have been alive."""
        return self._last_received

    @property
    def probed_at(self) -> float:
        """When the exchange was last asked what it answers at once."""
        return self._pings.probed_at

    def heard(self, at: float) -> None:
        """The connection was alive at a time, though nothing was received."""
        self._last_received = max(self._last_received, at)

    def opened(self, now: float) -> list[Effect]:
        """The connection is open: log in, or subscribe at once."""
        self._last_received = now
        self._pings.begin(now)
        effects = self._login.begin(now, self._requests.new_id)
        if not effects:
            self._begin(effects)
        return effects

    def _begin(self, effects: list[Effect]) -> None:
        """Nothing is in the way any more."""
        self._logged_in = True
        effects += self._once.begin()
        effects.append(Begun())
        self._flush(effects)

    def add(self, subscriptions: Iterable[Subscription]) -> list[Effect]:
        """Want these; what is wanted already isn't asked for again."""
        for subscription in subscriptions:
            name = self._codec.topic(subscription)
            topic = self._topics.get(name)
            silence = self._max_silence(subscription)
            if topic is None:
                topic = self._topics[name] = WantedTopic(name, {subscription: None}, silence)
                if not self._requests.ends(name):
                    self._heard[name] = topic
                self._queue.append(name)
            elif subscription not in topic.subscriptions:
                topic.take(subscription, silence)
                if topic.state is TopicState.REFUSED:
                    # Asked for by somebody anew, it may be given this time.
                    topic.ask_again()
                    self._queue.append(name)
                elif name not in self._queue:
                    # The exchange sends it already; only the codec has to know.
                    self._codec.subscribe([subscription], self._requests.new_id())
        effects: list[Effect] = []
        if self._logged_in:
            self._flush(effects)
        return effects

    def ask_again(self, subscriptions: Iterable[Subscription]) -> list[Effect]:
        """Want these, and ask once more for those that were refused."""
        subscriptions = list(subscriptions)
        for name in map(self._codec.topic, subscriptions):
            topic = self._topics.get(name)
            if topic is not None and topic.state is TopicState.REFUSED:
                topic.ask_again()
                self._queue.append(name)
        return self.add(subscriptions)

    def remove(self, subscriptions: Iterable[Subscription]) -> list[Effect]:
        """Want these no longer; what nobody else shares a topic with is unsubscribed."""
        gone: list[Subscription] = []
        for subscription in subscriptions:
            name = self._codec.topic(subscription)
            topic = self._topics.get(name)
            if topic is None or subscription not in topic.subscriptions:
                continue
            if topic.drop(subscription, self._max_silence):
                continue
            del self._topics[name]
            self._heard.pop(name, None)
            if name in self._queue:
                self._queue.remove(name)
            elif topic.state is not TopicState.REFUSED:
                gone.append(subscription)
        effects: list[Effect] = []
        self._frames.unsubscribe_all(gone, effects)
        return effects

    def found_silent(self, names: Iterable[str], now: float) -> list[Effect]:
        """These topics were shown to bring nothing although something has happened: end them, and
        ask for them anew."""
        effects: list[Effect] = []
        dead: list[str] = []
        for name in names:
            topic = self._topics.get(name)
            life = self.life(name)
            if topic is None or life is None or not self._logged_in:
                continue
            topic.silences += 1
            effects.append(Silent(name, now - life.at))
            dead.append(name)
        self._begin_anew(dead, effects)
        return effects

    def _begin_anew(self, names: list[str], effects: list[Effect]) -> None:
        """Unsubscribe from topics and subscribe to them again."""
        for batch in self._frames.batches(self._topics[name] for name in names):
            for topic in batch:
                self._heard.pop(topic.name, None)
                topic.begin_anew()
            ends = [each for topic in batch for each in topic.subscriptions]
            self._frames.unsubscribe(ends, effects)
            self._frames.subscribe(batch, effects)

    def resubscribe(self, name: str) -> list[Effect]:
        """End a topic and ask for it anew, so that the exchange sends a fresh snapshot."""
        topic = self._topics.get(name)
        if topic is None or not self._logged_in or name in self._queue:
            return []
        effects: list[Effect] = []
        self._begin_anew([name], effects)
        return effects

    def sent(self, request_id: str, now: float) -> None:
        """A request has left; from now on its answer, and the data it asks for, are awaited."""
        self._once.sent(request_id, now)
        request = self._requests.get(request_id)
        if request is None:
            return
        request.sent_at = now
        if request.subscribe:
            for name in request.topics:
                topic = self._topics.get(name)
                # Asking again must not hide that what came has ceased, nor put off giving the
                # connection up for what fell silent.
                if topic is None or topic.had_data:
                    continue
                if topic.attempts <= 1 or not topic.silences:
                    topic.last_data = now

    def resumed(self, now: float) -> None:
        """Reading goes on after a pause on our side, which proves nothing about the exchange."""
        self.paused = False
        self.unobserved(NEVER, now)

    def unobserved(self, seconds: float, now: float) -> None:
        """For so long, until now, nothing was read or sent: what is waited for has that time."""
        self._last_received = min(self._last_received + seconds, now)
        self._login.unobserved(seconds, now)
        self._once.unobserved(seconds, now)
        for request in self._requests:
            if request.sent_at is not None:
                request.sent_at = min(request.sent_at + seconds, now)
        for topic in self._topics.values():
            if topic.last_data is not None:
                topic.last_data = min(topic.last_data + seconds, now)

    # --- frames in ---

    def received(self, frames: Sequence[bytes], now: float, now_ns: int) -> list[Effect]:
        """Frames have arrived, in this order; ``now_ns`` is the wall clock's time."""
        self._last_received = now
        return self.reader.read(frames, now, now_ns)

    def _first(self, topic: WantedTopic, now: float) -> None:
        topic.first(now)
        self.useful(now)

    def _undecodable(
        self, cause: Exception, frame: bytes, now: float, effects: list[Effect]
    ) -> None:
        error = typed(cause, frame)
        self.counters.unreadable += 1
        named = topics_of(self._codec, error, frame)
        names = tuple(name for name in named if name in self._topics)
        found = [name for name in names if self._topics[name].misread(now) >= MISREAD]
        effects.append(Unreadable(error, names, tuple(found)))
        if names:
            return  # the connection works, and carries others
        recent = [t for t in self._unreadable if now - t < self.UNREADABLE_SECONDS]
        self._unreadable = [*recent, now]
        if len(self._unreadable) >= self.UNREADABLE_LIMIT:
            self._close(f"{len(self._unreadable)} unreadable frames, last: {error}", effects)

    def _control(self, message: Message, now: float, effects: list[Effect]) -> None:
        match message:
            case LeftOut(topic, reason) if topic in self._topics:
                self.counters.rows_left_out += 1
                lasting = self._topics[topic].misread(now) >= MISREAD
                error = DecodeError(reason, topics=(topic,))
                effects.append(Unreadable(error, (topic,), (topic,) if lasting else ()))
            case Lost(reason, topics):
                self._lost(reason, topics, effects)
            case Ack(request_id, topics):
                if not self._once.granted(request_id, topics):
                    self._acknowledged(message, now, effects)
            case Refused():
                if not self._once.refused(message, now, effects):
                    self._refused(message, effects)
            case Reply(frame):
                effects.append(Send(frame))
            case LoggedIn(renew_after):
                self._login.accepted(now, renew_after)
                if not self._logged_in:
                    self._begin(effects)
            case LoginRefused(code, text, later):
                fatal = None if later else message
                self._close(f"login refused: {text} (code {code})", effects, fatal)
            case Pong(request_id):
                self._pings.answered(request_id, effects)
            case EntryReply():
                effects.append(message)
            case Closing(reason):
                self._closing = True
                effects.append(Replace(reason))
            case _:
                pass

    def _lost(self, reason: str, topics: tuple[str, ...] | None, effects: list[Effect]) -> None:
        """Something of the connection hasn't arrived."""
        names = tuple(name for name in topics or () if name in self._topics)
        if names or topics is None:
            effects.append(Unreadable(DecodeError(reason), names, reason=Reason.SEQUENCE))

    # --- requests and their answers ---

    def _flush(self, effects: list[Effect]) -> None:
        queue, self._queue = self._queue, []
        self._ask(queue, effects)

    def _hear(self, names: Iterable[str]) -> None:
        """An unsubscribe request is settled: what comes of these now is of a new subscription."""
        for name in names:
            topic = self._topics.get(name)
            if topic is not None and not self._requests.ends(name):
                self._heard[name] = topic

    def _ask(self, names: Iterable[str], effects: list[Effect]) -> None:
        self._frames.subscribe([self._topics[name] for name in names], effects)

    def _acknowledged(self, ack: Ack, now: float, effects: list[Effect]) -> None:
        request, names = self._requests.answered(ack.request_id, ack.topics)
        if request is None:
            if ack.request_id is not None:
                self._pings.answered(ack.request_id, effects)
            return
        if not request.subscribe:
            self._hear(names)
            return
        for name in names:
            # It can't begin anew before it has ended, whether an answer said so or not.
            self._requests.ended(name, request)
        self._hear(names)
        for name in names:
            topic = self._topics.get(name)
            # An earlier request's late answer doesn't speak for one that is still open.
            if (
                topic is not None
                and topic.state is TopicState.PENDING
                and not self._requests.awaits(name)
            ):
                topic.accepted(now)
                effects.append(Acknowledged(name))

    def _refused(self, refused: Refused, effects: list[Effect]) -> None:
        if refused.later:
            self._put_off(refused, effects)
            return
        request, names = self._requests.answered(refused.request_id, refused.topics)
        if request is None and refused.request_id is not None:
            self._pings.answered(refused.request_id, effects)  # a refusal is an answer, too
        if request is not None and not names:
            # It names nothing that was asked for: as good as naming nothing.
            names, request.topics = request.topics, []
            self._requests.forget(request)
            named = False
        else:
            named = refused.topics is not None
        if request is None or not request.subscribe:
            self._hear(names)
            return
        wanted = [n for n in names if n in self._topics]
        if not named and len(names) > 1:
            # One bad topic fails the whole request at many exchanges: halve until it is found.
            for name in wanted:
                self._topics[name].attempts = 0
            middle = (len(wanted) + 1) // 2
            for half in (wanted[:middle], wanted[middle:]):
                if half:
                    self._ask(half, effects)
            return
        for name in wanted:
            self._give_up(name, refused.code, refused.text, effects)
        # Topics of the same request that the exchange didn't name are still unanswered.
        if request.topics:
            rest = [n for n in request.topics if n in self._topics]
            self._requests.forget(request)
            if rest:
                self._ask(rest, effects)

    def _put_off(self, refused: Refused, effects: list[Effect]) -> None:
        """Refused for now: the request stays open, and is repeated as one without an answer is."""
        request = self._requests.meant(refused.request_id, refused.topics)
        if request is not None:
            topics = [self._topics[n] for n in request.topics if n in self._topics]
            asked = max((topic.attempts for topic in topics), default=request.attempts)
            request.put_off(refused, asked, self._patience.ack)
            for topic in topics if request.subscribe else ():
                topic.refused_for_now()
        elif refused.request_id is not None:
            self._pings.answered(refused.request_id, effects)

    def _give_up(self, name: str, code: str, text: str, effects: list[Effect]) -> None:
        topic = self._topics[name]
        topic.state = TopicState.REFUSED
        effects.append(TopicRefused(name, code, text))

    # --- time ---

    @property
    def wake_at(self) -> float:
        """When ``tick`` should be called next; infinity for never."""
        if self._closed:
            return NEVER
        times = [self._dead_at()]
        if self._logged_in:
            times.append(self._pings.due_at)
            if not self.paused:
                times.append(self._requests.overdue_at(self._patience.ack))
                times.extend(topic.overdue_at for topic in self._topics.values())
                times += self._login.due_at, self._once.wake_at
        if not self.paused:
            times.append(self._login.overdue_at)
        return min(times)

    def _dead_at(self) -> float:
        if self.paused:
            return NEVER
        heartbeat = self._codec.heartbeat
        if heartbeat is None:
            return self._last_received + self._patience.idle
        return self._last_received + heartbeat.interval + heartbeat.timeout

    def tick(self, now: float) -> list[Effect]:
        """Time has passed: heartbeats, missing answers, silent topics, a dead peer."""
        effects: list[Effect] = []
        if self._closed:
            return effects
        if now >= self._dead_at():
            self._close(f"nothing received for {now - self._last_received:.1f} s", effects)
            return effects
        if not self.paused and now >= self._login.overdue_at:
            self._close("the login was not answered", effects)
        if not self._logged_in or self._closed:
            return effects
        if now >= self._pings.due_at:
            effects.append(self._pings.ping(now))
        # Answers, too, can't be seen while nothing is read.
        if not self.paused:
            self._missing_answers(now, effects)
            self._once.tick(now, effects)
            if now >= self._login.due_at:
                effects += self._login.begin(now, self._requests.new_id)
            for topic in list(self._topics.values()):
                if now >= topic.overdue_at:
                    self._overdue(topic, now, effects)
        return effects

    def probe(self, now: float) -> list[Effect]:
        """Ask what the exchange answers at once, after all that it has sent before."""
        return self._pings.probe(now) if self._logged_in and not self._closed else []

    def _missing_answers(self, now: float, effects: list[Effect]) -> None:
        for request in self._requests.overdue(now, self._patience.ack):
            if not request.subscribe:
                self._still_there(request, effects)
                continue
            again: list[str] = []
            for name in request.topics:
                topic = self._topics.get(name)
                if (
                    topic is None
                    or topic.state is not TopicState.PENDING
                    or self._requests.awaits(name)
                ):
                    continue
                attempts = self._patience.ack_attempts
                if topic.attempts >= attempts and not topic.told and not topic.had_data:
                    # Tell, but go on asking: it may be a passing fault of the exchange.
                    topic.told = True
                    effects.append(TopicRefused(name, "", request.failure(topic.attempts)))
                again.append(name)
            self._ask(again, effects)

    def _still_there(self, request: OpenRequest, effects: list[Effect]) -> None:
        """An unsubscribe request wasn't answered: once more, where it was refused for now."""
        self._hear(request.topics)
        left = set(request.topics) - set(self._topics) if request.refused else ()
        if subscriptions := [s for s in request.ends if self._codec.topic(s) in left]:
            self._frames.unsubscribe(subscriptions, effects, request.attempts + 1)

    def _overdue(self, topic: WantedTopic, now: float, effects: list[Effect]) -> None:
        assert topic.last_data is not None
        silent = now - topic.last_data
        topic.silences += 1
        if topic.silences > 1 and topic.unread_at < topic.last_data:
            self.fell_silent = True
            self._close(f"{topic.name} stayed silent after it was asked for anew", effects)
            return
        effects.append(Silent(topic.name, silent))
        topic.last_data = now
        effects.extend(self.resubscribe(topic.name))

    def _close(self, reason: str, effects: list[Effect], fatal: LoginRefused | None = None) -> None:
        if not self._closed:
            self._closed = True
            effects.append(Close(reason, fatal))
