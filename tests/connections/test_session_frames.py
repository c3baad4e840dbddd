"""Sessions and frames: what is read, what comes late, what can't be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Channel,
    Data,
    DecodeError,
    Message,
    Outbound,
    Patience,
    Subscription,
    Unrecognised,
)
from ccrs_core.connections.effects import (
    Close,
    Counters,
    Effect,
    Send,
    Silent,
    Superseded,
    TopicState,
    Unreadable,
)
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
from tests.sessions import NATIVES, SILENCE, Exchange, exchange, max_silence, opened, tape, top
from tests.toy import ToyCodec

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


class Blanks(ToyCodec):
    """A codec of an exchange some of whose states say nothing yet."""

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if message.get("q") == []:
            return Unrecognised("no price yet")
        return super()._read(message, now_ns)


_QUOTES: dict[str, list[str]] = {"good": ["1", "2"], "blank": [], "broken": ["x", "2"]}


@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.sampled_from([*_QUOTES]), st.integers(-1, 2)),
        min_size=2,
        max_size=12,
    ),
    st.booleans(),
)
@example([("A", "good", 1), ("A", "blank", 1)], False)
@example([("A", "good", 0), ("A", "good", -1), ("A", "blank", 1)], False)
def test_of_a_burst_the_newest_state_that_says_anything_is_delivered(
    burst: list[tuple[str, str, int]], racing: bool
) -> None:
    frames: list[dict[str, Any]] = []
    number = 10
    for native, quote, step in burst:
        number += step
        frames.append({"t": f"top.{native}", "n": number, "q": _QUOTES[quote]})
    ends = []
    for replaceable in ({"top.A", "top.B"}, set[str]()):
        venue = opened(top("A"), top("B"), codec=Blanks())
        venue.session.reader.replaceable = replaceable
        venue.session.reader.contests = {} if racing else None
        before = venue.session.counters.unrecognised
        venue.receive(*frames)
        ends.append({data.topic: data for data in venue.of(Data)})
        counters = venue.session.counters
        replaced = sum(effect.count for effect in venue.of(Superseded))
        blank = counters.unrecognised - before
        assert counters.superseded == replaced
        assert len(venue.of(Data)) + replaced + blank + counters.unreadable == len(frames)
        if len({frame["t"] for frame in frames}) == 1 and not replaceable:
            good = [at for at, (_, quote, _) in enumerate(burst) if quote == "good"]
            assert bool(ends[-1]) == bool(good)
    # Where numbers go back, which of the two is the newest is for the race to say: what is left out
    # here mustn't be newer than what is delivered.
    assert ends[0].keys() == ends[1].keys()
    for name, data in ends[0].items():
        if all(step >= 0 for _, _, step in burst):
            assert data == ends[1][name]
        assert (data.sequence or 0) >= (ends[1][name].sequence or 0)


def test_what_is_looked_at_again_stands_before_what_the_burst_ended_with() -> None:
    venue = opened(top("A"), codec=Blanks())
    venue.session.reader.replaceable = {"top.A"}
    venue.receive(
        *({"t": "top.A", "n": n, "q": [q, "9"]} for n, q in ((1, "1"), (2, "2"), (3, "x")))
    )
    assert [type(effect) for effect in venue.told[-3:]] == [Superseded, Data, Unreadable]
    (data,) = venue.of(Data)
    assert data.sequence == 2
    assert venue.session.reader.only_topic is None


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


@given(st.lists(st.sampled_from(["bad", "good", "other"]), max_size=20))
def test_a_topics_values_never_end_the_connection_and_concern_that_topic_alone(
    frames: list[str],
) -> None:
    codec = ToyCodec()
    codec.__class__ = type("Quiet", (ToyCodec,), {"heartbeat": None})
    venue = opened(top("A"), top("B"), codec=codec, patience=Patience(idle=1e9))
    venue.data("top.A", 1)
    venue.data("top.B", 1)
    told = row = 0
    for number, frame in enumerate(frames, start=2):
        venue.until(venue.now + 0.1)
        row = row + 1 if frame == "bad" else 0 if frame == "good" else row
        if frame == "bad":
            venue.receive({"t": "top.A", "n": number, "q": ["x", "2"]})
            told += 1
            found = venue.of(Unreadable)[-1]
            assert found.topics == ("top.A",)
            assert found.lasting == (("top.A",) if row >= 3 else ())
        venue.data("top.A" if frame == "good" else "top.B", number)
        assert (venue.session.carried_since("top.A") is None) == (row >= 3)
        assert venue.session.carried_since("top.B") is not None
        assert len(venue.of(Unreadable)) == venue.session.counters.unreadable == told
    assert not venue.of(Close)


def test_a_topic_whose_values_stay_unreadable_falls_silent_over_and_over() -> None:
    venue = opened(top("A"), codec=ToyCodec())
    venue.data("top.A", 1)
    for number in range(2, 60):
        venue.until(venue.now + 1.0)
        venue.receive({"t": "top.A", "n": number, "q": ["x", "2"]})
    assert not venue.of(Close)
    assert len(venue.of(Silent)) >= 3
    venue.session.resumed(venue.now)
    venue.until(venue.now + 3 * SILENCE)  # now it is silence, indeed
    assert venue.of(Close)


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
