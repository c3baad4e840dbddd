"""Mutants that declare what isn't so, dial elsewhere, or harm whoever imports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
from ccrs_bybit import Bybit

from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.contract.exchange import Capabilities, Environment, Route
from ccrs_core.contract.rest import Endpoint, GetFundingHistory, Request
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.mutant import caught_by

_DECLARED = Bybit.capabilities


@caught_by(
    "test_every_subscribe_request_is_accepted_and_its_answer_matched",
    "test_everything_declared_is_delivered",
)
class ChannelDeclaredThatIsNotThere(Bybit):
    """Liquidations are declared for spot, which has none."""

    capabilities: ClassVar[Capabilities] = attrs.evolve(
        _DECLARED,
        channels={
            **_DECLARED.channels,
            Market.SPOT: _DECLARED.channels[Market.SPOT] | {Channel.LIQUIDATIONS},
        },
    )


@caught_by("test_no_stream_works_that_is_not_declared")
class ChannelThatIsThereNotDeclared(Bybit):
    """Trades of spot work and aren't declared."""

    capabilities: ClassVar[Capabilities] = attrs.evolve(
        _DECLARED,
        channels={
            **_DECLARED.channels,
            Market.SPOT: _DECLARED.channels[Market.SPOT] - {Channel.TRADES},
        },
    )


@caught_by(
    "test_every_subscribe_request_is_accepted_and_its_answer_matched",
    "test_everything_declared_is_delivered",
)
class DepthDeclaredThatIsNotThere(Bybit):
    """A depth of the book is declared that the exchange doesn't have."""

    capabilities: ClassVar[Capabilities] = attrs.evolve(
        _DECLARED, book_depths={**_DECLARED.book_depths, Market.SPOT: (50, 200, 500, 1000)}
    )


@caught_by("test_no_stream_works_that_is_not_declared")
class IntervalThatIsThereNotDeclared(Bybit):
    """Candles of a minute work and aren't declared."""

    capabilities: ClassVar[Capabilities] = attrs.evolve(
        _DECLARED, intervals=_DECLARED.intervals[1:]
    )


@caught_by("test_requests_are_pure", "test_everything_declared_is_answered")
class RequestDeclaredThatIsNotThere(Bybit):
    """Funding rates are declared for spot, which has none."""

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Bybit.endpoints,
        GetFundingHistory: attrs.evolve(
            Bybit.endpoints[GetFundingHistory],
            markets=frozenset({Market.SPOT, Market.LINEAR, Market.INVERSE}),
        ),
    }


@caught_by("test_with_a_base_url_nothing_else_is_dialled")
class AddressHardCoded(Bybit):
    """Streams are dialled at the exchange whatever address the user gives."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        return attrs.evolve(route, url=route.url.replace("{public}", "wss://stream.bybit.com"))


@caught_by("test_a_stream_within_its_cadence_is_never_called_stale")
class SilenceTooShort(Bybit):
    """Streams are called stale after less than their cadence."""

    def max_silence(self, subscription: Subscription) -> float | None:
        silence = super().max_silence(subscription)
        return None if silence is None else 0.5


@caught_by("test_the_declared_budgets_are_within_the_exchanges")
class TooManyRequests(Bybit):
    """More requests are allowed than the exchange answers."""

    limits: ClassVar[Limits] = attrs.evolve(
        Bybit.limits, requests=Budget(amount=50_000, seconds=5.0)
    )


@caught_by("test_the_declared_budgets_are_within_the_exchanges")
class TooManyConnections(Bybit):
    """More connections are opened than the exchange takes."""

    limits: ClassVar[Limits] = attrs.evolve(
        Bybit.limits, connects=Budget(amount=50_000, seconds=300.0)
    )


@caught_by("test_the_plugin_loads_by_its_entry_point")
class ContractVersionWrong(Bybit):
    """The plugin was written for a contract that this core doesn't serve."""

    contract: ClassVar[int] = 99


@caught_by("test_the_plugin_loads_by_its_entry_point")
class ContractVersionMissing(Bybit):
    """The plugin doesn't say which contract it was written for."""

    contract: ClassVar[int] = None  # type: ignore[assignment]


@caught_by("test_the_environments_addresses_are_well_formed")
class NoMainnet(Bybit):
    """There is no environment of the name mainnet."""

    environments: ClassVar[Mapping[str, Environment]] = {
        name: each for name, each in Bybit.environments.items() if name != "mainnet"
    }


@caught_by("test_every_subscribe_request_is_accepted_and_its_answer_matched")
class NoDialect(Bybit):
    """No emulator is shipped, so that nothing declared can be proven."""

    def dialect(self) -> Any:
        return None


# --- what is guessed of recordings ---------------------------------------------------------------

GUESSED = "test_what_is_guessed_of_frames_has_a_route_and_is_read"


@caught_by(GUESSED)
class TradesTakenForQuotes(Bybit):
    """Trades in a recording of another program are claimed as quotes, and every one vanishes."""

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        return [
            attrs.evolve(each, channel=Channel.TOP_OF_BOOK)
            if each.channel is Channel.TRADES
            else each
            for each in super().subscriptions_in(frames, market)
        ]


@caught_by(GUESSED)
class ClaimedByAnotherName(Bybit):
    """Streams in a recording of another program are claimed by names that their frames lack."""

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        return [
            attrs.evolve(
                each, instrument=attrs.evolve(each.instrument, native=f"1{each.instrument.native}")
            )
            for each in super().subscriptions_in(frames, market)
        ]


@caught_by(GUESSED)
class RoutedNowhere(Bybit):
    """Streams in a recording of another program are claimed that can't be subscribed to."""

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        return [
            attrs.evolve(each, channel=Channel.CANDLES, interval="7 fortnights")
            for each in super().subscriptions_in(frames, market)
        ] + list(super().subscriptions_in(frames, market))
