"""Listen keys of the emulated Binance's contracts, and the sockets that bring their events.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_feeds import UserStream
from ccrs_binance.emulator_listings import COINM, USDM
from ccrs_binance.emulator_params import Params
from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import (
    Allowance,
    BadRequest,
    Frame,
    Handshake,
    Visitor,
    json_object,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_HOUR_NS = 3600 * NS_PER_SECOND
_LIFETIME_NS = 24 * _HOUR_NS
UNKNOWN = BadRequest(-1125, "This listenKey does not exist.", 400)
ROUTES = {"ws": "/dstream", "private": "/dstream/private", "auth": "/dstream-auth"}
"""Where COIN-M's events may come, of which documents and clients say different things."""


@attrs.define(eq=False)
class ListenKey:
    """A key for an account's events: it ends an hour after it was last renewed."""

    text: str
    account: str
    category: str
    until_ns: int
    sockets: dict[UserSocket, None] = attrs.field(factory=dict)


class ListenKeys:
    """All keys. An account has one of USD-M and one of COIN-M."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._rng = random.Random(f"{trading.venue.seed}/listen keys")
        self._keys: dict[str, ListenKey] = {}
        self._of: dict[str, ListenKey] = {}

    def find(self, text: str, category: str) -> ListenKey | None:
        found = self._keys.get(text)
        return found if found is not None and found.category == category else None

    def start(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``POST``: the account's key, new or renewed."""
        name = params.account.name
        key = self._of.get(f"{category}/{name}")
        if key is None:
            text = "".join(self._rng.choices(_LETTERS, k=64))
            key = ListenKey(text, name, category, 0)
            self._keys[text] = self._of[f"{category}/{name}"] = key
        self._renew(key, now_ns)
        return {"listenKey": key.text}

    def keep(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``PUT``.

        :raises BadRequest: -1125, where there is none.
        """
        key = self._own(category, params)
        self._renew(key, now_ns)
        return {"listenKey": key.text}

    def stop(self, category: str, params: Params, now_ns: int) -> dict[str, Any]:
        """``DELETE``: its sockets hear no more."""
        key = self._own(category, params)
        self._forget(key)
        for socket in tuple(key.sockets):
            socket.silence()
        return {}

    def _own(self, category: str, params: Params) -> ListenKey:
        key = self._of.get(f"{category}/{params.account.name}")
        named = params.text("listenKey")
        if key is None or named not in {"", key.text}:
            raise UNKNOWN
        return key

    def _renew(self, key: ListenKey, now_ns: int) -> None:
        key.until_ns = now_ns + _HOUR_NS
        self._trading.venue.at(key.until_ns, lambda now_ns: self._expire(key, now_ns))

    def expire(self, category: str, account: str) -> None:
        """Let an account's key end now, as if it hadn't been renewed."""
        key = self._of.get(f"{category}/{account}")
        if key is not None:
            key.until_ns = self._trading.venue.now_ns
            self._expire(key, key.until_ns)

    def _expire(self, key: ListenKey, now_ns: int) -> None:
        if now_ns < key.until_ns or self._keys.get(key.text) is not key:
            return
        self._forget(key)
        for socket in tuple(key.sockets):
            socket.expired(now_ns)

    def _forget(self, key: ListenKey) -> None:
        del self._keys[key.text]
        del self._of[f"{key.category}/{key.account}"]


class UserSocket(Visitor):
    """One socket for an account's events. With a key that isn't, or at a path that isn't the right
    one any more, it opens and stays silent."""

    ping_interval = 180.0
    pong_timeout = 600.0

    def __init__(
        self,
        trading: Trading,
        key: ListenKey | None,
        kinds: frozenset[str],
        *,
        combined: bool,
        named: str,
    ) -> None:
        self._trading = trading
        self._named = named
        self._messages = Allowance(10, 1)
        self._key = key
        self._kinds = kinds
        self._combined = combined
        self._stream: UserStream | None = None

    def opened(self, now_ns: int) -> None:
        self.peer.venue.at(now_ns + _LIFETIME_NS, lambda _: self.peer.close(1001, ""))
        key = self._key
        if key is None:
            return
        feed = self._trading.feed(key.account, key.category)
        stream = self._stream = UserStream(feed, "user", self._wrap, self._kinds)
        key.sockets[self] = None
        self.peer.subscribe(stream, now_ns)

    def _wrap(self, event: dict[str, Any]) -> dict[str, Any]:
        if not self._combined or self._key is None:
            return event
        return {"stream": self._key.text, "data": event}

    def received(self, frame: str | bytes, now_ns: int) -> None:
        """The key says it all: what can be asked for is which stream that is."""
        if not self._messages.enter("", now_ns):
            self.peer.close(1008, "Too many requests")
            return
        request = json_object(frame)
        number = None if request is None else request.get("id")
        match None if request is None else request.get("method"):
            case "LIST_SUBSCRIPTIONS":
                reply = {"result": [self._named] if self._named else [], "id": number}
            case "SUBSCRIBE" | "UNSUBSCRIBE" | "SET_PROPERTY":
                reply = {"result": None, "id": number}
            case _:
                error = {"code": 2, "msg": "Invalid request: unknown variant"}
                reply = {"error": error, "id": number}
        self.peer.reply(Frame.json(reply), ack=True)

    def closed(self, now_ns: int) -> None:
        if self._key is not None:
            self._key.sockets.pop(self, None)

    def expired(self, now_ns: int) -> None:
        """Its key has ended."""
        if self._stream is not None and self._key is not None:
            event = {"e": "listenKeyExpired", "E": milliseconds(now_ns)}
            self._stream.write({**event, "listenKey": self._key.text})
        self.peer.close(1000, "")

    def silence(self) -> None:
        """Its key was given up."""
        if self._stream is not None:
            self.peer.unsubscribe(self._stream.topic)


def user_socket(trading: Trading, handshake: Handshake, coinm_route: str) -> UserSocket | None:
    """The socket for events that a path is of; None where it is another.

    USD-M's are under ``/fstream/private`` alone.
    """
    path = handshake.path
    for root, category in (
        ("/fstream/private", USDM),
        ("/dstream/private", COINM),
        ("/dstream-auth", COINM),
        ("/dstream", COINM),
    ):
        if not path.startswith(f"{root}/"):
            continue
        mode, _, named = path.removeprefix(f"{root}/").partition("/")
        text = handshake.query.get("listenKey") or named
        if mode == "stream":
            text = text or handshake.query.get("streams", "")
        key = trading.listen_keys.find(text, category)
        if mode not in {"ws", "stream"} or (root == "/dstream" and key is None):
            return None
        served = root == "/fstream/private" or ROUTES[coinm_route] == root
        kinds = frozenset(filter(None, handshake.query.get("events", "").split("/")))
        heard = key if served else None
        return UserSocket(trading, heard, kinds, combined=mode == "stream", named=text)
    return None
