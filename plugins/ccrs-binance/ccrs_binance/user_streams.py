"""What user data streams tell of an account, event by event: of spot's, and of both kinds of
futures'.

https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
https://developers.binance.com/docs/derivatives/coin-margined-futures/user-data-streams
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from ccrs_binance import algo_rows, fields, futures_rows, spot_rows
from ccrs_binance.account_rows import (
    margin_call,
    pushed_futures_balance,
    pushed_position,
    pushed_spot_balance,
    spot_transfer,
)
from ccrs_binance.fields import Row
from ccrs_core import LeftOut, Market, Message, OrderReport, Report, StrangeReport, account_data
from ccrs_core.wire import MALFORMED, StreamReader, ns_of_ms

SPOT_EVENTS = frozenset(
    {
        *("executionReport", "outboundAccountPosition", "balanceUpdate"),
        *("externalLockUpdate", "listStatus"),
    }
)
FUTURES_EVENTS = frozenset(
    {
        *("ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "ALGO_UPDATE", "MARGIN_CALL"),
        *("ACCOUNT_CONFIG_UPDATE", "STRATEGY_UPDATE", "GRID_UPDATE"),
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
    }
)
"""Events of which readers know what they say, or that they say nothing of money."""


class UserReader(StreamReader):
    """Events of one account, of which a row that can't be read takes no other away."""

    of_account: ClassVar[bool] = True

    def told(
        self, rows: Iterable[Any], read: Callable[[Row], Iterable[Report]]
    ) -> Sequence[Message]:
        """What rows say, each by itself."""
        found: list[Report] = []
        left_out: list[Message] = []
        for row in rows:
            try:
                found += read(row)
            except MALFORMED as error:
                left_out.append(LeftOut(self.topic, f"{error!r} in {row!r}"[:200]))
        if left_out and not found:
            raise ValueError(f"no row can be read: {left_out[0]}")
        return (account_data(self.topic, found), *left_out) if found else self.unknown("nothing")


class SpotReader(UserReader):
    """https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream"""

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        event = frame["event"]
        match event["e"]:
            case "executionReport":
                found = execution(event, received_time_ns)
            case "outboundAccountPosition":
                account, moment = self.account or "", ns_of_ms(event.get("u") or event["E"])
                return self.told(
                    event["B"],
                    lambda row: (pushed_spot_balance(row, account, moment, received_time_ns),),
                )
            case "balanceUpdate":
                found = [spot_transfer(event, received_time_ns)]
            case other:
                return self.unknown(other)
        return (account_data(self.topic, found),)


def execution(event: Row, received_time_ns: int) -> list[Report]:
    """What a report on an execution says: of the order, and of the fill that it may tell of."""
    said = spot_rows.order(spot_rows.spelled_out(event), received_time_ns)
    if isinstance(said, StrangeReport):
        return [said]
    traded = spot_rows.pushed_fill(event, received_time_ns)
    return [said] if traded is None else [said, traded]


class FuturesReader(UserReader):
    """https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams"""

    market: ClassVar[Market] = Market.LINEAR

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        market = fields.family(frame, self.market)
        found: Iterable[Report]
        match frame["e"]:
            case "ORDER_TRADE_UPDATE":
                found = update(frame["o"], market, received_time_ns)
            case "TRADE_LITE":
                found = [futures_rows.early_fill(frame, market, received_time_ns)]
            case "ALGO_UPDATE":
                named = algo_rows.spelled_out(frame["o"], frame["T"])
                found = [algo_rows.algo(named, market, received_time_ns)]
            case "ACCOUNT_UPDATE":
                return self._account(frame, market, received_time_ns)
            case "MARGIN_CALL":
                moment = ns_of_ms(frame["E"])
                return self.told(
                    frame["p"],
                    lambda row: (margin_call(row, market, moment, received_time_ns),),
                )
            case other:
                return self.unknown(other)
        return (account_data(self.topic, list(found)),)

    def _account(self, frame: Row, market: Market, received_time_ns: int) -> Sequence[Message]:
        account, moment, said = self.account or "", ns_of_ms(frame["T"]), frame["a"]
        rows = [(True, row) for row in said.get("B", ())]
        rows += [(False, row) for row in said.get("P", ())]

        def read(each: Any) -> Iterable[Report]:
            money, row = each
            if money:
                return (pushed_futures_balance(row, account, market, moment, received_time_ns),)
            of = fields.family(row, market)
            return (pushed_position(row, of, moment, received_time_ns),)

        return self.told(rows, read)


class CoinReader(FuturesReader):
    """https://developers.binance.com/docs/derivatives/coin-margined-futures/user-data-streams"""

    market: ClassVar[Market] = Market.INVERSE


def update(row: Row, market: Market, received_time_ns: int) -> list[Report]:
    """What an update of an order says: of the order, and of the fill that it may tell of."""
    said: OrderReport | StrangeReport
    said = futures_rows.order(futures_rows.spelled_out(row), market, received_time_ns)
    if isinstance(said, StrangeReport):
        return [said]
    traded = futures_rows.pushed_fill(row, market, received_time_ns)
    return [said] if traded is None else [said, traded]
