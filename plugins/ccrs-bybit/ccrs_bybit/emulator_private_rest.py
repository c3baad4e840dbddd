"""The emulated Bybit's signed REST calls: who may, how often, and who answers.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_codes import PARAMETER
from ccrs_bybit.emulator_limits import TOO_MANY, TOO_MANY_TEXT
from ccrs_bybit.emulator_orders import items
from ccrs_bybit.emulator_replies import BybitQuery, envelope, failure
from ccrs_bybit.emulator_signed import claim, in_time
from ccrs_bybit.emulator_tickets import category_of
from ccrs_core import HttpRequest, HttpResponse
from ccrs_core.emulator import ApiKey, BadRequest, TradingAccount, json_object

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

PREFIXES = ("/v5/order", "/v5/position", "/v5/account", "/v5/execution", "/v5/asset", "/v5/user")

_Asked = Callable[[TradingAccount, BybitQuery, int], dict[str, Any]]
_Set = Callable[[TradingAccount, Mapping[str, Any], int], dict[str, Any]]
_Placed = Callable[[TradingAccount, str, Mapping[str, Any], int], dict[str, Any]]


class PrivateRest:
    """Answers requests of accounts."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        records, accounts, orders = trading.records, trading.accounts, trading.orders
        self._asked: Mapping[str, _Asked] = {
            "/v5/order/realtime": records.realtime,
            "/v5/order/history": records.history,
            "/v5/execution/list": records.executions,
            "/v5/position/list": accounts.positions,
            "/v5/position/closed-pnl": records.closed_profit,
            "/v5/account/wallet-balance": accounts.wallet,
            "/v5/account/info": accounts.info,
            "/v5/account/fee-rate": accounts.fee_rates,
            "/v5/account/smp-group": accounts.smp_group,
            "/v5/account/user-setting-config": accounts.settings,
            "/v5/account/query-dcp-info": accounts.protection,
            "/v5/account/transaction-log": records.transactions,
        }
        self._placed: Mapping[str, _Placed] = {
            "/v5/order/create": orders.create,
            "/v5/order/amend": orders.amend,
            "/v5/order/cancel": orders.cancel,
            "/v5/order/cancel-all": orders.cancel_all,
            "/v5/order/pre-check": trading.stops.check,
        }
        self._set: Mapping[str, _Set] = {
            "/v5/position/set-leverage": accounts.set_leverage,
            "/v5/position/switch-mode": accounts.switch_mode,
            "/v5/position/trading-stop": trading.stops.set,
            "/v5/position/add-margin": accounts.add_margin,
            "/v5/account/set-margin-mode": accounts.set_margin_mode,
            "/v5/account/set-limit-px-action": accounts.set_price_action,
            "/v5/account/demo-apply-money": accounts.apply_money,
            "/v5/order/disconnected-cancel-all": accounts.set_protection,
        }

    def answer(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        """Answer a request."""
        path, reads = request.path, request.method == "GET"
        known = self._known(path, reads)
        if not known:
            return failure(404, now_ns)
        if reads and request.body:
            return failure(403, now_ns)
        headers: dict[str, str] = {}
        told_ns = self._trading.venue.told_ns
        try:
            key = self._key(request, address, now_ns)
            account = self._trading.desk.accounts[key.account]
            if not reads:
                self._trading.still_works(key, address, now_ns, writes=True)
            result, extra = self._result(request, key, account, now_ns, headers)
        except BadRequest as refused:
            result = refused.result or {}
            return envelope(refused.code, refused.text, result, told_ns, headers)
        return envelope(0, "OK", result, told_ns, headers, extra)

    def _known(self, path: str, reads: bool) -> bool:
        if reads:
            return path in self._asked or path == "/v5/user/query-api"
        return path in self._placed or path in self._set or path in _BATCHES

    def _key(self, request: HttpRequest, address: str, now_ns: int) -> ApiKey:
        said, trading = claim(request), self._trading
        if trading.desk.key(said.key) is None:
            raise BadRequest(10003, "API key is invalid.")
        in_time(said.timestamp_ms, said.window_ms, trading.venue.told_ns)
        return trading.proved(said.key, said.text, said.signature, address, now_ns)

    def _result(
        self,
        request: HttpRequest,
        key: ApiKey,
        account: TradingAccount,
        now_ns: int,
        headers: dict[str, str],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        path, trading = request.path, self._trading

        def admit(category: str, count: int = 1) -> int:
            admission = trading.limits.admit(
                account.name, path, category, count, trading.venue.told_ns
            )
            headers.update(admission.headers)
            if not admission.passed:
                raise BadRequest(TOO_MANY, TOO_MANY_TEXT)
            return admission.passed

        if request.method == "GET":
            query = BybitQuery(request)
            admit(query.text("category"))
            if path == "/v5/user/query-api":
                return trading.accounts.key(key, account, now_ns), {}
            return self._asked[path](account, query, now_ns), {}
        values = json_object(request.body)
        if values is None:
            raise BadRequest(PARAMETER, "Request parameter error.")
        if path in _BATCHES:
            passed = admit(category_of(values), len(items(values)))
            return trading.orders.batch(_BATCHES[path], account, values, passed, now_ns)
        if path in self._placed:
            category = category_of(values)
            admit(category)
            return self._placed[path](account, category, values, now_ns), {}
        admit(str(values.get("category", "")))
        return self._set[path](account, values, now_ns), {}


_BATCHES = {f"/v5/order/{what}-batch": what for what in ("create", "amend", "cancel")}
