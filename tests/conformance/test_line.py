"""The direct line from a codec to an emulator, without a client between."""

from __future__ import annotations

from importlib import import_module

import pytest

from ccrs_core.conformance.workbench.line import Line
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.emulator import EmulatedExchange
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription

START_NS = 1_767_225_600_000_000_000


@pytest.mark.parametrize(("plugin", "name"), [("ccrs_okx", "Okx"), ("ccrs_bybit", "Bybit")])
def test_a_line_on_which_nothing_happens_is_kept_open_by_its_pings(plugin: str, name: str) -> None:
    exchange = getattr(import_module(plugin), name)()
    dialect = exchange.dialect()
    venue = EmulatedExchange(dialect, rate=0.0001, start_ns=START_NS)
    line = Line(exchange, venue)
    (instrument,) = [
        each for each in line.ask(GetInstruments(Market.LINEAR)) if each.symbol == "BTC/USDT:USDT"
    ]
    wire = line.open(exchange.route(Subscription(Channel.LIQUIDATIONS, instrument)))
    wire.subscribe(Subscription(Channel.LIQUIDATIONS, instrument))
    idle_timeout = wire.peer.visitor.idle_timeout
    assert idle_timeout is not None
    wire.run(idle_timeout * 3)
    assert not wire.closed
    mute = line.open(exchange.route(Subscription(Channel.LIQUIDATIONS, instrument)))
    mute.ping_due_ns = None
    venue.advance(venue.now_ns + round(idle_timeout * 1.01e9))
    mute.raw()
    assert mute.closed
