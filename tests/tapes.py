"""A topic of trades as several connections bring it, without connections."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ccrs_core import Channel, Side, Subscription, Trade
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.model.events import MarketData
from ccrs_core.topics.topic import Topic
from tests.topics.test_keeper import Tap
from tests.toy import Toy, instrument


def trade(number: int, *, counted: bool = False) -> Trade:
    one = Decimal(1)
    order = number if counted else None
    return Trade("toy", "BTC/USD", number, number, order, str(number), one, one, Side.BUY)


class CountsTrades(Toy):
    def consecutive(self, subscription: Subscription) -> bool:
        return True


class Tape:
    """A topic of trades on several connections, and what it delivers."""

    def __init__(self, connections: int = 2, *, counted: bool = False) -> None:
        self.runners = [Runner(n, apart={"trades"}) for n in range(1, connections + 1)]
        self.tap = Tap()
        self.counts = counted
        self.topic = Topic(
            "trades",
            self.runners,
            live=lambda name: len(self.runners),
            resync=lambda name, what: None,
            arm=lambda: None,
            exchange=CountsTrades() if counted else Toy(),
        )
        stream = self.topic.stream(Subscription(Channel.TRADES, instrument("BTC")))
        self.topic.attach(stream, self.tap)  # type: ignore[arg-type]
        self.tap.events.clear()

    def bring(self, who: int, numbers: Sequence[int], now: float) -> None:
        events: Sequence[MarketData] = [trade(n, counted=self.counts) for n in numbers]
        data = Data("trades", events, None if self.counts else str(list(numbers)).encode())
        self.topic.deliver_all([data], self.runners[who], now)

    @property
    def ids(self) -> list[int]:
        return [int(e.trade_id) for e in self.tap.events if isinstance(e, Trade)]
