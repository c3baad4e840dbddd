"""The emulated OKX's sockets of accounts: who has logged in, what is subscribed to, and orders that
are entered there.

https://www.okx.com/docs-v5/en/#overview-websocket-login and
https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-place-order
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ccrs_core.emulator import ApiKey, BadRequest, Broadcast
from ccrs_okx.emulator_feeds import BUSINESS_CHANNELS, FOR_FEW, PRIVATE_CHANNELS, understood
from ccrs_okx.emulator_orders import overall
from ccrs_okx.emulator_signed import in_deadline, login_key, still_works

if TYPE_CHECKING:
    from ccrs_okx.emulator_private_rest import OrderCalls
    from ccrs_okx.emulator_trading import Trading

OPERATIONS: Mapping[str, str] = {
    "order": "order",
    "batch-orders": "batch-orders",
    "cancel-order": "cancel-order",
    "batch-cancel-orders": "cancel-batch-orders",
    "amend-order": "amend-order",
    "batch-amend-orders": "amend-batch-orders",
}
"""Of order entry, with the calls that are the same by REST."""
_TIMELY = frozenset({"order", "batch-orders", "amend-order", "batch-amend-orders"})
_LOG_IN = BadRequest(60011, "Please log in")


class Session:
    """What one socket may do for an account; ``key`` is whose it is, once it is logged in."""

    def __init__(self, trading: Trading, calls: OrderCalls, address: str) -> None:
        self._trading = trading
        self._calls = calls
        self._address = address
        self.key: ApiKey | None = None

    def log_in(self, request: Mapping[str, Any], now_ns: int) -> None:
        """Take a login.

        :raises BadRequest: where it isn't one.
        """
        args = request.get("args")
        if not isinstance(args, list) or len(args) != 1:
            raise BadRequest(60009, "Login failed.")
        if self.key is not None:
            raise BadRequest(60031, "You can't log in twice on one connection.")
        self.key = login_key(self._trading, args[0], self._address, now_ns)

    def feed(self, arg: Mapping[str, str]) -> Broadcast | None:
        """The channel that an argument asks for; None where it is none of an account's.

        :raises BadRequest: 60011 before the login, 64003 where it isn't for everybody.
        """
        channel = arg.get("channel", "")
        if channel not in PRIVATE_CHANNELS | BUSINESS_CHANNELS | FOR_FEW:
            return None
        if self.key is None:
            raise _LOG_IN
        if channel in FOR_FEW:
            raise BadRequest(
                64003,
                "Your trading fee tier doesn't meet the requirement to access this channel",
            )
        if not understood(arg):
            return None
        account = self._trading.desk.accounts[self.key.account]
        return self._trading.feeds.feed(account, arg)

    def topic(self, arg: Mapping[str, str]) -> str:
        return self._trading.feeds.topic(arg)

    def operate(self, request: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
        """The answer to an order, an amendment, a cancel, or several."""
        code, text = "0", ""
        rows: list[dict[str, Any]] = []
        try:
            rows = self._rows(request, now_ns)
            code, text = overall(rows)
            text = "" if len(rows) == 1 else text
        except BadRequest as refused:
            code, text = str(refused.code), refused.text
        return self._reply(request, code, text, rows)

    def unclear(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer by which OKX says that it doesn't know what came of it."""
        text = "API endpoint request timeout "
        return self._reply(request, "50004", text, [])

    def _reply(
        self, request: Mapping[str, Any], code: str, text: str, rows: list[dict[str, Any]]
    ) -> dict[str, Any]:
        stamp = str(self._trading.venue.told_ns // 1000)
        return {
            "id": request.get("id"),
            "op": request.get("op"),
            "code": code,
            "msg": text,
            "data": rows,
            "inTime": stamp,
            "outTime": stamp,
        }

    def _rows(self, request: Mapping[str, Any], now_ns: int) -> list[dict[str, Any]]:
        if self.key is None:
            raise _LOG_IN
        operation = str(request["op"])
        still_works(self._trading.desk, self.key, self._address, now_ns, writes=True)
        args = request.get("args")
        several = "batch" in operation
        if not isinstance(args, list) or not args or (not several and len(args) != 1):
            raise BadRequest(60013, "Invalid args")
        if not all(isinstance(each, dict) for each in args):
            raise BadRequest(60013, "Invalid args")
        if operation in _TIMELY:
            in_deadline(request.get("expTime"), self._trading.venue.told_ns)
        account = self._trading.desk.accounts[self.key.account]
        # Sockets name instruments by their codes alone.
        items = [{**each, "instId": None, "instIdCode": each.get("instIdCode")} for each in args]
        try:
            return self._calls.carry_out(account, OPERATIONS[operation], items, now_ns)
        except BadRequest as refused:
            if refused.code == 50011:
                raise BadRequest(60014, "Requests too frequent") from None
            raise
