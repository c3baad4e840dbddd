"""The emulated Bybit's private WebSocket: ``/v5/private``.

No topic has a snapshot, and nothing is said again. What is pushed is made by
:mod:`ccrs_bybit.emulator_pushes`.

https://bybit-exchange.github.io/docs/v5/websocket/private/order and the pages beside it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION
from ccrs_bybit.emulator_sessions import Session
from ccrs_core.emulator import BadRequest, milliseconds

_KINDS: Mapping[str, Sequence[str]] = {
    "order": CATEGORIES,
    "execution": CATEGORIES,
    "execution.fast": CATEGORIES,
    "position": (LINEAR, INVERSE, OPTION),
    "wallet": (),
}
DCP_TOPICS = {"dcp.future": "DERIVATIVES", "dcp.spot": "SPOT", "dcp.option": "OPTIONS"}


def topic_parts(topic: str) -> tuple[str, str] | None:
    """A topic's kind, and its category; "" of those of all categories, None where there is none
    such."""
    if topic in _KINDS or topic in DCP_TOPICS:
        return topic, ""
    kind, _, category = topic.rpartition(".")
    return (kind, category) if category in _KINDS.get(kind, ()) else None


class PrivateSession(Session):
    """One private socket."""

    def asked(self, request: Mapping[str, Any], now_ns: int) -> None:
        operation = request.get("op")
        if operation not in ("subscribe", "unsubscribe"):
            self.answer(request, BadRequest(10001, "Params Error"), now_ns)
            return
        topics = request.get("args")
        if (
            not isinstance(topics, list)
            or not topics
            or not all(isinstance(each, str) for each in topics)
        ):
            self.answer(request, BadRequest(10001, "Params Error"), now_ns)
            return
        if self.key is None:
            self.answer(request, BadRequest(10005, "Request not authorized"), now_ns)
            return
        if operation == "unsubscribe":
            for topic in topics:
                self.peer.unsubscribe(topic)
            self.answer(request, None, now_ns)
            return
        refusal = self._refusal(topics)
        if refusal is None:
            for topic in dict.fromkeys(topics):
                if topic not in self.peer.subscriptions:
                    self.peer.subscribe(self.trading.feed(self.key.account, topic), now_ns)
        self.answer(request, refusal, now_ns)

    def _refusal(self, topics: Sequence[str]) -> BadRequest | None:
        kinds: dict[str, set[bool]] = {}
        for topic in topics:
            parts = topic_parts(topic)
            if parts is None:
                return BadRequest(10001, f"error:handler not found,topic:{topic}")
            kinds.setdefault(parts[0], set()).add(bool(parts[1]))
        mixed = [kind for kind, found in kinds.items() if len(found) > 1]
        if mixed:
            return BadRequest(
                10001, f"error:all-in-one and categorised topics can't be mixed,topic:{mixed[0]}"
            )
        known = [topic for topic in topics if topic in self.peer.subscriptions]
        return BadRequest(10001, f"error:already subscribed,topic:{known[0]}") if known else None

    def pong(self, request: Mapping[str, Any], now_ns: int) -> None:
        asked = request.get("req_id")
        reply: dict[str, Any] = {"req_id": asked} if isinstance(asked, str) else {}
        sent = str(milliseconds(now_ns))
        self.say({**reply, "op": "pong", "args": [sent], "conn_id": self.id})

    def answer(self, request: Mapping[str, Any], refusal: BadRequest | None, now_ns: int) -> None:
        operation, asked = request.get("op", ""), request.get("req_id", "")
        reply = {
            "success": refusal is None,
            "ret_msg": "" if refusal is None else refusal.text,
            "conn_id": self.id,
            "req_id": asked if isinstance(asked, str) else "",
            "op": operation if isinstance(operation, str) else "",
        }
        self.say(reply, ack=operation in ("subscribe", "unsubscribe"))
