"""Sessions: what they ask for, are answered, and make of what is wanted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Ack,
    Message,
    Patience,
    Refused,
    Subscription,
)
from ccrs_core.connections.effects import (
    Acknowledged,
    Close,
    Send,
    Silent,
    TopicRefused,
    TopicState,
)
from tests.sessions import NATIVES, exchange, natives, opened, tape, top
from tests.toy import ToyCodec

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
