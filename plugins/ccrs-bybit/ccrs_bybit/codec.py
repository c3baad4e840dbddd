"""One connection to a public (or private) Bybit stream: frames in, messages out, and back.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_bybit.channels import CHANNELS, RPI_BOOK
from ccrs_bybit.error_codes import NOT_NOW
from ccrs_bybit.options import PUBLIC_TRADE, stream_of
from ccrs_bybit.signing import login_args
from ccrs_core import (
    Access,
    Ack,
    Channel,
    Heartbeat,
    LoggedIn,
    LoginRefused,
    Market,
    Message,
    Outbound,
    Pong,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import Head, Stream, TableCodec

INTERVALS = {
    "1m": "1",
    "3m": "3",
    "5m": "5",
    "15m": "15",
    "30m": "30",
    "1h": "60",
    "2h": "120",
    "4h": "240",
    "6h": "360",
    "12h": "720",
    "1d": "D",
    "1w": "W",
    "1M": "M",
}
"""Bybit's names of the candle intervals by their unified ones."""

_UNANSWERED = 128
"""Names whose unanswered requests are remembered, besides those that are wanted."""

_TOPIC_IN_TEXT = re.compile(r"[A-Za-z]\w*(?:\.[\w-]+)+")


class BybitCodec(TableCodec):
    """Translator of one connection to a v5 stream."""

    # Bybit recommends a ping every 20 s and cuts connections that are idle for 10 minutes.
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    channels = CHANNELS
    intervals = INTERVALS
    head = Head("topic")

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, deque[tuple[str, ...]]] = {}
        """The topics of each request that was sent under a name that all options of a coin share:
        its answer says no more than that name. Answered ones are forgotten."""
        self._granted: set[str] = set()
        """Names that Bybit has consented to: asked again, it need not."""

    def stream(self, subscription: Subscription) -> Stream:
        if subscription.instrument.market is Market.OPTION:
            return stream_of(subscription)
        if subscription.rpi:
            return RPI_BOOK
        return super().stream(subscription)

    def topic(self, subscription: Subscription) -> str:
        """That of an option's trades is its own, although they come for all of a coin."""
        if _shared(subscription):
            return f"{PUBLIC_TRADE}.{subscription.instrument.native}"
        return super().topic(subscription)

    def request_kind(self, subscription: Subscription) -> Hashable:
        # Those of a coin's options share one argument.
        return self._name(subscription) if _shared(subscription) else None

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return self._request("subscribe", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the topics, with all the channels that a ticker's topic carries. Trades of a coin's
        options end with the last option that they are wanted of; until then they are asked for
        again instead, which changes nothing."""
        self.close(subscriptions)
        left = [each for each in subscriptions if self.carried(self._name(each))]
        gone = [each for each in subscriptions if each not in left]
        if not gone:
            return self._request("subscribe", left, request_id)
        return self._request("unsubscribe", gone, request_id, map(self.topic, left))

    def _name(self, subscription: Subscription) -> str:
        """What a subscription is asked for by."""
        return self.named(self.stream(subscription).name, subscription)

    def _request(
        self,
        op: str,
        subscriptions: Sequence[Subscription],
        request_id: str,
        besides: Iterable[str] = (),
    ) -> str:
        """``besides`` are topics of which nothing is said, and that what is answered means too."""
        meant: dict[str, list[str]] = {}
        for each in subscriptions:
            if _shared(each):
                meant.setdefault(self._name(each), []).append(self.topic(each))
        if others := tuple(besides):
            name = self._name(subscriptions[0])
            meant.setdefault(name, [name]).extend(others)
        for name, topics in meant.items():
            self._asked.setdefault(name, deque()).append(tuple(topics))
        names = list(dict.fromkeys(map(self._name, subscriptions)))
        if op == "unsubscribe":
            self._granted.difference_update(names)
            self._forget_unanswered()
        return (
            f'{{"req_id":{_json(request_id)},"op":"{op}","args":[{",".join(map(_json, names))}]}}'
        )

    def _forget_unanswered(self) -> None:
        """What is never answered is not to pile up."""
        for name in list(self._asked)[: max(len(self._asked) - _UNANSWERED, 0)]:
            if not self.carried(name):
                del self._asked[name]

    def ping(self, request_id: str) -> Outbound:
        return f'{{"req_id":{_json(request_id)},"op":"ping"}}'

    def login(self, access: Access, request_id: str) -> Outbound:
        args = login_args(access)
        return orjson.dumps({"req_id": request_id, "op": "auth", "args": args}).decode()

    def control(self, frame: Any) -> Sequence[Message]:
        if "topic" in frame:
            return ()
        if frame.get("type") == "COMMAND_RESP":
            return self._option_answer(frame)
        op = frame.get("op")
        text = str(frame.get("ret_msg") or frame.get("retMsg") or "")
        if op == "pong" or (op == "ping" and frame.get("success") is not False):
            return (Pong(),)
        code = frame.get("retCode", 0)
        refused = frame.get("success") is False or code != 0
        accepted = not refused and ("success" in frame or "retCode" in frame)
        if op == "auth" and (refused or accepted):
            return (login_answer(code, text, refused),)
        request_id = frame.get("req_id") or frame.get("reqId") or None
        if not isinstance(request_id, str):
            request_id = None
        if refused and op in {"subscribe", "unsubscribe", None}:
            return (self._refusal(request_id, "" if code == 0 else str(code), text),)
        if accepted and op in {"subscribe", "unsubscribe"}:
            return (Ack(request_id),)
        return (Unrecognised(f"op {op}"[:200]),)

    def _refusal(self, request_id: str | None, code: str, text: str) -> Message:
        """One bad topic fails a whole request, and the text says which; the others of the request
        stay unanswered."""
        named = [t.rstrip(".") for t in _TOPIC_IN_TEXT.findall(text)]
        topics = tuple(t for t in named if t in self.topics) or (
            tuple(named) if request_id is None else ()
        )
        if "already subscribed" in text.lower():
            return Ack(request_id, topics or None)
        return Refused(request_id, code, text, topics or None, code in NOT_NOW)

    def _option_answer(self, message: dict[str, Any]) -> Sequence[Message]:
        """The answer on option streams, which names topics instead of the request."""
        data = message["data"]
        text = str(message.get("ret_msg") or "refused, without a reason")
        accepted, failed = _topics(data.get("successTopics")), _topics(data.get("failTopics"))
        accepted += tuple(name for name in failed if name in self._granted)
        failed = tuple(name for name in failed if name not in self._granted)
        self._granted |= {name for name in accepted if self.carried(name)}
        answers: list[Message] = []
        if accepted:
            answers.append(Ack(None, self._meant(accepted)))
        if failed:
            answers.append(Refused(None, "", text, self._meant(failed)))
        return answers or (Unrecognised("answer about no topic"),)

    def _meant(self, names: Sequence[str]) -> tuple[str, ...]:
        """The topics that were asked for by these names, by each request in its turn."""
        found: list[str] = []
        for name in names:
            asked = self._asked.get(name)
            found += asked.popleft() if asked else (name,)
            if not asked:
                self._asked.pop(name, None)
        return tuple(found)


_LOGGED_IN_ALREADY = 20001
_TOO_MANY_SESSIONS = 10003
"""Of the socket of order entry; elsewhere, and in a text of other words, it is a wrong key."""


def login_answer(code: Any, text: str, refused: bool) -> Message:
    """What an answer to a login says."""
    if not refused or code == _LOGGED_IN_ALREADY:
        return LoggedIn()
    later = str(code) in NOT_NOW or (code == _TOO_MANY_SESSIONS and "session" in text.lower())
    return LoginRefused("" if code == 0 else str(code), text, later)


def _shared(subscription: Subscription) -> bool:
    """Whether it shares a topic with those of other instruments."""
    return subscription.market is Market.OPTION and subscription.channel is Channel.TRADES


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def _topics(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | None) or not all(isinstance(n, str) for n in names or ()):
        raise TypeError("topics must be a list of texts")
    return tuple(names or ())
