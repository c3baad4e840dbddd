"""One connection to a public (or private) Bybit stream: frames in, messages out, and back.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_bybit.channels import CHANNELS, OPTIONS
from ccrs_bybit.error_codes import NOT_NOW
from ccrs_core import (
    Access,
    Ack,
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

LOGIN_VALIDITY_MS = 10_000
"""How far ahead of now a login expires: room for a slow handshake and a clock that is behind."""

_TOPIC_IN_TEXT = re.compile(r"[A-Za-z]\w*(?:\.[\w-]+)+")


class BybitCodec(TableCodec):
    """Translator of one connection to a v5 stream."""

    # Bybit recommends a ping every 20 s and cuts connections that are idle for 10 minutes.
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    channels = CHANNELS
    intervals = INTERVALS
    head = Head("topic")

    def stream(self, subscription: Subscription) -> Stream:
        if subscription.instrument.market is Market.OPTION:
            return OPTIONS
        return super().stream(subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return _request("subscribe", map(self.topic, subscriptions), request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the topics, with all the channels that a ticker's topic carries."""
        self.close(subscriptions)
        return _request("unsubscribe", map(self.topic, subscriptions), request_id)

    def ping(self, request_id: str) -> Outbound:
        return f'{{"req_id":{_json(request_id)},"op":"ping"}}'

    def login(self, access: Access, request_id: str) -> Outbound:
        credentials = access.credentials
        expires = access.now_ms + LOGIN_VALIDITY_MS
        proof = hmac.new(
            credentials.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256
        ).hexdigest()
        args = f"[{_json(credentials.key)},{expires},{_json(proof)}]"
        return f'{{"req_id":{_json(request_id)},"op":"auth","args":{args}}}'

    def control(self, frame: Any) -> Sequence[Message]:
        if "topic" in frame:
            return ()
        if frame.get("type") == "COMMAND_RESP":
            return _option_answer(frame)
        op = frame.get("op")
        text = str(frame.get("ret_msg") or frame.get("retMsg") or "")
        if op == "pong" or (op == "ping" and frame.get("success") is not False):
            return (Pong(),)
        code = frame.get("retCode", 0)
        refused = frame.get("success") is False or code != 0
        accepted = not refused and ("success" in frame or "retCode" in frame)
        if op == "auth" and refused:
            return (LoginRefused("" if code == 0 else str(code), text),)
        if op == "auth" and accepted:
            return (LoggedIn(),)
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


def _request(op: str, topics: Iterable[str], request_id: str) -> str:
    args = ",".join(map(_json, dict.fromkeys(topics)))
    return f'{{"req_id":{_json(request_id)},"op":"{op}","args":[{args}]}}'


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def _option_answer(message: dict[str, Any]) -> Sequence[Message]:
    """The answer on option streams, which names topics instead of the request."""
    data = message["data"]
    text = str(message.get("ret_msg") or "refused, without a reason")
    accepted, failed = _topics(data.get("successTopics")), _topics(data.get("failTopics"))
    answers: list[Message] = []
    if accepted:
        answers.append(Ack(None, accepted))
    if failed:
        answers.append(Refused(None, "", text, failed))
    return answers or (Unrecognised("answer about no topic"),)


def _topics(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | None) or not all(isinstance(n, str) for n in names or ()):
        raise TypeError("topics must be a list of texts")
    return tuple(names or ())
