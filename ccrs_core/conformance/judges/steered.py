"""A market that stands still but for what a test does to it, and what is delivered of that.

The judge is the emulated market's own state: what is told of it must be that state, figure by
figure, None where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NoReturn

import attrs

from ccrs_core.conformance.judges.figures import figure_fits, figures_of, held_value
from ccrs_core.conformance.workbench.line import Line, Wire
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.truth import History, Truth
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data, Message
from ccrs_core.contract.exchange import Exchange
from ccrs_core.emulator import Listing, SimulatedMarket
from ccrs_core.feeds.stream import EVENT_OF
from ccrs_core.model.events import Event
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.topics.topic import Topic

STATES = (
    Channel.TOP_OF_BOOK,
    Channel.TICKER,
    Channel.MARK_PRICE,
    Channel.INDEX_PRICE,
    Channel.OPEN_INTEREST,
    Channel.FUNDING,
)
"""Channels that tell a market's figures."""
_PATIENCE = 90.0
_STEPS = (0.25, 0.75, 1.0, 2.0, 4.0, 8.0)
"""Seconds between one look and the next; the last one again and again."""
_AGAIN = 1.1
_EVENT_FIELDS = {field.name for field in attrs.fields(Event)} | {"sequence", "special"}
_NEEDED = {
    Channel.MARK_PRICE: "mark_price",
    Channel.INDEX_PRICE: "index_price",
    Channel.OPEN_INTEREST: "open_interest",
    Channel.FUNDING: "funding_rate",
}
"""What each event of a channel must have."""
_NAMES = {"rate": "funding_rate", "funding_time_ns": "next_funding_time_ns"}
"""Figures by the fields of other events than tickers."""


def followed(
    exchange: Exchange, name: str, subscription: Subscription, runner: Runner
) -> tuple[Topic, list[Any]]:
    """A topic that one connection carries, and what its feed gets."""
    delivered: list[Any] = []
    topic = Topic(
        name,
        [runner],
        live=lambda _: 1,
        resync=lambda *_: None,
        arm=lambda: None,
        exchange=exchange,
    )
    feed: Any = SimpleNamespace(put=delivered.extend, notify=lambda _: None)
    topic.stream(subscription).feeds.append(feed)
    return topic, delivered


def figures(listing: Listing) -> dict[str, Any]:
    """A state of a market in which each figure is another number."""
    tick, lot = listing.tick, listing.lot
    # Not too low for what lies below it, nor beyond what a row of digits can tell.
    price = max(listing.price // tick, Decimal(1000)) * tick
    size = lot * 1000
    state: dict[str, Any] = {
        "bids": [(price - 3 * tick, size + lot), (price - 5 * tick, size + 2 * lot)],
        "asks": [(price + 3 * tick, size + 3 * lot), (price + 6 * tick, size + 4 * lot)],
        "last_price": price + tick,
        "open_price": price - 17 * tick,
        "high_price": price + 29 * tick,
        "low_price": price - 31 * tick,
        "volume": lot * 7_000_000,
        "turnover": _turnover(listing, price, 7_000_000),
        "mark_price": price + 2 * tick,
        "index_price": price - 2 * tick,
        "open_interest": lot * 9_000_001,
    }
    if listing.funding_interval_ns is not None:
        state |= {"funding_rate": Decimal("0.000123"), "next_funding_time_ns": None}
    return state


def _turnover(listing: Listing, price: Decimal, lots: int) -> Decimal:
    value = listing.lot * listing.worth_of_one * lots
    if listing.market is Market.INVERSE:
        return round(value / price, 8)
    return value * price


class Stage:
    """One subscription to a market that is steered."""

    def __init__(self, subject: Subject, case: Case) -> None:
        self.subject = subject
        self.case = case
        self.subscription = case.subscription
        self.line: Line = subject.line()
        self.venue = self.line.venue
        truth = Truth(self.venue)
        self.listing = truth.listing(self.subscription.instrument)
        self.history: History = truth.of(self.subscription.instrument)
        self.state = figures(self.listing)
        """What the market was last steered to."""
        if "next_funding_time_ns" in self.state:
            interval_ns = self.listing.funding_interval_ns
            assert interval_ns is not None
            next_ns = (self.venue.now_ns // interval_ns + 2) * interval_ns
            self.state["next_funding_time_ns"] = next_ns
        self.venue.steer(self.listing, **self.state)
        silence = subject.exchange.max_silence(self.subscription)
        self.patience = 5.0 + 1.5 * (silence or _PATIENCE)
        route = subject.exchange.route(self.subscription)
        self.wire: Wire = self.line.open(route)
        self._runner = Runner(0)
        name = self.wire.codec.topic(self.subscription)
        exchange = self.line.exchange
        self._topic, self._delivered = followed(exchange, name, self.subscription, self._runner)
        self._heard = 0
        self._take(self.wire.subscribe(self.subscription))
        # Some streams say nothing before something changes.
        (price, size), *others = self.state["bids"]
        for more in (1, 0):
            self._take(self.wire.run(1.1))
            self.steer(bids=[(price, size + more * self.listing.lot), *others])

    @property
    def market(self) -> SimulatedMarket:
        return self.venue.market(self.listing)

    def steer(self, **changes: Any) -> None:
        """Change some figures."""
        self.state |= changes
        self.venue.steer(self.listing, **changes)

    # --- what is heard ---

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, Data) and message.topic == self._topic.name:
                self._topic.deliver(message, self._runner, self.venue.now_ns / NS_PER_SECOND)

    def hear(self, seconds: float) -> list[Any]:
        """What is delivered of the channel within some time."""
        self._take(self.wire.run(seconds))
        before, self._heard = self._heard, len(self._delivered)
        kind = EVENT_OF[self.case.channel]
        return [each for each in self._delivered[before:] if isinstance(each, kind)]

    def again(self, stated: frozenset[str], when: str) -> None:
        """Let the exchange tell the whole state once more, unasked for, as it may at any time; what
        is delivered of that must be the market's state."""
        for stream in self.wire.peer.subscriptions.values():
            for frame in stream.first(self.venue.now_ns):
                stream.send(frame)
        for event in self.hear(_AGAIN):
            wrong = self.wrong(event, stated)
            if wrong:
                self.fail(f"{when}, told once more", "; ".join(wrong))

    def first(self) -> Any:
        """The state that is told first, which must be the market's."""
        return self.expect(None, "at first")

    def expect(self, stated: frozenset[str] | None, when: str) -> Any:
        """The event that tells the market's state, within the stream's time; of a state that can't
        be told (no mark price, say) None, and no event must tell another one."""
        waited, last, look = 0.0, None, iter(_STEPS)
        seconds = _STEPS[0]
        while waited < self.patience:
            for event in self.hear(seconds):
                last = event
                if not self.wrong(event, stated):
                    return event
            if self.wire.closed:
                self.fail(when, "the connection was closed")
            waited += seconds
            seconds = next(look, _STEPS[-1])
        if self.untold():
            if last is not None:
                self.fail(when, f"nothing can be told of it, but {last} was delivered")
            return None
        what = f"no {self.case.channel.value} came within {waited:.0f} s"
        if last is not None:
            wrong = "; ".join(self.wrong(last, stated))
            what = f"what was delivered last says otherwise: {wrong}"
        return self.fail(when, what)

    def untold(self) -> bool:
        """Whether the state lacks what each event of the channel must have."""
        needed = _NEEDED.get(self.case.channel)
        return needed is not None and self._true()[needed] is None

    def wrong(self, event: Any, stated: frozenset[str] | None) -> list[str]:
        """How an event differs from the market's state, in words; ``stated`` are the fields that
        the exchange tells at all."""
        true, found = self._true(), []
        if getattr(event, "special", False):
            found.append("special is True, and nothing is paid but the regular rate")
        for name in fields_of(event):
            value = getattr(event, name)
            want = (
                held_value(self.market, true) if name == "value" else true[_NAMES.get(name, name)]
            )
            if value is None:
                if stated is not None and name in stated and not _nothing(name, want):
                    found.append(f"{name} is None, the market's {want}")
            elif not figure_fits(name, value, want, self.market):
                told = "there is none" if want is None else f"the market's {want}"
                found.append(f"{name} is {value}, {told}")
        return found

    def _true(self) -> Mapping[str, Any]:
        return figures_of(self.market, self.history.present, self.venue.now_ns)

    def joins(self, stated: frozenset[str], when: str) -> None:
        """Fails unless what somebody hears who comes only now is the market's state."""
        wire = self.line.open(self.line.exchange.route(self.subscription))
        kind = EVENT_OF[self.case.channel]
        for message in wire.subscribe(self.subscription) + wire.run(1.1):
            for event in message.events if isinstance(message, Data) else ():
                wrong = self.wrong(event, stated) if isinstance(event, kind) else []
                if wrong:
                    self.fail(f"{when}, to who subscribes only then", "; ".join(wrong))
        wire.peer.gone()

    def fail(self, when: str, what: str) -> NoReturn:
        """Fail about this subscription."""
        raise AssertionError(
            f"{self.case}, {when}: {what}. Either the codec's decode() keeps a former value, "
            "leaves a field out or takes the state for a repeat (its Data.sequence, or what it "
            "compares), or the emulator's dialect doesn't write what the exchange writes then"
        )


def fields_of(event: Any) -> list[str]:
    """The fields of an event that tell figures."""
    names = (field.name for field in attrs.fields(type(event)))
    return [name for name in names if name not in _EVENT_FIELDS]


def stated_by(event: Any) -> frozenset[str]:
    """The fields that an event has values in."""
    return frozenset(name for name in fields_of(event) if getattr(event, name) is not None)


def _nothing(name: str, want: Any) -> bool:
    # A day's volume before the first trade is nothing, or isn't said.
    return want is None or (name in ("volume", "turnover") and want == 0)
