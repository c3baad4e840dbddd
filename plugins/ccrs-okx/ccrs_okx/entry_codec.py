"""One connection over which orders are entered: to ``/ws/v5/private``, without any channel.

Instruments have a number there, which not every list of them tells: without it requests go by HTTP.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-place-order
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Access,
    AmendOrder,
    AmendOrders,
    Answer,
    Channel,
    DecodeError,
    EntryReply,
    Message,
    Outbound,
    PlaceOrder,
    PlaceOrders,
    Request,
    Subscription,
)
from ccrs_core.wire import MALFORMED, Stream
from ccrs_okx.algos import waits
from ccrs_okx.codec import OkxCodec
from ccrs_okx.error_codes import EACH, error_of_code, error_of_items
from ccrs_okx.orders import ENTRY_OPS, Alone, Several, answer_of, fields_of
from ccrs_okx.signing import deadline

BY_SOCKET: frozenset[type[Request[Any]]] = frozenset(ENTRY_OPS)
"""What can be asked for over it."""

_TIMELY = (PlaceOrder, PlaceOrders, AmendOrder, AmendOrders)
_OPS = frozenset(ENTRY_OPS.values())


def enters(request: Request[Any]) -> bool:
    """Whether a request can go over it: orders that wait for a trigger can't, nor what is about an
    instrument whose number isn't known."""
    items = request.items if isinstance(request, Several) else (request,)
    return all(
        isinstance(item, Alone) and item.instrument.native_code is not None and not waits(item)
        for item in items
    )


class EntryCodec(OkxCodec):
    """Translator of one connection on which orders are entered: it has no topics."""

    channels: ClassVar[dict[Channel, Stream]] = {}
    head = None

    def topic(self, subscription: Subscription) -> str:
        raise LookupError("there are no topics where orders are entered")

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        raise LookupError("there are no topics where orders are entered")

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        raise LookupError("there are no topics where orders are entered")

    def entry(self, request: Request[Any], request_id: str, access: Access) -> Outbound:
        if not isinstance(request, Alone | Several):
            raise LookupError(type(request).__name__)
        items: Sequence[Alone] = request.items if isinstance(request, Several) else (request,)
        frame: dict[str, Any] = {
            "id": request_id,
            "op": ENTRY_OPS[type(request)],
            "args": [{"instIdCode": _code(item), **fields_of(item)} for item in items],
        }
        if isinstance(request, _TIMELY):
            frame["expTime"] = deadline(access)
        return orjson.dumps(frame).decode()

    def control(self, frame: Any) -> Sequence[Message]:
        if frame.get("op") not in _OPS:
            return super().control(frame)
        request_id = frame["id"]
        if type(request_id) is not str or not request_id:
            raise TypeError("an answer to nobody's request")
        return (EntryReply(request_id, frame),)

    def entry_answer(
        self, request: Request[Any], content: Any, received_time_ns: int
    ) -> Answer[Any]:
        assert isinstance(request, Alone | Several)
        try:
            code = content["code"]
            if type(code) is not str:
                raise TypeError("code is no text")
            error = error_of_items(content)
            if error is None and code not in EACH and code != "0":
                error = error_of_code(code, str(content.get("msg") or "no reason given"))
            if error is not None:
                raise error
            if content["op"] != ENTRY_OPS[type(request)]:
                raise ValueError(f"the answer is to {content['op']!r:.60}")
            return answer_of(request, content["data"])
        except MALFORMED as error:
            raise DecodeError(f"malformed answer: {error!r}"[:200]) from error


def _code(item: Alone) -> int:
    code = item.instrument.native_code
    if code is None:
        raise LookupError(f"nobody knows the number of {item.instrument.symbol}")
    return code
