"""One connection's life, without a connection: requests, answers, silence, and the clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Ack,
    Channel,
    Codec,
    Data,
    DecodeError,
    Heartbeat,
    Message,
    Outbound,
    Patience,
    Refused,
    Subscription,
)
from ccrs_core.effects import (
    Acknowledged,
    Close,
    Counters,
    Effect,
    Send,
    Silent,
    TopicRefused,
    TopicState,
    Unreadable,
)
from ccrs_core.race import Runner
from ccrs_core.session import NEVER, Session
from tests.toy import ToyCodec, instrument

SILENCE = 10.0


def top(native: str) -> Subscription:
    return Subscription(Channel.TOP_OF_BOOK, instrument(native))


def tape(native: str) -> Subscription:
    return Subscription(Channel.TRADES, instrument(native))


def max_silence(subscription: Subscription) -> float | None:
    return SILENCE if subscription.channel is Channel.TOP_OF_BOOK else None


@attrs.define(eq=False)
class Exchange:
    """A session and the exchange that it talks to. Every effect is carried out at once."""

    session: Session
    bad: set[str] = attrs.field(factory=set)
    named: bool = False
    mute: bool = False
    pongs: bool = True
    now: float = 0.0
    active: set[str] = attrs.field(factory=set)
    sent: list[tuple[float, dict[str, Any]]] = attrs.field(factory=list)
    told: list[Effect] = attrs.field(factory=list)

    def do(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                frame = {} if effect.frame is None else orjson.loads(effect.frame)
                self.sent.append((self.now, frame))
                if effect.request_id is not None:
                    self.session.sent(effect.request_id, self.now)
                self.answer(frame)
            else:
                self.told.append(effect)

    def answer(self, frame: dict[str, Any]) -> None:
        if "ping" in frame or not frame:
            if self.pongs:
                self.receive({"pong": 1})
        elif self.mute:
            return
        elif "login" in frame:
            self.receive({"login": frame["login"] == "good"})
        elif "unsub" in frame:
            self.active -= set(frame["unsub"])
            self.receive({"ok": frame["id"]})
        else:
            bad = [topic for topic in frame["sub"] if topic in self.bad]
            if bad:
                named = {"bad": bad} if self.named else {}
                self.receive({"no": frame["id"], "why": "no such topic", **named})
            else:
                self.active |= set(frame["sub"])
                self.receive({"ok": frame["id"]})

    def receive(self, *messages: dict[str, Any] | bytes) -> None:
        frames = [m if isinstance(m, bytes) else orjson.dumps(m) for m in messages]
        self.do(self.session.received(frames, self.now, round(self.now * 1e9)))

    def data(self, topic: str, number: int = 1) -> None:
        self.receive({"t": topic, "n": number, "q": ["1.1", "1.2"]})

    def until(self, end: float) -> None:
        """Let time pass, calling ``tick`` exactly when it is wanted."""
        calls, last = 0, -1.0
        while (at := self.session.wake_at) <= end:
            calls = calls + 1 if at <= last else 0
            assert calls < 3, "ticking at wake_at makes no progress"
            last = self.now = max(at, self.now)
            self.do(self.session.tick(self.now))
        self.now = end

    def requests(self, verb: str = "sub") -> list[list[str]]:
        return [frame[verb] for _, frame in self.sent if verb in frame]

    def of(self, kind: type[Any]) -> list[Any]:
        return [effect for effect in self.told if isinstance(effect, kind)]


def exchange(
    *,
    codec: Codec | None = None,
    per_request: int = 3,
    patience: Patience | None = None,
    login: str | None = None,
    **how: Any,
) -> Exchange:
    session = Session(
        ToyCodec() if codec is None else codec,
        topics_per_request=per_request,
        max_silence=max_silence,
        patience=Patience() if patience is None else patience,
        runner=Runner(1),
        login_frame=None
        if login is None
        else lambda request_id: orjson.dumps({"login": login}).decode(),
    )
    return Exchange(session, **how)


def opened(*subscriptions: Subscription, **how: Any) -> Exchange:
    made = exchange(**how)
    made.do(made.session.add(subscriptions) if made.session._login_frame else [])
    made.do(made.session.opened(made.now))
    if not made.session._login_frame:
        made.do(made.session.add(subscriptions))
    return made


NATIVES = [f"N{i}" for i in range(12)]
natives = st.lists(st.sampled_from(NATIVES), unique=True, max_size=12)

# --- asking and being answered --------------------------------------------------------------------


@given(natives, st.integers(1, 5), st.booleans())
def test_requests_are_as_few_as_the_exchange_allows_and_name_each_topic_once(
    wanted: list[str], per_request: int, before: bool
) -> None:
    venue = exchange(per_request=per_request)
    if before:
        venue.session._logged_in = False
        assert venue.session.add(map(tape, wanted)) == []
        venue.do(venue.session.opened(0.0))
    else:
        venue.do(venue.session.opened(0.0))
        venue.do(venue.session.add(map(tape, wanted)))
    asked = venue.requests()
    assert [t for request in asked for t in request] == [f"trades.{n}" for n in wanted]
    assert all(len(request) == per_request for request in asked[:-1])
    assert len(asked) == -(-len(wanted) // per_request)
    assert venue.session.topics == {f"trades.{n}": TopicState.ACTIVE for n in wanted}
    assert [e.topic for e in venue.of(Acknowledged)] == [f"trades.{n}" for n in wanted]
    assert venue.session.settled()


@given(natives, st.sets(st.sampled_from(NATIVES)), st.integers(1, 12), st.booleans())
def test_exactly_the_bad_topics_of_a_refused_batch_are_refused(
    wanted: list[str], bad: set[str], per_request: int, named: bool
) -> None:
    venue = opened(
        *map(tape, wanted),
        per_request=per_request,
        bad={f"trades.{n}" for n in bad},
        named=named,
    )
    refused = {f"trades.{n}" for n in wanted if n in bad}
    states = venue.session.topics
    assert {t for t, s in states.items() if s is TopicState.REFUSED} == refused
    assert {t for t, s in states.items() if s is TopicState.ACTIVE} == venue.active
    assert venue.active == {f"trades.{n}" for n in wanted} - refused
    told = venue.of(TopicRefused)
    assert sorted(e.topic for e in told) == sorted(refused)
    assert all((e.code, e.text) == ("404", "no such topic") for e in told)
    assert sorted(e.topic for e in venue.of(Acknowledged)) == sorted(venue.active)
    # Halving costs a logarithm for each bad topic, not a request for each topic.
    assert len(venue.sent) <= -(-len(wanted) // per_request) + 8 * len(refused)
    venue.until(300.0)
    assert len(venue.of(TopicRefused)) == len(refused)


@pytest.mark.parametrize("topics", [(), ("trades.unknown",), ("trades.C",)])
def test_a_refusal_that_names_nothing_of_its_request_does_not_ask_for_ever(
    topics: tuple[str, ...],
) -> None:
    class Vague(ToyCodec):
        def _read(self, message: dict[str, Any], now_ns: int) -> Message:
            if "no" in message:
                return Refused(message["no"], "1", "no", topics)
            return super()._read(message, now_ns)

    venue = opened(tape("C"), codec=Vague())
    venue.bad = {"trades.A"}
    venue.do(venue.session.add([tape("A"), tape("B")]))
    active = TopicState.ACTIVE
    states = {"trades.C": active, "trades.A": TopicState.REFUSED, "trades.B": active}
    assert venue.session.topics == states
    assert len(venue.sent) <= 6


class Nameless(ToyCodec):
    """Acknowledgements as some exchanges send them: by topic, without the request's id."""

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if "ok" in message and isinstance(message["ok"], list):
            return Ack(None, tuple(message["ok"]))
        return super()._read(message, now_ns)


@given(st.permutations(NATIVES[:7]), st.integers(1, 4))
def test_acknowledgements_by_topic_are_matched_in_any_order(
    order: list[str], per_request: int
) -> None:
    venue = opened(*map(tape, NATIVES[:7]), codec=Nameless(), per_request=per_request, mute=True)
    for at, native in enumerate(order):
        venue.receive({"ok": [f"trades.{native}"]})
        states = venue.session.topics
        active = {f"trades.{n}" for n in order[: at + 1]}
        assert {t for t, s in states.items() if s is TopicState.ACTIVE} == active
    assert [e.topic for e in venue.of(Acknowledged)] == [f"trades.{n}" for n in order]


@given(st.permutations(["1", "2", "3"]), st.text("0123456789", max_size=3))
def test_an_acknowledgement_speaks_only_for_its_own_request(order: list[str], stray: str) -> None:
    venue = opened(*map(tape, NATIVES[:5]), per_request=2, mute=True)
    chunks = dict(zip(["1", "2", "3"], venue.requests(), strict=True))
    if stray not in chunks:
        venue.receive({"ok": stray})
        assert not venue.of(Acknowledged)
    active: set[str] = set()
    for request_id in order:
        venue.receive({"ok": request_id})
        venue.receive({"ok": request_id})
        active |= set(chunks[request_id])
        states = venue.session.topics
        assert {t for t, s in states.items() if s is TopicState.ACTIVE} == active
    assert len(venue.of(Acknowledged)) == 5


def test_an_acknowledgement_cannot_activate_what_its_request_did_not_ask_for() -> None:
    class Generous(ToyCodec):
        def _read(self, message: dict[str, Any], now_ns: int) -> Message:
            if "ok" in message:
                return Ack(message["ok"], ("trades.A", "trades.B"))
            return super()._read(message, now_ns)

    venue = exchange(codec=Generous(), per_request=1, mute=True)
    venue.do(venue.session.opened(0.0))
    (first, *_) = venue.session.add([tape("A"), tape("B")])
    assert isinstance(first, Send)
    venue.do([first])
    venue.receive({"ok": first.request_id})
    assert venue.session.state("trades.A") is TopicState.ACTIVE
    assert venue.session.state("trades.B") is TopicState.PENDING


def test_a_late_answer_to_a_former_request_does_not_speak_for_the_present_one() -> None:
    venue = opened(tape("A"), mute=True)
    venue.do(venue.session.remove([tape("A")]))
    venue.do(venue.session.add([tape("A")]))
    venue.receive({"ok": "1"})
    assert venue.session.state("trades.A") is TopicState.PENDING
    venue.receive({"ok": "3"})
    assert venue.session.state("trades.A") is TopicState.ACTIVE


@given(st.integers(1, 5), st.integers(1, 7), st.floats(0.01, 1000.0), st.floats(0.5, 9.0))
def test_a_missing_acknowledgement_is_asked_for_again_told_once_and_asked_on(
    attempts: int, topics: int, start: float, ack: float
) -> None:
    patience = Patience(ack=ack, ack_attempts=attempts)
    venue = opened(*map(tape, NATIVES[:topics]), patience=patience, mute=True, now=start)
    venue.until(start + ack * (attempts + 20.5))
    asked = [t for request in venue.requests() for t in request]
    assert {asked.count(f"trades.{n}") for n in NATIVES[:topics]} == {attempts + 21}
    told = venue.of(TopicRefused)
    assert sorted(e.topic for e in told) == sorted(f"trades.{n}" for n in NATIVES[:topics])
    assert all("not acknowledged" in e.text and not e.code for e in told)
    assert set(venue.session.topics.values()) == {TopicState.PENDING}
    assert not venue.session.settled()
    venue.mute = False
    venue.until(venue.now + ack)
    assert set(venue.session.topics.values()) == {TopicState.ACTIVE}
    assert not venue.of(Close)


def test_a_topic_refused_to_one_is_asked_for_again_when_another_wants_it() -> None:
    class Shared(ToyCodec):
        def topic(self, subscription: Subscription) -> str:
            return f"all.{subscription.instrument.native}"

    venue = opened(tape("A"), codec=Shared(), bad={"all.A"})
    assert venue.session.state("all.A") is TopicState.REFUSED
    venue.bad.clear()
    venue.do(venue.session.add([top("A")]))
    assert venue.session.state("all.A") is TopicState.ACTIVE


# --- what is wanted -------------------------------------------------------------------------------

wishes = st.lists(st.tuples(st.booleans(), st.sampled_from(NATIVES[:4])), max_size=20)


@given(wishes)
def test_adding_and_removing_is_idempotent_and_ends_at_what_is_wanted(
    todo: list[tuple[bool, str]],
) -> None:
    venue, wanted = opened(), set()
    for add, native in todo:
        before = len(venue.sent)
        known = native in wanted
        if add:
            wanted.add(native)
            venue.do(venue.session.add([tape(native), tape(native)]))
        else:
            wanted.discard(native)
            venue.do(venue.session.remove([tape(native), tape(native)]))
        assert len(venue.sent) - before == (add is not known)
        assert set(venue.session.topics) == {f"trades.{n}" for n in wanted} == venue.active
    assert set(venue.session.topics.values()) <= {TopicState.ACTIVE}


@given(wishes, st.randoms(use_true_random=False), st.booleans())
def test_changes_of_different_topics_commute(
    todo: list[tuple[bool, str]], random: Any, mute: bool
) -> None:
    # The order within each topic stays; how the topics interleave doesn't matter.
    waiting = {n: [wish for wish in todo if wish[1] == n] for n in NATIVES[:4]}
    names = [n for n, mine in waiting.items() for _ in mine]
    random.shuffle(names)
    shuffled = [waiting[n].pop(0) for n in names]
    results = []
    for plan in (todo, shuffled):
        venue = opened(mute=mute)
        for add, native in plan:
            change = venue.session.add if add else venue.session.remove
            venue.do(change([tape(native)]))
        results.append((dict(venue.session.topics), venue.active))
    assert results[0] == results[1]


@given(st.integers(2, 12), st.integers(2, 12))
def test_one_bad_topic_is_found_by_halving(count: int, place: int) -> None:
    names = NATIVES[:count]
    venue = opened(*map(tape, names), per_request=12, bad={f"trades.{names[place % count]}"})
    assert len(venue.sent) <= 1 + 2 * (count - 1).bit_length()


def test_what_was_refused_is_not_unsubscribed() -> None:
    venue = opened(tape("A"), bad={"trades.A"})
    venue.do(venue.session.remove([tape("A")]))
    assert not venue.requests("unsub")
    assert not venue.session.topics


def test_a_topic_that_is_asked_for_anew_has_all_its_attempts_again() -> None:
    venue = opened(tape("A"), mute=True)
    venue.until(15.0)
    assert len(venue.of(TopicRefused)) == 1
    venue.do(venue.session.resubscribe("trades.A"))
    venue.until(29.9)
    assert len(venue.of(TopicRefused)) == 1
    venue.until(30.1)
    assert len(venue.of(TopicRefused)) == 2


def test_a_topic_is_unsubscribed_when_its_last_subscription_goes() -> None:
    class Shared(ToyCodec):
        def topic(self, subscription: Subscription) -> str:
            return f"all.{subscription.instrument.native}"

    venue = opened(tape("A"), top("A"), codec=Shared())
    assert venue.requests() == [["all.A", "all.A"]]
    venue.do(venue.session.remove([top("A")]))
    assert not venue.requests("unsub")
    # What is left of it has no cadence: its silence proves nothing.
    venue.until(100.0)
    assert not venue.of(Silent)
    venue.do(venue.session.remove([tape("A")]))
    assert venue.requests("unsub") == [["all.A"]]
    assert not venue.session.topics


# --- time -----------------------------------------------------------------------------------------


@given(
    natives,
    st.booleans(),
    st.booleans(),
    st.floats(0, 1e6),
    st.floats(0.1, 30.0),
    st.floats(0.1, 30.0),
)
def test_ticking_when_it_is_wanted_always_makes_progress(
    wanted: list[str], mute: bool, pongs: bool, start: float, ack: float, login: float
) -> None:
    # ``until`` checks it.
    patience = Patience(ack=ack, login=login)
    subscriptions = [top(n) if i % 2 else tape(n) for i, n in enumerate(wanted)]
    venue = opened(*subscriptions, patience=patience, mute=mute, pongs=pongs, now=start)
    venue.until(start + 200.0)
    closed = bool(venue.of(Close))
    if not mute:
        assert closed == (not pongs or len(wanted) > 1)
    assert (venue.session.wake_at == NEVER) == closed
    assert len(venue.of(Close)) <= 1
    assert not closed or venue.session.tick(1e9) == []


@given(st.floats(1.0, 60.0), st.floats(0.5, 20.0), st.floats(0.0, 1e5))
def test_heartbeats_keep_their_interval(interval: float, timeout: float, start: float) -> None:
    codec = ToyCodec()
    codec.__class__ = type("Beating", (ToyCodec,), {"heartbeat": Heartbeat(interval, timeout)})
    venue = opened(tape("A"), codec=codec, now=start)
    venue.until(start + 10.5 * interval)
    pings = [at for at, frame in venue.sent if "ping" in frame]
    assert pings == pytest.approx([start + (i + 1) * interval for i in range(10)])
    assert not venue.of(Close)


@given(st.floats(0.0, 100.0))
def test_a_peer_that_says_nothing_is_dead_after_interval_and_timeout(quiet_from: float) -> None:
    venue = opened(tape("A"))
    venue.until(quiet_from)
    venue.pongs = False
    last = venue.session.last_received
    venue.until(last + 29.99)
    assert not venue.of(Close)
    venue.until(last + 30.01)
    assert [close.fatal for close in venue.of(Close)] == [None]


def test_without_a_heartbeat_any_frame_at_all_keeps_the_connection_alive() -> None:
    codec = ToyCodec()
    codec.__class__ = type("Quiet", (ToyCodec,), {"heartbeat": None})
    venue = opened(tape("A"), codec=codec, patience=Patience(idle=60.0))
    for _ in range(5):
        venue.until(venue.now + 59.0)
        venue.receive({"pong": 1})
    assert not venue.of(Close)
    venue.until(venue.now + 60.1)
    assert len(venue.of(Close)) == 1


def test_a_silent_topic_is_asked_for_anew_once_and_then_the_connection_is_given_up() -> None:
    venue = opened(top("A"), tape("B"))
    venue.data("top.A")
    assert venue.session.settled()
    venue.until(9.9)
    venue.data("top.A")
    venue.until(19.8)
    assert not venue.of(Silent)
    venue.until(19.95)
    (silent,) = venue.of(Silent)
    assert (silent.topic, silent.seconds) == ("top.A", pytest.approx(SILENCE))
    assert venue.requests("unsub") == [["top.A"]]
    assert venue.requests()[-1] == ["top.A"]
    assert venue.session.carried_since("top.A") is None
    venue.until(29.8)
    assert not venue.of(Close)
    venue.until(30.0)
    assert ["top.A stayed silent" in close.reason for close in venue.of(Close)] == [True]


def test_a_connection_on_which_requests_go_unheard_is_given_up_although_it_answers_pings() -> None:
    venue = opened(top("A"))
    venue.data("top.A")
    venue.mute = True
    venue.until(10.0)
    assert len(venue.of(Silent)) == 1
    venue.until(20.1)
    assert ["top.A stayed silent" in close.reason for close in venue.of(Close)] == [True]


@given(st.floats(0.1, 9.9), st.integers(1, 20))
def test_a_topic_with_data_within_its_time_is_never_called_silent(step: float, times: int) -> None:
    venue = opened(top("A"))
    for number in range(times):
        venue.until(venue.now + step)
        venue.data("top.A", number)
    assert not venue.of(Silent)


def test_data_after_silence_is_forgiven() -> None:
    venue = opened(top("A"))
    for number in range(5):
        venue.until(venue.now + SILENCE + 0.1)
        venue.data("top.A", number)
    assert len(venue.of(Silent)) == 5
    assert not venue.of(Close)


@given(st.floats(0.0, 4.0), st.floats(10.0, 1000.0))
def test_a_pause_of_our_own_proves_nothing_about_the_exchange(after: float, pause: float) -> None:
    venue = opened(top("A"), tape("B"), mute=True, pongs=False)
    venue.until(after)
    venue.session.paused = True
    asked = len(venue.requests())
    venue.until(after + pause)
    assert not venue.told
    assert len(venue.requests()) == asked
    venue.session.resumed(venue.now)
    venue.until(venue.now + 4.9)
    assert not venue.told
    venue.receive({"ok": "1"})
    venue.until(venue.now + 5.0)
    assert [type(effect) for effect in venue.told] == [Acknowledged, Acknowledged]


# --- login ----------------------------------------------------------------------------------------


def test_nothing_is_subscribed_before_the_login_was_accepted() -> None:
    venue = opened(tape("A"), login="good", mute=True)
    venue.do(venue.session.add([tape("B"), tape("C")]))
    venue.do(venue.session.remove([tape("C")]))
    assert [frame for _, frame in venue.sent] == [{"login": "good"}]
    assert not venue.session.settled()
    venue.mute = False
    venue.receive({"login": True})
    assert venue.requests() == [["trades.A", "trades.B"]]
    venue.receive({"login": True})
    assert len(venue.sent) == 2


def test_a_refused_login_is_final() -> None:
    venue = opened(tape("A"), login="bad")
    (close,) = venue.of(Close)
    assert close.fatal is not None
    assert (close.fatal.code, close.fatal.text) == ("401", "bad key")
    assert venue.session.wake_at == NEVER
    venue.receive({"login": False})
    assert len(venue.of(Close)) == 1


@given(st.floats(0.1, 25.0), st.floats(0.0, 1e5))
def test_a_login_without_an_answer_is_given_up(patience: float, start: float) -> None:
    venue = opened(login="good", mute=True, patience=Patience(login=patience), now=start)
    venue.until(start + patience - 0.01)
    assert not venue.of(Close)
    venue.until(start + patience + 0.01)
    assert [close.fatal for close in venue.of(Close)] == [None]


def test_a_pause_of_our_own_does_not_end_a_login() -> None:
    venue = opened(login="good", mute=True)
    venue.session.paused = True
    venue.until(100.0)
    venue.session.resumed(100.0)
    venue.until(105.0)
    assert not venue.of(Close)
    venue.receive({"login": True})
    venue.until(115.0)
    assert not venue.of(Close)


def test_where_the_handshake_logs_in_no_frame_is_needed() -> None:
    venue = exchange()
    venue.session._login_frame = lambda request_id: None
    venue.session._logged_in = False
    venue.do(venue.session.add([tape("A")]))
    venue.do(venue.session.opened(0.0))
    assert venue.requests() == [["trades.A"]]


# --- frames ---------------------------------------------------------------------------------------

FRAMES: dict[str, bytes] = {
    "data": b'{"t":"top.A","n":5,"q":["1","2"]}',
    "late": b'{"t":"top.A","n":3,"q":["1","2"]}',
    "unrecognised": b'{"t":"top.Z","n":5,"q":["1","2"]}',
    "control": b'{"pong":1}',
    "unreadable": b'{"t":',
    "unwanted": b'{"t":"top.OLD","n":5,"q":["1","2"]}',
}


class LateBelow5:
    """A contest in which everything up to 4 was delivered by others."""

    def late(
        self, number: int | bytes, restart: bool, runner: Runner, now: float, now_ns: int
    ) -> bool:
        return isinstance(number, int) and number < 5

    def copied(self, number: int | bytes, runner: Runner, now_ns: int) -> None:
        raise AssertionError("nobody else left a trail")


@given(st.lists(st.sampled_from(list(FRAMES))), st.booleans())
def test_what_became_of_frames_adds_up(names: list[str], racing: bool) -> None:
    codec = ToyCodec()
    venue = opened(top("A"), codec=codec)
    codec.known["top.OLD"] = "OLD/USD"
    venue.session.UNREADABLE_LIMIT = 10**9
    venue.session.reader.contests = {"top.A": LateBelow5()} if racing else None
    before = attrs.asdict(venue.session.counters)
    for name in names:
        venue.session.reader.trail.clear()  # as if others had brought something meanwhile
        venue.receive(FRAMES[name])
    counted = {k: v - before[k] for k, v in attrs.asdict(venue.session.counters).items()}
    assert counted.pop("frames") == len(names) == sum(counted.values())
    expected = dict.fromkeys((field.name for field in attrs.fields(Counters)), 0)
    for name in names:
        expected["data" if name == "late" and not racing else name] += 1
    del expected["frames"]
    assert counted == expected
    delivered = sum(len(data.events) for data in venue.of(Data))
    assert delivered == counted["data"]


class Buggy(ToyCodec):
    """A codec with a bug that shows in one of its methods."""

    error: Exception = ZeroDivisionError("oops")
    where = "decode"
    frame = b"bug"

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if frame == b"bug" and self.where == "decode":
            raise self.error
        return super().decode(frame, received_time_ns)

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        if frame == self.frame and self.where == "peek":
            raise self.error
        return super().peek(frame)


@given(
    st.sampled_from([ZeroDivisionError, KeyError, RecursionError, AssertionError, DecodeError]),
    st.text(),
)
def test_a_bug_of_the_codec_costs_one_frame_not_the_client(
    kind: type[Exception], text: str
) -> None:
    codec = Buggy()
    codec.error = kind(text)
    venue = opened(top("A"), codec=codec)
    venue.session.reader.contests = {}
    venue.receive(FRAMES["data"], b"bug", FRAMES["data"])
    (unreadable,) = venue.of(Unreadable)
    assert isinstance(unreadable.error, DecodeError)
    assert unreadable.error is codec.error or unreadable.error.__cause__ is codec.error
    assert venue.session.counters.unreadable == 1
    assert len(venue.of(Data)) == 2
    assert not venue.of(Close)


def test_a_codec_that_fails_to_recognise_a_copy_decodes_it() -> None:
    codec = Buggy()
    codec.where = "peek"
    codec.frame = FRAMES["data"]
    venue = opened(top("A"), codec=codec)
    venue.session.reader.contests = {}
    venue.receive(FRAMES["data"], FRAMES["late"])
    assert len(venue.of(Data)) == 2
    assert not venue.of(Unreadable)


@given(st.lists(st.floats(1.0, 60.0), min_size=1, max_size=12))
def test_three_unreadable_frames_within_a_minute_end_the_connection(waits: list[float]) -> None:
    codec = ToyCodec()
    codec.__class__ = type("Quiet", (ToyCodec,), {"heartbeat": None})
    venue = opened(codec=codec, patience=Patience(idle=1e9))
    times: list[float] = []
    for wait in waits:
        venue.until(venue.now + wait)
        venue.receive(b"{")
        times.append(venue.now)
        expected = any(b - a < 60.0 for a, b in zip(times, times[2:], strict=False))
        assert len(venue.of(Close)) == expected
        if expected:
            return


def test_what_is_carried_begins_with_the_first_data_or_the_acknowledgement() -> None:
    venue = opened(top("A"), tape("B"), now=5.0, mute=True)
    assert venue.session.carried_since("top.A") is None
    venue.until(6.0)
    venue.data("top.A")
    assert venue.session.carried_since("top.A") == 6.0
    venue.until(7.0)
    venue.receive({"ok": "1"})
    assert venue.session.carried_since("top.A") == 6.0
    assert venue.session.carried_since("trades.B") == 7.0
    venue.session.missed(8.0)
    assert venue.session.carried_since("top.A") == 8.0
    assert venue.session.carried_since("trades.C") is None


@given(st.lists(st.sampled_from(NATIVES), min_size=1, max_size=3, unique=True))
def test_resubscribing_ends_a_topic_and_asks_for_it_once(asked: list[str]) -> None:
    venue = opened(*map(tape, NATIVES))
    before = len(venue.sent)
    for native in asked:
        venue.do(venue.session.resubscribe(f"trades.{native}"))
    frames = [frame for _, frame in venue.sent[before:]]
    expected: list[list[str]] = [[f"trades.{n}"] for n in asked]
    assert [f["unsub"] for f in frames[::2]] == [f["sub"] for f in frames[1::2]] == expected
    assert set(venue.session.topics.values()) == {TopicState.ACTIVE}
    assert venue.session.resubscribe("trades.unknown") == []


@attrs.define(eq=False)
class Budgeted(Exchange):
    """Requests wait until they may leave; what the exchange says is under way for a while."""

    waiting: list[Send] = attrs.field(factory=list)
    coming: list[dict[str, Any]] = attrs.field(factory=list)

    def do(self, effects: Sequence[Effect]) -> None:
        self.waiting += [effect for effect in effects if isinstance(effect, Send)]
        self.told += [effect for effect in effects if not isinstance(effect, Send)]

    def leave(self, answered: bool) -> None:
        if self.waiting:
            request = self.waiting.pop(0)
            if request.request_id is not None:
                self.session.sent(request.request_id, self.now)
            frame = orjson.loads(request.frame or "{}")
            self.active -= set(frame.get("unsub", ()))
            self.active |= set(frame.get("sub", ()))
            if answered:
                self.coming.append({"ok": frame.get("id", "")})

    def arrive(self) -> None:
        if self.coming:
            self.receive(self.coming.pop(0))


STEPS = {
    "drop": ("drop",),
    "renew": ("drop", "want"),
    "resubscribe": ("resubscribe",),
    "leave": ("leave",),
    "leave unheard": ("leave unheard",),
    "trade": ("trade",),
    "arrive": ("arrive",),
    "flow": ("trade", "arrive", "arrive", "arrive"),
}


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(list(STEPS)), min_size=6, max_size=40).map(
        lambda names: [step for name in names for step in STEPS[name]]
    )
)
def test_what_is_told_as_carried_has_no_hole_however_long_requests_wait(steps: list[str]) -> None:
    venue = Budgeted(exchange().session)
    session, (subscription,), topic = venue.session, [top("A")], "top.A"
    venue.do(session.opened(0.0))
    traded, seen, seen_at = 0, 0, -1.0
    for now, step in enumerate(["want", "leave", *steps], 1):
        venue.now = float(now)
        if step == "want":
            venue.do(session.add([subscription]))
        elif step == "drop":
            venue.do(session.remove([subscription]))
            seen_at = -1.0
        elif step == "resubscribe":
            venue.do(session.resubscribe(topic))
        elif step.startswith("leave"):
            venue.leave(answered=step == "leave")
        elif step == "trade":
            traded += 1
            if topic in venue.active:
                venue.coming.append({"t": topic, "n": traded, "q": ["1", "2"]})
        else:
            before = len(venue.of(Data))
            venue.arrive()
            for data in venue.of(Data)[before:]:
                since = session.carried_since(topic)
                assert since is not None
                assert data.sequence == seen + 1 or seen_at < since
                seen, seen_at = data.sequence, venue.now


def test_a_topic_is_heard_again_where_the_end_of_the_former_subscription_goes_unanswered() -> None:
    venue = Budgeted(exchange().session)
    venue.do(venue.session.opened(0.0))
    venue.do(venue.session.add([top("A")]))
    venue.leave(answered=True)
    venue.arrive()
    venue.do(venue.session.resubscribe("top.A"))
    venue.data("top.A")
    assert venue.of(Data) == []  # what comes before the end belongs to the former one
    venue.leave(answered=False)
    venue.leave(answered=True)
    venue.arrive()
    venue.data("top.A", 2)
    assert len(venue.of(Data)) == 1


@pytest.mark.parametrize("again", ["resubscribe", "remove"])
def test_what_begins_anew_is_not_known_to_overlap_with_what_others_bring(again: str) -> None:
    venue = opened(tape("A"), tape("B"))
    session = venue.session
    session.runner.joined |= {"trades.A", "trades.B"}
    if again == "remove":
        venue.do(session.remove([tape("A")]))
    else:
        venue.do(session.resubscribe("trades.A"))
    assert session.runner.joined == {"trades.B"}


def test_a_reply_of_the_codec_is_sent() -> None:
    from ccrs_core import Reply

    class Polite(ToyCodec):
        def _read(self, message: dict[str, Any], now_ns: int) -> Message:
            return Reply('{"ping":2}') if "hello" in message else super()._read(message, now_ns)

    venue = opened(codec=Polite())
    venue.receive({"hello": 1})
    assert [frame for _, frame in venue.sent] == [{"ping": 2}]


def test_a_protocol_ping_is_asked_for_where_the_codec_has_no_frame_for_it() -> None:
    class Bare(ToyCodec):
        def ping(self, request_id: str) -> Outbound | None:
            return None

    venue = opened(codec=Bare())
    venue.until(20.0)
    assert venue.sent == [(20.0, {})]


def test_subscriptions_of_different_kinds_never_share_a_request() -> None:
    class OneChannelPerRequest(ToyCodec):
        def request_kind(self, subscription: Subscription) -> Channel:
            return subscription.channel

    exchange = Exchange(
        Session(
            OneChannelPerRequest(),
            topics_per_request=2,
            max_silence=max_silence,
            patience=Patience(),
            runner=Runner(1),
        )
    )
    mixed = [top("A"), tape("A"), top("B"), tape("B"), top("C")]
    exchange.do(exchange.session.opened(0.0))
    exchange.do(exchange.session.add(mixed))
    asked = [frame["sub"] for _, frame in exchange.sent if "sub" in frame]
    assert asked == [["top.A", "top.B"], ["top.C"], ["trades.A", "trades.B"]]
    exchange.do(exchange.session.remove(mixed))
    gone = [frame["unsub"] for _, frame in exchange.sent if "unsub" in frame]
    assert gone == asked
