"""How connections begin: logins that are renewed or refused for now, and what is asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Access,
    Ack,
    AuthError,
    Credentials,
    DecodeError,
    LoggedIn,
    LoginRefused,
    Message,
    Outbound,
    Patience,
    Refused,
    hookimpl,
    trades,
)
from ccrs_core.connections.effects import Close, Unanswered
from ccrs_core.extensions.hooks import new_manager
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock
from tests.sessions import opened, tape
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import scenario
from tests.watching import world

KEY = Credentials("good", "secret")
TAPE = trades("BTC/USD")


class Renewing(ToyCodec):
    """Logins are good for 100 s; what comes with one renews the next."""

    token = "first"

    def login(self, access: Access, request_id: str) -> Outbound | None:
        return orjson.dumps({"login": access.credentials.key, "with": self.token}).decode()

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        message = orjson.loads(frame)
        if "token" in message:
            self.token = message["token"]
            return (LoggedIn(renew_after=80.0),)
        if "later" in message:
            return (LoginRefused("50061", "too many logins", later=True),)
        return super().decode(frame, received_time_ns)


class RenewingServer(ToyServer):
    """Hangs up where a login is older than 100 s."""

    logins: ClassVar[int] = 0
    refuses = 0
    mute = False

    def __init__(self) -> None:
        super().__init__()
        self.logged_in: dict[Peer, float] = {}
        self.withs: list[str] = []

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "login" not in message:
            assert self.now() - self.logged_in[peer] < 100.0, "not logged in any more"
            super().received(peer, frame)
            return
        self.sent.append((self.now(), peer, message))
        if self.refuses:
            self.refuses -= 1
            peer.push('{"later":1}')
            return
        if self.mute:
            return
        self.withs.append(message["with"])
        self.logged_in[peer] = self.now()
        peer.push(orjson.dumps({"token": f"token {len(self.withs)}"}))


@scenario
async def test_a_login_is_made_anew_in_time_with_what_the_last_one_brought() -> None:
    server = RenewingServer()
    toy = Toy(private=True, codec=Renewing)
    async with world(TAPE, exchange=toy, credentials=KEY, server=server) as seen:
        await asyncio.sleep(1000.0)  # heartbeats go on all the while
        assert server.withs == ["first", *(f"token {n}" for n in range(1, len(server.withs)))]
        assert len(server.withs) == 13
        assert len(server.attempts) == 1
        # Subscriptions are none of its business.
        assert sum("sub" in m for _, _, m in server.sent) == 1
        assert seen.server.subscribed() == [{"trades.BTC"}]


@scenario
async def test_a_renewal_without_an_answer_ends_the_connection_and_another_begins() -> None:
    server = RenewingServer()
    toy = Toy(private=True, codec=Renewing)
    async with world(TAPE, exchange=toy, credentials=KEY, server=server):
        server.mute = True
        await asyncio.sleep(85.0)
        server.mute = False
        await asyncio.sleep(30.0)
        assert len(server.attempts) == 2
        assert server.withs == ["first", "first"]
        assert server.subscribed() == [{"trades.BTC"}]


@scenario
async def test_a_login_that_is_refused_for_now_is_tried_again_ever_more_slowly() -> None:
    server = RenewingServer()
    server.refuses = 6
    toy = Toy(private=True, codec=Renewing)
    async with world(TAPE, exchange=toy, credentials=KEY, server=server):
        await asyncio.sleep(200.0)
        assert len(server.attempts) == 7
        assert server.attempts[-1] - server.attempts[0] > 1.0
        assert server.subscribed() == [{"trades.BTC"}]


@scenario
async def test_a_renewal_that_is_refused_for_good_is_terminal() -> None:
    class Refusing(Renewing):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            if b"later" in frame:
                return (LoginRefused("401", "key deleted"),)
            return super().decode(frame, received_time_ns)

    server = RenewingServer()
    client = ccrs_core.connect(
        Toy(private=True, codec=Refusing),
        transport=MemoryTransport(server),
        clock=VirtualClock(),
        credentials=KEY,
    )
    server.now = asyncio.get_running_loop().time
    with pytest.raises(AuthError, match="key deleted"):  # noqa: PT012
        async with client, client.subscribe(TAPE):
            server.refuses = 1
            await asyncio.sleep(1000.0)


@scenario
async def test_a_codec_that_fails_when_its_time_has_come_costs_the_connection() -> None:
    class Broken(ToyCodec):
        def ping(self, request_id: str) -> Outbound | None:
            raise ZeroDivisionError("a plugin's mistake")

    async with world(TAPE, exchange=Toy(codec=Broken)) as seen:
        await asyncio.sleep(300.0)
        assert len(seen.server.attempts) > 3
        error = seen.client.status().connections[0].last_error
        assert error is not None
        assert "a plugin's mistake" in error


# --- asked for once -------------------------------------------------------------------------


class Asking(ToyCodec):
    once: ClassVar[tuple[str, ...]] = ("set_heartbeat", "cancel_on_disconnect")

    def ask_once(self, name: str, request_id: str) -> Outbound:
        return orjson.dumps({"once": name, "id": request_id}).decode()

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            message = orjson.loads(frame)
        except ValueError as error:
            raise DecodeError(str(error), frame) from error
        if "busy" in message:
            return (Refused(message["busy"], "429", "busy", later=True),)
        if "named" in message:
            return (Ack(None, (message["named"],)),)
        return super().decode(frame, received_time_ns)


class AskedServer(ToyServer):
    """Answers what is asked for once as told: by name, in turn."""

    def __init__(self, **answers: list[str]) -> None:
        super().__init__()
        self.answers = answers

    def received(self, peer: Peer, frame: Outbound) -> None:
        message = orjson.loads(frame)
        if "once" not in message:
            super().received(peer, frame)
            return
        self.sent.append((self.now(), peer, message))
        turns = self.answers.get(message["once"], ["ok"])
        how = turns.pop(0) if len(turns) > 1 else turns[0]
        own = {
            "ok": {"ok": message["id"]},
            "no": {"no": message["id"], "why": "not for you"},
            "busy": {"busy": message["id"]},
            "named": {"named": message["once"]},
        }.get(how)
        if own is not None:
            peer.push(orjson.dumps(own))

    def asked(self) -> list[str]:
        return [m["once"] for _, _, m in self.sent if "once" in m]


class Listener:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    @hookimpl
    def ccrs_request_unanswered(self, request: str, text: str) -> None:
        self.told.append((request, text))


@pytest.mark.parametrize("how", ["ok", "named"])
def test_each_connection_asks_once_after_the_login_and_before_any_subscription(how: str) -> None:
    @scenario
    async def play() -> None:
        server = AskedServer(set_heartbeat=[how], cancel_on_disconnect=[how])
        toy = Toy(private=True, codec=Asking)
        async with world(TAPE, exchange=toy, credentials=KEY, server=server) as seen:
            listener = Listener()
            seen.client._hooks = new_manager()
            seen.client._hooks.register(listener)
            kinds = [next(iter(message)) for _, _, message in server.sent]
            assert kinds == ["login", "once", "once", "sub"]
            await seen.feed.subscribe(trades("ETH/USD"))
            await asyncio.sleep(300.0)
            assert server.asked() == ["set_heartbeat", "cancel_on_disconnect"]
            server.open[0].drop()
            await asyncio.sleep(60.0)
            assert server.asked() == 2 * ["set_heartbeat", "cancel_on_disconnect"]
            assert not listener.told
            assert server.subscribed() == [{"trades.BTC", "trades.ETH"}]

    play()


@pytest.mark.parametrize(
    ("turns", "asked", "text"),
    [
        (["mute"], 1, "not answered"),
        (["no"], 1, "refused: not for you (code 404)"),
        (["busy", "ok"], 2, None),
        (["busy", "busy", "ok"], 3, None),
        (["busy"], 3, "refused: busy (code 429)"),
        (["busy", "mute"], 2, "not answered"),
    ],
)
def test_what_is_not_granted_is_told_once_and_the_connection_goes_on(
    turns: list[str], asked: int, text: str | None
) -> None:
    @scenario
    async def play() -> None:
        server = AskedServer(cancel_on_disconnect=turns)
        async with world(TAPE, exchange=Toy(codec=Asking), server=server) as seen:
            listener = Listener()
            seen.client._hooks = new_manager()
            seen.client._hooks.register(listener)
            server.open[0].drop()  # heard from the beginning
            before = server.asked().count("cancel_on_disconnect")
            turns[:] = list(original)
            await asyncio.sleep(300.0)
            assert server.asked().count("cancel_on_disconnect") - before == asked
            assert listener.told == ([] if text is None else [("cancel_on_disconnect", text)])
            assert len(server.attempts) == 2
            assert server.subscribed() == [{"trades.BTC"}]

    original = list(turns)
    play()


@given(st.data())
def test_whatever_becomes_of_what_is_asked_once_subscriptions_are_granted_and_all_ends(
    data: st.DataObject,
) -> None:
    """On the bare session, with pauses of our own and answers in any order."""
    venue = opened(tape("A"), codec=Asking(), patience=Patience())
    open_ = {f["id"]: f["once"] for _, f in venue.sent if "once" in f}
    assert sorted(open_.values()) == sorted(Asking.once)
    for _ in range(data.draw(st.integers(0, 8))):
        venue.until(venue.now + data.draw(st.sampled_from([0.0, 1.0, 4.0])))
        open_ |= {f["id"]: f["once"] for _, f in venue.sent if "once" in f}
        request_id = data.draw(st.sampled_from(sorted(open_)))
        kind = data.draw(st.sampled_from(["ok", "no", "busy"]))
        venue.receive({kind: request_id, "why": "because"} if kind == "no" else {kind: request_id})
    venue.until(venue.now + 60.0)
    told = [effect.name for effect in venue.of(Unanswered)]
    assert len(told) == len(set(told))
    assert len([f for _, f in venue.sent if "once" in f]) <= 2 * Patience().ack_attempts
    assert not venue.of(Close)
    assert venue.session.carried_since("trades.A") is not None
