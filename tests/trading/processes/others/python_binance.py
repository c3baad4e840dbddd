"""Binance by python-binance, which its users wrote: https://pypi.org/project/python-binance"""

from __future__ import annotations

from typing import Any

import binance

from tests.trading.processes.others.other import KEY, SECRET, Other, Placement, Traded

_CALLS = {"spot": "", "usdm": "futures_", "coinm": "futures_coin_"}
"""What its methods are called by, by wallet."""


class PythonBinance(Other):
    def __init__(self, url: str, seed: int) -> None:
        super().__init__(url, seed)
        self._client = binance.Client(KEY, SECRET, requests_params={"timeout": 2.0}, ping=False)
        self._client.API_URL = f"{url}/api"
        self._client.FUTURES_URL = f"{url}/fapi"
        self._client.FUTURES_COIN_URL = f"{url}/dapi"

    def _ask(self, call: str, traded: Traded, **values: Any) -> Any:
        return getattr(self._client, _CALLS[traded.category] + call)(**values)

    def best(self, traded: Traded) -> tuple[str, str]:
        call = "get_orderbook_ticker" if traded.category == "spot" else "orderbook_ticker"
        found = self._ask(call, traded, symbol=traded.native)
        row = found[0] if isinstance(found, list) else found
        return row["bidPrice"], row["askPrice"]

    def steps(self, traded: Traded) -> tuple[str, str]:
        call = "get_exchange_info" if traded.category == "spot" else "exchange_info"
        rows = self._ask(call, traded)["symbols"]
        filters = next(row for row in rows if row["symbol"] == traded.native)["filters"]
        lot = next(each for each in filters if each["filterType"] == "LOT_SIZE")
        return lot["minQty"], lot["stepSize"]

    def send(self, order: Placement) -> None:
        hedged = {"positionSide": "LONG" if order.long else "SHORT"} if order.traded.hedged else {}
        self._ask(
            "create_order",
            order.traded,
            symbol=order.traded.native,
            side=order.side.upper(),
            type="LIMIT",
            timeInForce="IOC" if order.ioc else "GTC",
            quantity=order.size,
            price=order.price,
            newClientOrderId=order.link,
            **hedged,
        )

    def withdraw(self, order: Placement) -> None:
        named = {"symbol": order.traded.native, "origClientOrderId": order.link}
        self._ask("cancel_order", order.traded, **named)
