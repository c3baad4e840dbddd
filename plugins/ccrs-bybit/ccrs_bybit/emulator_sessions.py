"""What the emulated Bybit's private and trade sockets share: logging in, and how long they live.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import random
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ccrs_core.emulator import (
    ApiKey,
    BadRequest,
    Frame,
    Handshake,
    HttpRefusal,
    Visitor,
    json_object,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_ACTIVE = re.compile(r"(\d{1,5})(s|m)", re.ASCII)
_UNITS = {"s": 1, "m": 60}


def active_time(handshake: Handshake) -> float | HttpRefusal:
    """After how many seconds without anything the connection is cut: 10 minutes, or what the
    client asks for by ``max_active_time``, 30s to 10m."""
    asked = handshake.query.get("max_active_time")
    if asked is None:
        return 600.0
    found = _ACTIVE.fullmatch(asked)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 30 <= seconds <= 600:
        return HttpRefusal(status=400, body=b"max_active_time invalid")
    return float(seconds)


class Session(Visitor):
    """One private or trade socket; ``key`` is whose, once it is logged in."""

    def __init__(self, trading: Trading, address: str, seconds: float) -> None:
        self.trading = trading
        self.address = address
        self.idle_timeout = seconds  # type: ignore[misc]  # of this connection alone
        self.id = ""
        self.key: ApiKey | None = None

    def opened(self, now_ns: int) -> None:
        rng = random.Random(f"{self.trading.seed}/connection/{self.peer.number}")
        self.id = str(UUID(int=rng.getrandbits(128), version=4))

    def received(self, frame: str | bytes, now_ns: int) -> None:
        request = json_object(frame)
        if request is None:
            self.answer({}, BadRequest(10001, "Params Error"), now_ns)
        elif request.get("op") == "ping":
            self.pong(request, now_ns)
        elif request.get("op") == "auth":
            self._log_in(request, now_ns)
        else:
            self.asked(request, now_ns)

    def closed(self, now_ns: int) -> None:
        self.trading.left(self, now_ns)

    @abstractmethod
    def asked(self, request: Mapping[str, Any], now_ns: int) -> None:
        """Any request but a ping or a login."""

    @abstractmethod
    def pong(self, request: Mapping[str, Any], now_ns: int) -> None:
        """Answer a ping."""

    @abstractmethod
    def answer(self, request: Mapping[str, Any], refusal: BadRequest | None, now_ns: int) -> None:
        """Say that a request is done, or why it isn't."""

    def again(self, request: Mapping[str, Any], now_ns: int) -> bool:
        """Whether a second login is answered here."""
        return False

    def say(self, message: Mapping[str, Any], *, ack: bool = False) -> None:
        if message.get("op") == "auth":
            self.peer.answer(Frame.json(message), "login")
        else:
            self.peer.reply(Frame.json(message), ack=ack)

    def _log_in(self, request: Mapping[str, Any], now_ns: int) -> None:
        if self.key is not None and self.again(request, now_ns):
            return
        try:
            self.key = self._proved(request.get("args"), now_ns)
        except BadRequest as refused:
            self.answer(request, refused, now_ns)
            self.peer.close(1000, "auth failed")
            return
        self.answer(request, None, now_ns)
        self.trading.joined(self, now_ns)

    def _proved(self, args: Any, now_ns: int) -> ApiKey:
        match args:
            case [str(name), int() | str() as expires, str(signature)]:
                until = str(expires)
            case _:
                raise BadRequest(10001, "Params Error")
        if not until.isdecimal():
            raise BadRequest(10001, "Params Error")
        if int(until) <= milliseconds(self.trading.venue.told_ns):
            raise BadRequest(10004, "Params Error: request expired")
        return self.trading.proved(name, f"GET/realtime{until}", signature, self.address, now_ns)
