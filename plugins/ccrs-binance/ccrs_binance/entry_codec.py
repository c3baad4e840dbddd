"""One connection over which orders are entered: to a WebSocket API, without any stream.

Keys of Ed25519 log the connection on, and sign nothing more; of others each request is signed.
https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/authentication-requests
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from ccrs_binance import algos, linked_calls, spot_orders
from ccrs_binance.budgets import counted
from ccrs_binance.error_codes import error_of_code, tells_both
from ccrs_binance.order_calls import done_of, fields_of, list_kind
from ccrs_binance.orders import Alone
from ccrs_binance.private_codec import NOT_NOW
from ccrs_binance.signing import RECEIVE_WINDOW_MS, private_key, signed_parameters
from ccrs_core import (
    Access,
    AmendOrder,
    Answer,
    CancelOrder,
    Channel,
    Closing,
    DecodeError,
    EntryReply,
    ExchangeError,
    ExchangeUnavailable,
    Heartbeat,
    LoggedIn,
    LoginRefused,
    Market,
    Message,
    Outbound,
    PlaceOrder,
    RateLimited,
    Request,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import MALFORMED, Stream, TableCodec

BY_SOCKET: frozenset[type[Request[Any]]] = frozenset(
    {PlaceOrder, AmendOrder, CancelOrder, *linked_calls.METHODS}
)
"""What can be asked for over it: batches and lists can't."""

LOGON = "logon"
"""What ids of logins begin with, so that they are no request's."""

NUMBERS = frozenset({"orderId", "cancelOrderId", "algoId"})
"""Parameters that are numbers."""


def method_of(request: Alone) -> str:
    """The name of what asks for it."""
    if algos.waits(request):
        return "algoOrder.place" if isinstance(request, PlaceOrder) else "algoOrder.cancel"
    if isinstance(request, CancelOrder):
        return "order.cancel"
    if isinstance(request, AmendOrder):
        spot = request.market is Market.SPOT
        return "order.amend.keepPriority" if spot else "order.modify"
    if request.market is Market.SPOT and spot_orders.has_exits(request):
        return f"orderList.place.{list_kind(request)}"
    return "order.place"


class EntryCodec(TableCodec):
    """Translator of one connection on which orders are entered: it has no topics."""

    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)
    channels: ClassVar[dict[Channel, Stream]] = {}
    head = None

    def __init__(self) -> None:
        super().__init__()
        self._logged_on = False

    def topic(self, subscription: Subscription) -> str:
        raise LookupError("there are no topics where orders are entered")

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        raise LookupError("there are no topics where orders are entered")

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        raise LookupError("there are no topics where orders are entered")

    def probe(self, request_id: str) -> Outbound:
        return orjson.dumps({"id": f"probe{request_id}", "method": "ping"}).decode()

    def login(self, access: Access, request_id: str) -> Outbound | None:
        key = private_key(access.credentials)
        if key is None or not key.logs_on:
            return None
        asked = {
            "id": f"{LOGON}{request_id}",
            "method": "session.logon",
            "params": signed_parameters({}, access),
        }
        return orjson.dumps(asked).decode()

    def entry(self, request: Request[Any], request_id: str, access: Access) -> Outbound:
        if isinstance(request, Alone):
            method, body = method_of(request), fields_of(request)
        elif isinstance(request, linked_calls.Linked):
            method = linked_calls.METHODS[type(request)]
            body = linked_calls.fields_of(request)
        else:
            raise LookupError(type(request).__name__)
        told: dict[str, Any] = {
            name: int(value) if name in NUMBERS else value for name, value in body.items()
        }
        told["recvWindow"] = RECEIVE_WINDOW_MS
        if self._logged_on:
            told["timestamp"] = access.now_ms
        else:
            told = signed_parameters(told, access)
        asked = {"id": request_id, "method": method, "params": told}
        return orjson.dumps(asked).decode()

    def control(self, frame: Any) -> Sequence[Message]:
        event = frame.get("event", frame)
        if event.get("e") == "serverShutdown":
            return (Closing("the exchange announced a shutdown"),)
        request_id, status = frame.get("id"), frame.get("status")
        if type(status) is not int:
            return (Unrecognised("an unknown frame"),)
        if type(request_id) is not str or not request_id:
            return self._to_nobody(frame)
        if request_id.startswith(LOGON):
            return (self._login_answer(frame),)
        if request_id.startswith("probe"):
            return (Unrecognised("an answer to a probe"),)
        return (EntryReply(request_id, frame, counted(frame.get("rateLimits"))),)

    def _login_answer(self, frame: Any) -> Message:
        if frame["status"] == OK:
            self._logged_on = True
            return LoggedIn()
        code, text = _said(frame)
        return LoginRefused(code, text, code in NOT_NOW or frame["status"] >= SERVER)

    def _to_nobody(self, frame: Any) -> Sequence[Message]:
        """An error that says of no request that it is its: of a key that counts no more each is
        refused from now on."""
        code, text = _said(frame)
        if frame["status"] == UNAUTHORISED:
            return (LoginRefused(code, text),)
        return (Unrecognised(f"{code} {text}"[:200]),)

    def entry_answer(
        self, request: Request[Any], content: Any, received_time_ns: int
    ) -> Answer[Any]:
        assert isinstance(request, Alone | linked_calls.Linked)
        try:
            if isinstance(request, linked_calls.Linked):
                told = content["result"] if content["status"] == OK else content["error"]
                if content["status"] == OK or tells_both(told):
                    return Answer(linked_calls.answer_of(request, told, received_time_ns))
                raise refusal(content)
            if content["status"] != OK:
                raise refusal(content)
            return Answer(done_of(request, content["result"], received_time_ns))
        except MALFORMED as error:
            raise DecodeError(f"malformed answer: {error!r}"[:200]) from error


OK, UNAUTHORISED, SERVER = 200, 401, 500
LIMITED = frozenset({403, 418, 429})


def _said(frame: Any) -> tuple[str, str]:
    error = frame["error"]
    return str(error["code"]), str(error.get("msg") or "no reason given")


def refusal(frame: Any) -> ExchangeError:
    """The error that an answer stands for.

    https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/response-format
    """
    error, status = frame["error"], frame["status"]
    code, text = error["code"], str(error.get("msg") or "no reason given")
    if type(code) is not int or type(status) is not int:
        raise TypeError("no code")
    if status in LIMITED:
        return RateLimited(str(code), text, _wait(error.get("data")))
    fallback = ExchangeError if status < SERVER else ExchangeUnavailable
    return error_of_code(code, text, _wait(error.get("data")), fallback)


def _wait(data: Any) -> float | None:
    """Seconds that are to pass, where it is said until when."""
    if type(data) is not dict:
        return None
    until, now = data.get("retryAfter"), data.get("serverTime")
    if type(until) is not int or type(now) is not int:
        return None
    return max(until - now, 0) / 1000
