"""The emulated Binance's WebSocket API: orders, questions and, of spot, user data over one socket.

https://developers.binance.com/docs/binance-spot-api-docs/websocket-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_binance.emulator_calls import Call, carry_out
from ccrs_binance.emulator_feeds import UserStream
from ccrs_binance.emulator_listings import COINM, SPOT, USDM
from ccrs_binance.emulator_params import Params, missing
from ccrs_binance.emulator_signed import (
    BAD_KEY,
    check_signature,
    check_time,
    key_of,
    sent_in_json,
)
from ccrs_binance.emulator_ws_json import Number, read, text_of
from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import (
    ApiKey,
    BadRequest,
    Frame,
    Visitor,
    is_ed25519,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator import BinanceDialect

_LIFETIME_NS = 24 * 3600 * NS_PER_SECOND
_CONNECTING = 2
_UNCLEAR = {
    "code": -1007,
    "msg": (
        "Timeout waiting for response from backend server. Send status unknown; execution status "
        "unknown."
    ),
}
_ONLY_ED25519 = BadRequest(-4056, "HMAC_SHA256 API key is not supported.", 400)
_NOT_LOGGED_IN = BadRequest(-2015, "Invalid API-key, IP, or permissions for action.", 401)
_SUBSCRIBED = BadRequest(-2035, "Subscription already active.", 400)
_NOT_SUBSCRIBED = BadRequest(-2036, "Subscription not active.", 400)
_PINGS = {SPOT: (20.0, 60.0), USDM: (180.0, 600.0), COINM: (180.0, 600.0)}


@attrs.define
class _Subscription:
    number: int
    account: str
    by_session: bool
    stream: UserStream
    key: str


class ApiSession(Visitor):
    """One socket of the WebSocket API of spot, USD-M or COIN-M."""

    def __init__(self, dialect: BinanceDialect, category: str, address: str, hides: bool) -> None:
        self._dialect = dialect
        self._trading = dialect.trading
        self._category = category
        self._address = address
        self._hides = hides
        self.ping_interval, self.pong_timeout = _PINGS[category]
        self._key: ApiKey | None = None
        self._since_ns: int | None = None
        self._connected_ns = 0
        self._subscriptions: dict[int, _Subscription] = {}
        self._numbers = 0
        self._calls = dialect.private.by_socket(category)
        self._own: Mapping[str, Callable[[dict[str, str], int], Any]] = {
            "ping": lambda params, now_ns: {},
            "time": lambda params, now_ns: {"serverTime": milliseconds(self._told_ns)},
            "session.logon": self._log_on,
            "session.status": lambda params, now_ns: self._status(),
            "session.logout": self._log_out,
        }
        if category == SPOT:
            self._own = {
                **self._own,
                "session.subscriptions": self._listed,
                "userDataStream.subscribe": self._subscribe,
                "userDataStream.subscribe.signature": self._subscribe_signed,
                "userDataStream.unsubscribe": self._unsubscribe,
            }

    @property
    def _told_ns(self) -> int:
        return self._trading.venue.told_ns

    def opened(self, now_ns: int) -> None:
        self._connected_ns = now_ns
        self.peer.venue.at(now_ns + _LIFETIME_NS, lambda _: self.peer.close(1001, ""))
        self._dialect.weights[self._category].spend(self._address, _CONNECTING, now_ns)

    def received(self, frame: str | bytes, now_ns: int) -> None:
        request = self._read(frame)
        if request is None:
            return
        named = request.get("id")
        request_id: Any = int(named) if isinstance(named, Number) else named
        method, params = request.get("method"), request.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict):
            text = "Missing required parameter 'method'; parameters must be an object."
            self._fail(request_id, BadRequest(-1102, text, 400), now_ns)
            return
        values = {name: text_of(value) for name, value in params.items()}
        self._revoked(now_ns)
        own = self._own.get(method)
        if own is not None:
            self._answer_own(request_id, method, own, values, now_ns)
        elif method in self._calls:
            self._answer(request_id, method, self._calls[method], values, now_ns)
        else:
            text = f"Unknown method: '{method}'."
            self._fail(request_id, BadRequest(-1099, text, 400), now_ns)

    def _read(self, frame: str | bytes) -> dict[str, Any] | None:
        try:
            request = read(frame)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            error = {"code": -1000, "msg": "Invalid JSON request."}
            self.peer.reply(Frame.json({"id": None, "status": 400, "error": error}))
            return None
        found = request.get("id")
        whole = isinstance(found, Number) and found.lstrip("-").isdecimal()
        if found is not None and (not isinstance(found, str) or len(found) > 36):
            whole = False
            found = None
            error = {"code": -1135, "msg": "Invalid 'id'."}
            self.peer.reply(Frame.json({"id": None, "status": 400, "error": error}))
            return None
        if isinstance(found, Number) and not whole:
            request["id"] = None
        return request

    # --- calls of accounts ---

    def _answer(
        self, request_id: Any, method: str, call: Call, values: dict[str, str], now_ns: int
    ) -> None:
        trading, weights = self._trading, self._dialect.weights[self._category]
        hides = values.get("returnRateLimits") == "false" or self._hides
        used, banned = weights.standing(self._address, now_ns)
        params: Params | None = None
        status, said = 200, {}
        try:
            if banned is not None:
                raise BadRequest(-1003, "Too many requests; IP banned.", 418)
            key = self._proved(values, call, now_ns)
            values.pop("returnRateLimits", None)  # which is signed, too
            params = Params(
                values,
                trading.account(key, self._category),
                decimals=8 if self._category == SPOT else None,
            )
            if not call.costs_if_failed:
                used, refused = weights.spend(self._address, call.cost(params), now_ns)
                if refused is not None:
                    raise BadRequest(-1003, "Too many requests.", refused.status)
            said = {"result": carry_out(trading, self._category, call, params, now_ns)}
        except BadRequest as error:
            status, said = error.status, {"error": {"code": error.code, "msg": error.text}}
            if error.result is not None:
                said["error"]["data"] = error.result
            elif error.code == -1015:
                wait_ns = trading.counts[self._category].wait(now_ns) * NS_PER_SECOND
                data = {"serverTime": milliseconds(self._told_ns)}
                data["retryAfter"] = milliseconds(now_ns + wait_ns)
                said["error"]["data"] = data
        if params is not None and call.costs_if_failed and status != 200:
            used, _ = weights.spend(self._address, call.cost(params), now_ns)
        limits = {} if hides else {"rateLimits": self._limits(used, call, params)}
        reply = {"id": request_id, "status": status, **said, **limits}
        unclear = {"id": request_id, "status": 408, "error": _UNCLEAR, **limits}
        self.peer.answer(Frame.json(reply), method, Frame.json(unclear))

    def _limits(self, used: int, call: Call, params: Params | None) -> list[dict[str, Any]]:
        ordered = call.costs_if_failed
        uncounted = ordered and self._category != SPOT  # recorded: contracts' say -1
        limit = self._dialect.weights[self._category].limit
        weight = {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": -1 if uncounted or limit is None else limit,
            "count": -1 if uncounted else used,
        }
        if not ordered or params is None:
            return [weight]
        counts = self._trading.counts[self._category].rows(self._trading.user(params.account))
        return [weight, *counts] if uncounted else [*counts, weight]

    def _proved(self, values: dict[str, str], call: Call, now_ns: int) -> ApiKey:
        """Whose request it is: its own key's, or that of the session.

        :raises BadRequest: where it is nobody's.
        """
        trading = self._trading
        name = values.get("apiKey")
        if name is None and self._key is not None:
            if call.signed:
                check_time(values, self._told_ns)
            return key_of(trading.desk, self._key.key, self._address, now_ns, trades=call.trades)
        if name is None:
            raise missing("apiKey")
        key = key_of(trading.desk, name, self._address, now_ns, trades=call.trades)
        if call.signed:
            said = sent_in_json(values)
            check_time(said.values, self._told_ns)
            check_signature(key, said)
        values.pop("signature", None)
        return key

    # --- the session ---

    def _answer_own(
        self,
        request_id: Any,
        method: str,
        own: Callable[[dict[str, str], int], Any],
        values: dict[str, str],
        now_ns: int,
    ) -> None:
        try:
            result = own(values, now_ns)
        except BadRequest as error:
            self._fail(request_id, error, now_ns, login=method == "session.logon")
            return
        used, _ = self._dialect.weights[self._category].spend(self._address, 2, now_ns)
        reply = {"id": request_id, "status": 200, "result": result}
        if not self._hides:
            reply["rateLimits"] = self._limits(used, _ASKED, None)
        if method == "session.logon":
            self.peer.answer(Frame.json(reply), "login")
        else:
            self.peer.reply(Frame.json(reply), ack=method.startswith("userDataStream."))

    def _fail(
        self, request_id: Any, error: BadRequest, now_ns: int, *, login: bool = False
    ) -> None:
        said = {"code": error.code, "msg": error.text}
        frame = Frame.json({"id": request_id, "status": error.status, "error": said})
        if login:
            self.peer.answer(frame, "login")
        else:
            self.peer.reply(frame)

    def _status(self) -> dict[str, Any]:
        key, since_ns = self._key, self._since_ns
        return {
            "apiKey": None if key is None else key.key,
            "authorizedSince": None if since_ns is None else milliseconds(since_ns),
            "connectedSince": milliseconds(self._connected_ns),
            "returnRateLimits": not self._hides,
            "serverTime": milliseconds(self._told_ns),
            "userDataStream": bool(self._subscriptions),
        }

    def _signed(self, values: dict[str, str], now_ns: int) -> ApiKey:
        name = values.get("apiKey")
        if not name:
            raise missing("apiKey")
        key = key_of(self._trading.desk, name, self._address, now_ns, trades=False)
        said = sent_in_json(values)
        check_time(said.values, self._told_ns)
        check_signature(key, said)
        return key

    def _log_on(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        key = self._signed(values, now_ns)
        if not is_ed25519(key.secret):
            raise _ONLY_ED25519
        self._key, self._since_ns = key, now_ns
        return self._status()

    def _log_out(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        self._key = self._since_ns = None
        for each in list(self._subscriptions.values()):
            if each.by_session:
                self._ended(each, now_ns)
        return self._status()

    def _revoked(self, now_ns: int) -> None:
        """Say that a key doesn't work any more: to nobody in particular, whatever is asked."""
        desk = self._trading.desk
        for each in list(self._subscriptions.values()):
            key = desk.key(each.key)
            if key is None or not key.works(now_ns):
                self._ended(each, now_ns)
        if self._key is None:
            return
        key = desk.key(self._key.key)
        if key is None or not key.works(now_ns):
            self._key = self._since_ns = None
            self._fail(None, BAD_KEY, now_ns)

    # --- user data ---

    def _subscribe(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        if self._key is None:
            raise _NOT_LOGGED_IN
        return self._begin(self._key, True, now_ns)

    def _subscribe_signed(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        return self._begin(self._signed(values, now_ns), False, now_ns)

    def _begin(self, key: ApiKey, by_session: bool, now_ns: int) -> dict[str, Any]:
        account = self._trading.account(key, SPOT).name
        if any(each.account == account for each in self._subscriptions.values()):
            raise _SUBSCRIBED
        number, self._numbers = self._numbers, self._numbers + 1

        def wrap(event: dict[str, Any]) -> dict[str, Any]:
            return {"subscriptionId": number, "event": event}

        topic = "user" if not number else f"user.{number}"
        stream = UserStream(self._trading.feed(account, SPOT), topic, wrap, frozenset())
        subscription = _Subscription(number, account, by_session, stream, key.key)
        self._subscriptions[number] = subscription
        self.peer.subscribe(stream, now_ns)
        return {"subscriptionId": number}

    def _unsubscribe(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        wanted = values.get("subscriptionId")
        found = [
            each
            for number, each in self._subscriptions.items()
            if wanted is None or str(number) == wanted
        ]
        if not found:
            raise _NOT_SUBSCRIBED
        for each in found:
            self._left(each)
        return {}

    def _listed(self, values: dict[str, str], now_ns: int) -> list[dict[str, Any]]:
        return [{"subscriptionId": number} for number in self._subscriptions]

    def _left(self, subscription: _Subscription) -> None:
        del self._subscriptions[subscription.number]
        self.peer.unsubscribe(subscription.stream.topic)

    def _ended(self, subscription: _Subscription, now_ns: int) -> None:
        subscription.stream.write({"e": "eventStreamTerminated", "E": milliseconds(now_ns)})
        self._left(subscription)


_ASKED = Call(act=lambda params, now_ns: None, names=(), weight=0)
