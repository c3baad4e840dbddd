"""The emulated OKX's timer that cancels orders unless it is renewed.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-cancel-all-after
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ccrs_core import NS_PER_SECOND
from ccrs_core.emulator import BadRequest, Ending, Refused, TradingAccount
from ccrs_okx.emulator_codes import parameter
from ccrs_okx.emulator_order_rows import is_algo
from ccrs_okx.emulator_tickets import Fields
from ccrs_okx.emulator_wire import ms

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_MOST_TAGS = 20


class Timers:
    """When whose orders are canceled: all of an account, or those of a tag."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._due: dict[tuple[str, str], int] = {}

    def set(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``cancel-all-after``: 0 turns it off, else it runs for 10 to 120 seconds."""
        fields = Fields(values)
        tag, text = fields.tag(), fields.needed("timeOut")
        if not (text.isascii() and text.isdecimal()) or not (
            int(text) == 0 or 10 <= int(text) <= 120
        ):
            raise parameter("timeOut")
        key, seconds = (account.name, tag), int(text)
        tags = sum(name == account.name and bool(of) for name, of in self._due)
        if tag and seconds and key not in self._due and tags >= _MOST_TAGS:
            raise BadRequest(51071, "You have reached the maximum limit of tags.")
        if not seconds:
            self._due.pop(key, None)
            return {"triggerTime": "0", "tag": tag, "ts": ms(now_ns)}
        due_ns = self._due[key] = now_ns + seconds * NS_PER_SECOND
        self._trading.venue.at(due_ns, lambda now_ns: self._fire(account, tag, due_ns))
        return {"triggerTime": ms(due_ns), "tag": tag, "ts": ms(now_ns)}

    def _fire(self, account: TradingAccount, tag: str, due_ns: int) -> None:
        if self._due.get((account.name, tag)) != due_ns:
            return  # it was renewed, or turned off
        del self._due[account.name, tag]
        for order in account.open_orders():
            if is_algo(order) or tag not in {"", order.asked.labels.get("tag", "")}:
                continue
            try:
                self._trading.desk.cancel(account, order.number, Ending.DEAD_MAN)
            except Refused:
                continue  # it has ended in the meantime
