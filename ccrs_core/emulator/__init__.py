"""A small real exchange that runs in this process, speaking any plugin's protocol on loopback.

Markets with a matching engine and a seeded crowd (or a recording), WebSocket and REST behind real
sockets (:class:`EmulatorServer`) or without any (:class:`EmulatorTransport`), and a menu of faults.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccrs_core.emulator.dialect import Dialect, Frame, HttpRefusal, Oddity, Session
    from ccrs_core.emulator.fault import GARBLED, Fault, FaultKind, parse_fault
    from ccrs_core.emulator.faults import ActiveFault, Faults
    from ccrs_core.emulator.history import (
        bars,
        first_opens,
        first_payments,
        newest_opens,
        newest_payments,
    )
    from ccrs_core.emulator.inprocess import EmulatorConnection, EmulatorTransport
    from ccrs_core.emulator.listing import Listing, Steps, decimals, quarters
    from ccrs_core.emulator.market import Changed, Figure, Liquidation, SimulatedMarket
    from ccrs_core.emulator.matching import (
        Broken,
        CancelReason,
        Fill,
        MatchingEngine,
        Order,
        OrderStatus,
        Outcome,
        RuleBroken,
        Rules,
        SelfTrade,
        TimeInForce,
        UnknownOrder,
    )
    from ccrs_core.emulator.plain import (
        BookFeed,
        MarketFeed,
        SpelledLevel,
        TopFeed,
        TradeFeed,
        exact_json,
        heartbeats,
        rfc3339,
    )
    from ccrs_core.emulator.replay import RecordedFrame, Replay, read_recording
    from ccrs_core.emulator.server import EmulatorServer
    from ccrs_core.emulator.steering import Steerable
    from ccrs_core.emulator.streams import BookView, Levels, Stream
    from ccrs_core.emulator.tape import Bar, Interval, Tape, TapeTrade
    from ccrs_core.emulator.venue import (
        AbortAction,
        CloseAction,
        EmulatedExchange,
        Peer,
        PingAction,
    )

_HOMES = {
    "dialect": ("Dialect", "Frame", "HttpRefusal", "Oddity", "Session"),
    "fault": ("GARBLED", "Fault", "FaultKind", "parse_fault"),
    "faults": ("ActiveFault", "Faults"),
    "history": ("bars", "first_opens", "first_payments", "newest_opens", "newest_payments"),
    "inprocess": ("EmulatorConnection", "EmulatorTransport"),
    "listing": ("Listing", "Steps", "decimals", "quarters"),
    "market": ("Changed", "Figure", "Liquidation", "SimulatedMarket"),
    "matching": (
        "Broken",
        "CancelReason",
        "Fill",
        "MatchingEngine",
        "Order",
        "OrderStatus",
        "Outcome",
        "RuleBroken",
        "Rules",
        "SelfTrade",
        "TimeInForce",
        "UnknownOrder",
    ),
    "plain": (
        "BookFeed",
        "MarketFeed",
        "SpelledLevel",
        "TopFeed",
        "TradeFeed",
        "exact_json",
        "heartbeats",
        "rfc3339",
    ),
    "replay": ("RecordedFrame", "Replay", "read_recording"),
    "server": ("EmulatorServer",),
    "steering": ("Steerable",),
    "streams": ("BookView", "Levels", "Stream"),
    "tape": ("Bar", "Interval", "Tape", "TapeTrade"),
    "venue": ("AbortAction", "CloseAction", "EmulatedExchange", "Peer", "PingAction"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped as they belong together
    "EmulatedExchange",
    "EmulatorServer",
    "EmulatorTransport",
    "EmulatorConnection",
    "Peer",
    "CloseAction",
    "AbortAction",
    "PingAction",
    "Fault",
    "FaultKind",
    "Faults",
    "ActiveFault",
    "parse_fault",
    "GARBLED",
    "Dialect",
    "Session",
    "Frame",
    "HttpRefusal",
    "Oddity",
    "Stream",
    "BookView",
    "Levels",
    "MarketFeed",
    "TopFeed",
    "TradeFeed",
    "BookFeed",
    "SpelledLevel",
    "heartbeats",
    "exact_json",
    "rfc3339",
    "Listing",
    "Steps",
    "decimals",
    "quarters",
    "Steerable",
    "SimulatedMarket",
    "Changed",
    "Figure",
    "Liquidation",
    "Tape",
    "TapeTrade",
    "Bar",
    "Interval",
    "bars",
    "newest_opens",
    "first_opens",
    "newest_payments",
    "first_payments",
    "MatchingEngine",
    "Rules",
    "Order",
    "OrderStatus",
    "Outcome",
    "Fill",
    "TimeInForce",
    "SelfTrade",
    "CancelReason",
    "Broken",
    "RuleBroken",
    "UnknownOrder",
    "Replay",
    "RecordedFrame",
    "read_recording",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # On first use: the server brings in aiohttp, which takes its time.
    return getattr(import_module(f"{__name__}.{home}"), name)
