"""One connection to OKX's public or business streams: frames in, messages out, and back.

https://www.okx.com/docs-v5/en/#overview-websocket
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Access,
    Ack,
    Channel,
    Closing,
    Heartbeat,
    LoggedIn,
    LoginRefused,
    Message,
    Outbound,
    Pong,
    Refused,
    Subscription,
    Unrecognised,
)
from ccrs_core.wire import Head, Stream, TableCodec
from ccrs_okx.channels import stream_of
from ccrs_okx.error_codes import NOT_NOW
from ccrs_okx.indices import INDICES
from ccrs_okx.news import INSTRUMENTS
from ccrs_okx.options import SUMMARY
from ccrs_okx.signing import login_argument
from ccrs_okx.symbols import index_of, instrument_type
from ccrs_okx.unnumbered import LIQUIDATIONS

INTERVALS = {
    "1m": "1m",
    "3m": "3m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1H",
    "2h": "2H",
    "4h": "4H",
    "6h": "6Hutc",
    "12h": "12Hutc",
    "1d": "1Dutc",
    "1w": "1Wutc",
    "1M": "1Mutc",
}
"""OKX's names of the candle intervals by their unified ones. Without ``utc`` the longer ones begin
at midnight in Hong Kong."""

SERVICE_UPGRADE = "64008"

# https://www.okx.com/docs-v5/en/#error-code-websocket-public
CLOCK = frozenset({"60004", "60006"})
"""What refuses a login for its time alone, which passes once clocks were compared."""

LOGIN_ERRORS = frozenset(
    {"60001", "60002", "60003", "60004", "60005", "60006", "60007", "60008", "60009", "60010",
     "60022", "60024", "60031", "60032"}
)  # fmt: skip


class OkxCodec(TableCodec):
    """Translator of one connection to ``/ws/v5/public`` or ``/ws/v5/business``."""

    # OKX ends connections on which nothing was pushed for 30 s: whoever hears nothing for less
    # sends "ping". https://www.okx.com/docs-v5/en/#overview-websocket-connect
    heartbeat: ClassVar[Heartbeat | None] = Heartbeat(interval=20.0, timeout=8.0)
    head: ClassVar[Head | None] = Head("arg", ("channel", "instId"))
    intervals = INTERVALS
    answers: ClassVar[Mapping[bytes, Sequence[Message]]] = {b"pong": (Pong(),)}

    def stream(self, subscription: Subscription) -> Stream:
        return stream_of(subscription)

    def topic(self, subscription: Subscription) -> str:
        """Those of liquidations, index prices and greeks have an instrument too, although they come
        for a whole type, for all that follow an index, or for a family."""
        if subscription.channel is Channel.INSTRUMENTS:
            return self._name(subscription)
        channel, _, _ = super().topic(subscription).partition(":")
        return f"{channel}:{subscription.instrument.native}"

    def topic_of(self, frame: Any) -> str | None:
        if "event" in frame or "arg" not in frame:
            return None
        return _named(frame["arg"])

    # --- requests ---

    def request_kind(self, subscription: Subscription) -> Hashable:
        # Those of liquidations share one argument.
        if subscription.channel is Channel.LIQUIDATIONS:
            return instrument_type(subscription.instrument)
        # So do those of one index, and of one family.
        if subscription.channel is Channel.INDEX_PRICE:
            return f"{INDICES}:{index_of(subscription.instrument)}"
        return self._name(subscription) if subscription.channel is Channel.GREEKS else None

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.open(subscriptions)
        return self._request("subscribe", subscriptions, request_id)

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        """Ends the topics. Liquidations of a type, an index, and greeks of a family end with the
        last instrument that they are wanted of; until then they are asked for again instead, which
        changes nothing."""
        self.close(subscriptions)
        left = [each for each in subscriptions if self.carried(self._name(each))]
        if left:
            return self._request("subscribe", left, request_id)
        return self._request("unsubscribe", subscriptions, request_id)

    def _name(self, subscription: Subscription) -> str:
        return self.named(self.stream(subscription).name, subscription)

    def _request(self, op: str, subscriptions: Sequence[Subscription], request_id: str) -> str:
        names = dict.fromkeys(map(self._name, subscriptions))
        arguments = []
        for channel, _, about in (name.partition(":") for name in names):
            kind = _ARGUMENTS.get(channel, "instId")
            arguments.append({"channel": channel, kind: about})
        return orjson.dumps({"id": request_id, "op": op, "args": arguments}).decode()

    def ping(self, request_id: str) -> Outbound:
        return "ping"

    def login(self, access: Access, request_id: str) -> Outbound:
        """https://www.okx.com/docs-v5/en/#overview-websocket-login"""
        return orjson.dumps({"op": "login", "args": [login_argument(access)]}).decode()

    # --- answers ---

    def control(self, frame: Any) -> Sequence[Message]:
        if "event" not in frame:
            return ()
        event, code = frame["event"], str(frame.get("code", ""))
        text = str(frame.get("msg") or "no reason given")
        request_id = frame.get("id")
        if not isinstance(request_id, str) or not request_id:
            request_id = None
        if event in {"subscribe", "unsubscribe"}:
            return (Ack(request_id, self._answered(_named(frame["arg"]), request_id)),)
        if event == "login":
            return (LoggedIn() if code == "0" else LoginRefused(code, text, code in NOT_NOW),)
        if event == "error":
            if code in LOGIN_ERRORS:
                return (LoginRefused(code, text, code in CLOCK),)
            later = code in NOT_NOW
            return (Refused(request_id, code, text, _refused(text) or None, later),)
        if event == "notice" and code == SERVICE_UPGRADE:
            return (Closing(text),)
        return (Unrecognised(f"event {event}"[:200]),)

    def _answered(self, name: str, request_id: str | None) -> tuple[str, ...] | None:
        """The topics that an answer is about; None for all of its request."""
        if name.startswith((LIQUIDATIONS, INDICES, SUMMARY)):
            # A request for them has no other argument.
            return self.carried(name) if request_id is None else None
        return self.carried(name) or (name,)


_ARGUMENTS = {INSTRUMENTS: "instType", LIQUIDATIONS: "instType", SUMMARY: "instFamily"}
"""What is named of channels that aren't of one instrument."""


def _named(arg: Any) -> str:
    for kind in ("instId", "instFamily", "instType"):
        if kind in arg:
            return ":".join([arg["channel"], arg[kind]])
    return ":".join([arg["channel"], ""])


def _refused(text: str) -> tuple[str, ...]:
    """The topic that a refusal names, in a text such as ``Wrong URL or channel:books,instId:X-Y
    doesn't exist. Please use…``."""
    _, _, named = text.partition("channel:")
    channel, _, rest = named.partition(",instId:")
    native = rest.partition(" ")[0].rstrip(".,")
    return (f"{channel}:{native}",) if channel and native else ()
