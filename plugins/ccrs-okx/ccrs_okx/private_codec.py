"""Private connections: orders and their fills, positions and money of an account, and on another
one the orders that wait for a trigger.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core import (
    Act,
    Channel,
    ConfirmationReport,
    EndReason,
    FillReport,
    LeftOut,
    Message,
    OrderReport,
    Outbound,
    PositionReport,
    Report,
    StrangeReport,
    Subscription,
    account_data,
)
from ccrs_core.wire import MALFORMED, Stream, StreamReader
from ccrs_okx import fields
from ccrs_okx.account_rows import balance, position, together
from ccrs_okx.algo_rows import algo
from ccrs_okx.codec import OkxCodec
from ccrs_okx.fields import Row
from ccrs_okx.fill_rows import pushed_fill
from ccrs_okx.meanings import MEANINGS
from ccrs_okx.order_rows import order


class RowsReader(StreamReader):
    """Rows under ``data``, each of which says something by itself: one that can't be read takes no
    other away."""

    of_account: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self.rows = "data"

    @abstractmethod
    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        """What a row says."""

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        found = [each for row in frame["data"] for each in self.reports(row, received_time_ns)]
        return (account_data(self.topic, found),) if found else self.unknown("no rows")


class OrderReader(RowsReader):
    """Of each row the order, the fill that it may tell of, and what came of an amendment.

    https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
    """

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        said = order(row, received_time_ns)
        if isinstance(said, StrangeReport):
            return (said, *_traded(row, received_time_ns))
        traded = pushed_fill(row, received_time_ns)
        amended = confirmation(row, said)
        return [each for each in (said, traded, amended) if each is not None]


def _traded(row: Row, received_time_ns: int) -> Iterable[FillReport]:
    """The fill of a row that is strange otherwise, as far as it can be read."""
    try:
        found = pushed_fill(row, received_time_ns)
    except MALFORMED:
        found = None
    return () if found is None else (found,)


AMENDED = {"0": True, "-1": False, "1": False}
"""By ``amendResult``: it was, it wasn't, the order was canceled instead. Others are of no request.

https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
"""


def confirmation(row: Row, said: OrderReport) -> ConfirmationReport | None:
    """What came of an amendment, where a row tells it: the acknowledgement only says that OKX has
    got it."""
    request_id, done = fields.text(row, "reqId"), AMENDED.get(fields.text(row, "amendResult"))
    if not request_id or done is None:
        return None
    code = fields.text(row, "code")
    code = "" if code == "0" else code
    meaning = MEANINGS.get(code)
    reason = EndReason.OTHER if meaning is None else meaning.reason
    return ConfirmationReport(
        act=Act.AMEND,
        market=said.market,
        native=said.native,
        exchange_order_id=said.exchange_order_id,
        client_order_id=said.client_order_id,
        request_id=request_id,
        done=done,
        code="" if done else code,
        text="" if done else str(row.get("msg") or f"amendResult {row['amendResult']}")[:200],
        reason=None if done else reason,
        exchange_time_ns=said.exchange_time_ns,
        received_time_ns=said.received_time_ns,
    )


class AlgoReader(RowsReader):
    """https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-ws-algo-orders-channel"""

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        return (algo(row, received_time_ns),)


class PositionReader(RowsReader):
    """What is held: a list in pages at first, then what has changed. Of one instrument there may be
    a position of cross margin and an isolated one, told apart: they are added up.

    https://www.okx.com/docs-v5/en/#trading-account-websocket-positions-channel
    """

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._known: dict[tuple[str, str, str], PositionReport] = {}

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        if fields.market_of(row) is None:
            return (
                StrangeReport(
                    what=f"position of {row['instType']}"[:80],
                    native=fields.needed(row, "instId"),
                    exchange_time_ns=fields.time(row, "uTime"),
                    received_time_ns=received_time_ns,
                    native_fields=fields.details(row, ("posId", "pos", "posSide", "avgPx")),
                ),
            )
        told, mode = position(row, received_time_ns), fields.text(row, "mgnMode")
        about = told.native, told.side
        # One that doesn't say its mode isn't another one beside those that do.
        for key in [each for each in self._known if each[:2] == about]:
            if bool(key[2]) is not bool(mode):
                del self._known[key]
        self._known[(*about, mode)] = told
        same = [each for key, each in self._known.items() if key[:2] == (told.native, told.side)]
        # The one that was told just now goes last: of one thing it is the newest word.
        same.sort(key=lambda each: each is told)
        return together(same) if len(same) > 1 else (told,)


class BalanceReader(StreamReader):
    """What an account has of each currency: all at first, in pages, then what has changed.

    https://www.okx.com/docs-v5/en/#trading-account-websocket-account-channel
    """

    of_account: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        account = self.account or ""
        found: list[Report] = []
        left_out: list[Message] = []
        for row in frame["data"]:
            try:
                time_ns, rows = fields.time(row, "uTime"), list(row["details"])
            except MALFORMED as error:
                left_out.append(LeftOut(self.topic, f"{error!r} in {row!r}"[:200]))
                continue
            for detail in rows:
                try:
                    found.append(balance(detail, account, time_ns, received_time_ns))
                except MALFORMED as error:
                    left_out.append(LeftOut(self.topic, f"{error!r} in {detail!r}"[:200]))
        if not found and left_out:
            raise ValueError(f"no currency can be read: {left_out[0]}")
        return (account_data(self.topic, found), *left_out) if found else self.unknown("nothing")


ORDERS = Stream("orders:ANY", OrderReader)
"""Of all types of instruments. Fills are told by the same rows."""

PRIVATE_CHANNELS: Mapping[Channel, Stream] = {
    # On an address of its own, the business streams'.
    Channel.WAITING_ORDERS: Stream("orders-algo:ANY", AlgoReader),
    Channel.ORDERS: ORDERS,
    Channel.FILLS: ORDERS,
    Channel.POSITIONS: Stream("positions:ANY", PositionReader),
    Channel.BALANCES: Stream("account:", BalanceReader),
}

ON_CHANGE = '{"updateInterval":"0"}'
"""Positions and balances are told as they change alone, not every few seconds.

https://www.okx.com/docs-v5/en/#trading-account-websocket-positions-channel
"""
_TIMED = frozenset({"positions", "account"})


class PrivateCodec(OkxCodec):
    """Translator of one connection to ``/ws/v5/private``: of one account."""

    channels = PRIVATE_CHANNELS
    head = None

    def stream(self, subscription: Subscription) -> Stream:
        return self.channels[subscription.channel]

    def topic(self, subscription: Subscription) -> str:
        return self.stream(subscription).name

    def _request(self, op: str, subscriptions: Sequence[Subscription], request_id: str) -> str:
        arguments: list[dict[str, str]] = []
        for name in dict.fromkeys(map(self.topic, subscriptions)):
            channel, _, kind = name.partition(":")
            argument = {"channel": channel}
            if kind:
                argument["instType"] = kind
            if channel in _TIMED and op == "subscribe":
                argument["extraParams"] = ON_CHANGE
            arguments.append(argument)
        return orjson.dumps({"id": request_id, "op": op, "args": arguments}).decode()

    def request_kind(self, subscription: Subscription) -> None:
        return None

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self.close(subscriptions)
        return self._request("unsubscribe", subscriptions, request_id)
