"""The emulated Bybit's socket for order entry: ``/v5/trade``.

https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_listings import CATEGORIES
from ccrs_bybit.emulator_orders import items
from ccrs_bybit.emulator_sessions import Session
from ccrs_bybit.emulator_signed import header_time, in_time
from ccrs_core.emulator import Allowance, BadRequest, Frame, json_object, milliseconds

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_OPERATIONS = tuple(
    f"order.{what}{how}" for what in ("create", "amend", "cancel") for how in ("", "-batch")
)
_RESTARTING = BadRequest(10019, "ws trade service is restarting, do not accept new request")
_LONGEST_ID = 36
_KEPT_IDS = 10_000


class EntrySession(Session):
    """One socket for orders; its requests need a login, and a fresh timestamp each."""

    def __init__(self, trading: Trading, address: str, seconds: float) -> None:
        super().__init__(trading, address, seconds)
        self._ids: dict[str, None] = {}
        self._rate = Allowance(trading.session_rate, 1.0)
        self._rng = random.Random()

    def opened(self, now_ns: int) -> None:
        super().opened(now_ns)
        self._rng = random.Random(f"{self.trading.seed}/entry/{self.peer.number}")
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        self.id = "".join(self._rng.choices(letters, k=20)) + f"-{self.peer.number:02x}"

    def again(self, request: Mapping[str, Any], now_ns: int) -> bool:
        self.answer(request, BadRequest(20001, "Repeat auth"), now_ns)
        return True

    def pong(self, request: Mapping[str, Any], now_ns: int) -> None:
        sent = [str(milliseconds(now_ns))]
        self.say({"retCode": 0, "retMsg": "OK", "op": "pong", "data": sent, "connId": self.id})

    def answer(self, request: Mapping[str, Any], refusal: BadRequest | None, now_ns: int) -> None:
        """Of a login, and of what isn't even a request."""
        code, text = (0, "OK") if refusal is None else (refusal.code, refusal.text)
        operation = request.get("op", "")
        self.say(
            {
                **self._named(request),
                "retCode": code,
                "retMsg": text,
                "op": operation if isinstance(operation, str) else "",
                "connId": self.id,
            }
        )

    def asked(self, request: Mapping[str, Any], now_ns: int) -> None:
        trading = self.trading
        result: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        headers: Mapping[str, str] = {}
        code, text = 0, "OK"
        told_ns = trading.venue.told_ns
        try:
            named, body = self._checked(request, now_ns)
            assert self.key is not None
            account = trading.desk.accounts[self.key.account]
            path = f"/v5/{named.replace('.', '/')}"
            category = str(body["category"])
            batch = named.endswith("-batch")
            count = len(items(body)) if batch else 1
            admission = trading.limits.admit(account.name, path, category, count, told_ns)
            headers = admission.headers
            if not admission.passed:
                raise BadRequest(10006, "Too many visits!")
            what = named.removeprefix("order.").removesuffix("-batch")
            if batch:
                result, extra = trading.orders.batch(what, account, body, admission.passed, now_ns)
            else:
                result = getattr(trading.orders, what)(account, category, body, now_ns)
        except BadRequest as refused:
            code, text = int(refused.code), refused.text
        reply = self._reply(request, code, text, headers)
        unclear = self._reply(request, 10016, "Internal server error", headers)
        done = {**reply, "data": result, "retExtInfo": extra}
        self.peer.answer(Frame.json(done), reply["op"], Frame.json(unclear))

    def turned_away(self, frame: str | bytes) -> Frame | None:
        """How a request to trade is answered shortly before a restart: nothing of it is taken."""
        request = json_object(frame)
        if request is None or request.get("op") not in _OPERATIONS:
            return None
        return Frame.json(self._reply(request, _RESTARTING.code, _RESTARTING.text, {}))

    def _reply(
        self, request: Mapping[str, Any], code: int | str, text: str, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        operation = request.get("op")
        more = {
            "Traceid": f"{self._rng.getrandbits(128):032x}",
            "Timenow": str(milliseconds(self.trading.venue.told_ns)),
        }
        return {
            **self._named(request),
            "retCode": code,
            "retMsg": text,
            "op": operation if isinstance(operation, str) else "",
            "data": {},
            "retExtInfo": {},
            "header": {**headers, **more},
            "connId": self.id,
        }

    def _checked(self, request: Mapping[str, Any], now_ns: int) -> tuple[str, Mapping[str, Any]]:
        """The operation and its argument.

        :raises BadRequest: for the first thing that is wrong.
        """
        operation = request.get("op")
        if operation not in _OPERATIONS:
            raise BadRequest(10404, "op type is not found")
        if self.key is None:
            raise BadRequest(10005, "Request not authorized")
        if self.trading.restarting:
            raise _RESTARTING
        if not self.trading.entries.enter(self.address, now_ns):
            raise BadRequest(10403, "exceed IP rate limit. 3000 requests per second per IP")
        if not self._rate.enter("", now_ns):
            raise BadRequest(20003, "Too frequent requests under the same session")
        self._once(request.get("reqId"))
        self.trading.still_works(self.key, self.address, now_ns, writes=True)
        header = request.get("header")
        timestamp, window = header_time(header if isinstance(header, Mapping) else {})
        in_time(timestamp, window, self.trading.venue.told_ns)
        args = request.get("args")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], Mapping):
            raise BadRequest(10001, "Params Error: args must hold one object")
        if args[0].get("category") not in CATEGORIES:
            raise BadRequest(10404, "category is not correct")
        return str(operation), args[0]

    def _once(self, request_id: Any) -> None:
        if request_id in (None, ""):
            return
        if not isinstance(request_id, str) or len(request_id) > _LONGEST_ID:
            raise BadRequest(10001, "Params Error: reqId invalid")
        if request_id in self._ids:
            raise BadRequest(20006, "reqId is duplicated")
        self._ids[request_id] = None
        if len(self._ids) > _KEPT_IDS:
            del self._ids[next(iter(self._ids))]

    @staticmethod
    def _named(request: Mapping[str, Any]) -> dict[str, Any]:
        found = request.get("reqId")
        return {"reqId": found} if isinstance(found, str) and found else {}
