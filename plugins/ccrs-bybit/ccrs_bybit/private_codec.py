"""One private connection: orders, fills, positions and money of an account.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ccrs_bybit.account_rows import OTHER_WALLETS, UNIFIED, balance, margin_call, position
from ccrs_bybit.codec import BybitCodec
from ccrs_bybit.fields import Row
from ccrs_bybit.fill_rows import early_fill, fill
from ccrs_bybit.order_rows import order
from ccrs_core import (
    Channel,
    LeftOut,
    Market,
    Message,
    Report,
    Subscription,
    account_data,
)
from ccrs_core.wire import MALFORMED, Stream, StreamReader, ns_or_none


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
    """https://bybit-exchange.github.io/docs/v5/websocket/private/order"""

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        return (order(row, None, received_time_ns),)


class FillReader(RowsReader):
    """https://bybit-exchange.github.io/docs/v5/websocket/private/execution"""

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        return (fill(row, None, received_time_ns),)


class EarlyFillReader(RowsReader):
    """https://bybit-exchange.github.io/docs/v5/websocket/private/fast-execution"""

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        return (early_fill(row, received_time_ns),)


class PositionReader(RowsReader):
    """https://bybit-exchange.github.io/docs/v5/websocket/private/position"""

    def reports(self, row: Row, received_time_ns: int) -> Iterable[Report]:
        told = position(row, None, received_time_ns)
        warning = margin_call(row, None, received_time_ns)
        return (told,) if warning is None else (told, warning)


class WalletReader(StreamReader):
    """What an account has of each coin, of coins that have changed.

    https://bybit-exchange.github.io/docs/v5/websocket/private/wallet
    """

    of_account: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        time_ns, account = ns_or_none(frame.get("creationTime")), self.account or ""
        found: list[Report] = []
        left_out: list[Message] = []
        for coin in self._coins(frame["data"], left_out):
            try:
                found.append(balance(coin, account, time_ns, received_time_ns))
            except MALFORMED as error:
                left_out.append(LeftOut(self.topic, f"{error!r} in {coin!r}"[:200]))
        if found:
            return (account_data(self.topic, found), *left_out)
        if left_out:
            raise ValueError(f"no coin can be read: {left_out[0]}")
        return self.unknown("no coins of a unified account")

    def _coins(self, wallets: Any, left_out: list[Message]) -> list[Any]:
        """Those of the unified account's wallet; what is no wallet is left out."""
        found: list[Any] = []
        for wallet in wallets:
            try:
                kind = wallet.get("accountType", UNIFIED)
                if kind == UNIFIED:
                    found += wallet["coin"]
                elif kind not in OTHER_WALLETS:
                    raise ValueError(f"a wallet of {kind!r:.40}")
            except MALFORMED as error:
                left_out.append(LeftOut(self.topic, f"{error!r} in {wallet!r}"[:200]))
        return found


class ProtectionReader(StreamReader):
    """Says nothing: subscribing is what it is for.

    https://bybit-exchange.github.io/docs/v5/websocket/private/dcp
    """

    of_account: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        return self.unknown("a word of protection")


PROTECTIONS: Mapping[Market, Stream] = {
    Market.LINEAR: Stream("dcp.future", ProtectionReader),
    Market.INVERSE: Stream("dcp.future", ProtectionReader),
    Market.SPOT: Stream("dcp.spot", ProtectionReader),
    Market.OPTION: Stream("dcp.option", ProtectionReader),
}

# Those of all markets: they mustn't be mixed with those of one.
PRIVATE_CHANNELS: Mapping[Channel, Stream] = {
    Channel.ORDERS: Stream("order", OrderReader),
    Channel.FILLS: Stream("execution", FillReader),
    Channel.EARLY_FILLS: Stream("execution.fast", EarlyFillReader),
    Channel.POSITIONS: Stream("position", PositionReader),
    Channel.BALANCES: Stream("wallet", WalletReader),
    Channel.DEAD_MAN: PROTECTIONS[Market.LINEAR],
}


class PrivateCodec(BybitCodec):
    """Translator of one connection to ``/v5/private``: of one account."""

    channels = PRIVATE_CHANNELS

    def stream(self, subscription: Subscription) -> Stream:
        market = subscription.market
        if subscription.channel is Channel.DEAD_MAN and market is not None:
            return PROTECTIONS[market]
        return self.channels[subscription.channel]
