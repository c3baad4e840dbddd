"""OKX by python-okx, its own client: https://pypi.org/project/python-okx"""

from __future__ import annotations

from typing import Any

from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI

from tests.trading.processes.others.other import (
    KEY,
    PASSPHRASE,
    SECRET,
    Other,
    Placement,
    Refused,
    Traded,
)


class PythonOkx(Other):
    def __init__(self, url: str, seed: int) -> None:
        super().__init__(url, seed)
        there: dict[str, Any] = {"domain": url, "flag": "0", "debug": False}
        self._trade = TradeAPI(KEY, SECRET, PASSPHRASE, **there)
        self._market, self._public = MarketAPI(**there), PublicAPI(**there)

    def best(self, traded: Traded) -> tuple[str, str]:
        [row] = self._market.get_ticker(traded.native)["data"]
        return row["bidPx"], row["askPx"]

    def steps(self, traded: Traded) -> tuple[str, str]:
        kind, name = traded.category.upper(), traded.native
        family = {"instFamily": name.rsplit("-", 3)[0]} if kind == "OPTION" else {}
        [row] = self._public.get_instruments(kind, instId=name, **family)["data"]
        return row["minSz"], row["lotSz"]

    def send(self, order: Placement) -> None:
        traded = order.traded
        found = self._trade.place_order(
            traded.native,
            "cash" if traded.category == "spot" else "cross",
            order.side,
            "ioc" if order.ioc else "limit",
            order.size,
            px=order.price,
            clOrdId=order.link,
            posSide=("long" if order.long else "short") if traded.hedged else "",
        )
        if found["code"] != "0":
            raise Refused(found["data"] or found["msg"])

    def withdraw(self, order: Placement) -> None:
        self._trade.cancel_order(order.traded.native, clOrdId=order.link)
