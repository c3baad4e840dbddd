"""The properties of numbers, identity and operation notice what they are there to notice."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.codec import BybitCodec

from ccrs_core.conformance import ConformanceSuite, Profile, Subject
from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import CONTRACT, Environment, Exchange, Route
from ccrs_core.contract.rest import Answer, GetFundingHistory, GetInstruments
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.model.events import Trade
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription


def failure(test: str, exchange: type[Exchange], *, local: bool = False) -> str:
    """What a property says of a broken exchange."""
    if not local:
        exchange.__module__ = "ccrs_bybit"
    subject = Subject(exchange, profile=Profile.QUICK)
    with pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        getattr(ConformanceSuite(), test)(subject)
    return str(caught.value)


def speaking(change: Any) -> type[Exchange]:
    """Bybit with changed events."""

    class Changed(BybitCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            messages = super().decode(frame, received_time_ns)
            for message in messages:
                if isinstance(message, Data):
                    message.events = [
                        change(e) if isinstance(e, Trade) else e for e in message.events
                    ]
            return messages

    class Speaking(Bybit):
        def codec(self, route: Route) -> Codec:
            return Changed()

    return Speaking


def listing(change: Any) -> type[Exchange]:
    """Bybit with changed instruments."""
    known = Bybit.endpoints[GetInstruments]

    def decode(request: Any, response: Any, now_ns: int, cursor: str | None) -> Any:
        answer = known.decode(request, response, now_ns, cursor)
        return Answer([change(each) for each in answer.value], answer.cursor)

    class Listing(Bybit):
        endpoints: ClassVar[Any] = {
            **Bybit.endpoints,
            GetInstruments: attrs.evolve(known, decode=decode),
        }

    return Listing


def test_a_float_is_noticed() -> None:
    broken = speaking(lambda trade: attrs.evolve(trade, price=float(trade.price)))
    text = failure("test_no_value_of_the_public_surface_is_a_float", broken)
    assert "ccrs_core.wire" in text


def test_lost_trailing_zeros_are_noticed() -> None:
    broken = speaking(lambda trade: attrs.evolve(trade, price=trade.price + Decimal("0.0000")))
    text = failure("test_streamed_decimals_are_the_exact_text_of_the_wire", broken)
    assert "trailing zeros" in text


@pytest.mark.parametrize(
    "factor", [Decimal("0.000001"), Decimal("0.001"), Decimal(1000), Decimal(1_000_000)]
)
def test_times_in_other_units_are_noticed(factor: Decimal) -> None:
    broken = speaking(
        lambda trade: attrs.evolve(trade, exchange_time_ns=int(trade.exchange_time_ns * factor))
    )
    assert "units" in failure("test_times_of_streams_are_of_the_present_and_in_order", broken)


def test_a_wrong_tick_is_noticed_by_the_list_and_by_orders() -> None:
    broken = listing(lambda each: attrs.evolve(each, tick_size=Decimal("0.00000001")))
    assert "tick_size" in failure("test_instruments_say_what_the_exchange_lists", broken)
    advice = failure(
        "test_orders_are_refused_by_the_rules_that_the_exchange_refuses_them_by", broken
    )
    assert "refuses it" in advice


def test_colliding_symbols_are_noticed() -> None:
    broken = listing(
        lambda each: attrs.evolve(each, symbol=f"{each.base}/{each.quote}", settle=None)
    )
    text = failure("test_unified_and_native_symbols_map_one_to_one", broken)
    assert "both called" in text or "unified_symbol" in text


def test_a_declared_channel_that_is_not_there_is_noticed() -> None:
    class Boasting(Bybit):
        capabilities: ClassVar[Any] = attrs.evolve(
            Bybit.capabilities,
            channels={
                **Bybit.capabilities.channels,
                Market.SPOT: Bybit.capabilities.channels[Market.SPOT] | {Channel.LIQUIDATIONS},
            },
        )

    assert "liquidations" in failure("test_everything_declared_is_delivered", Boasting)


def test_a_declared_depth_that_is_not_there_is_noticed() -> None:
    class Deep(Bybit):
        capabilities: ClassVar[Any] = attrs.evolve(
            Bybit.capabilities,
            book_depths={**Bybit.capabilities.book_depths, Market.SPOT: (50, 500)},
        )

    assert "book 500" in failure("test_everything_declared_is_delivered", Deep)


def test_a_declared_request_that_is_not_there_is_noticed() -> None:
    class Paying(Bybit):
        endpoints: ClassVar[Any] = {
            **Bybit.endpoints,
            GetFundingHistory: attrs.evolve(
                Bybit.endpoints[GetFundingHistory],
                markets=frozenset({Market.SPOT, Market.LINEAR, Market.INVERSE}),
            ),
        }

    assert "GetFundingHistory" in failure("test_everything_declared_is_answered", Paying)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {
                "channels": {
                    **Bybit.capabilities.channels,
                    Market.SPOT: Bybit.capabilities.channels[Market.SPOT] - {Channel.TRADES},
                }
            },
            "trades",
        ),
        ({"intervals": Bybit.capabilities.intervals[1:]}, "candles 1m"),
    ],
)
def test_what_works_undeclared_is_noticed(changes: dict[str, Any], told: str) -> None:
    class Modest(Bybit):
        capabilities: ClassVar[Any] = attrs.evolve(Bybit.capabilities, **changes)

    assert told in failure("test_no_stream_works_that_is_not_declared", Modest)


def test_a_request_that_works_undeclared_is_noticed() -> None:
    class Modest(Bybit):
        endpoints: ClassVar[Any] = {
            **Bybit.endpoints,
            GetFundingHistory: attrs.evolve(
                Bybit.endpoints[GetFundingHistory], markets=frozenset({Market.INVERSE})
            ),
        }

    assert "linear" in failure("test_no_request_works_that_is_not_declared", Modest)


def test_a_hard_coded_address_is_noticed() -> None:
    class Hard(Bybit):
        def route(self, subscription: Subscription) -> Route:
            route = super().route(subscription)
            return attrs.evolve(route, url=route.url.replace("{public}", "wss://venue.test"))

    assert "venue.test" in failure("test_with_a_base_url_nothing_else_is_dialled", Hard)
    assert "override" in failure("test_the_environments_addresses_are_well_formed", Hard)


def test_a_trailing_slash_and_a_missing_mainnet_are_noticed() -> None:
    class Slashed(Bybit):
        environments: ClassVar[Any] = {
            "mainnet": Environment(
                addresses={
                    name: f"{url}/" for name, url in Bybit.environments["mainnet"].addresses.items()
                }
            )
        }

    class Homeless(Bybit):
        environments: ClassVar[Any] = {}

    name = "test_the_environments_addresses_are_well_formed"
    assert "slash" in failure(name, Slashed)
    assert "mainnet" in failure(name, Homeless)


@pytest.mark.parametrize("contract", [CONTRACT + 98, None, "1"])
def test_a_wrong_contract_is_noticed(contract: Any) -> None:
    class Other(Bybit):
        pass

    Other.contract = contract
    assert "contract" in failure("test_the_plugin_loads_by_its_entry_point", Other)


def test_a_contract_that_follows_the_core_is_noticed() -> None:
    class Following(Bybit):
        contract = CONTRACT

    text = failure("test_the_plugin_loads_by_its_entry_point", Following, local=True)
    assert "spelled out" in text


def test_a_codec_that_remembers_what_replays_can_not_know_is_noticed() -> None:
    class Counting(BybitCodec):
        made = 0

        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            messages = super().decode(frame, received_time_ns)
            for message in messages:
                if isinstance(message, Data):
                    Counting.made += 1
                    message.events = [
                        attrs.evolve(e, trade_id=f"{e.trade_id}-{Counting.made}")
                        if isinstance(e, Trade)
                        else e
                        for e in message.events
                    ]
            return messages

    class Stateful(Bybit):
        def codec(self, route: Route) -> Codec:
            return Counting()

    text = failure("test_a_replay_gives_what_the_live_run_delivered_to_the_byte", Stateful)
    assert "replay" in text


def test_the_simulated_plugins_are_gone_afterwards() -> None:
    before = plugins.installed()
    subject = Subject("bybit", profile=Profile.QUICK)
    ConformanceSuite().test_a_plugin_of_another_contract_is_refused_and_a_broken_one_harms_no_other(
        subject
    )
    assert plugins.installed() == before
