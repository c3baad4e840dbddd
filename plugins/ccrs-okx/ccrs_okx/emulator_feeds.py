"""The channels of an account's private streams, and how what is said of them travels: each by its
own way, so that channels aren't ordered against each other, nor against answers.

https://www.okx.com/docs-v5/en/#trading-account-websocket
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from ccrs_core import NS_PER_MS, NS_PER_SECOND
from ccrs_core.emulator import Broadcast, Frame, Listing, TradingAccount
from ccrs_okx.emulator_listings import TYPES, family

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_AT_ONCE = 0.3
"""The share of messages that leave at once, before anything else that happens then is told."""
_SLOWEST_NS = 15 * NS_PER_MS
_REGULAR_NS = 5 * NS_PER_SECOND
_INTERVALS = {"0": 0, "2000": 2, "3000": 3, "4000": 4}
PRIVATE_CHANNELS = frozenset(
    {"orders", "positions", "account", "balance_and_position", "liquidation-warning"}
)
BUSINESS_CHANNELS = frozenset({"orders-algo", "algo-advance"})
FOR_FEW = frozenset({"fills"})
"""Channels of the highest fee tiers alone."""
_OF_TYPES = frozenset({"orders", "positions", "liquidation-warning", "orders-algo", "algo-advance"})
Make = Callable[[], dict[str, Any]]


def understood(arg: Mapping[str, str]) -> bool:
    """Whether an argument has what its channel needs."""
    channel = arg.get("channel", "")
    if channel in _OF_TYPES and arg.get("instType") not in {*TYPES, "MARGIN", "ANY"}:
        return False
    return _interval_ns(arg) is not None


def _interval_ns(arg: Mapping[str, str]) -> int | None:
    """How often a state is told though nothing happens; 0 never, None where that is no such."""
    text = arg.get("extraParams", "")
    if not text:
        return _REGULAR_NS
    try:
        more = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    asked = more.get("updateInterval", "") if isinstance(more, dict) else None
    if asked == "":
        return _REGULAR_NS
    seconds = _INTERVALS.get(str(asked))
    return None if seconds is None else seconds * NS_PER_SECOND


class AccountFeed(Broadcast):
    """One channel of one account, as an argument asks for it; what it says is made elsewhere."""

    def __init__(
        self, trading: Trading, account: TradingAccount, topic: str, arg: Mapping[str, str]
    ) -> None:
        super().__init__(topic, ())
        self.arg = {**arg, "uid": trading.uid(account)}
        self.arg.pop("extraParams", None)
        self.channel = arg["channel"]
        self._asked = arg
        self._trading = trading
        self._account = account
        self._every_ns = _interval_ns(arg) or 0
        self._rng = random.Random(f"{trading.venue.seed}/{account.name}/{topic}")
        self._rows: list[dict[str, Any]] = []
        self._loops = 0

    # --- the core's ---

    def first(self, now_ns: int) -> Iterable[Frame]:
        """Those that tell a state begin with it; the others with nothing."""
        rows = self._state(now_ns)
        if rows is None:
            return ()
        return (self._frame(rows, eventType="snapshot", curPage=1, lastPage=True),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        return ()

    def started(self, now_ns: int) -> None:
        self._loops += 1
        if self._every_ns and self.channel in {"account", "positions"}:
            self._again(now_ns, self._loops)

    def _again(self, now_ns: int, loop: int) -> None:
        def repeat(now_ns: int) -> None:
            if loop != self._loops or not self.subscribers:
                return
            rows = self._state(now_ns)
            if rows is not None:
                self._write(self._frame(rows, eventType="snapshot", curPage=1, lastPage=True))
            self._again(now_ns, loop)

        self._trading.venue.at(now_ns + self._every_ns, repeat)

    def _state(self, now_ns: int) -> list[dict[str, Any]] | None:
        accounts, account = self._trading.accounts, self._account
        match self.channel:
            case "account":
                return [accounts.balance_of(account, now_ns, self.currencies)]
            case "positions":
                held = [p for p in account.positions.values() if p.size and self.about(p.listing)]
                return [accounts.position_of(account, each, now_ns) for each in held]
            case "balance_and_position":
                return [accounts.together(account, now_ns)]
        return None

    # --- rows ---

    @property
    def currencies(self) -> frozenset[str] | None:
        """Those that are asked for alone; None: all."""
        asked = self._asked.get("ccy")
        return frozenset({asked}) if asked else None

    def about(self, listing: Listing) -> bool:
        """Whether something of a listing was asked for."""
        asked = self._asked
        return (
            asked.get("instType", "ANY") in {"ANY", listing.category}
            and asked.get("instFamily", "") in {"", family(listing)}
            and asked.get("instId", "") in {"", listing.symbol}
        )

    def tell(self, row: dict[str, Any], now_ns: int) -> None:
        """Send a row to whoever listens then, after those before it."""
        waits = bool(self._rows)
        self._rows.append(row)
        if waits:
            return
        if self._rng.random() < _AT_ONCE:
            self._flush(now_ns)
        else:
            self._trading.venue.at(now_ns + self._rng.randrange(_SLOWEST_NS), self._flush)

    def _flush(self, now_ns: int) -> None:
        rows, self._rows = self._rows, []
        for row in rows:
            if self.channel in {"account", "positions"}:
                self._write(self._frame([row], eventType="event_update"))
            else:
                self._write(self._frame([row]))

    def _frame(self, rows: list[dict[str, Any]], **more: Any) -> Frame:
        if self.channel not in {"account", "positions"}:
            more = {}
        return Frame.json({"arg": self.arg, **more, "data": rows})

    def _write(self, frame: Frame) -> None:
        for subscriber in tuple(self.subscribers):
            subscriber.send(frame, self.topic)


class AccountFeeds:
    """The feeds of all accounts; each is made when it is first subscribed to."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._feeds: dict[str, dict[str, AccountFeed]] = {}

    @staticmethod
    def topic(arg: Mapping[str, str]) -> str:
        """The emulator's name of what an argument asks for."""
        rest = ",".join(f"{name}={arg[name]}" for name in sorted(arg) if name != "channel")
        return f"{arg.get('channel', '')}:{rest}"

    def feed(self, account: TradingAccount, arg: Mapping[str, str]) -> AccountFeed:
        topic = self.topic(arg)
        of_account = self._feeds.setdefault(account.name, {})
        found = of_account.get(topic)
        if found is None:
            found = of_account[topic] = AccountFeed(self._trading, account, topic, arg)
        return found

    def tell(
        self, account: str, channel: str, listing: Listing | None, make: Make, now_ns: int
    ) -> None:
        """Send a row on a channel's feeds that are about a listing; it is made where anybody
        listens."""
        for feed in self._feeds.get(account, {}).values():
            if feed.channel != channel or not feed.subscribers:
                continue
            if listing is None or feed.about(listing):
                feed.tell(make(), now_ns)

    def tell_balance(self, account: str, asset: str, make: Make, now_ns: int) -> None:
        """Send a balance on those of ``account`` that are about it."""
        for feed in self._feeds.get(account, {}).values():
            wanted = feed.currencies
            if (
                feed.channel == "account"
                and feed.subscribers
                and (wanted is None or asset in wanted)
            ):
                feed.tell(make(), now_ns)
