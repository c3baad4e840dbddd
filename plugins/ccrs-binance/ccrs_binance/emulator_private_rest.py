"""The emulated Binance's REST calls of accounts: who may, how often, and who answers.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from ccrs_binance.emulator_calls import Call, carry_out
from ccrs_binance.emulator_contract_calls import contract_calls, socket_names
from ccrs_binance.emulator_listings import COINM, SPOT, USDM
from ccrs_binance.emulator_params import Params
from ccrs_binance.emulator_signed import BAD_FORMAT, check_signature, check_time, key_of, sent
from ccrs_binance.emulator_spot_calls import SOCKET_NAMES, spot_calls
from ccrs_binance.emulator_weights import Weights
from ccrs_core import HttpRequest, HttpResponse
from ccrs_core.emulator import ApiKey, BadRequest

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_DECIMALS = {SPOT: 8, USDM: None, COINM: None}
NAMES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    SPOT: SOCKET_NAMES,
    USDM: socket_names(USDM),
    COINM: socket_names(COINM),
}
_JSON = {"Content-Type": "application/json;charset=UTF-8"}


def category_of(path: str) -> str:
    """Which host of Binance's a path is of."""
    return {"/fapi": USDM, "/dapi": COINM}.get(path[:5], SPOT)


class PrivateRest:
    """Answers requests of accounts."""

    def __init__(self, trading: Trading, weights: Mapping[str, Weights]) -> None:
        self._trading = trading
        self._weights = weights
        self.calls: dict[tuple[str, str], Call] = {
            **spot_calls(trading),
            **contract_calls(trading, USDM),
            **contract_calls(trading, COINM),
        }

    def knows(self, request: HttpRequest) -> bool:
        """Whether it is a call of an account's."""
        return (request.method, request.path) in self.calls

    def by_socket(self, category: str) -> dict[str, Call]:
        """The calls that the WebSocket API of a host has, by its names."""
        return {name: self.calls[where] for name, where in NAMES[category].items()}

    def answer(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        """Answer such a request."""
        trading, category = self._trading, category_of(request.path)
        call, weights = self.calls[request.method, request.path], self._weights[category]
        used, refused = weights.standing(address, now_ns)
        if refused is not None:
            return refused
        headers: dict[str, str] = dict(_JSON)
        params: Params | None = None
        failed, status = True, 200
        body: Any
        try:
            key, values = self._proved(call, request, address, now_ns)
            account = trading.account(key, category)
            params = Params(values, account, decimals=_DECIMALS[category])
            if not call.costs_if_failed:
                used, refused = weights.spend(address, call.cost(params), now_ns)
                if refused is not None:
                    return refused
            body = carry_out(trading, category, call, params, now_ns)
            failed = False
        except BadRequest as error:
            status, body = error.status, {"code": error.code, "msg": error.text}
            if error.result is not None:
                body["data"] = error.result
            if error.code == -1015:
                headers["Retry-After"] = str(trading.counts[category].wait(now_ns))
        if params is not None and call.costs_if_failed and failed:
            used, _ = weights.spend(address, call.cost(params), now_ns)
        headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        if params is not None and call.placed(params) and not failed:
            headers |= trading.counts[category].headers(trading.user(params.account))
        return HttpResponse(status, headers, orjson.dumps(body))

    def _proved(
        self, call: Call, request: HttpRequest, address: str, now_ns: int
    ) -> tuple[ApiKey, Mapping[str, str]]:
        """The key that a request is signed with, and what was sent.

        :raises BadRequest: where it isn't, or may not.
        """
        trading = self._trading
        names = {name.lower(): value for name, value in request.headers.items()}
        name = names.get("x-mbx-apikey", "")
        if not name:
            raise BAD_FORMAT
        key = key_of(trading.desk, name, address, now_ns, trades=call.trades)
        said = sent(request)
        if call.signed:
            check_time(said.values, trading.venue.told_ns)
            check_signature(key, said)
        return key, said.values
