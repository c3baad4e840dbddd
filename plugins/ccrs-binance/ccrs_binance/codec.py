"""One connection to Binance's combined market streams: frames in, messages out, and back.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from ccrs_binance.channels import stream_of
from ccrs_core import (
    Ack,
    Closing,
    Heartbeat,
    Message,
    Outbound,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import Head, Stream, TableCodec

INTERVALS = {
    each: each
    for each in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M")
}
"""Binance's names of the candle intervals by their unified ones."""

FULL_DEPTH = 1000
"""Levels of the snapshot that the stream of changes starts from."""


class BinanceCodec(TableCodec):
    """Translator of one connection to ``/stream``: frames come as ``{"stream":…,"data":…}``."""

    # Binance pings every 20 s (spot) or 3 min (futures), which the transport answers; pings of our
    # own tell sooner that a connection is dead.
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)
    head = Head("stream")

    def stream(self, subscription: Subscription) -> Stream:
        return stream_of(subscription)

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return self._request("SUBSCRIBE", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the streams, with all the channels that they carry."""
        self.close(subscriptions)
        return self._request("UNSUBSCRIBE", subscriptions, request_id)

    def _request(
        self, method: str, subscriptions: Sequence[Subscription], request_id: str
    ) -> Outbound:
        streams = list(dict.fromkeys(map(self.topic, subscriptions)))
        message = {"method": method, "params": streams, "id": int(request_id)}
        return orjson.dumps(message).decode()

    def probe(self, request_id: str) -> Outbound:
        """A small request: pings are the WebSocket's own, whose pongs aren't frames.
        https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#retrieving-properties
        """
        return f'{{"method":"GET_PROPERTY","params":["combined"],"id":{int(request_id)}}}'

    def control(self, frame: Any) -> Sequence[Message]:
        data = frame.get("data", frame)
        if type(data) is dict and data.get("e") == "serverShutdown":
            # https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#server-shutdown
            return (Closing("the exchange announced a shutdown"),)
        if "stream" in frame:
            return ()
        number = frame.get("id")
        request_id = None if number is None else str(number)
        # The documents print errors flat; they are sent nested.
        error = frame.get("error", frame)
        if type(error) is dict and "code" in error:
            code, text = str(error["code"]), str(error.get("msg") or "no reason given")
            return (Refused(request_id, code, text),)
        if "result" in frame and request_id is not None:
            return (Ack(request_id),)
        return (Unrecognised(str(frame.get("e", "an unknown frame"))[:200]),)
