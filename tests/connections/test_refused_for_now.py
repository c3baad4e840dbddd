"""Requests that are refused for now: neither granted nor given up, asked again ever more seldom."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from ccrs_core import Message, Patience, Refused, Subscription
from ccrs_core.connections.effects import Acknowledged, TopicRefused, TopicState
from tests.sessions import Exchange, opened, tape, top
from tests.toy import ToyCodec


class Busy(ToyCodec):
    """Its exchange's refusals are for now."""

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if "no" in message:
            named = message.get("bad")
            return Refused(message["no"], "503", "busy", named and tuple(named), later=True)
        return super()._read(message, now_ns)


def busy(*natives: str, named: bool = True) -> Exchange:
    found = opened(*map(tape, natives), codec=Busy(), mute=True)
    found.receive(*[_refusal(frame, named) for _, frame in found.sent])
    return found


def _refusal(frame: dict[str, Any], named: bool) -> dict[str, Any]:
    return {"no": frame["id"], **({"bad": frame.get("sub", [])} if named else {})}


@pytest.mark.parametrize("named", [True, False])
def test_what_is_refused_for_now_is_neither_active_nor_halved_nor_told(named: bool) -> None:
    venue = busy("A", "B", "C", named=named)
    assert set(venue.session.topics.values()) == {TopicState.PENDING}
    assert len(venue.requests()) == 1
    assert not venue.of(TopicRefused)
    venue.mute = False
    venue.until(Patience().ack)
    assert set(venue.session.topics.values()) == {TopicState.ACTIVE}
    assert len(venue.of(Acknowledged)) == 3
    assert len(venue.requests()) == 2


@pytest.mark.parametrize("wanted", [tape("A"), top("A")], ids=["no cadence", "a cadence"])
def test_pauses_grow_and_the_user_is_told_once(wanted: Subscription) -> None:
    venue = opened(wanted, codec=Busy(), mute=True)
    venue.receive(_refusal(venue.sent[-1][1], True))
    times = [0.0]
    while venue.now < 600.0:
        before = len(venue.sent)
        venue.until(min(venue.session.wake_at, 600.0))
        for _, frame in venue.sent[before:]:
            if "sub" in frame:
                times.append(venue.now)
                venue.receive(_refusal(frame, True))
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert set(pauses[4:]) == {60.0}
    (told,) = venue.of(TopicRefused)
    assert (told.code, told.text) == ("", "refused for now, 3 times: busy (code 503)")


def test_of_topics_that_are_acknowledged_beside_none_is_asked_for_again() -> None:
    venue = opened(*map(tape, ("A", "B")), codec=Busy(), mute=True)
    ((_, frame),) = venue.sent
    venue.receive({"no": frame["id"], "bad": ["trades.B"]})
    venue.receive({"ok": frame["id"]})
    assert set(venue.session.topics.values()) == {TopicState.ACTIVE}
    venue.until(600.0)
    assert len(venue.requests()) == 1


@pytest.mark.parametrize("again", [False, True])
def test_an_unsubscription_that_is_refused_for_now_is_asked_for_again(again: bool) -> None:
    venue = opened(*map(tape, ("A", "B")), codec=Busy())
    venue.mute = True
    venue.do(venue.session.remove([tape("A")]))
    venue.receive(_refusal(venue.sent[-1][1], False))
    venue.mute = False
    if again:
        venue.do(venue.session.add([tape("A")]))
    venue.until(venue.now + 300.0)
    assert venue.active == ({"trades.A", "trades.B"} if again else {"trades.B"})
    assert len(venue.requests("unsub")) == (1 if again else 2)
