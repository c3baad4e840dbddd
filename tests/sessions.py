"""An exchange that a session talks to, without a connection between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import orjson
from hypothesis import strategies as st

from ccrs_core import (
    Channel,
    Codec,
    Patience,
    Subscription,
)
from ccrs_core.connections.effects import Begun, Effect, Send
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
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
            elif not isinstance(effect, Begun):
                self.told.append(effect)

    def answer(self, frame: dict[str, Any]) -> None:
        if "ping" in frame or not frame:
            if self.pongs:
                self.receive({"pong": 1})
        elif self.mute or "once" in frame:
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
    request_bytes: int | None = None,
    **how: Any,
) -> Exchange:
    session = Session(
        ToyCodec() if codec is None else codec,
        topics_per_request=per_request,
        request_bytes=request_bytes,
        max_silence=max_silence,
        patience=Patience() if patience is None else patience,
        runner=Runner(1),
        login_frame=None
        if login is None
        else lambda request_id: orjson.dumps({"login": login}).decode() if login else None,
    )
    return Exchange(session, **how)


def opened(*subscriptions: Subscription, **how: Any) -> Exchange:
    made = exchange(**how)
    logs_in = how.get("login") is not None
    made.do(made.session.add(subscriptions) if logs_in else [])
    made.do(made.session.opened(made.now))
    if not logs_in:
        made.do(made.session.add(subscriptions))
    return made


NATIVES = [f"N{i}" for i in range(12)]
natives = st.lists(st.sampled_from(NATIVES), unique=True, max_size=12)
