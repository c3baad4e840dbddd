"""Deadlines that hold while other things go on: traffic puts off none that isn't its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from ccrs_core import Heartbeat, Options, Patience, Reason, Stale, TopOfBook, trades
from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.effects import Close, Silent, TopicRefused
from ccrs_core.topics.counted import Counted
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.waiting_changes import Ask
from tests.sessions import SILENCE, Exchange, opened, tape, top
from tests.tapes import Tape
from tests.topics.test_keeper import Desk, change
from tests.toy import ToyCodec
from tests.virtual import scenario
from tests.watching import TOP, world


def busy(
    venue: Exchange,
    until: float,
    *,
    every: float = 0.5,
    bring: Callable[[int], None] | None = None,
) -> None:
    """Let time pass, while frames keep coming."""
    number = round(venue.now / every)
    while venue.now < until:
        number += 1
        venue.until(min(number * every, until))
        if not venue.of(Close):
            if bring is None:
                venue.data("top.A", number)
            else:
                bring(number)


# --- answers that don't come ----------------------------------------------------------------------


def test_a_missing_acknowledgement_is_noticed_in_its_time_while_other_data_and_answers_come() -> (
    None
):
    patience = Patience(ack=5.0, ack_attempts=3)
    venue = opened(top("A"), patience=patience)
    venue.data("top.A")
    venue.mute = True
    venue.do(venue.session.add([tape("B")]))
    busy(venue, 40.0)
    asked = [at for at, frame in venue.sent if frame.get("sub") == ["trades.B"]]
    assert asked[:4] == pytest.approx([0.0, 5.0, 10.0, 15.0])
    (refused,) = venue.of(TopicRefused)
    assert refused.topic == "trades.B"
    assert not venue.of(Close)
    assert not venue.of(Silent)


def test_each_of_several_requests_has_its_own_deadline() -> None:
    venue = opened(top("A"), patience=Patience(ack=5.0))
    venue.data("top.A")
    venue.mute = True
    for native, at in (("B", 0.0), ("C", 2.0), ("D", 4.0)):
        busy(venue, at)
        venue.do(venue.session.add([tape(native)]))
    busy(venue, 14.5)
    for native, at in (("B", 0.0), ("C", 2.0), ("D", 4.0)):
        asked = [when for when, frame in venue.sent if frame.get("sub") == [f"trades.{native}"]]
        assert asked == pytest.approx([at, at + 5.0, at + 10.0])


def test_an_unsubscription_without_an_answer_is_over_in_its_time_while_others_talk() -> None:
    venue = opened(top("A"), tape("B"), patience=Patience(ack=5.0))
    venue.data("top.A")
    venue.mute = True
    venue.do(venue.session.remove([tape("B")]))
    busy(venue, 4.5)
    assert sum(1 for _ in venue.session._requests) == 1
    busy(venue, 5.5)
    assert sum(1 for _ in venue.session._requests) == 0
    assert venue.requests("unsub") == [["trades.B"]]


def test_a_login_without_an_answer_is_given_up_in_its_time_whatever_else_comes() -> None:
    venue = opened(tape("A"), login="good", mute=True, patience=Patience(login=10.0))
    busy(venue, 9.9, bring=lambda number: venue.receive({"pong": 1}))
    assert not venue.of(Close)
    busy(venue, 10.1, bring=lambda number: venue.receive({"pong": 1}))
    assert [close.reason for close in venue.of(Close)] == ["the login was not answered"]


# --- heartbeats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0.3, 4.0, 19.0])
def test_pings_keep_their_interval_while_data_flows(every: float) -> None:
    venue = opened(tape("A"))
    busy(venue, 205.0, every=every, bring=lambda number: venue.receive({"t": "x", "n": number}))
    pings = [at for at, frame in venue.sent if "ping" in frame]
    # Exchanges hang up on who doesn't ping, however much they send.
    assert pings == pytest.approx([20.0 * (n + 1) for n in range(10)])


def test_without_pongs_a_connection_lives_as_long_as_data_flows_and_no_longer() -> None:
    venue = opened(tape("A"), pongs=False)
    busy(venue, 300.0, bring=lambda number: venue.receive({"t": "x", "n": number}))
    assert not venue.of(Close)
    last = venue.session.last_received
    venue.until(last + 29.9)
    assert not venue.of(Close)
    venue.until(last + 30.1)
    assert len(venue.of(Close)) == 1


def test_without_heartbeats_data_of_any_topic_keeps_a_connection_and_its_end_ends_it() -> None:
    codec = ToyCodec()
    codec.__class__ = type("Quiet", (ToyCodec,), {"heartbeat": None})
    venue = opened(tape("A"), codec=codec, patience=Patience(idle=20.0))
    busy(venue, 100.0, every=19.0, bring=lambda number: venue.receive({"t": "x", "n": number}))
    assert not venue.of(Close)
    venue.until(venue.session.last_received + 20.1)
    assert len(venue.of(Close)) == 1


def test_a_heartbeat_that_is_due_is_sent_whenever_the_last_data_came() -> None:
    codec = ToyCodec()
    codec.__class__ = type("Beating", (ToyCodec,), {"heartbeat": Heartbeat(10.0, 5.0)})
    venue = opened(tape("A"), codec=codec)
    for number in range(40):
        venue.until(venue.now + 2.5)
        venue.receive({"t": "x", "n": number})
    assert len([1 for _, frame in venue.sent if "ping" in frame]) == 10


def test_signs_of_life_below_the_frames_put_the_end_off_and_old_ones_take_nothing_away() -> None:
    venue = opened(tape("A"), pongs=False)
    venue.session.heard(25.0)
    venue.session.heard(5.0)
    assert venue.session.last_received == 25.0
    venue.until(54.9)
    assert not venue.of(Close)
    venue.until(55.1)
    assert len(venue.of(Close)) == 1


# --- silence --------------------------------------------------------------------------------------


def test_a_topics_silence_is_told_in_its_time_while_all_others_talk() -> None:
    venue = opened(top("A"), top("B"), tape("C"))
    venue.data("top.A")
    venue.data("top.B")

    def talk(number: int) -> None:
        venue.data("top.A", number)
        venue.receive({"t": "trades.C", "ids": [str(number)]})

    busy(venue, SILENCE - 0.1, bring=talk)
    assert not venue.of(Silent)
    busy(venue, SILENCE + 0.1, bring=talk)
    assert [silent.topic for silent in venue.of(Silent)] == ["top.B"]
    assert venue.requests("unsub") == [["top.B"]]
    busy(venue, 2 * SILENCE - 0.1, bring=talk)
    assert not venue.of(Close)
    busy(venue, 2 * SILENCE + 0.6, bring=talk)
    assert ["top.B stayed silent" in close.reason for close in venue.of(Close)] == [True]


def test_who_speaks_in_turn_within_the_time_is_never_silent_and_each_silence_counts_alone() -> None:
    natives = ("A", "B", "C", "D")
    venue = opened(*(top(native) for native in natives))
    for number in range(60):
        venue.until(venue.now + 2.0)
        venue.data(f"top.{natives[number % 4]}", number)  # each every eight seconds
    assert not venue.of(Silent)
    last = venue.now
    for number in range(60, 70):  # the second and the fourth fall silent
        venue.until(venue.now + 2.0)
        venue.data(f"top.{natives[number % 2 * 2]}", number)
        if venue.of(Close):
            break
    silent = [effect.topic for effect in venue.of(Silent)]
    assert set(silent) == {"top.B", "top.D"}
    assert len(venue.of(Close)) == 1
    assert venue.now <= last + 22.0


# --- what waits for its turn ----------------------------------------------------------------------


def test_a_hole_in_a_book_is_waited_for_its_time_however_much_comes_after_it() -> None:
    desk = Desk(2)
    desk.bring(change(1, None, 100, 1, snapshot=True), 0.0)
    desk.bring(change(1, None, 100, 1, snapshot=True), 0.0, 1)
    for number in range(3, 60):
        now = 1.0 + number * 0.01
        wake = desk.keeper.wake_at
        if wake is not None and now >= wake:
            desk.keeper.tick(now, 1)
        if not desk.book.valid:
            break
        desk.bring(change(number, number - 1, 100, number), now)
    assert not desk.book.valid
    assert now == pytest.approx(1.03 + BookKeeper.HOLD, abs=0.02)
    assert len(desk.asked) == 1


def test_a_book_is_asked_for_again_in_its_time_while_its_changes_go_on() -> None:
    desk = Desk(1)
    asked_at: list[float] = []
    unanswered = False
    for step in range(1, 400):
        now = step * 0.1
        known = len(desk.asked)
        if desk.keeper.wake_at is not None and now >= desk.keeper.wake_at:
            desk.keeper.tick(now, 1)
        desk.bring(change(step, step - 1, 100, step), now)
        if len(desk.asked) > known:
            asked_at.append(now)
            unanswered = True
        if unanswered:
            desk.keeper.unanswered(now)
            unanswered = False
    waits = [later - sooner for sooner, later in itertools.pairwise(asked_at)]
    assert len(waits) >= 3
    assert waits == pytest.approx([BookKeeper.PATIENCE] * len(waits), abs=0.15)
    assert set(desk.asked) == {Ask.FIRST}


def test_a_missing_trade_is_waited_for_its_time_however_many_follow() -> None:
    tape = Tape(counted=True)
    for who in (0, 1):
        tape.topic.acknowledged(tape.runners[who], 0.0, 0)
        tape.bring(who, [1], 0.0)
    now, number = 1.0, 3  # the second is missing
    while now < 1.0 + 2 * Counted.BOUND:
        tape.bring(0, [number], now)
        wake = tape.topic.wake_at
        if wake is not None and now >= wake:
            tape.topic.tick(now, 0)
        if len(tape.ids) > 1:
            break
        number, now = number + 1, now + 0.05
    assert now == pytest.approx(1.0 + Counted.BOUND, abs=0.06)
    assert tape.ids == [1, *range(3, number + 1)]


def test_what_waits_for_a_proof_waits_for_its_time_however_much_more_comes() -> None:
    tape = Tape()
    tape.bring(0, [1], 0.0)
    now, number = 1.0, 10
    while now < 1.0 + 2 * Coverage.BOUND:
        tape.bring(1, [number], now)
        wake = tape.topic.wake_at
        if wake is not None and now >= wake:
            tape.topic.tick(now, 0)
        if len(tape.ids) > 1:
            break
        number, now = number + 1, now + 0.05
    assert now == pytest.approx(1.0 + Coverage.BOUND, abs=0.06)
    assert tape.ids == [1, *range(10, number + 1)]


# --- through the client ---------------------------------------------------------------------------


@scenario
async def test_a_topic_that_stays_dead_costs_a_busy_connection_but_no_event_of_the_others() -> None:
    async with world(TOP, trades("BTC/USD"), options=Options(backoff_initial=0.1)) as seen:
        first = seen.server.open[0]
        seen.server.stalled.add((first, "top.BTC"))
        for _ in range(300):
            seen.server.tick("trades.BTC")
            await asyncio.sleep(0.1)
        assert not first.open
        reasons = [stale.reason for stale in seen.of(Stale) if stale.about == TOP.channel]
        assert reasons[0] is Reason.SILENT
        first_told = next(each for each in seen.of(Stale) if each.reason is Reason.SILENT)
        top_of_book = seen.of(TopOfBook)[0]
        waited = (first_told.received_time_ns - top_of_book.received_time_ns) / 1e9
        assert waited == pytest.approx(SILENCE, abs=0.2)
