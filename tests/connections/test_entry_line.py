"""Order entry over WebSocket: each request ends in one way, and nothing is written twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    AuthError,
    Budget,
    ClockRefused,
    Codec,
    LoggedIn,
    Message,
    NotSent,
    Options,
    OutcomeUnknown,
    RateLimited,
    Request,
    Route,
    TransportError,
    TransportOptions,
    Unsupported,
)
from ccrs_core.transport.memory import run
from tests.entering import Do, Entering, EntryCodec, EntryToy, See, Undo, entering
from tests.virtual import scenario

HURRIED = Options(
    transport=TransportOptions(request_timeout=2.0), backoff_initial=0.1, backoff_max=0.5
)


@scenario
async def test_an_answer_comes_to_its_request_with_the_times() -> None:
    async with entering() as at:
        at.server.reply = at.server.later(0.5)
        sent: list[int] = []
        began = at.clock.time_ns()
        answer, times = await at.line.ask(Do("a"), on_sent=sent.append)
        assert answer == "done a"
        assert times.sent_ns == sent[0] == began
        assert times.received_ns is not None
        assert times.received_ns - began == pytest.approx(5e8, abs=1e6)
        assert times.answered_ns == times.received_ns - 1


@scenario
async def test_many_are_under_way_and_answers_are_matched_in_any_order() -> None:
    async with entering() as at:
        held: list[tuple[Any, Any]] = []
        at.server.reply = lambda peer, message: held.append((peer, message))
        asked = [at.start(Do(str(number))) for number in range(8)]
        await asyncio.sleep(0.1)
        assert len(held) == 8
        for peer, message in held[::-1]:
            at.server.well(peer, message)
        assert await asyncio.gather(*asked) == [f"done {number}" for number in range(8)]


@scenario
async def test_nothing_leaves_before_the_login_and_who_waits_for_it_is_served_then() -> None:
    async with entering(connected=False) as at:
        assert not at.line.ready
        at.server.hear_login = False
        early = at.start(Do("early"), patience=3.0)
        waits = at.start(Do("waits"), patience=60.0)
        await asyncio.sleep(5.0)
        assert isinstance(await early, NotSent)
        assert at.server.got == []
        at.server.hear_login = True
        assert await waits == "done waits"
        assert at.server.done == ["waits"]


@scenario
async def test_what_is_unanswered_when_the_connection_ends_is_unknown_and_isnt_written_again() -> (
    None
):
    async with entering(options=HURRIED) as at:
        at.server.reply = at.server.mute
        asked = [at.start(Do("a")), at.start(Undo("b")), at.start(See("c"))]
        await asyncio.sleep(0.1)
        at.server.open[0].drop()
        began = at.clock.monotonic()
        place, cancel, look = await asyncio.gather(*asked)
        assert at.clock.monotonic() == began  # it is known at once
        assert type(place) is type(cancel) is OutcomeUnknown
        assert isinstance(look, TransportError)
        await asyncio.sleep(60.0)
        assert Counter(at.server.done) == {"a": 1, "b": 1, "c": 1}
        at.server.reply = at.server.well
        assert await at.outcome(Do("d")) == "done d"


@scenario
async def test_without_an_answer_in_time_the_outcome_is_unknown_and_a_late_one_is_told() -> None:
    async with entering(options=HURRIED) as at:
        at.server.reply = at.server.later(5.0)
        assert type(await at.outcome(Do("slow"))) is OutcomeUnknown
        assert at.late == []
        await asyncio.sleep(5.0)
        ((request, found),) = at.late
        assert (request, found.value) == (Do("slow"), "done slow")
        at.server.open[0].push('{"re": "999", "says": "nobody asked", "headers": {}}')
        await asyncio.sleep(0.1)
        assert len(at.late) == 1
        at.server.reply = at.server.well
        assert await at.outcome(Do("next")) == "done next"


class Choosy(EntryToy):
    """Lacks what it would name some things by on its socket."""

    def enters(self, request: Request[Any]) -> bool:
        return getattr(request, "what", "") != "unnamed"


@scenario
async def test_what_the_exchange_cant_name_on_its_socket_is_not_carried_there() -> None:
    async with entering(exchange=Choosy()) as at:
        assert at.line.carries(Do("a"))
        assert not at.line.carries(Do("unnamed"))
        assert isinstance(await at.outcome(Do("unnamed")), Unsupported)
        assert at.server.got == []


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("bad", OutcomeUnknown),
        ("many", RateLimited),
        ("busy", OutcomeUnknown),
        (17, OutcomeUnknown),
    ],
)
def test_what_the_exchange_says_is_told_as_what_it_is(says: Any, kind: type[Exception]) -> None:
    async def main() -> None:
        async with entering() as at:
            at.server.reply = lambda peer, message: at.server.say(peer, message, says)
            assert type(await at.outcome(Do("a"))) is kind
            await asyncio.sleep(60.0)
            assert len(at.server.got) == 1

    run(main())


@scenario
async def test_a_refused_pool_pauses_and_others_go_on() -> None:
    async with entering() as at:
        at.server.reply = lambda peer, message: at.server.say(peer, message, "many")
        assert isinstance(await at.outcome(Do("a")), RateLimited)
        at.server.reply = at.server.well
        began = at.clock.monotonic()
        refused = await at.outcome(Do("b"), patience=0.0)
        assert isinstance(refused, RateLimited)
        assert refused.retry_after == pytest.approx(0.7, abs=0.01)
        assert await at.outcome(Undo("c")) == "done c"
        assert at.clock.monotonic() == began
        assert await at.outcome(Do("d")) == "done d"
        assert at.clock.monotonic() - began == pytest.approx(0.7, abs=0.01)
        assert at.server.done == ["a", "c", "d"]


@scenario
async def test_who_is_cancelled_before_it_leaves_has_sent_nothing() -> None:
    toy = EntryToy(messages=Budget(amount=1, seconds=5.0))  # the login spends it
    async with entering(exchange=toy) as at:
        waits = asyncio.ensure_future(at.line.ask(Do("a"), patience=60.0))
        await asyncio.sleep(1.0)
        waits.cancel()
        await asyncio.wait([waits])
        assert waits.cancelled()
        assert at.left == 10  # nothing was spent for it
        await asyncio.sleep(60.0)
        assert at.server.got == []


@scenario
async def test_what_meets_a_connection_that_has_just_ended_wasnt_sent() -> None:
    async with entering(options=HURRIED) as at:
        at.server.open[0].drop()
        sent: list[int] = []
        assert type(await at.outcome(Do("a"), on_sent=sent.append)) is NotSent
        assert (at.server.got, at.left) == ([], 10)


@scenario
async def test_budgets_count_here_as_they_do_for_rest() -> None:
    async with entering() as at:
        at.server.reply = at.server.later(0.5)
        asked = [at.start(Do(str(number))) for number in range(10)]
        await asyncio.sleep(0.0)
        assert isinstance(await at.outcome(Do("more"), patience=0.0), RateLimited)
        await asyncio.gather(*asked)
        answered = at.clock.monotonic()
        assert at.left == 0
        assert await at.outcome(Do("more")) == "done more"
        # A window's length after the answers, and half a second until its own.
        assert at.clock.monotonic() - answered == pytest.approx(1.5, abs=0.01)
        at.server.reply = lambda peer, message: at.server.say(peer, message, "yes", left="3")
        await asyncio.sleep(2.0)
        assert await at.outcome(Do("told")) == "yes"
        assert at.left == 3


@scenario
async def test_a_pause_of_the_exchanges_rest_host_doesnt_keep_cancels_from_leaving_here() -> None:
    async with entering() as at:
        at.client._opened().context.rest("rest")[1].pause(600.0)
        began = at.clock.monotonic()
        assert await at.outcome(Undo("a")) == "done a"
        assert at.clock.monotonic() == began


@scenario
async def test_who_is_cancelled_after_it_has_left_is_told_by_the_late_answer() -> None:
    async with entering() as at:
        at.server.reply = at.server.later(1.0)
        asked = asyncio.ensure_future(at.line.ask(Do("a")))
        await asyncio.sleep(0.5)
        asked.cancel()
        await asyncio.sleep(1.0)
        assert [request for request, _ in at.late] == [Do("a")]


@scenario
async def test_it_leaves_only_before_it_is_too_late() -> None:
    toy = EntryToy(messages=Budget(amount=1, seconds=5.0))
    async with entering(exchange=toy) as at:
        now = at.clock.monotonic()
        outcome = await at.outcome(Do("a"), send_before=now + 1.0, patience=60.0)
        assert type(outcome) is NotSent
        assert at.clock.monotonic() == pytest.approx(now + 1.0, abs=0.01)
        assert type(await at.outcome(Do("b"), send_before=now)) is NotSent
        await asyncio.sleep(65.0)  # some seconds after a heartbeat
        assert at.server.got == []
        now = at.clock.monotonic()
        assert await at.outcome(Do("c"), send_before=now + 1.0) == "done c"


@scenario
async def test_cancels_leave_before_what_waits() -> None:
    toy = EntryToy(messages=Budget(amount=1, seconds=2.0))
    async with entering(exchange=toy) as at:
        places = [at.start(Do(f"p{n}"), patience=600.0) for n in range(5)]
        await asyncio.sleep(0.1)
        cancel = at.start(Undo("c"), patience=600.0)
        await cancel
        assert at.server.done == ["c"]
        await asyncio.gather(*places)


@scenario
async def test_frames_are_made_as_they_leave() -> None:
    toy = EntryToy(messages=Budget(amount=1, seconds=5.0))
    async with entering(exchange=toy) as at:
        await asyncio.gather(*(at.start(Do(str(n)), patience=600.0) for n in range(3)))
        start = at.clock.time_ns() - round(at.clock.monotonic() * 1e9)
        for when, _, message in at.server.got:
            assert message["at"] == (start + round(when * 1e9)) // 1_000_000


@scenario
async def test_a_connection_that_is_to_end_is_replaced_and_nothing_under_way_is_lost() -> None:
    async with entering(options=HURRIED) as at:
        (old,) = at.server.open
        at.server.reply = at.server.later(1.0)
        under_way = at.start(Do("under way"))
        await asyncio.sleep(0.1)
        old.push('{"bye": "restarting"}')
        await asyncio.sleep(0.001)
        # It takes nothing any more: what comes now waits for the next one.
        later = at.start(Do("later"))
        assert await asyncio.gather(under_way, later) == ["done under way", "done later"]
        assert [peer is old for _, peer, _ in at.server.got] == [True, False]
        await asyncio.sleep(5.0)
        assert old not in at.server.open
        assert len(at.server.open) == 1


@scenario
async def test_connections_are_replaced_before_their_age_without_a_pause() -> None:
    async with entering(exchange=EntryToy(max_age=60.0), options=HURRIED) as at:
        at.server.reply = at.server.later(0.2)
        for number in range(400):
            began = at.clock.monotonic()
            assert await at.outcome(Do(str(number))) == f"done {number}"
            assert at.clock.monotonic() - began < 0.3
            await asyncio.sleep(0.5)
        assert len({peer for _, peer, _ in at.server.got}) >= 3
        assert len(at.server.done) == 400


@scenario
async def test_a_refused_login_is_told_once_and_nothing_leaves_any_more() -> None:
    async with entering(connected=False) as at:
        at.server.accept_login = False
        outcome = await at.outcome(Do("a"), patience=60.0)
        assert type(outcome) is NotSent
        assert isinstance(outcome.__cause__, AuthError)
        assert type(await at.outcome(Do("b"))) is NotSent
        await asyncio.sleep(600.0)
        assert len(at.server.attempts) == 1


@scenario
async def test_what_it_doesnt_carry_is_refused() -> None:
    async with entering() as at:
        from ccrs_core import GetServerTime

        assert isinstance(await at.outcome(GetServerTime()), Unsupported)


@scenario
async def test_an_end_leaves_nobody_waiting() -> None:
    async with entering() as at:
        at.server.reply = at.server.mute
        asked = at.start(Do("asked"))
        await asyncio.sleep(0.1)
        waits = [at.start(Do(str(n)), patience=600.0) for n in range(20)]
        await asyncio.sleep(0.0)
        await at.line.aclose()
        assert type(await asked) is OutcomeUnknown
        kinds = {type(each) for each in await asyncio.gather(*waits)}
        assert kinds <= {NotSent, OutcomeUnknown}
        assert type(await at.outcome(Do("after"))) is NotSent


@scenario
async def test_what_is_refused_for_its_time_is_asked_once_more_by_the_exchanges_clock() -> None:
    class Keeper:
        resynced = 0

        async def ready(self) -> None: ...

        async def resync(self, generation: int) -> None:
            Keeper.resynced += 1

    async with entering(keeper=Keeper()) as at:
        says = iter(["clock", "done", "clock", "clock"])
        at.server.reply = lambda peer, message: at.server.say(peer, message, next(says))
        assert await at.outcome(Do("a")) == "done"
        assert isinstance(await at.outcome(Do("b")), ClockRefused)
        assert (at.server.done, Keeper.resynced) == (["a", "a", "b", "b"], 2)


@scenario
async def test_a_login_that_expires_is_made_anew_and_requests_go_on() -> None:
    class Expiring(EntryCodec):
        def _read(self, message: dict[str, Any], now_ns: int) -> Message:
            found = super()._read(message, now_ns)
            return LoggedIn(renew_after=10.0) if isinstance(found, LoggedIn) else found

    class LogsInAgain(EntryToy):
        def codec(self, route: Route) -> Codec:
            return Expiring()

    async with entering(exchange=LogsInAgain(), options=HURRIED) as at:
        for number in range(30):
            assert await at.outcome(Do(str(number))) == f"done {number}"
            await asyncio.sleep(1.0)
        assert len(at.server.attempts) == 1
        logins = [message for _, _, message in at.server.sent if "login" in message]
        assert len(logins) == 3 + 1
        # Where it isn't answered the connection is dropped, and made anew.
        at.server.hear_login = False
        await asyncio.sleep(15.0)
        at.server.hear_login = True
        assert await at.outcome(Do("after"), patience=30.0) == "done after"


# --- any schedule ---------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["do", "undo", "see", "cancelled"] * 3,
                *("drop", "bye", "mute", "well", "slow", "busy", "vanish"),
                *("refuse", "no_login", "login"),
            ]
        ),
        st.sampled_from([0.0, 0.0, 0.001, 0.05, 0.7, 3.0]),
        st.sampled_from([None, 0.0, 0.0005, 0.5, 4.0]),
    ),
    min_size=1,
    max_size=25,
)


async def _play(at: Entering, steps: list[tuple[str, float, float | None]]) -> None:
    server, asked, sent = at.server, dict[str, asyncio.Task[Any]](), Counter[str]()
    kinds = {"do": Do, "undo": Undo, "see": See, "cancelled": Do}
    for number, (step, pause, within) in enumerate(steps):
        if step in kinds:
            name, how = f"{step}{number}", dict[str, Any]()
            if within is not None:
                how["send_before"] = at.clock.monotonic() + within
            count = lambda _, name=name: sent.update([name])  # noqa: E731
            task = at.start(kinds[step](name), patience=2.0, on_sent=count, **how)
            asked[name] = task
            if step == "cancelled":
                asyncio.get_running_loop().call_later(pause, task.cancel)
        elif step in ("mute", "well"):
            server.reply = getattr(server, step)
        elif step == "slow":
            server.reply = server.later(1.0)
        elif step == "busy":
            server.reply = lambda peer, message: server.say(peer, message, "busy")
        elif step == "refuse":
            server.refuse_connects = 2
        elif step in ("no_login", "login"):
            server.hear_login = step == "login"
        for peer in server.open[:1]:
            if step == "drop":
                peer.drop()
            elif step == "bye":
                peer.push('{"bye": "restarting"}')
            elif step == "vanish":
                server.dead.add(peer)
        await asyncio.sleep(pause)
    server.hear_login, server.reply = True, server.well
    await asyncio.wait(asked.values()) if asked else None
    arrived = Counter(server.done)
    for name, task in asked.items():
        assert arrived[name] <= 1
        assert arrived[name] <= sent[name] <= 1
        if task.cancelled():
            continue
        outcome = task.result()
        match outcome:
            case str():
                assert outcome == f"done {name}"
                assert arrived[name] == 1
            case NotSent() | RateLimited():
                assert arrived[name] == 0
            case OutcomeUnknown():
                assert not name.startswith("see")
                assert sent[name] == 1
            case _:
                assert name.startswith("see"), outcome
    # Whatever happened, it heals.
    await asyncio.sleep(60.0)
    assert await at.outcome(Do("last")) == "done last"
    assert len(server.open) == 1


@settings(max_examples=150)
@given(STEPS)
def test_each_request_ends_in_one_way_and_nothing_is_written_twice(
    steps: list[tuple[str, float, float | None]],
) -> None:
    async def main() -> None:
        async with entering(options=HURRIED) as at:
            await _play(at, steps)

    run(main())
