"""One connection over which orders are entered.

https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from ccrs_bybit.codec import login_answer
from ccrs_bybit.error_codes import error_of_code, until_reset
from ccrs_bybit.orders import OPS, Alone, Several, answer_of, body_of
from ccrs_bybit.signing import RECEIVE_WINDOW_MS, login_args
from ccrs_core import (
    Access,
    Answer,
    Closing,
    Codec,
    DecodeError,
    EntryReply,
    Heartbeat,
    Message,
    Outbound,
    Pong,
    Request,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import MALFORMED, read_json

BY_SOCKET: frozenset[type[Request[Any]]] = frozenset(OPS)
"""What can be asked for over it."""

RESTARTING = 10019
"""No new requests are taken; those in flight are answered."""


class EntryCodec(Codec):
    """Translator of one connection to ``/v5/trade``: it has no topics."""

    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)

    def topic(self, subscription: Subscription) -> str:
        raise LookupError("there are no topics where orders are entered")

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        raise LookupError("there are no topics where orders are entered")

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        raise LookupError("there are no topics where orders are entered")

    def ping(self, request_id: str) -> Outbound:
        return '{"op":"ping"}'

    def login(self, access: Access, request_id: str) -> Outbound:
        args = login_args(access)
        return orjson.dumps({"reqId": request_id, "op": "auth", "args": args}).decode()

    def entry(self, request: Request[Any], request_id: str, access: Access) -> Outbound:
        if not isinstance(request, Alone | Several):
            raise LookupError(type(request).__name__)
        frame = {
            "reqId": request_id,
            "header": {
                "X-BAPI-TIMESTAMP": str(access.now_ms),
                "X-BAPI-RECV-WINDOW": str(RECEIVE_WINDOW_MS),
            },
            "op": f"order.{OPS[type(request)]}",
            "args": [body_of(request)],
        }
        return orjson.dumps(frame).decode()

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        message = read_json(frame)
        try:
            return self._read(message)
        except MALFORMED as error:
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame) from error

    def _read(self, message: dict[str, Any]) -> Sequence[Message]:
        op = message.get("op")
        if op == "pong":
            return (Pong(),)
        code = message["retCode"]
        if type(code) is not int:
            raise TypeError("retCode is no number")
        if op == "auth":
            return (login_answer(code, str(message.get("retMsg") or ""), code != 0),)
        request_id = message.get("reqId")
        said: list[Message] = []
        if type(request_id) is str and request_id:
            headers = message["header"] = _headers(message.get("header"))
            said.append(EntryReply(request_id, message, headers))
        if code == RESTARTING:
            said.append(Closing(str(message.get("retMsg") or "the service restarts")[:200]))
        return said or (Unrecognised(f"op {op}, code {code}, of no request"[:200]),)

    def entry_answer(
        self, request: Request[Any], content: Any, received_time_ns: int
    ) -> Answer[Any]:
        assert isinstance(request, Alone | Several)
        code, headers = content["retCode"], _headers(content.get("header"))
        if code != 0:
            text = str(content.get("retMsg") or "no reason given")
            raise error_of_code(code, text, until_reset(headers))
        try:
            if content["op"] != f"order.{OPS[type(request)]}":
                raise ValueError(f"the answer is to {content['op']!r:.60}")
            answered = headers.get("timenow")
            return answer_of(request, content["data"], content.get("retExtInfo"), answered)
        except MALFORMED as error:
            raise DecodeError(f"malformed answer: {error!r}"[:200]) from error


class _Headers(dict[str, str]):
    """What an answer says in the manner of HTTP headers, by their names in lower case."""


def _headers(told: Any) -> _Headers:
    if type(told) is _Headers:
        return told
    if type(told) is not dict:
        return _Headers()
    return _Headers((name.lower(), value) for name, value in told.items() if type(value) is str)
