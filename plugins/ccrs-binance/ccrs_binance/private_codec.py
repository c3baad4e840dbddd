"""Private connections: of spot over its WebSocket API, of futures under a listen key.

https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/user-data-stream-requests
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Connect
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_binance.error_codes import CLASSES
from ccrs_binance.signing import signed_parameters
from ccrs_binance.user_streams import (
    FUTURES_EVENTS,
    SPOT_EVENTS,
    CoinReader,
    FuturesReader,
    SpotReader,
)
from ccrs_core import (
    Access,
    Ack,
    Channel,
    ClockRefused,
    Closing,
    ExchangeUnavailable,
    Heartbeat,
    LoginRefused,
    Lost,
    Message,
    Outbound,
    RateLimited,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import Stream, TableCodec

SPOT_STREAM = Stream("spot user", SpotReader)
USDM_STREAM = Stream("usdm user", FuturesReader)
COINM_STREAM = Stream("coinm user", CoinReader)
COINM_TWIN = Stream("coinm user too", CoinReader)
"""The same, at the other address where it may be: the ledger takes each fact once."""

SPOT_CHANNELS = (Channel.ORDERS, Channel.FILLS, Channel.BALANCES, Channel.INCOME)
USDM_CHANNELS = (Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.BALANCES)
COINM_CHANNELS = USDM_CHANNELS

ACTIVE_ALREADY = "-2035"
"""Where the stream has been subscribed to on this connection.

https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

NO_KEY = frozenset({"-2014", "-2015"})
"""Codes of keys that are none, or none any more."""
NOT_NOW = frozenset(
    str(code)
    for code, error in CLASSES.items()
    if error in {RateLimited, ExchangeUnavailable, ClockRefused}
)
"""Codes of what passes. What arrived too late for its timestamp is signed anew when it is asked
for again."""


class UserCodec(TableCodec):
    """Translator of one connection that tells of an account, all of it by one stream."""

    # The exchange's own pings come every 20 s (spot) or 3 min (futures): pings of our own tell
    # sooner that a connection is dead.
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=10.0)
    head = None

    def request_kind(self, subscription: Subscription) -> None:
        return None

    def control(self, frame: Any) -> Sequence[Message]:
        event = frame.get("event", frame)
        kind = event.get("e") if type(event) is dict else None
        if kind is not None:
            return self.announced(kind)
        number, error = frame.get("id"), frame.get("error")
        request_id = None if number is None else str(number)
        if type(error) is dict:
            code, text = str(error.get("code", "")), str(error.get("msg") or "no reason given")
            if code == ACTIVE_ALREADY:
                return (Ack(request_id),)
            if code in NO_KEY:
                return (LoginRefused(code, text),)  # each subscription shows the key anew
            return (Refused(request_id, code, text, None, code in NOT_NOW),)
        if request_id is not None and "result" in frame:
            return (Ack(request_id),)
        return (Unrecognised("an unknown frame"),)

    def announced(self, kind: str) -> Sequence[Message]:
        """What an event says that tells of the connection, and not of the account."""
        if kind == "serverShutdown":
            return (Closing("the exchange announced a shutdown"),)
        if kind in {"eventStreamTerminated", "listenKeyExpired"}:
            # Nothing comes any more.
            return (Lost(kind, tuple(self.topics)), Closing(f"the stream has ended: {kind}"))
        return (Unrecognised(str(kind)[:200]),)


class SpotUserCodec(UserCodec):
    """Translator of one connection to ``/ws-api/v3`` that carries a user data stream.

    Each subscription is signed, whatever the key is: a key of HMAC can't log a connection on.
    https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/user-data-stream-requests
    """

    channels: ClassVar[Mapping[Channel, Stream]] = dict.fromkeys(SPOT_CHANNELS, SPOT_STREAM)

    def topic_of(self, frame: Any) -> str | None:
        event = frame.get("event")
        return SPOT_STREAM.name if type(event) is dict and event.get("e") in SPOT_EVENTS else None

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return _request(SUBSCRIBE, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.close(subscriptions)
        return _request("userDataStream.unsubscribe", request_id)

    def probe(self, request_id: str) -> Outbound:
        return _request("ping", request_id)

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        asked = orjson.loads(frame)
        if asked["method"] != SUBSCRIBE:
            return frame
        return orjson.dumps({**asked, "params": signed_parameters({}, access)}).decode()


SUBSCRIBE = "userDataStream.subscribe.signature"


def _request(method: str, request_id: str) -> str:
    return orjson.dumps({"id": request_id, "method": method}).decode()


class FuturesUserCodec(UserCodec):
    """Translator of one connection that shows a listen key in its address: it brings the stream at
    once, and a question about its subscriptions is answered behind what came before."""

    channels: ClassVar[Mapping[Channel, Stream]] = {
        **dict.fromkeys(USDM_CHANNELS, USDM_STREAM),
        Channel.EARLY_FILLS: USDM_STREAM,
    }

    def topic_of(self, frame: Any) -> str | None:
        named = frame.get("e") in FUTURES_EVENTS
        return next(iter(self.topics), None) if named else None

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return _listed(request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """The stream ends with its connection alone."""
        self.close(subscriptions)
        return _listed(request_id)

    def probe(self, request_id: str) -> Outbound:
        return _listed(request_id)


def _listed(request_id: str) -> str:
    return f'{{"method":"LIST_SUBSCRIPTIONS","id":{int(request_id)}}}'


class CoinUserCodec(FuturesUserCodec):
    """The same of COIN-M, at the address where its documents have it."""

    channels: ClassVar[Mapping[Channel, Stream]] = {
        Channel.ORDERS: COINM_STREAM,
        Channel.FILLS: COINM_STREAM,
        Channel.BALANCES: COINM_STREAM,
    }


class CoinTwinCodec(FuturesUserCodec):
    """The same of COIN-M, at the address where programs have found it."""

    channels: ClassVar[Mapping[Channel, Stream]] = {Channel.POSITIONS: COINM_TWIN}
