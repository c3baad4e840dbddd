"""The mutants that know nothing of Bybit, on the other plugins, and some of these plugins' own.

A mutant that reads wrongly is put between a plugin's codec and the suite: what the codec says
passes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec

from ccrs_core.conformance.workbench.spy import SpiedCodec, SpiedExchange
from ccrs_core.contract.codec import Codec, Message
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import GetBook, GetInstruments
from ccrs_core.model.events import BookUpdate
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.orderbook import Checksum
from ccrs_core.model.subscriptions import Subscription
from tests.mutants import binance, connections, oddities, okx, quiet, sequences, values
from tests.mutants.mutant import OF_KIND, Misread, Mutant, changed
from tests.mutants.values import MARKET

PLUGINS: dict[str, type[Exchange]] = {"binance": Binance, "okx": Okx}


# --- mutants of Bybit's on other exchanges -----------------------------------------------------

READING: tuple[type[Misread], ...] = (
    values.BidAndAskSwapped,
    values.BookSidesSwapped,
    values.PriceAndSizeSwapped,
    values.LevelsPriceAndSizeSwapped,
    values.TakerSideInverted,
    values.LiquidatedSideInverted,
    values.MillisecondsTakenForSeconds,
    values.ExchangeTimeLeftOut,
    values.FloatOnThePath,
    values.CandleEndsTooEarly,
    values.FundingRateAsPercentage,
    values.TickerFieldsForgotten,
    values.InverseContractSizeIgnored,
    values.IdsAsNumbers,
    values.TradeIdsReused,
    values.SymbolAsTheExchangeSpellsIt,
    sequences.ZeroSizesNotRemoved,
    sequences.SequenceHoleIgnored,
    sequences.PreviousNumberOffByOne,
    connections.AcksUnrecognised,
)
"""Those that fit both."""

ONLY: dict[str, tuple[type[Misread], ...]] = {
    # OKX trims its numbers; Binance has no pong of its own, and never counts anew.
    "binance": (values.TrailingZerosLost,),
    "okx": (connections.PongTakenForAnError, sequences.RestartIgnored),
}


class _Misreading(SpiedCodec):
    def __init__(self, spy: SpiedExchange, number: int, codec: Codec, mutant: Misread) -> None:
        super().__init__(spy, number, codec)
        self._mutant = mutant
        self._blind = type(mutant).peek is not Misread.peek

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return None if self._blind else super().peek(frame)

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        return [m for m in map(self._mutant.message, messages) if m is not None]


def _put_on(plugin: type[Exchange], kind: type[Misread]) -> Callable[[], Exchange]:
    class Mutated(SpiedExchange):
        def codec(self, route: Route) -> Codec:
            return _Misreading(self, 0, plugin.codec(self._inner, route), kind())

    Mutated.__module__ = plugin.__module__
    return lambda: Mutated(plugin())


# --- their own ----------------------------------------------------------------------------------


class SnapshotTakenForOlder(Binance):
    """The number of a snapshot is read as that of some states before it."""

    @staticmethod
    def _older(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = Binance.endpoints[GetBook].decode(request, response, now_ns, cursor)
        return attrs.evolve(answer, value=changed(answer.value, sequence=answer.value.sequence - 5))

    endpoints: ClassVar[Any] = {
        **Binance.endpoints,
        GetBook: attrs.evolve(Binance.endpoints[GetBook], decode=_older),
    }


class BooksWithoutSnapshot(Binance):
    """Books are said to need no request, although their stream brings changes alone."""

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        return None


class AllLevelsTakenForThoseAskedFor(Binance):
    """The exchange is said to keep 1,000 levels up to date, although its stream tells the changes
    of all: what is dropped never comes back."""

    def book_depth(self, subscription: Subscription) -> int | None:
        return subscription.depth


class AnswersTakenForWhole(Binance):
    """More levels are said to be asked for than an answer holds: it is taken for the whole book."""

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        found = super().book_snapshot(subscription)
        return None if found is None else attrs.evolve(found, depth=20_000)

    wider_snapshot = book_snapshot


class WeightsForgotten(Binance):
    """All requests are said to weigh one."""

    endpoints: ClassVar[Any] = {
        kind: attrs.evolve(endpoint, weight=1) for kind, endpoint in Binance.endpoints.items()
    }


class BudgetsOfTheirOwn(Binance):
    """Each host has a budget, although two of them are counted as one."""

    def rest_pool(self, address: str) -> str:
        return address


_ONE = Decimal(1)


def _of_size_one(plugin: type[Exchange], field: str = "quote_per_contract") -> dict[Any, Any]:
    """A plugin's endpoints, by which all contracts are worth one, or as many base units."""
    right = plugin.endpoints[GetInstruments]

    def decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = right.decode(request, response, now_ns, cursor)
        found: list[Instrument] = [
            i if getattr(i, field) is None else attrs.evolve(i, **{field: _ONE})
            for i in answer.value
        ]
        return attrs.evolve(answer, value=found)

    return {**plugin.endpoints, GetInstruments: attrs.evolve(right, decode=decode)}


class ContractsOfOneDollar(Binance):
    """Inverse contracts are said to be worth one quote unit."""

    endpoints: ClassVar[Any] = _of_size_one(Binance)


class OneRootForAll(Binance):
    """All streams of futures are asked for under one root, which knows some of them alone."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        return attrs.evolve(route, url=route.url.replace("/market/", "/public/"))


class ContractsTakenForBaseUnits(Okx):
    """Sizes stay in contracts."""

    endpoints: ClassVar[Any] = _of_size_one(Okx, "base_per_native_contract")


class ChecksumOfAnotherOrder(Okx):
    """The checksum is computed over something else."""

    def checksum(self, subscription: Subscription) -> Checksum | None:
        right = super().checksum(subscription)
        return None if right is None else lambda book: right(book) ^ 1


class ChecksumForgotten(Okx):
    """Books carry checksums, and the plugin doesn't say how they are computed."""

    def checksum(self, subscription: Subscription) -> Checksum | None:
        return None


class MidnightOfHongKong(Okx):
    """Candles of a day and more begin at midnight in Hong Kong."""

    class Codec(OkxCodec):
        def topic(self, subscription: Subscription) -> str:
            return super().topic(subscription).replace("utc", "")

        def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Any:
            frame = super().subscribe(subscriptions, request_id)
            return str(frame).replace("utc", "")

    def codec(self, route: Route) -> OkxCodec:
        return self.Codec()


class AllOnOneAddress(Okx):
    """Trades and candles are asked for at the address of the other channels."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        return attrs.evolve(route, url=route.url.replace("/business", "/public"))


class ResetsCalledHoles(Okx):
    """Where the chain goes on from a lower number, the change's former number is lost."""

    class Codec(OkxCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            messages = super().decode(frame, received_time_ns)
            for message in messages:
                for event in getattr(message, "events", ()):
                    if (
                        isinstance(event, BookUpdate)
                        and event.previous_sequence is not None
                        and event.sequence < event.previous_sequence
                    ):
                        message.events = [changed(event, previous_sequence=event.sequence - 1)]
                        message.restart = False
            return messages

    def codec(self, route: Route) -> OkxCodec:
        return self.Codec()


OWN: tuple[tuple[str, type[Exchange], str], ...] = (
    (
        "binance",
        SnapshotTakenForOlder,
        "test_books_are_right_again_soon_after_the_last_fault",
    ),
    (
        "binance",
        BooksWithoutSnapshot,
        "test_a_valid_book_is_well_formed_and_as_deep_as_subscribed",
    ),
    (
        "binance",
        AllLevelsTakenForThoseAskedFor,
        "test_a_book_stays_the_markets_however_far_the_market_goes",
    ),
    (
        "binance",
        AnswersTakenForWhole,
        "test_a_book_stays_the_markets_however_far_the_market_goes",
    ),
    ("binance", WeightsForgotten, "test_the_declared_budgets_are_within_the_exchanges"),
    ("binance", BudgetsOfTheirOwn, "test_the_declared_budgets_are_within_the_exchanges"),
    ("binance", ContractsOfOneDollar, "test_instruments_say_what_the_exchange_lists"),
    ("binance", OneRootForAll, "test_everything_declared_is_delivered"),
    ("okx", ContractsTakenForBaseUnits, MARKET),
    ("okx", ChecksumOfAnotherOrder, "test_the_plugins_checksum_is_the_exchanges"),
    ("okx", ChecksumForgotten, "test_the_plugins_checksum_is_the_exchanges"),
    ("okx", MidnightOfHongKong, "test_candles_of_every_interval_are_of_that_interval"),
    ("okx", AllOnOneAddress, "test_everything_declared_is_delivered"),
    ("okx", ResetsCalledHoles, "test_a_glance_at_a_frame_says_what_decoding_it_says"),
)


def _mutants() -> list[tuple[str, Mutant]]:
    found: list[tuple[str, Mutant]] = []
    for plugin, exchange in PLUGINS.items():
        for kind in (*READING, *ONLY[plugin]):
            known = OF_KIND[kind]
            found.append((plugin, attrs.evolve(known, make=_put_on(exchange, kind))))
    others = (*binance.OWN, *okx.OWN, *oddities.ELSEWHERE, *quiet.ELSEWHERE)
    for plugin, broken, aimed_at in (*OWN, *others):
        broken.__module__ = PLUGINS[plugin].__module__
        assert broken.__doc__
        found.append((plugin, Mutant(broken.__name__, broken.__doc__, broken, (aimed_at,))))
    return found


ELSEWHERE = _mutants()
"""The plugin's name, and the mutant."""
