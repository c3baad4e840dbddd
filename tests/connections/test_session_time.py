"""Sessions and time: silence, heartbeats, deadlines and logging in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Heartbeat,
    Patience,
)
from ccrs_core.connections.effects import Acknowledged, Close, Silent
from ccrs_core.connections.session import NEVER
from tests.sessions import SILENCE, exchange, natives, opened, tape, top
from tests.toy import ToyCodec

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
    venue = exchange(login="")
    venue.do(venue.session.add([tape("A")]))
    venue.do(venue.session.opened(0.0))
    assert venue.requests() == [["trades.A"]]


def test_no_property_of_this_repository_depends_on_how_busy_the_machine_is() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
